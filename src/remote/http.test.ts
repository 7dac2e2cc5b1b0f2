import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type HttpClient, openHttpClient, type RemoteError } from '#remote/http.js';
import { SimulatedClock, SystemClock } from '#util/clock.js';

async function peer(
  t: TestContext,
  listener: RequestListener,
  clock = new SystemClock() as SystemClock | SimulatedClock,
): Promise<{ url: string; http: HttpClient }> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const http = openHttpClient({ clock });
  t.after(async () => {
    await http.close();
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, http };
}

const bounds = { method: 'GET', timeoutMs: 10_000, maxBytes: 1000 } as const;
const kind = (expected: RemoteError['kind']) => (error: RemoteError) => error.kind === expected;

test('an answer comes back whole, whatever its status', async (t) => {
  const { url, http } = await peer(t, (request, response) => {
    request.on('data', (body: Buffer) => response.writeHead(418, { 'x-a': 'b' }).end(body));
  });
  const response = await http.request({ ...bounds, url, method: 'POST', body: 'tea' });
  assert.equal(response.status, 418);
  assert.equal(response.headers['x-a'], 'b');
  assert.equal(response.body.toString(), 'tea');
});

test('redirects are not followed', async (t) => {
  let asked = 0;
  const { url, http } = await peer(t, (_, response) => {
    asked++;
    response.writeHead(302, { location: '/elsewhere' }).end();
  });
  assert.equal((await http.request({ ...bounds, url })).status, 302);
  assert.equal(asked, 1);
});

test('an endless answer is cut off', async (t) => {
  const { url, http } = await peer(t, (_, response) => {
    const more = (): void => {
      while (!response.destroyed && response.write('x'.repeat(500)));
      response.once('drain', more);
    };
    more();
  });
  await assert.rejects(http.request({ ...bounds, url }), kind('tooLarge'));
});

test('a peer that answers a byte at a time does not get around the total timeout', async (t) => {
  const clock = new SimulatedClock();
  const { url, http } = await peer(t, (_, response) => void response.write('x', () => clock.advance(10_000)), clock);
  await assert.rejects(http.request({ ...bounds, url }), kind('timeout'));
});

test('a caller that goes away ends the request', async (t) => {
  const gone = new AbortController();
  const { url, http } = await peer(t, () => gone.abort());
  await assert.rejects(http.request({ ...bounds, url, signal: gone.signal }), kind('aborted'));
});

test('nobody there is told apart', async () => {
  const http = openHttpClient({ clock: new SystemClock(), socketPath: '/nonexistent/socket' });
  await assert.rejects(http.request({ ...bounds, url: 'http://localhost/' }), kind('unreachable'));
  await http.close();
});

test('an answer longer than wanted is cut off for who asks so', async (t) => {
  const { url, http } = await peer(t, (_, response) => void response.end('x'.repeat(1500)));
  const cut = await http.request({ ...bounds, url, cutOff: true });
  assert.deepEqual([cut.body.length, cut.isCut], [1000, true]);
  const whole = await http.request({ ...bounds, url, maxBytes: 1500, cutOff: true });
  assert.deepEqual([whole.body.length, whole.isCut], [1500, undefined]);
});

test('the very address of the socket decides, however the host is written', async (t) => {
  let asked = 0;
  const { url } = await peer(t, (_, response) => {
    asked++;
    response.end('ok');
  });
  const port = new URL(url).port;
  const seen: string[] = [];
  let allowed = false;
  const http = openHttpClient({
    clock: new SystemClock(),
    mayConnect(address) {
      seen.push(address);
      return allowed && address === '127.0.0.1';
    },
  });
  t.after(() => http.close());
  const hosts = [
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f.1',
    '127\u30020\u30020\u30021',
    'localhost',
    'localhost.',
    '[::1]',
  ];
  for (const host of [...hosts, '[::ffff:127.0.0.1]', '[::]', '0.0.0.0']) {
    await assert.rejects(http.request({ ...bounds, url: `http://${host}:${port}/` }), kind('unreachable'), host);
  }
  assert.equal(asked, 0);
  assert.ok(seen.length >= hosts.length);
  allowed = true;
  for (const host of ['127.0.0.1', '2130706433', 'localhost']) {
    assert.equal((await http.request({ ...bounds, url: `http://${host}:${port}/` })).body.toString(), 'ok', host);
  }
});
