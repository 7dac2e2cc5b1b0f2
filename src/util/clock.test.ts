import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { letIn } from '#util/clock.js';

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
