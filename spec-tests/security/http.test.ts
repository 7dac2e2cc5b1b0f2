// Odd HTTP: SECURITY-CASES, part B.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { C, inRoom, query, seg, timeline } from '../support/client.js';
import { homeserver, startOwnServer } from '../support/homeserver.js';
import { ourChoice, synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());
const alice = await hs.user('alice');
const room = await alice.createRoom();

/** Sends bytes as they are and reads until the server closes or has answered. */
function exchange(text: string): Promise<{ status: number; answer: string }> {
  const { hostname, port } = new URL(hs.url);
  return new Promise((done, fail) => {
    const socket = connect(Number(port), hostname, () => socket.write(text));
    let answer = '';
    const end = (): void => {
      socket.destroy();
      done({ status: Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 0), answer });
    };
    socket.setTimeout(8_000, end);
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
      if (answer.includes('\r\n\r\n')) setImmediate(end);
    });
    socket.once('close', end);
    socket.once('error', (error) => (answer === '' ? fail(error) : end()));
  });
}
const head = (...lines: string[]): string => `${['POST', ...lines].slice(1).join('\r\n')}\r\n\r\n`;

for (const [what, lines, body] of [
  ['a length and chunks', ['Content-Length: 4', 'Transfer-Encoding: chunked'], '0\r\n\r\n'],
  ['two lengths', ['Content-Length: 2', 'Content-Length: 3'], '{} '],
  ['a negative length', ['Content-Length: -1'], '{}'],
  ['a length with a plus', ['Content-Length: +2'], '{}'],
  ['a length in hexadecimal', ['Content-Length: 0x2'], '{}'],
  ['an unknown transfer encoding', ['Transfer-Encoding: xchunked'], '2\r\n{}\r\n0\r\n\r\n'],
] as const) {
  test(`a request with ${what} is refused (T25)`, async () => {
    const { status } = await exchange(head(`POST ${C}/login HTTP/1.1`, 'Host: x', ...lines) + body);
    assert.ok([400, 501].includes(status) || status === 0, String(status));
  });
}

test('a request whose lines end without CR is refused (T25)', async () => {
  const { status } = await exchange('GET /_matrix/client/versions HTTP/1.1\nHost: x\n\n');
  assert.ok(status === 400 || status === 0, String(status));
});

test('a body that is empty is no bad JSON where nothing is needed in it (T20)', async () => {
  const session = await alice.login();
  const answer = await fetch(`${hs.url}${C}/logout`, {
    method: 'POST',
    headers: { authorization: `Bearer ${session.accessToken}`, 'content-type': 'application/json' },
  });
  assert.deepEqual([answer.status, await answer.json()], [200, {}]);
});

test('JSON of any content type, and of none, is read (T27)', async () => {
  for (const type of ['application/octet-stream', 'text/plain', undefined]) {
    const answer = await fetch(hs.url + inRoom(room, 'send', 'm.room.message', `type-${type}`), {
      method: 'PUT',
      headers: { authorization: `Bearer ${alice.accessToken}`, ...(type !== undefined && { 'content-type': type }) },
      body: Buffer.from('{"msgtype":"m.text","body":"x"}'),
    });
    assert.equal(answer.status, 200, String(type));
    await answer.body?.cancel();
  }
});

test('a form is no JSON (T26)', async () => {
  const form = new FormData();
  form.set('type', 'm.login.password');
  const answer = await fetch(`${hs.url}${C}/login`, { method: 'POST', body: form });
  assert.ok([400, 415].includes(answer.status), String(answer.status));
  await answer.body?.cancel();
});

test('a body of many megabytes is too large (T29)', synapseDiffers('answers 400'), async () => {
  const answer = await alice
    .request('PUT', inRoom(room, 'send', 'm.room.message', 'huge'), JSON.stringify({ body: 'x'.repeat(20_000_000) }))
    .catch((error: Error) => ({ status: 413, body: { errcode: 'M_TOO_LARGE', error: error.message } }));
  assert.equal(answer.status, 413);
  await alice.ok('GET', `${C}/account/whoami`);
});

