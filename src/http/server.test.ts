import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import test, { type TestContext } from 'node:test';
import { MatrixError } from '#core/errors.js';
import { integer, object, optional, roomId, string } from '#core/schema.js';
import { endpoint, Reply } from '#http/endpoint.js';
import { createLimits, FIGURES } from '#http/limits.js';
import { gate, readAll, serve } from '#http/testing.js';
import { SimulatedClock } from '#util/clock.js';

const open = { caller: 'none', limit: 'free' } as const;

const room = endpoint({
  ...open,
  id: 'room',
  method: 'GET',
  path: '/_matrix/client/v3/rooms/{roomId}/messages',
  params: () => object({ roomId }),
  query: () => object({ limit: optional(integer()) }),
  handle: async (_app: object, { params, query, request }) => ({
    room: params.roomId,
    limit: query.limit,
    path: request.path,
    target: request.target,
    ip: request.ip,
  }),
});

const throwing = (error: unknown) =>
  endpoint({
    ...open,
    id: 'throwing',
    method: 'POST',
    path: '/throwing',
    handle: async (): Promise<object> => {
      throw error;
    },
  });

test('unknown paths get 404, known ones with another method 405, both M_UNRECOGNIZED with CORS (T35)', async (t) => {
  const hs = await serve(t, [room]);
  const path = '/_matrix/client/v3/rooms/!a:b/messages';
  const cases: [status: number, method: string, target: string][] = [
    [404, 'GET', '/_matrix/unknown'],
    [404, 'POST', '/_matrix/client/v3/rooms/!a:b'],
    [404, 'GET', `${path}/`],
    [404, 'PROPFIND', '/_matrix/unknown'],
    [405, 'PUT', path],
    [405, 'DELETE', path],
    [405, 'PROPFIND', path],
    [405, 'TRACE', path],
  ];
  for (const [status, method, target] of cases) {
    const answer = await hs.call(method, target);
    assert.deepEqual([answer.status, answer.json.errcode], [status, 'M_UNRECOGNIZED'], `${method} ${target}`);
    assert.equal(answer.headers['access-control-allow-origin'], '*');
    assert.equal(answer.headers['content-type'], 'application/json');
  }
});

test('OPTIONS is answered on any path, without side effects and without a token (T36)', async (t) => {
  let ran = 0;
  const act = endpoint({
    id: 'act',
    method: 'POST',
    path: '/act',
    caller: 'user',
    limit: 'send',
    handle: async (_app: object) => ({ ran: ++ran }),
  });
  const hs = await serve(t, [act]);
  for (const target of ['/act', '/unknown', '/%FF', '*']) {
    const preflight = { 'content-type': 'application/json', 'access-control-request-method': 'POST' };
    const { status, headers } = await hs.call('OPTIONS', target, { headers: preflight });
    assert.equal(status, 204, target);
    assert.equal(headers['access-control-allow-origin'], '*');
    assert.match(headers['access-control-allow-headers'] ?? '', /Authorization/);
    assert.match(headers['access-control-allow-headers'] ?? '', /Content-Type/);
    assert.match(headers['access-control-allow-headers'] ?? '', /X-Requested-With/);
    for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS']) {
      assert.ok(headers['access-control-allow-methods']?.includes(method), method);
    }
    assert.equal(headers['access-control-allow-credentials'], undefined);
  }
  assert.equal(ran, 0);
});

test('whoever wants to know of load is told of each request', async (t) => {
  let requests = 0;
  const hs = await serve(t, [room], { onRequest: () => requests++ });
  await hs.call('GET', '/_matrix/client/v3/rooms/!a:b/messages');
  await hs.call('GET', '/_matrix/unknown');
  assert.equal(requests, 2);
});

test('every answer has the date, in the form of HTTP', async (t) => {
  const clock = new SimulatedClock();
  clock.advance(5_500);
  const hs = await serve(t, [room], { clock });
  const date = new Date(clock.now()).toUTCString();
  for (const method of ['GET', 'PUT', 'OPTIONS']) {
    const answer = await hs.call(method, '/_matrix/client/v3/rooms/!a:b/messages');
    assert.equal(answer.headers.date, date, method);
  }
});

