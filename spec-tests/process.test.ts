// The server as a process: how it starts, refuses to start, is spoken to from the command line, and ends.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Homeserver, type OwnServer, startOwnServer } from './support/homeserver.js';

const MAIN = resolve(import.meta.dirname, '../../dist/main.cjs');

async function started(t: TestContext, env: Readonly<Record<string, string>> = {}): Promise<OwnServer> {
  const server: Homeserver = await startOwnServer(env);
  t.after(() => server.stop());
  assert.ok(server.own !== undefined);
  return server.own;
}

/** Runs `runnel ARGS` on the data of a server. */
function runnel(
  server: OwnServer,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number | null; out: string; err: string }> {
  return new Promise((done) => {
    const child = spawn(process.execPath, [MAIN, ...args], {
      env: { PATH: process.env['PATH'] ?? '', RUNNEL_DATA: join(server.directory, 'data'), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let out = '';
    let err = '';
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    child.stderr.on('data', (chunk) => {
      err += chunk;
    });
    child.once('close', (code) => done({ code, out, err }));
  });
}

/** Waits until the server has printed `wanted`. */
async function printed(server: OwnServer, wanted: string): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!server.output.includes(wanted)) {
    assert.ok(performance.now() < deadline, `never printed '${wanted}':\n${server.output}`);
    await new Promise((again) => setTimeout(again, 10));
  }
}

test('SIGTERM ends the server with 0, and it starts again on the same data', async (t) => {
  const server = await started(t);
  assert.equal((await runnel(server, ['user', 'create', 'alice'])).code, 0);
  assert.equal(await server.end('SIGTERM'), 0);
  await server.start();
  assert.match((await runnel(server, ['user', 'list'])).out, /@alice:localhost/);
});

test('after kill -9 it starts unattended, the socket that was left behind is no hindrance, and check is clean', async (t) => {
  const server = await started(t);
  const { out } = await runnel(server, ['token', 'create', '--json']);
  await server.end('SIGKILL');
  const { token } = JSON.parse(out) as { token: string };
  assert.match((await runnel(server, ['token', 'list'])).out, new RegExp(token.replace(/[^\w]/g, '\\$&')));
  await server.start();
  assert.match((await runnel(server, ['token', 'list'])).out, new RegExp(token.replace(/[^\w]/g, '\\$&')));
  assert.deepEqual(await runnel(server, ['check']), { code: 0, out: 'The store is sound.\n', err: '' });
});

test('a second server on the same data is refused, and the first goes on', async (t) => {
  const server = await started(t);
  const second = await runnel(server, ['serve', '--listen', '127.0.0.1:0']);
  assert.equal(second.code, 1);
  assert.match(second.err, /another Runnel is using this directory/);
  assert.equal((await fetch(`${server.url}/ready`)).status, 200);
});

test('an emptied database and a lost signing key are refused and never made anew', async (t) => {
  const server = await started(t);
  await server.end('SIGTERM');
  const data = join(server.directory, 'data');
  const serve = () => runnel(server, ['serve', '--listen', '127.0.0.1:0']);
  await rm(join(data, 'signing.key'));
  assert.match((await serve()).err, /signing\.key is missing/);
  await rm(join(data, 'db'), { recursive: true });
  await mkdir(join(data, 'db'));
  const { code, err } = await serve();
  assert.equal(code, 1);
  assert.match(err, /there was a database here/);
});

test('the server name is kept with the data and can not change', async (t) => {
  const server = await started(t);
  await server.end('SIGTERM');
  const { code, err } = await runnel(server, ['serve'], { RUNNEL_SERVER_NAME: 'other.example' });
  assert.equal(code, 1);
  assert.match(err, /belongs to the server localhost/);
});

test('an unknown option stops the start with the nearest known name', async (t) => {
  const server = await started(t);
  const file = join(server.directory, 'runnel.toml');
  await writeFile(file, 'regstration = "open"\n');
  for (const [args, env, hint] of [
    [['serve'], { RUNNEL_LISTENN: '127.0.0.1:0' }, /RUNNEL_LISTENN.*RUNNEL_LISTEN/],
    [['serve', '--config', file], {}, /'regstration'; did you mean 'registration'/],
    [['serve', '--lisen', '127.0.0.1:0'], {}, /'--lisen'; did you mean '--listen'/],
  ] as const) {
    const { code, err } = await runnel(server, args, env);
    assert.notEqual(code, 0);
    assert.match(err, hint);
  }
});

test('the first start prints where it listens and a token; once there is an account, no token any more', async (t) => {
  const server = await started(t, { RUNNEL_REGISTRATION: 'token' });
  const stop = async (): Promise<string> => {
    await server.end('SIGTERM');
    await printed(server, 'Stopped.');
    const { output } = server;
    server.output = '';
    return output;
  };
  await printed(server, 'as homeserver');
  const first = await stop();
  assert.ok(first.includes(`serves localhost on ${server.url}`), first);
  const token = /^ {4}(\S+)$/m.exec(first)?.[1];
  assert.ok(token !== undefined, first);
  await server.start();
  await printed(server, token);
  await runnel(server, ['user', 'create', 'alice', '--admin']);
  await stop();
  await server.start();
  const last = await stop();
  assert.match(last, /serves localhost/);
  assert.ok(!last.includes(token), last);
});
