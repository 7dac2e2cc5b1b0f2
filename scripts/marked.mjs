// A reporter for `node --test`: which tests that may fail (marked `todo`) passed, and which others failed.
import { relative } from 'node:path';

const name = ({ file, name: test }) => `  ${file === undefined ? '' : `${relative('.', file)}: `}${test}`;

/** @param events what the test runner tells; yields the verdict once all of it came. */
export default async function* marked(events) {
  const passed = [];
  const failed = [];
  let expected = 0;
  for await (const { type, data } of events) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const mayFail = data.todo !== undefined && data.todo !== false;
    if (type === 'test:pass' && mayFail) passed.push(name(data));
    else if (type === 'test:fail' && mayFail) expected++;
    else if (type === 'test:fail') failed.push(name(data));
  }
  yield `\n${expected} tests failed that are marked so.\n`;
  if (passed.length > 0) yield `Marked, but passed (the mark may go):\n${passed.join('\n')}\n`;
  yield failed.length === 0 ? 'No other test failed.\n' : `Failed without a mark:\n${failed.join('\n')}\n`;
}