test('HEAD answers as GET, without the body', async (t) => {
  const hs = await serve(t, [room]);
  const { status, headers, text } = await hs.call('HEAD', '/_matrix/client/v3/rooms/!a:b/messages');
  assert.equal(status, 200);
  assert.ok(Number(headers['content-length']) > 0);
  assert.equal(text, '');
});

test('long encoded ids are routed, and the path is known in its canonical form (T30, T31)', async (t) => {
  const hs = await serve(t, [room]);
  const id = `!${'€'.repeat(84)}`;
  const encoded = [...Buffer.from(id)].map((byte) => `%${byte.toString(16)}`).join('');
  const long = await hs.call('GET', `/_matrix/client/r0/rooms/${encoded}/messages?limit=5`);
  assert.equal(long.json.room, id);
  assert.equal(long.json.limit, 5);
  assert.equal(long.json.path, `/_matrix/client/v3/rooms/${encodeURIComponent(id)}/messages`);
  assert.equal(long.json.target, `/_matrix/client/r0/rooms/${encoded}/messages?limit=5`);
  const slash = await hs.call('GET', '/_matrix/client/v3/rooms/%21a%2Fb%252F:c/messages');
  assert.equal(slash.json.room, '!a/b%2F:c');
});

test('a path or query parameter of the wrong form is M_INVALID_PARAM (T32)', async (t) => {
  const hs = await serve(t, [room]);
  for (const target of ['notaroom/messages', '/messages', '%FF/messages', '%/messages', '!a:b/messages?limit=x']) {
    const { status, json } = await hs.call('GET', `/_matrix/client/v3/rooms/${target}`);
    assert.deepEqual([status, json.errcode], [400, 'M_INVALID_PARAM'], target);
  }
});

test('dots and slashes lead nowhere else (T33)', async (t) => {
  const admin = endpoint({
    ...open,
    id: 'admin',
    method: 'GET',
    path: '/_synapse/admin/v1/x',
    handle: async () => ({}),
  });
  const hs = await serve(t, [room, admin]);
  for (const target of [
    '/_matrix/client/v3/../../../_synapse/admin/v1/x',
    '//_synapse/admin/v1/x',
    '/.%2e/_synapse/admin/v1/x',
  ]) {
    assert.equal((await hs.call('GET', target)).status, 404, target);
  }
});

test('a target in absolute form is refused (T34)', async (t) => {
  const hs = await serve(t, [room]);
  for (const target of ['http://evil.test/_matrix/client/v3/rooms/!a:b/messages', 'https://hs/', 'ftp://x/', '*']) {
    const { status, json } = await hs.call('GET', target);
    assert.deepEqual([status, json.errcode], [400, 'M_UNRECOGNIZED'], target);
  }
});

test('X-Forwarded-For counts from trusted proxies only (T45)', async (t) => {
  const forwarded = { headers: { 'x-forwarded-for': '203.0.113.7', host: 'evil.test' } };
  const target = '/_matrix/client/v3/rooms/!a:b/messages';
  const trusting = await serve(t, [room]);
  assert.equal((await trusting.call('GET', target, forwarded)).json.ip, '203.0.113.7');
  const wary = await serve(t, [room], { trustedProxies: [] });
  assert.equal((await wary.call('GET', target, forwarded)).json.ip, '127.0.0.1');
});

test('an unforeseen error is logged and tells the caller nothing (T47)', async (t) => {
  const hs = await serve(t, [throwing(new Error('LevelDB said /var/secret'))]);
  const { status, json, text } = await hs.call('POST', '/throwing?access_token=secret');
  assert.equal(status, 500);
  assert.deepEqual(json, { errcode: 'M_UNKNOWN', error: 'Internal server error' });
  assert.doesNotMatch(text, /secret|stack/);
  assert.equal(hs.logged.length, 1);
  assert.doesNotMatch(JSON.stringify({ ...hs.logged[0], err: undefined }), /access_token/, 'T234');
});

