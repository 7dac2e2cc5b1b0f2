// Bad and odd JSON: refused with the right code or kept as plain data, never a 5xx. SECURITY-CASES, part A.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { C, type Client, inRoom, ofUser, query, seg } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { ourChoice, synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());
const alice = await hs.user('alice');
const room = await alice.createRoom();
let txns = 0;
const sendPath = (type = 'org.example.json'): string => inRoom(room, 'send', type, `json-${txns++}`);

async function raw(
  body: string | Buffer,
  method = 'PUT',
  path = sendPath(),
): Promise<{ status: number; errcode: string }> {
  const answer = await fetch(hs.url + path, {
    method,
    headers: { authorization: `Bearer ${alice.accessToken}`, 'content-type': 'application/json' },
    body,
  });
  const parsed = (await answer.json()) as { errcode?: string };
  return { status: answer.status, errcode: parsed.errcode ?? '' };
}

const NO_UTF8 = Buffer.concat([Buffer.from('{"body":"'), Buffer.from([0xff]), Buffer.from('"}')]);

test('bytes that are no UTF-8 are no JSON (T1)', async () => {
  assert.deepEqual(await raw(NO_UTF8), { status: 400, errcode: 'M_NOT_JSON' });
});

for (const body of [
  '{"x":NaN}',
  '{"x":Infinity}',
  '{"x":-Infinity}',
  '{',
  '{"a":1,}',
  "{'a':1}",
  '{"a":01}',
  '{} {}',
]) {
  test(`${JSON.stringify(body)} is no JSON (T2)`, async () => {
    assert.deepEqual(await raw(body), { status: 400, errcode: 'M_NOT_JSON' });
  });
}

for (const value of [
  '1e400',
  '1.5',
  '1.0',
  '1e2',
  '9007199254740992',
  '-9007199254740992',
  '1e2000',
  '123456789012345678901234567890',
]) {
  const differs = value === '1e2000' || value === '1e400' ? synapseDiffers('answers 500') : {};
  test(`an event holds no ${value} (T2, T3, T4)`, differs, async () => {
    assert.deepEqual(await raw(`{"x":[{"y":${value}}]}`), { status: 400, errcode: 'M_BAD_JSON' });
  });
}

test('the largest and smallest integers come back as they were (T3)', async () => {
  for (const value of [9007199254740991, -9007199254740991]) {
    const id = await alice.send(room, 'org.example.json', { value });
    assert.equal((await alice.event(room, id)).content['value'], value);
  }
});

test('in rooms of old versions a great integer stays what it is (T5)', async () => {
  for (const room_version of ['1', '5']) {
    const old = await alice.createRoom({ room_version });
    const content = '{"value":1152921504606846977,"deep":[{"n":-1152921504606846976}]}';
    const id = (await alice.ok('PUT', inRoom(old, 'send', 'org.example.json', 'big'), content))['event_id'] as string;
    for (const path of [inRoom(old, 'event', id), inRoom(old, 'messages') + query({ dir: 'b', limit: 1 })]) {
      const answer = await fetch(hs.url + path, { headers: { authorization: `Bearer ${alice.accessToken}` } });
      const text = (await answer.text()).replaceAll(' ', '');
      assert.match(text, /1152921504606846977/, path);
      assert.match(text, /-1152921504606846976/, path);
    }
  }
});

const BODIES: readonly (readonly [string, string])[] = [
  ['POST', `${C}/login`],
  ['POST', `${C}/createRoom`],
  ['PUT', inRoom(room, 'send', 'm.room.message', 'top')],
  ['PUT', inRoom(room, 'state', 'm.room.topic', '')],
  ['POST', inRoom(room, 'invite')],
  ['POST', inRoom(room, 'read_markers')],
  ['PUT', inRoom(room, 'typing', alice.userId)],
  ['POST', ofUser(alice, 'filter')],
  ['PUT', ofUser(alice, 'account_data', 'org.example.json')],
  ['PUT', ofUser(alice, 'rooms', room, 'tags', 'u.json')],
  ['PUT', `${C}/profile/${seg(alice.userId)}/displayname`],
  ['PUT', `${C}/presence/${seg(alice.userId)}/status`],
  ['PUT', `${C}/pushrules/global/override/json`],
  ['PUT', `${C}/sendToDevice/org.example.json/top`],
  ['POST', `${C}/publicRooms`],
  ['POST', `${C}/delete_devices`],
  ['PUT', `${C}/devices/${alice.deviceId}`],
  ['POST', `${C}/refresh`],
];
/** A path for the name of a test, the same in every run. */
const named = (path: string): string =>
  path.replace(room, '!room').replace(alice.userId, '@alice').replace(alice.deviceId, 'DEVICE');
