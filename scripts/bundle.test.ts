import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';

/** What a script prints that runs after the command `version` in the same process. */
function printedAfterVersion(script: string, ...options: string[]): string {
  const { NODE_OPTIONS: _, ...env } = process.env;
  const whole = `
    process.argv = [process.argv[0], 'dist/main.js', 'version'];
    const { program } = await import('./dist/main.js');
    ${script}`;
  return execFileSync(process.execPath, [...options, '--input-type=module', '--eval', whole], {
    encoding: 'utf8',
    env,
  });
}

/** Work while the server would be starting, and after it: after the timer that gives the compilers back, which is older and as long. */
const OFTEN = `
  function often() { let sum = 0; for (let i = 0; i < 1e6; i++) sum += i; return sum; }
  for (let i = 0; i < 20; i++) often();
  console.log('started');
  setTimeout(() => { for (let i = 0; i < 100; i++) often(); console.log('done'); }, 1_000);`;

test('V8 takes what was compiled with the bundle', () => {
  assert.match(printedAfterVersion('console.log(program.cachedDataRejected);'), /^false$/m);
});

test('what runs often is compiled once the start is over, and not before', () => {
  const printed = printedAfterVersion(OFTEN, '--trace-opt');
  const [starting, started] = printed.split('started') as [string, string];
  assert.doesNotMatch(starting, /completed optimizing/);
  assert.match(started, /completed optimizing .*often/);
});

test('without any compiler, as where no memory may be made executable, the program runs too', () => {
  assert.match(printedAfterVersion(OFTEN, '--jitless'), /^done$/m);
});