test('handlers that throw no error at all, or before their first await, get the same answer', async (t) => {
  for (const thrown of [undefined, null, 'text', { status: 200 }]) {
    const hs = await serve(t, [throwing(thrown)]);
    assert.equal((await hs.call('POST', '/throwing')).status, 500);
  }
  const hs = await serve(t, [
    endpoint({
      ...open,
      id: 'sync',
      method: 'POST',
      path: '/sync',
      handle: (): Promise<object> => {
        throw new Error('at once');
      },
    }),
  ]);
  assert.equal((await hs.call('POST', '/sync')).status, 500);
});

test('T311: errors of lower layers are answered as the server says', async (t) => {
  const hs = await serve(t, [throwing(Object.assign(new Error('ENOSPC'), { kind: 'write' }))], {
    toMatrixError: (error) =>
      (error as { kind?: unknown }).kind === 'write'
        ? new MatrixError('M_UNKNOWN', 'The server can not store anything at the moment', { status: 503 })
        : undefined,
  });
  const { status, json } = await hs.call('POST', '/throwing');
  assert.equal(status, 503);
  assert.equal(json.error, 'The server can not store anything at the moment');
  assert.deepEqual(hs.logged, []);
});

test('a caller over the limit gets 429 with the time to wait, in body and header (T273)', async (t) => {
  const clock = new SimulatedClock();
  const figures = { ...FIGURES, send: { perSecond: 0.4, burst: 2 } };
  const send = endpoint({
    id: 'send',
    method: 'POST',
    path: '/send',
    caller: 'user',
    limit: 'send',
    handle: async (_app: object) => ({}),
  });
  const hs = await serve(t, [send], { clock, limits: createLimits({ clock, mode: 'on', figures }) });
  const alice = { headers: { authorization: 'Bearer alice' } };
  assert.equal((await hs.call('POST', '/send', alice)).status, 200);
  assert.equal((await hs.call('POST', '/send', alice)).status, 200);
  const { status, headers, json } = await hs.call('POST', '/send', alice);
  assert.equal(status, 429);
  assert.deepEqual([json.errcode, json.retry_after_ms], ['M_LIMIT_EXCEEDED', 2500]);
  assert.equal(headers['retry-after'], '3');
  assert.match(headers['access-control-expose-headers'] ?? '', /Retry-After/);
  clock.advance(2500);
  assert.equal((await hs.call('POST', '/send', alice)).status, 200);
});

test('replies with a status, text, bytes, a stream or nothing', async (t) => {
  const replies: Record<string, () => Reply> = {
    json: () => new Reply(401, { flows: [] }),
    text: () => new Reply(200, 'hello', { 'Cache-Control': 'public, max-age=60' }),
    bytes: () => new Reply(200, Buffer.from([1, 2]), { 'Content-Type': 'image/png' }),
    stream: () => new Reply(200, Readable.from([Buffer.from('ab'), Buffer.from('cd')]), { 'Content-Type': 'text/css' }),
    none: () => new Reply(304, '', { ETag: '"x"' }),
  };
  const reply = endpoint({
    ...open,
    id: 'reply',
    method: 'GET',
    path: '/{kind}',
    params: () => object({ kind: string() }),
    handle: async (_app: object, { params }) => replies[params.kind]!(),
  });
  const hs = await serve(t, [reply]);
  const json = await hs.call('GET', '/json');
  assert.deepEqual([json.status, json.json, json.headers['cache-control']], [401, { flows: [] }, 'no-store']);
  const text = await hs.call('GET', '/text');
  assert.deepEqual([text.text, text.headers['content-type']], ['hello', 'text/plain; charset=utf-8']);
  assert.equal(text.headers['cache-control'], 'public, max-age=60');
  const bytes = await hs.call('GET', '/bytes');
  assert.deepEqual([bytes.headers['content-length'], bytes.headers['content-type']], ['2', 'image/png']);
  const stream = await hs.call('GET', '/stream');
  assert.deepEqual([stream.text, stream.headers['access-control-allow-origin']], ['abcd', '*']);
  assert.equal((await hs.call('HEAD', '/stream')).text, '');
  const none = await hs.call('GET', '/none');
  assert.deepEqual([none.status, none.text, none.headers['content-type']], [304, '', undefined]);
});