for (const [method, path] of BODIES) {
  const differs = /invite|pushrules/.test(path) ? synapseDiffers('answers otherwise for null') : {};
  test(`${method} ${named(path)} takes an object and nothing else (T19)`, differs, async () => {
    for (const body of ['[]', '"x"', 'null', '1', 'true']) {
      const { status, errcode } = await raw(body, method, path);
      assert.equal(status, 400, body);
      assert.match(errcode, /^M_(BAD_JSON|NOT_JSON|UNKNOWN)$/, body);
    }
  });
}

for (const [method, path] of BODIES) {
  const differs = path.endsWith('/delete_devices') ? synapseDiffers('answers 500') : {};
  test(`bytes that are no UTF-8 are no JSON: ${method} ${named(path)} (T1)`, differs, async () => {
    assert.deepEqual(await raw(NO_UTF8, method, path), { status: 400, errcode: 'M_NOT_JSON' });
  });
}

const NAMES = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf'] as const;

test('names that mean something to JavaScript are event types, state keys and content like others (T12, T13, T15)', async () => {
  for (const name of NAMES) {
    await alice.fails(404, 'M_NOT_FOUND', 'GET', inRoom(room, 'state', name, ''));
    await alice.fails(404, 'M_NOT_FOUND', 'GET', inRoom(room, 'state', 'org.example.js', name));
    await alice.setState(room, name, name, { n: 1 });
    await alice.setState(room, 'org.example.js', name, { n: 2 });
    assert.deepEqual(await alice.state(room, name, name), { n: 1 });
    assert.deepEqual(await alice.state(room, 'org.example.js', name), { n: 2 });
    const content = JSON.parse(`{"${name}":{"membership":"join"},"deep":{"${name}":{"prototype":{}}}}`);
    const id = await alice.send(room, name, content, name);
    assert.deepEqual((await alice.event(room, id)).content, content);
    assert.equal(await alice.send(room, name, content, name), id, 'and a transaction id');
  }
});

test('the same names are profile fields, push rules, filters and devices like others (T15)', async () => {
  for (const name of NAMES) {
    const rule = `${C}/pushrules/global/override/${name}`;
    await alice.fails(404, 'M_NOT_FOUND', 'GET', rule);
    await alice.ok('PUT', rule, { conditions: [], actions: [] });
    assert.equal((await alice.ok('GET', rule))['rule_id'], name);
    await alice.ok('DELETE', rule);
    await alice.fails(404, 'M_NOT_FOUND', 'GET', `${C}/devices/${name}`);
    const device = await alice.login({ device_id: name });
    assert.equal((await alice.ok('GET', `${C}/devices/${name}`))['device_id'], name);
    await device.ok('POST', `${C}/logout`, {});
    const answer = await alice.request('GET', ofUser(alice, 'filter', name));
    assert.ok([400, 404].includes(answer.status), `${name}: ${answer.status}`);
    const messages = JSON.parse(`{"${alice.userId}":{"${name}":{"n":1}}}`);
    await alice.ok('PUT', `${C}/sendToDevice/${name}/${name}`, { messages });
  }
});