test('names of 255 bytes, escaped to three times that, find their way (T30)', async () => {
  const type = '%'.repeat(255);
  await alice.fails(404, 'M_NOT_FOUND', 'GET', inRoom(room, 'state', type, '%'.repeat(255)));
});

test('an escaped slash stays inside its segment, and nothing is decoded twice (T31)', async () => {
  await alice.setState(room, 'org.example.path', 'a/b', { n: 1 });
  await alice.setState(room, 'org.example.path', 'a%2Fb', { n: 2 });
  const path = inRoom(room, 'state', 'org.example.path');
  assert.deepEqual(await alice.ok('GET', `${path}/a%2Fb`), { n: 1 });
  assert.deepEqual(await alice.ok('GET', `${path}/a%252Fb`), { n: 2 });
  await alice.setState(room, 'org.example.path', 'a;b', { n: 3 });
  assert.deepEqual(await alice.ok('GET', `${path}/a;b`), { n: 3 });
});

for (const path of [
  '/_matrix/client/v3/../../_synapse/admin/v1/register',
  '/_matrix//client/versions',
  '/_matrix/.%2e/_matrix/client/versions',
  '/_matrix/client/./versions',
  '//_matrix/client/versions',
]) {
  test(`${path} is not made into another path (T33)`, async () => {
    const { status } = await exchange(head(`GET ${path} HTTP/1.1`, 'Host: x', 'Connection: close'));
    assert.ok([400, 404].includes(status), String(status));
  });
}

test('a target in absolute form is refused, or taken for what follows the name (T34)', async () => {
  const { hostname, port } = new URL(hs.url);
  for (const name of ['evil.test', `${hostname}:${port}`]) {
    const target = `http://${name}${C}/account/whoami?access_token=nobody`;
    const { status } = await exchange(head(`GET ${target} HTTP/1.1`, 'Host: x', 'Connection: close'));
    assert.ok([400, 401, 404].includes(status), `${name}: ${status}`);
  }
});