test('a stream that breaks breaks the connection, so that no one takes half for the whole', async (t) => {
  const broken = endpoint({
    ...open,
    id: 'broken',
    method: 'GET',
    path: '/broken',
    handle: async (_app: object) =>
      new Reply(
        200,
        Readable.from(
          (function* () {
            yield Buffer.from('half');
            throw new Error('disk');
          })(),
        ),
      ),
  });
  const hs = await serve(t, [broken]);
  const answer = await hs.raw('GET /broken HTTP/1.1\r\nHost: hs\r\n\r\n');
  assert.doesNotMatch(answer, /\r\n0\r\n\r\n$/);
  assert.equal(hs.logged.length, 1);
});

/** An endpoint that waits for its signal, and tells when it has begun and how it ended. */
function waiter() {
  const begun = gate();
  const ended = gate();
  const wait = endpoint({
    ...open,
    id: 'wait',
    method: 'GET',
    path: '/wait',
    handle: async (_app: object, { request }) => {
      begun.open();
      if (!request.signal.aborted) await once(request.signal, 'abort');
      ended.open();
      return { woken: true };
    },
  });
  return { wait, begun: begun.opened, ended: ended.opened };
}

test('a waiting request learns that its client went away', async (t) => {
  const { wait, begun, ended } = waiter();
  const hs = await serve(t, [wait]);
  const socket = hs.socket('GET /wait HTTP/1.1\r\nHost: hs\r\n\r\n');
  await begun;
  socket.destroy();
  await ended;
  assert.deepEqual(hs.logged, []);
});

test('requests sent ahead on a connection that closes hold nothing up', async (t) => {
  let begun = 0;
  const both = gate();
  const ends: string[] = [];
  const wait = endpoint({
    ...open,
    id: 'wait',
    method: 'GET',
    path: '/wait',
    handle: async (_app: object, { request }) => {
      const aborted = once(request.signal, 'abort');
      if (++begun === 2) both.open();
      await aborted;
      ends.push('aborted');
      return {};
    },
  });
  const clock = new SimulatedClock();
  const hs = await serve(t, [wait], { clock });
  const one = 'GET /wait HTTP/1.1\r\nHost: hs\r\n\r\n';
  const socket = hs.socket(one + one);
  await both.opened;
  const gone = once(socket, 'close');
  socket.destroy();
  await gone;
  await hs.server.close();
  assert.deepEqual(ends, ['aborted', 'aborted']);
});

/** A server that listens and has nothing to answer from, and two requests that it has heard. */
async function askedEarly(t: TestContext) {
  const heard = gate();
  let count = 0;
  const onRequest = (): void => {
    count += 1;
    if (count === 2) heard.open();
  };
  const whoami = endpoint({
    ...open,
    caller: 'user',
    id: 'whoami',
    method: 'GET',
    path: '/whoami',
    handle: async (_app: object, { caller }) => ({ user: caller.user }),
  });
  const hs = await serve(t, [room, whoami], { isAttached: false, onRequest });
  const answers = Promise.all([
    hs.call('GET', '/_matrix/client/v3/rooms/!a:b/messages?limit=3'),
    hs.call('GET', '/whoami', { headers: { authorization: 'Bearer alice' } }),
  ]);
  await heard.opened;
  return { hs, answers };
}

test('who comes before there is anything to answer from is answered once there is', async (t) => {
  const { hs, answers } = await askedEarly(t);
  // That needs no more than the table.
  assert.equal((await hs.call('GET', '/nowhere')).status, 404);
  hs.attach();
  const [messages, whoami] = await answers;
  assert.deepEqual([messages.status, messages.json.limit], [200, 3]);
  assert.deepEqual([whoami.status, whoami.json.user], [200, '@alice:hs.test']);
});

