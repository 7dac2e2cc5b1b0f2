import assert from 'node:assert/strict';
import { once } from 'node:events';
import test from 'node:test';
import { endpoint } from '#http/endpoint.js';
import { readAll, serve } from '#http/testing.js';

const echo = endpoint({
  id: 'echo',
  method: 'POST',
  path: '/echo',
  caller: 'none',
  limit: 'free',
  handle: async (_app: object) => ({ ok: true }),
});

test('requests whose extent is ambiguous are refused and the connection closed (T25)', async (t) => {
  const hs = await serve(t, [echo]);
  const cases = [
    'Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}',
    'Content-Length: -1\r\n\r\n',
    'Content-Length: +2\r\n\r\n{}',
    'Content-Length: 0x2\r\n\r\n{}',
    'Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n',
    'Bad Name: x\r\n\r\n',
  ];
  for (const rest of cases) {
    const answer = await hs.raw(`POST /echo HTTP/1.1\r\nHost: hs\r\n${rest}`);
    assert.match(answer, /^HTTP\/1\.1 400 .*Connection: close.*"errcode":"M_UNKNOWN"/s, rest);
    assert.doesNotMatch(answer, /"ok"/, rest);
  }
  assert.match(await hs.raw('POST /echo HTTP/1.1\nHost: hs\n\n'), /^HTTP\/1\.1 400 /);
});

test('headers beyond 16 KiB get 431, and thousands of small ones do no harm (T41)', async (t) => {
  const hs = await serve(t, [echo]);
  const large = await hs.raw(`POST /echo HTTP/1.1\r\nHost: hs\r\nX: ${'x'.repeat(17_000)}\r\n\r\n`);
  assert.match(large, /^HTTP\/1\.1 431 /);
  const many = await hs.raw(`POST /echo HTTP/1.1\r\nHost: hs\r\nConnection: close\r\n${'a:1\r\n'.repeat(2_000)}\r\n`);
  // Node 20 drops those beyond a number; later ones, 22 from some release on, refuse the request.
  assert.match(many, /^HTTP\/1\.1 (200 .*\{"ok"|431 .*"errcode":"M_TOO_LARGE")/s);
});

test('headers that trickle in are cut off (T37)', async (t) => {
  const hs = await serve(t, [echo], { bounds: { headersWithinMs: 50, checkEveryMs: 20 } });
  const answer = await hs.raw('POST /echo HTTP/1.1\r\nHost: h');
  assert.match(answer, /^HTTP\/1\.1 408 /);
});

test('a raw body that trickles in is cut off (T38)', async (t) => {
  const upload = endpoint({
    id: 'upload',
    method: 'POST',
    path: '/upload',
    caller: 'none',
    limit: 'free',
    rawBody: true,
    handle: async (_app: object, { request }) => {
      for await (const _ of request.upload());
      return {};
    },
  });
  const hs = await serve(t, [upload], { bounds: { headersWithinMs: 40, uploadWithinMs: 50, checkEveryMs: 20 } });
  const answer = await hs.raw('POST /upload HTTP/1.1\r\nHost: hs\r\nContent-Length: 100\r\n\r\nabc');
  assert.match(answer, /^HTTP\/1\.1 408 /);
  assert.deepEqual(hs.logged, []);
});

test('one address can not take all connections (T39)', async (t) => {
  const hs = await serve(t, [echo], { trustedProxies: [], bounds: { connectionsPerAddress: 2 } });
  const first = hs.socket('POST /echo HTTP/1.1\r\nHost: hs\r\n\r\n');
  const second = hs.socket('POST /echo HTTP/1.1\r\nHost: hs\r\n\r\n');
  await Promise.all([once(first, 'data'), once(second, 'data')]);
  assert.equal(await hs.raw('POST /echo HTTP/1.1\r\nHost: hs\r\n\r\n'), '', 'one too many is closed unanswered');
  const gone = readAll(first);
  first.end();
  await gone;
  // The server learns of the end a moment after us, so the next may still be one too many.
  let answer = '';
  for (let tries = 0; answer === '' && tries < 100; tries++) {
    answer = await hs.raw('POST /echo HTTP/1.1\r\nHost: hs\r\nConnection: close\r\n\r\n');
  }
  assert.match(answer, /^HTTP\/1\.1 200 /);
  second.destroy();
});

test('requests sent ahead on one connection are answered in their order', async (t) => {
  const hs = await serve(t, [echo]);
  const one = 'POST /echo HTTP/1.1\r\nHost: hs\r\nContent-Length: 2\r\n\r\n{}';
  const answer = await hs.raw(
    `${one}GET /echo HTTP/1.1\r\nHost: hs\r\n\r\n${one.replace('Host', 'Connection: close\r\nHost')}`,
  );
  assert.deepEqual(answer.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 200', 'HTTP/1.1 405', 'HTTP/1.1 200']);
});
