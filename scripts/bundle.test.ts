import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

/** What a script prints that runs after the command `version` in the same process. */
function printedAfterVersion(script: string, ...options: string[]): string {
  const { NODE_OPTIONS: _, ...env } = process.env;
  const whole = `
    process.argv = [process.argv[0], 'dist/main.cjs', 'version'];
    require('./dist/main.cjs').program.then((program) => {
      ${script}
    });`;
  return execFileSync(process.execPath, [...options, '--eval', whole], {
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

test('functions of ours keep their names, for stack traces', () => {
  const text = readFileSync('dist/bundle/program.cjs', 'latin1');
  assert.match(text, /\bfunction openServer\(/);
  assert.match(text, /\bfunction sendEvent\(/);
});

test('what runs often is compiled once the start is over, and not before', () => {
  const printed = printedAfterVersion(OFTEN, '--trace-opt');
  const [starting, started] = printed.split('started') as [string, string];
  assert.doesNotMatch(starting, /completed optimizing/);
  assert.match(started, /completed optimizing .*often/);
});

test('until the first answer no module of Node is loaded after the options of V8 have changed', (t) => {
  const data = mkdtempSync(join(tmpdir(), 'runnel-bundle-'));
  t.after(() => rmSync(data, { recursive: true, force: true }));
  const script = `
    const v8 = require('node:v8');
    const set = v8.setFlagsFromString;
    let before;
    v8.setFlagsFromString = (flag) => {
      before ??= new Set(process.moduleLoadList);
      set(flag);
    };
    const net = require('node:net');
    const { listen } = net.Server.prototype;
    net.Server.prototype.listen = function (...given) {
      net.Server.prototype.listen = listen;
      this.once('listening', () => {
        const socket = net.connect(this.address().port, '127.0.0.1');
        socket.write('GET /_matrix/client/versions HTTP/1.1\\r\\nHost: hs\\r\\nConnection: close\\r\\n\\r\\n');
        socket.once('data', (answer) => {
          const late = process.moduleLoadList.filter((id) => id.startsWith('NativeModule ') && !before.has(id));
          require('node:fs').writeSync(1, JSON.stringify([String(answer).slice(0, 15), late]));
          process.exit();
        });
      });
      return listen.apply(this, given);
    };
    process.argv = [process.argv[0], ${JSON.stringify(resolve('dist/main.cjs'))}, 'serve'];
    require(process.argv[1]);`;
  // As a file, since for a script on the command line Node loads more modules than a start has.
  const file = join(data, 'start.cjs');
  writeFileSync(file, script);
  const env = { PATH: process.env['PATH'], RUNNEL_DATA: data, RUNNEL_LISTEN: '127.0.0.1:0', RUNNEL_LOG: 'silent' };
  const start = (): unknown => JSON.parse(execFileSync(process.execPath, [file], { encoding: 'utf8', env }));
  // The first over a directory makes the signing key.
  execFileSync(process.execPath, [file], { env });
  assert.deepEqual(start(), ['HTTP/1.1 200 OK', []]);
});

test('without any compiler, as where no memory may be made executable, the program runs too', () => {
  assert.match(printedAfterVersion(OFTEN, '--jitless'), /^done$/m);
});