test('the same names are tags, account data, profile fields, backed-up sessions and fields of filters like others (T15)', async () => {
  const { version } = await alice.ok('POST', `${C}/room_keys/version`, {
    algorithm: 'm.megolm_backup.v1.curve25519-aes-sha2',
    auth_data: { public_key: 'abc' },
  });
  const data = { first_message_index: 0, forwarded_count: 0, is_verified: true, session_data: { n: 1 } };
  for (const name of NAMES) {
    const stored: [string, object][] = [
      [ofUser(alice, 'account_data', name), { n: 1 }],
      [ofUser(alice, 'rooms', room, 'account_data', name), { n: 2 }],
      [`${C}/room_keys/keys/${seg(room)}/${name}${query({ version })}`, data],
    ];
    // Names of profile fields have a grammar, which not all of these follow.
    const field: [string, object] = [`${C}/profile/${seg(alice.userId)}/${name}`, JSON.parse(`{"${name}":"x"}`)];
    if (/^[a-z][a-z0-9_.-]*$/.test(name)) stored.push(field);
    else assert.ok([200, 400].includes((await alice.request('PUT', ...field)).status), name);
    for (const [path, content] of stored) {
      await alice.fails(404, 'M_NOT_FOUND', 'GET', path);
      await alice.ok('PUT', path, content);
      assert.deepEqual(await alice.ok('GET', path), content);
    }
    await alice.ok('PUT', ofUser(alice, 'rooms', room, 'tags', name), { order: 0.5 });
    const filter = JSON.parse(`{"${name}":{"types":["x"]},"room":{"${name}":["y"],"rooms":["${room}"]}}`);
    const { filter_id } = await alice.ok('POST', ofUser(alice, 'filter'), filter);
    assert.deepEqual(await alice.ok('GET', ofUser(alice, 'filter', filter_id)), filter);
    await alice.ok('GET', `${C}/sync${query({ filter: filter_id })}`);
  }
  const { tags } = await alice.ok('GET', ofUser(alice, 'rooms', room, 'tags'));
  assert.deepEqual(Object.keys(tags).toSorted(), [...NAMES].sort());
});

test('a member event whose content only inherits a membership is none (T14)', async () => {
  const bob = await hs.user('bob');
  const open = await alice.createRoom({ preset: 'public_chat' });
  const answer = await raw(
    '{"__proto__":{"membership":"join"}}',
    'PUT',
    inRoom(open, 'state', 'm.room.member', alice.userId),
  );
  assert.equal(answer.status, 400);
  assert.equal(await alice.membership(open, alice.userId), 'join');
  await bob.join(open);
});

test('deep nesting is refused quickly, and the server goes on (T16, T17)', async () => {
  const began = performance.now();
  for (const body of ['['.repeat(60_000), `{"a":${'['.repeat(20_000)}${']'.repeat(20_000)}}`]) {
    const { status } = await raw(body);
    assert.ok([400, 413].includes(status), String(status));
  }
  const { status } = await raw('['.repeat(12_000_000));
  assert.ok([400, 413].includes(status), String(status));
  assert.ok(performance.now() - began < 20_000);
  await alice.ok('GET', '/_matrix/client/versions');
});

test('depth that is left to us: a hundred levels pass (T16)', ourChoice('the limit is ours'), async () => {
  await raw(`{"a":${'['.repeat(90)}${']'.repeat(90)}}`).then(({ status }) => assert.equal(status, 200));
});

test('of a key that comes twice one value counts, the same one everywhere (T7)', async () => {
  const path = sendPath();
  const answer = await fetch(hs.url + path, {
    method: 'PUT',
    headers: { authorization: `Bearer ${alice.accessToken}` },
    body: '{"a":1,"a":2}',
  });
  assert.ok([200, 400].includes(answer.status), String(answer.status));
  const { event_id: id } = (await answer.json()) as { event_id?: string };
  if (id === undefined) return;
  const { content } = await alice.event(room, id);
  const listed = (await alice.messages(room, { limit: 1 }))['chunk'][0].content;
  assert.deepEqual(listed, content);
  assert.deepEqual(content, { a: 2 });
});

