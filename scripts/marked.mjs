// A reporter for `node --test` where some tests are marked (`todo`) as ones that may fail: says which of those passed, and
// shows the other failures.
import { relative } from 'node:path';
import { inspect } from 'node:util';

const name = ({ file, name: test }) => `  ${file === undefined ? '' : `${relative('.', file)}: `}${test}\n`;

/** @param events what the test runner tells; yields a sign for each test (`m`: failed as marked), and then the verdict. */
export default async function* marked(events) {
  const passed = [];
  const failed = [];
  let expected = 0;
  for await (const { type, data } of events) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const mayFail = data.todo !== undefined && data.todo !== false;
    if (type === 'test:pass') {
      if (mayFail) passed.push(name(data));
      yield '.';
    } else if (mayFail) {
      expected++;
      yield 'm';
    } else {
      failed.push(`${name(data)}${inspect(data.details?.error?.cause ?? data.details?.error)}\n`);
      yield 'X';
    }
  }
  yield `\n${expected} tests failed that are marked so.\n`;
  if (passed.length > 0) yield `Marked, but passed (the mark may go):\n${passed.join('')}`;
  yield failed.length === 0 ? 'No other test failed.\n' : `Failed without a mark:\n${failed.join('')}`;
}
