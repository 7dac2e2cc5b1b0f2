import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { drive, driveInTurns, letIn, mapSteps } from '#util/steps.js';

test('a computation in steps gives the same at once and in turns, and others run in between', async () => {
  const items = Array.from({ length: 50 }, (_, n) => n);
  const squares = items.map((n) => n * n);
  assert.deepEqual(drive(mapSteps(items, (n) => n * n)), squares);
  const order: string[] = [];
  let running = true;
  const other = (): void => {
    order.push('other');
    if (running) setImmediate(other);
  };
  setImmediate(other);
  const done = driveInTurns(
    mapSteps(items, (n) => {
      order.push('step');
      return n * n;
    }),
    10,
  );
  assert.deepEqual(await done, squares);
  running = false;
  const longest = Math.max(
    ...order
      .join(' ')
      .split('other')
      .map((run) => run.split('step').length - 1),
  );
  assert.deepEqual([longest, order.filter((who) => who === 'other').length >= 4], [10, true]);
});

test('an error in a step ends it all', async () => {
  const broken = () =>
    mapSteps([1, 2], (n) => {
      if (n === 2) throw new Error('two');
    });
  assert.throws(() => drive(broken()), /two/);
  await assert.rejects(driveInTurns(broken(), 1), /two/);
});

test('who has connected and written is heard once others were let in', async (t) => {
  const heard: string[] = [];
  const server = createServer((socket) => {
    heard.push('connected');
    socket.on('data', (data) => void heard.push(data.toString()));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  // It is another process, so that it is there whatever this loop does.
  const client = `const to = require('node:net').connect(${port}, '127.0.0.1', () => to.write('hello', () => process.exit()));`;
  execFileSync(process.execPath, ['--eval', client]);
  assert.deepEqual(heard, []);
  await letIn();
  assert.deepEqual(heard, ['connected', 'hello']);
});