test('of a membership that comes twice the last one counts, for the rules as for clients (T7)', async () => {
  const path = inRoom(room, 'state', 'm.room.member', alice.userId);
  assert.equal((await raw('{"membership":"leave","membership":"join","displayname":"Al"}', 'PUT', path)).status, 200);
  assert.equal(await alice.membership(room, alice.userId), 'join');
  await alice.say(room, 'still here');
});

test('JSON inside of a query is read as strictly (T21)', synapseDiffers('takes a list for a filter'), async () => {
  for (const path of [
    `${C}/sync${query({ filter: '{bad' })}`,
    inRoom(room, 'messages') + query({ dir: 'b', filter: '{bad' }),
    inRoom(room, 'messages') + query({ dir: 'b', filter: '[]' }),
    inRoom(room, 'context', await alice.say(room, 'x')) + query({ filter: '{bad' }),
    `${C}/sync${query({ filter: '{"room":5}' })}`,
    `${C}/sync${query({ filter: '{"a":NaN}' })}`,
  ]) {
    const answer = await alice.request('GET', path);
    assert.equal(answer.status, 400, path);
    assert.match(answer.body['errcode'], /^M_(NOT_JSON|BAD_JSON|INVALID_PARAM)$/, path);
  }
});

test(
  'a NUL and a lone surrogate do no harm wherever there is text (T8, T22)',
  synapseDiffers('answers 500 for some'),
  async () => {
    const odd = 'a\0b';
    const id = await alice.send(room, 'm.room.message', { msgtype: 'm.text', body: odd });
    assert.equal((await alice.event(room, id)).content['body'], odd);
    const requests: readonly (readonly [Client, string, string, object])[] = [
      [alice, 'PUT', `${C}/profile/${seg(alice.userId)}/displayname`, { displayname: odd }],
      [alice, 'PUT', inRoom(room, 'state', 'm.room.name', ''), { name: odd }],
      [alice, 'PUT', inRoom(room, 'state', 'm.room.topic', ''), { topic: odd }],
      [alice, 'PUT', inRoom(room, 'state', 'org.example.nul', odd), { n: 1 }],
      [alice, 'POST', `${C}/publicRooms`, { filter: { generic_search_term: odd } }],
      [alice, 'POST', `${C}/createRoom`, { room_alias_name: odd, name: odd }],
    ];
    for (const [client, method, path, body] of requests) {
      const answer = await client.request(method, path, body);
      assert.ok([200, 400].includes(answer.status), `${method} ${path}: ${answer.status}`);
    }
    const lone = await raw('{"msgtype":"m.text","body":"\\ud800"}', 'PUT', sendPath('m.room.message'));
    assert.ok([200, 400].includes(lone.status), String(lone.status));
    await alice.sync();
  },
);

test('ranges of one room never hold another’s, whatever the keys (T23)', async () => {
  const [a, b] = [await alice.createRoom(), await alice.createRoom()];
  await alice.setState(a, 'org.example.a', 'b\0c', { in: 'a1' });
  await alice.setState(a, 'org.example.a\0b', 'c', { in: 'a2' });
  assert.deepEqual(await alice.state(a, 'org.example.a', 'b\0c'), { in: 'a1' });
  assert.deepEqual(await alice.state(a, 'org.example.a\0b', 'c'), { in: 'a2' });
  await alice.fails(404, 'M_NOT_FOUND', 'GET', inRoom(b, 'state', 'org.example.a', 'b\0c'));
  // Pairs that would fall together if type and key were joined by the sign between them.
  for (const sign of ['!', '/', '\u00ff', '\u0001', '|', ':']) {
    await alice.setState(a, 'org.example.s', `b${sign}c`, { sign, at: 'key' });
    await alice.setState(a, `org.example.s${sign}b`, 'c', { sign, at: 'type' });
    assert.deepEqual(await alice.state(a, 'org.example.s', `b${sign}c`), { sign, at: 'key' });
    assert.deepEqual(await alice.state(a, `org.example.s${sign}b`, 'c'), { sign, at: 'type' });
  }
  const page = JSON.stringify([await alice.messages(b, { limit: 100 }), await alice.ok('GET', inRoom(b, 'state'))]);
  assert.equal(page.includes('org.example.'), false);
});