test('who comes early to a server that does not open is told so', async (t) => {
  const { hs, answers } = await askedEarly(t);
  await hs.server.close();
  for (const { status, json } of await answers) assert.deepEqual([status, json.errcode], [503, 'M_UNKNOWN']);
});

test('until the start is over requests are answered as they are later, and without fastify', async (t) => {
  const traced = endpoint({
    ...open,
    id: 'traced',
    method: 'GET',
    path: '/traced',
    handle: async (_app: object) => ({ throughFastify: /[\\/]fastify[\\/]/.test(String(new Error('here').stack)) }),
  });
  const hs = await serve(t, [room, throwing(new MatrixError('M_NOT_FOUND', 'none')), traced], { isPrepared: false });
  const path = '/_matrix/client/v3/rooms';
  const cases: [method: string, target: string][] = [
    ['GET', `${path}/!a%2Fb:c/messages?limit=3&limit=4`],
    ['GET', `${path}/${'%E2%82%AC'.repeat(900)}/messages`],
    ['GET', `${path}/%FF/messages`],
    ['HEAD', `${path}/!a:b/messages`],
    ['GET', '//nowhere/./../%2e'],
    ['GET', 'https://hs/'],
    ['POST', '/throwing?a=%'],
    ['PUT', '/throwing'],
    ['OPTIONS', '*'],
    ['PROPFIND', '/throwing'],
  ];
  const answers = () =>
    Promise.all(
      cases.map(async ([method, target]) => {
        const { status, headers, text } = await hs.call(method, target);
        return { method, target, status, text, headers: { ...headers, date: undefined } };
      }),
    );
  const early = await answers();
  assert.equal((await hs.call('GET', '/traced')).json.throughFastify, false);
  await hs.server.prepare();
  assert.equal((await hs.call('GET', '/traced')).json.throughFastify, true);
  assert.deepEqual(await answers(), early);
});

test('closing wakes waiting requests, answers them, and ends idle and silent connections', async (t) => {
  const { wait, begun } = waiter();
  const hs = await serve(t, [wait, room]);
  const silent = readAll(hs.socket(''));
  const idle = hs.socket('GET /nothing HTTP/1.1\r\nHost: hs\r\n\r\n');
  await once(idle, 'data');
  const answer = hs.raw('GET /wait HTTP/1.1\r\nHost: hs\r\n\r\n');
  await begun;
  await hs.server.close();
  assert.match(await answer, /^HTTP\/1\.1 200 .*Connection: close.*\{"woken":true\}$/s);
  assert.equal(await silent, '');
  await assert.rejects(hs.call('GET', '/nothing'), { code: 'ECONNREFUSED' });
});

test('closing waits for running requests only until the deadline', async (t) => {
  const clock = new SimulatedClock();
  const begun = gate();
  const stuck = endpoint({
    ...open,
    id: 'stuck',
    method: 'GET',
    path: '/stuck',
    handle: (_app: object): Promise<object> => {
      begun.open();
      return new Promise(() => {});
    },
  });
  const hs = await serve(t, [stuck], { clock });
  const answer = hs.raw('GET /stuck HTTP/1.1\r\nHost: hs\r\n\r\n');
  await begun.opened;
  const closed = hs.server.close(3000);
  clock.advance(3000);
  await closed;
  assert.equal(await answer, '');
});

test('it listens on several addresses, and says why it can not', async (t) => {
  const hs = await serve(t, [room]);
  const second = await hs.server.listen('127.0.0.1', 0);
  assert.notEqual(second.port, hs.port);
  const answer = await fetch(`http://127.0.0.1:${second.port}/_matrix/client/v3/rooms/!a:b/messages`);
  assert.equal(answer.status, 200);
  await answer.text();
  await assert.rejects(hs.server.listen('127.0.0.1', hs.port), { code: 'EADDRINUSE' });
});
