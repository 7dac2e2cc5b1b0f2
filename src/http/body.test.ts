import assert from 'node:assert/strict';
import { once } from 'node:events';
import test from 'node:test';
import { JsonFloat } from '#core/json-value.js';
import { anyObject, object, string } from '#core/schema.js';
import { endpoint } from '#http/endpoint.js';
import { callerOf, gate, readAll, serve } from '#http/testing.js';
import { SimulatedClock } from '#util/clock.js';

const open = { caller: 'none', limit: 'free' } as const;

/** Tells which own keys the body had, and the kinds of its values. */
const look = (path: string, more: object = {}) =>
  endpoint({
    ...open,
    id: path,
    method: 'POST',
    path,
    body: () => anyObject,
    ...more,
    handle: async (_app: object, { body }) => ({
      keys: Object.keys(body),
      kinds: Object.values(body).map((value) => (value instanceof JsonFloat ? 'float' : typeof value)),
      inherited: (body as { isAdmin?: unknown }).isAdmin ?? null,
    }),
  });

const named = endpoint({
  ...open,
  id: 'named',
  method: 'PUT',
  path: '/named',
  body: () => object({ name: string({ maxLength: 5 }) }),
  handle: async (_app: object, { body }) => ({ name: body.name }),
});

test('bytes that are not UTF-8 are not JSON (T1)', async (t) => {
  const hs = await serve(t, [look('/look')]);
  const { status, json } = await hs.call('POST', '/look', {
    body: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
  });
  assert.equal(status, 400);
  assert.equal(json.errcode, 'M_NOT_JSON');
});

test('what is not a JSON object that a server may pass on is refused (T2, T8, T16, T19)', async (t) => {
  const hs = await serve(t, [look('/plain'), look('/exact', { exactNumbers: true }), named]);
  const cases: [errcode: string, ...bodies: string[]][] = [
    ['M_NOT_JSON', '{"x":NaN}', '{"x":Infinity}', '{"x":-Infinity}', '{', '{"a":1,}', "{'a':1}", '\ufeff{}', 'a=b'],
    ['M_BAD_JSON', '{"x":1e400}', '{"x":[{"y":-1e999}]}', '{"x":"\\ud800"}', '{"\\udc00":1}'],
    ['M_BAD_JSON', '[]', '"x"', 'null', '1', 'true', `{"x":${'['.repeat(200)}${']'.repeat(200)}}`],
  ];
  for (const path of ['/plain', '/exact']) {
    for (const [errcode, ...bodies] of cases) {
      for (const body of bodies) {
        const { status, json } = await hs.call('POST', path, { body });
        assert.deepEqual([status, json.errcode], [400, errcode], `${path} ${body.slice(0, 30)}`);
      }
    }
  }
  for (const body of ['[]', 'null', '1']) {
    assert.equal((await hs.call('PUT', '/named', { body })).json.errcode, 'M_BAD_JSON');
  }
});

test('keys from the object prototype are data (T12, T13, T14)', async (t) => {
  const hs = await serve(t, [look('/plain'), look('/exact', { exactNumbers: true })]);
  const body = '{"__proto__":{"isAdmin":true},"constructor":{"prototype":{}},"toString":1.5}';
  for (const path of ['/plain', '/exact']) {
    const { status, json } = await hs.call('POST', path, { body });
    assert.equal(status, 200);
    assert.deepEqual(json.keys, ['__proto__', 'constructor', 'toString']);
    assert.equal(json.inherited, null);
  }
});

test('numbers keep their form where the endpoint asks for it (T4, T5)', async (t) => {
  const hs = await serve(t, [look('/plain'), look('/exact', { exactNumbers: true })]);
  const body = '{"a":1,"b":1.0,"c":1152921504606846976}';
  assert.deepEqual((await hs.call('POST', '/plain', { body })).json.kinds, ['number', 'number', 'number']);
  assert.deepEqual((await hs.call('POST', '/exact', { body })).json.kinds, ['number', 'float', 'bigint']);
});

test('megabytes of opening brackets are refused without blocking (T17)', async (t) => {
  const hs = await serve(t, [look('/small'), look('/large', { bodyLimit: 16 * 1024 * 1024 })]);
  const body = '['.repeat(12 * 1024 * 1024);
  const [large, small] = await Promise.all([
    hs.call('POST', '/large', { body }),
    hs.call('POST', '/small', { body: body.slice(0, 1024 * 1024) }),
  ]);
  assert.deepEqual([large.status, large.json.errcode], [400, 'M_BAD_JSON']);
  assert.deepEqual([small.status, small.json.errcode], [413, 'M_TOO_LARGE']);
});

test('a missing key, a wrong value and a good one', async (t) => {
  const hs = await serve(t, [named]);
  const put = async (body: string) => (await hs.call('PUT', '/named', { body })).json;
  assert.equal((await put('{}')).errcode, 'M_MISSING_PARAM');
  assert.equal((await put('')).errcode, 'M_MISSING_PARAM');
  assert.equal((await put('{"name":1}')).errcode, 'M_BAD_JSON');
  assert.equal((await put('{"name":"too long"}')).errcode, 'M_BAD_JSON');
  assert.deepEqual(await put('{"name":"fits","more":1}'), { name: 'fits' });
});