test('a broken escape in the path is a bad request (T32)', async () => {
  for (const path of [`${C}/profile/%`, `${C}/profile/%zz`, `${C}/profile/%ff%fe`]) {
    const { status, answer } = await exchange(head(`GET ${path} HTTP/1.1`, 'Host: x', 'Connection: close'));
    assert.ok([400, 404].includes(status), `${path}: ${status}`);
    assert.match(answer, /"errcode":\s*"M_/, 'the error has the form of any other');
  }
});

test('headers without measure are refused (T41)', async () => {
  const { status } = await exchange(
    head('GET /_matrix/client/versions HTTP/1.1', 'Host: x', `X-Long: ${'x'.repeat(20_000)}`),
  );
  assert.ok([400, 431, 0].includes(status), String(status));
});

test('tokens of nobody in any parameter are bad requests, and limits are bounded (T42, T43)', async () => {
  const messages = inRoom(room, 'messages');
  for (const path of [
    messages + query({ dir: 'b', from: '\0' }),
    messages + query({ dir: 'b', from: 'constructor' }),
    messages + query({ dir: 'b', from: '1e9' }),
    inRoom(room, 'members') + query({ at: 'nowhere' }),
    messages + query({ dir: 'b', limit: 'abc' }),
    messages + query({ dir: 'b', limit: '1.5' }),
    messages + query({ dir: 'b', limit: '-1' }),
  ]) {
    const answer = await alice.request('GET', path);
    assert.equal(answer.status, 400, `${path} ${JSON.stringify(answer.body)}`);
  }
  for (const limit of ['0', '1000000000']) {
    const answer = await alice.request('GET', messages + query({ dir: 'b', limit }));
    assert.ok([200, 400].includes(answer.status), limit);
  }
});

test('names of the object prototype in a query are names like others (T44)', async () => {
  const who = `${C}/account/whoami`;
  for (const odd of [
    '__proto__=1',
    '__proto__[admin]=true',
    'constructor[prototype][admin]=true',
    'toString=x&toString=y',
    '__proto__.user_id=x',
  ]) {
    assert.equal((await alice.ok('GET', `${who}?${odd}`))['user_id'], alice.userId, odd);
    assert.equal((await alice.request('GET', `${inRoom(room, 'messages')}?dir=b&${odd}`)).status, 200, odd);
  }
});

test('no page is larger than a thousand events (T43)', ourChoice('the specification names no bound'), async () => {
  const big = await alice.createRoom();
  const root = await alice.say(big, 'root');
  const content = { msgtype: 'm.text', body: 'x', 'm.relates_to': { rel_type: 'm.thread', event_id: root } };
  for (let n = 0; n < 1_100; n += 22) {
    await Promise.all(Array.from({ length: 22 }, () => alice.send(big, 'm.room.message', content)));
  }
  const limit = 1_000_000_000;
  const relations = `/_matrix/client/v1/rooms/${seg(big)}/relations/${seg(root)}`;
  for (const path of [inRoom(big, 'messages') + query({ dir: 'b', limit }), relations + query({ limit })]) {
    assert.equal((await alice.ok('GET', path))['chunk'].length, 1_000, path);
  }
  const filter = JSON.stringify({ room: { timeline: { limit }, rooms: [big] } });
  const sync = await alice.ok('GET', `${C}/sync${query({ filter })}`);
  assert.equal(timeline(sync, big).length, 1_000);
  const context = await alice.ok('GET', inRoom(big, 'context', root) + query({ limit }));
  assert.ok(context['events_after'].length <= 1_000);
  for (const path of [inRoom(big, 'messages') + query({ dir: 'b' }), `${relations}?`, `${C}/notifications?`]) {
    assert.equal((await alice.request('GET', `${path}&limit=1&limit=2`)).status, 400, `${path}, twice`);
    assert.equal((await alice.request('GET', `${path}&limit=-1`)).status, 400, `${path}, negative`);
  }
});

test('what goes wrong says nothing of the inside (T47)', async () => {
  for (const [method, path, body] of [
    ['GET', `${C}/profile/${seg('@\0:\u{10FFFF}')}`, undefined],
    ['PUT', inRoom('!\0', 'send', '\0', '\0'), {}],
    ['POST', `${C}/createRoom`, { name: { toString: 5 } }],
    ['GET', inRoom(room, 'event', '$\uFFFF'), undefined],
  ] as const) {
    const answer = await alice.request(method, path, body);
    assert.ok(answer.status < 500, `${method} ${path}: ${answer.status}`);
    assert.doesNotMatch(JSON.stringify(answer.body), /\bat .*\.(js|ts|py):\d|node_modules|leveldb|sqlite/i);
  }
});

test('a forwarded address is believed from a known proxy only (T45)', ourChoice('the option is ours'), async (t) => {
  const ours = await startOwnServer({ RUNNEL_RATE_LIMITS: 'on', RUNNEL_TRUSTED_PROXIES: '192.0.2.1' });
  t.after(() => ours.stop());
  const statuses: number[] = [];
  for (let i = 0; i < 40; i++) {
    const answer = await ours
      .anonymous()
      .request(
        'POST',
        `${C}/login`,
        { type: 'm.login.password', identifier: { type: 'm.id.user', user: `u${i}` }, password: 'x' },
        { 'x-forwarded-for': `203.0.113.${i}` },
      );
    statuses.push(answer.status);
  }
  assert.ok(statuses.includes(429), 'one address is limited, whatever it says it is');
});

test('the page at / runs no script from elsewhere', ourChoice('the page is ours'), async () => {
  const answer = await fetch(`${hs.url}/`);
  assert.equal(answer.status, 200);
  const policy = answer.headers.get('content-security-policy') ?? '';
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe-inline.*script|script-src[^;]*https?:/);
  assert.equal(/<script[^>]+src=["']?https?:/i.test(await answer.text()), false);
});
