import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { type Config, loadConfig } from '#config';
import { openHttpClient } from '#remote/http.js';
import { openLayers, openServer, type Surroundings } from '#server';
import { devices } from '#store/schema.js';
import { addUser, listUsers } from '#users/accounts.js';
import { SimulatedClock, SystemClock } from '#util/clock.js';
import { silentLog } from '#util/log.js';
import { systemRandom } from '#util/random.js';

const surroundings: Surroundings = { clock: new SystemClock(), random: systemRandom, log: silentLog };

async function configured(t: TestContext, env: Readonly<Record<string, string>> = {}): Promise<Config> {
  const directory = await mkdtemp(join(tmpdir(), 'runnel-server-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const all = { RUNNEL_DATA: join(directory, 'data'), RUNNEL_LISTEN: '127.0.0.1:0', ...env };
  return loadConfig({ flags: {}, env: all, readFile: () => '' }).config;
}

async function status(url: string): Promise<number> {
  const http = openHttpClient({ clock: surroundings.clock });
  try {
    return (await http.request({ method: 'GET', url, timeoutMs: 10_000, maxBytes: 100_000 })).status;
  } finally {
    await http.close();
  }
}

test('a server listens on all its addresses and stops listening when closed', async (t) => {
  const server = await openServer(await configured(t, { RUNNEL_LISTEN: '127.0.0.1:0,127.0.0.1:0' }), surroundings);
  assert.equal(server.addresses.length, 2);
  const urls = server.addresses.map(({ host, port }) => `http://${host}:${port}/ready`);
  for (const url of urls) assert.equal(await status(url), 200);
  await Promise.all([server.close(), server.close()]);
  for (const url of urls) await assert.rejects(status(url), { kind: 'unreachable' });
});

test('two whole servers run in one process and know nothing of one another', async (t) => {
  const one = await openServer(await configured(t, { RUNNEL_SERVER_NAME: 'one.example' }), surroundings);
  const two = await openServer(await configured(t, { RUNNEL_SERVER_NAME: 'two.example' }), surroundings);
  await addUser(one.layers.users, { name: 'alice', password: 'a long password' });
  assert.deepEqual(
    (await listUsers(one.layers.users)).map(({ user }) => user),
    ['@alice:one.example'],
  );
  assert.deepEqual(await listUsers(two.layers.users), []);
  await one.close();
  const [{ host, port } = assert.fail()] = two.addresses;
  assert.equal(await status(`http://${host}:${port}/ready`), 200);
  await two.close();
});

test('what was acknowledged is there after a restart', async (t) => {
  const config = await configured(t);
  const first = await openServer(config, surroundings);
  await addUser(first.layers.users, { name: 'alice', password: 'a long password' });
  await first.close();
  const second = await openServer(config, surroundings);
  assert.equal((await listUsers(second.layers.users)).length, 1);
  await second.settle();
  await second.close();
});

test('a server at rest has written when devices were seen', async (t) => {
  const server = await openServer(await configured(t), { ...surroundings, clock: new SimulatedClock() });
  t.after(() => server.close());
  const { users, store } = server.layers;
  await store.commit((tx) => tx.put(devices, ['@alice:test', 'PHONE'], { createdTs: 1 }));
  users.lastSeen.note('@alice:test', 'PHONE', '192.0.2.1', 'client');
  server.rest();
  for (let i = 0; i < 10 && users.lastSeen.pending('@alice:test', 'PHONE') !== undefined; i++) {
    await turn();
    await server.settle();
  }
  assert.equal(store.get(devices, ['@alice:test', 'PHONE'])?.lastSeenIp, '192.0.2.1');
});

test('where an address is taken, everything is closed again', async (t) => {
  const blocker = await openServer(await configured(t), surroundings);
  const [{ port } = assert.fail()] = blocker.addresses;
  const config = await configured(t);
  const listen = [{ host: '127.0.0.1', port }];
  await assert.rejects(openServer({ ...config, listen }, surroundings), { code: 'EADDRINUSE' });
  await blocker.close();
  const again = await openServer(config, surroundings);
  await again.close();
});

test('a second server over a directory says that it is in use, on whatever address', async (t) => {
  const config = await configured(t);
  const first = await openServer(config, surroundings);
  t.after(() => first.close());
  const [{ port } = assert.fail()] = first.addresses;
  for (const listen of [config.listen, [{ host: '127.0.0.1', port }]]) {
    await assert.rejects(openServer({ ...config, listen }, surroundings), { name: 'StoreError', kind: 'locked' });
  }
  assert.equal(await status(`http://127.0.0.1:${port}/ready`), 200);
});

test('a signing key that bears the id of another ends the start, and nothing is left open', async (t) => {
  const config = await configured(t);
  const path = join(config.data, 'signing.key');
  await (await openServer(config, surroundings)).close();
  const right = await readFile(path, 'utf8');
  const [algorithm, version] = right.split(' ');
  await writeFile(path, `${algorithm} ${version} ${Buffer.alloc(32, 9).toString('base64')}\n`);
  const wrong = { name: 'StoreError', kind: 'signingKey' };
  await assert.rejects(openServer(config, surroundings), wrong);
  await assert.rejects(openLayers(config, surroundings), wrong);
  await writeFile(path, right);
  const again = await openServer(config, surroundings);
  await again.close();
});

test('where a certificate or an authority can not be read, nothing is left open', async (t) => {
  const config = await configured(t);
  const tls = { tlsListen: [{ host: '127.0.0.1', port: 0 }], tlsCertificate: '/missing', tlsKey: '/missing' };
  for (const more of [tls, { federation: 'on', federationCa: '/missing' } as const]) {
    await assert.rejects(openServer({ ...config, ...more }, surroundings), { code: 'ENOENT' });
  }
  const again = await openServer(config, surroundings);
  await again.close();
});