test('JSON is JSON whatever its content type says; no body is the empty object (T20, T27)', async (t) => {
  const hs = await serve(t, [look('/look')]);
  const types = ['application/octet-stream', 'text/plain', 'application/json; charset=latin1', 'nonsense', '/;;', ''];
  for (const type of types) {
    const { status, json } = await hs.call('POST', '/look', { body: '{"a":1}', headers: { 'content-type': type } });
    assert.deepEqual([status, json.keys], [200, ['a']], type);
  }
  assert.deepEqual((await hs.call('POST', '/look', { body: '{"a":1}' })).json.keys, ['a']);
  assert.deepEqual((await hs.call('POST', '/look')).json.keys, []);
  const typed = await hs.call('POST', '/look', { headers: { 'content-type': 'application/json' } });
  assert.deepEqual(typed.json.keys, []);
});

test('multipart is refused before it is read (T26)', async (t) => {
  const hs = await serve(t, [look('/look')]);
  const socket = hs.socket(
    'POST /look HTTP/1.1\r\nHost: hs\r\nContent-Type: Multipart/Form-Data; boundary=x\r\nContent-Length: 1000000000\r\n\r\n--x',
  );
  const answer = String((await once(socket, 'data'))[0]);
  socket.destroy();
  assert.match(answer, /^HTTP\/1\.1 415 /);
  assert.match(answer, /Access-Control-Allow-Origin: \*/);
  assert.match(answer, /"errcode":"M_UNKNOWN"/);
});

test('a body over the limit gets 413, whether its length is announced or not, and leave to send is not given', async (t) => {
  const hs = await serve(t, [look('/look', { bodyLimit: 10 })]);
  const chunked = await hs.raw(
    'POST /look HTTP/1.1\r\nHost: hs\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{"a":"0123456789\r\n0\r\n\r\n',
  );
  assert.match(chunked, /^HTTP\/1\.1 413 .*"errcode":"M_TOO_LARGE"/s);
  const asking = 'POST /look HTTP/1.1\r\nHost: hs\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: ';
  assert.match(await hs.raw(`${asking}11\r\n\r\n{"a":"01234"}`), /^HTTP\/1\.1 413 /);
  assert.match(await hs.raw(`${asking}7\r\n\r\n{"a":1}`), /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /);
});

test('a client that sends far more than allowed still reads why it was refused', async (t) => {
  const hs = await serve(t, [look('/look')]);
  const { status, json } = await hs.call('POST', '/look', { body: Buffer.alloc(3 * 1024 * 1024, ' ') });
  assert.deepEqual([status, json.errcode], [413, 'M_TOO_LARGE']);
});

test('a body that trickles in is cut off (T38)', async (t) => {
  const clock = new SimulatedClock();
  const begun = gate();
  const watching = Object.assign(Object.create(clock) as SimulatedClock, {
    after: (ms: number, fn: () => void) => {
      begun.open();
      return clock.after(ms, fn);
    },
    monotonicMs: () => clock.monotonicMs(),
    now: () => clock.now(),
  });
  const hs = await serve(t, [look('/look')], { clock: watching });
  const socket = hs.socket('POST /look HTTP/1.1\r\nHost: hs\r\nContent-Length: 100\r\n\r\n{"a"');
  const answer = readAll(socket);
  await begun.opened;
  clock.advance(30_000);
  await once(socket, 'data');
  // The refusal is out; what is left of the body is waited for a little, so that the client can read it.
  clock.advance(5_000);
  assert.match(await answer, /^HTTP\/1\.1 408 /);
});

test('a client that leaves within its body leaves nothing behind', async (t) => {
  const begun = gate();
  const hs = await serve(t, [look('/look', { caller: 'user' })], {
    authenticate: () => {
      begun.open();
      return callerOf();
    },
  });
  const socket = hs.socket(
    'POST /look HTTP/1.1\r\nHost: hs\r\nAuthorization: Bearer alice\r\nContent-Length: 100\r\n\r\n{"a"',
  );
  await begun.opened;
  socket.destroy();
  assert.equal((await hs.call('GET', '/nothing')).status, 404);
  assert.deepEqual(hs.logged, []);
});

test('a raw body streams to its handler, within its limit', async (t) => {
  const upload = endpoint({
    ...open,
    id: 'upload',
    method: 'POST',
    path: '/upload',
    rawBody: true,
    bodyLimit: 100_000,
    handle: async (_app: object, { request }) => {
      let size = 0;
      for await (const chunk of request.upload()) size += chunk.length;
      return { size, type: request.header('content-type') };
    },
  });
  const hs = await serve(t, [upload]);
  const type = { 'content-type': 'image/png' };
  const whole = await hs.call('POST', '/upload', { body: Buffer.alloc(100_000), headers: type });
  assert.deepEqual(whole.json, { size: 100_000, type: 'image/png' });
  assert.deepEqual((await hs.call('POST', '/upload')).json, { size: 0 });
  const over = await hs.call('POST', '/upload', { body: Buffer.alloc(100_001), headers: type });
  assert.deepEqual([over.status, over.json.errcode], [413, 'M_TOO_LARGE']);
  const chunked = { ...type, 'transfer-encoding': 'chunked' };
  assert.equal((await hs.call('POST', '/upload', { body: Buffer.alloc(300_000), headers: chunked })).status, 413);
});
