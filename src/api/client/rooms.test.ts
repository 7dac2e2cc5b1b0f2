import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ENDPOINTS } from '#api/endpoints.js';
import { type ApiAnswer, serveApi, type TestApi } from '#api/testing.js';
import type { UserId } from '#core/ids.js';
import { setFlags } from '#users/accounts.js';

type Call = (method: string, path: string, body?: unknown) => Promise<ApiAnswer>;

async function people(t: TestContext, ...names: string[]): Promise<{ api: TestApi; ids: string[]; calls: Call[] }> {
  const api = await serveApi(t, ENDPOINTS, { guests: true });
  const ids: string[] = [];
  const calls: Call[] = [];
  for (const name of names) {
    const { user_id, access_token: token } = await api.register(name);
    ids.push(user_id);
    calls.push((method, path, body) => api.call(method, path, { token, ...(body !== undefined && { body }) }));
  }
  return { api, ids, calls };
}

async function makeRoom(call: Call, body: object): Promise<string> {
  return encodeURIComponent((await call('POST', 'createRoom', body)).body.room_id);
}

let txn = 0;
async function say(call: Call, room: string, content: object): Promise<string> {
  const path = `rooms/${room}/send/m.room.message/t${txn++}`;
  return (await call('PUT', path, { msgtype: 'm.text', body: 'hi', ...content })).body.event_id;
}

const codes = ({ status, body }: ApiAnswer): unknown[] => [status, body.errcode];

test('guests come in where a room lets them, and go when it no longer does (T250)', async (t) => {
  const { api, calls } = await people(t, 'alice');
  const [alice] = calls as [Call];
  const registered = await api.call('POST', 'register?kind=guest', { body: {} });
  const guest: Call = (method, path, body) =>
    api.call(method, path, { token: registered.body.access_token, ...(body !== undefined && { body }) });
  const room = await makeRoom(alice, { preset: 'public_chat' });
  assert.deepEqual(codes(await guest('POST', `join/${room}`, {})), [403, 'M_GUEST_ACCESS_FORBIDDEN']);
  const own = `rooms/${room}/state/m.room.member/${registered.body.user_id}`;
  assert.deepEqual(codes(await guest('PUT', own, { membership: 'join' })), [403, 'M_GUEST_ACCESS_FORBIDDEN']);
  const access = `rooms/${room}/state/m.room.guest_access`;
  await alice('PUT', access, { guest_access: 'can_join' });
  assert.equal((await guest('POST', `join/${room}`, {})).status, 200);
  assert.equal(
    (await guest('PUT', `rooms/${room}/send/m.room.message/1`, { msgtype: 'm.text', body: 'hi' })).status,
    200,
  );
  assert.deepEqual(codes(await guest('POST', 'createRoom', {})), [403, 'M_GUEST_ACCESS_FORBIDDEN']);
  await alice('PUT', access, { guest_access: 'forbidden' });
  assert.deepEqual((await guest('GET', 'joined_rooms')).body, { joined_rooms: [] });
});

test('a suspended account reads, leaves and redacts its own events, and no more (T242)', async (t) => {
  const { api, ids, calls } = await people(t, 'alice', 'bob');
  const [alice, bob] = calls as [Call, Call];
  const room = await makeRoom(alice, { preset: 'public_chat' });
  await bob('POST', `join/${room}`, {});
  const theirs = await say(alice, room, {});
  const own = await say(bob, room, {});
  await setFlags(api.users, ids[1] as UserId, { suspended: true });
  const send = `rooms/${room}/send`;
  assert.deepEqual(codes(await bob('PUT', `${send}/m.room.message/1`, { msgtype: 'm.text', body: 'x' })), [
    403,
    'M_USER_SUSPENDED',
  ]);
  assert.deepEqual(codes(await bob('PUT', `${send}/m.room.redaction/2`, { redacts: theirs })), [
    403,
    'M_USER_SUSPENDED',
  ]);
  assert.equal((await bob('PUT', `${send}/m.room.redaction/3`, { redacts: own })).status, 200);
  assert.deepEqual((await alice('GET', `rooms/${room}/event/${own}`)).body.content, {});
  assert.deepEqual(codes(await bob('PUT', `rooms/${room}/redact/${theirs}/4`, {})), [403, 'M_USER_SUSPENDED']);
  assert.equal((await bob('GET', `rooms/${room}/messages?dir=b`)).status, 200);
  assert.equal((await bob('POST', `rooms/${room}/leave`, {})).status, 200);
  assert.deepEqual(codes(await bob('POST', `join/${room}`, {})), [403, 'M_USER_SUSPENDED']);
});

test('joining by alias, with content of the own, and sending once whatever is repeated', async (t) => {
  const { ids, calls } = await people(t, 'alice', 'bob');
  const [alice, bob] = calls as [Call, Call];
  const room = await makeRoom(alice, { preset: 'public_chat', room_alias_name: 'tea' });
  const joined = await bob('POST', 'join/%23tea:test', { foo: 'bar', membership: 'ban' });
  assert.equal(encodeURIComponent(joined.body.room_id), room);
  const member = (await alice('GET', `rooms/${room}/state/m.room.member/${ids[1]}`)).body;
  assert.deepEqual([member.membership, member.foo], ['join', 'bar']);
  const path = `rooms/${room}/send/m.room.message/same`;
  const content = { msgtype: 'm.text', body: 'once' };
  const [first, second] = [await bob('PUT', path, content), await bob('PUT', path, content)];
  assert.equal(first.body.event_id, second.body.event_id);
  assert.notEqual((await alice('PUT', path, content)).body.event_id, first.body.event_id, "an id is its device's own");
});

test('related events are found by type, page by page, and through each other', async (t) => {
  const { calls } = await people(t, 'alice', 'bob');
  const [alice, bob] = calls as [Call, Call];
  const room = await makeRoom(alice, { preset: 'public_chat' });
  const to = (event_id: string, rel_type: string, more = {}) => ({ 'm.relates_to': { event_id, rel_type, ...more } });
  const root = await say(alice, room, {});
  const replies = [];
  for (let n = 0; n < 5; n++) replies.push(await say(alice, room, to(root, 'm.thread')));
  const edit = await say(alice, room, to(root, 'm.replace', {}));
  const reaction = (
    await alice('PUT', `rooms/${room}/send/m.reaction/r`, to(replies[4]!, 'm.annotation', { key: '👍' }))
  ).body.event_id;
  const list = async (rest: string) =>
    (await alice('GET', `/_matrix/client/v1/rooms/${room}/relations/${root}${rest}`)).body;
  const idsOf = (body: { chunk: { event_id: string }[] }) => body.chunk.map(({ event_id }) => event_id);
  assert.deepEqual(idsOf(await list('?limit=9')), [edit, ...replies.toReversed()]);
  const first = await list('/m.thread?limit=3&dir=f');
  assert.deepEqual(idsOf(first), replies.slice(0, 3));
  const rest = await list(`/m.thread?limit=3&dir=f&from=${first.next_batch}`);
  assert.deepEqual([idsOf(rest), rest.next_batch], [replies.slice(3), undefined]);
  assert.deepEqual(idsOf(await list('/m.thread/m.reaction')), []);
  const deep = await list('?recurse=true&limit=99&dir=f');
  assert.deepEqual([idsOf(deep), deep.recursion_depth], [[...replies, edit, reaction], 2]);
  assert.deepEqual(idsOf(await list('/m.annotation?recurse=true')), [reaction]);
  const hidden = await bob('GET', `/_matrix/client/v1/rooms/${room}/relations/${root}`);
  assert.deepEqual(codes(hidden), [404, 'M_NOT_FOUND']);
  const filter = encodeURIComponent(JSON.stringify({ related_by_rel_types: ['m.thread'] }));
  const roots = await alice('GET', `rooms/${room}/messages?dir=b&filter=${filter}`);
  assert.deepEqual(idsOf(roots.body), [root]);
});

test('history goes both ways, leaves out those who are ignored, and takes only tokens that were given out', async (t) => {
  const { ids, calls } = await people(t, 'alice', 'bob');
  const [alice, bob] = calls as [Call, Call];
  const room = await makeRoom(alice, { preset: 'public_chat' });
  await bob('POST', `join/${room}`, {});
  const sent = [];
  for (let n = 0; n < 4; n++) sent.push(await say(n % 2 === 0 ? alice : bob, room, {}));
  const page = async (query: string) => (await alice('GET', `rooms/${room}/messages?${query}`)).body;
  const idsOf = (body: { chunk: { event_id: string }[] }) => body.chunk.map(({ event_id }) => event_id);
  const last = await page('dir=b&limit=2');
  assert.deepEqual(idsOf(last), [sent[3], sent[2]]);
  const before = await page(`dir=b&limit=2&from=${last.end}`);
  assert.deepEqual(idsOf(before), [sent[1], sent[0]]);
  assert.deepEqual(idsOf(await page(`dir=f&limit=9&from=${before.end}`)), sent);
  const around = (await alice('GET', `rooms/${room}/context/${sent[1]}?limit=2`)).body;
  assert.deepEqual(
    [around.events_before[0].event_id, around.event.event_id, around.events_after[0].event_id],
    sent.slice(0, 3),
  );
  await alice('PUT', `user/${ids[0]}/account_data/m.ignored_user_list`, { ignored_users: { [ids[1]!]: {} } });
  assert.deepEqual(idsOf(await page('dir=b&limit=2')), [sent[2], sent[0]]);
  for (const token of ['abc', '99999999999', '1.5', 's1_2']) {
    assert.deepEqual(codes(await alice('GET', `rooms/${room}/messages?dir=b&from=${token}`)), [400, 'M_INVALID_PARAM']);
    assert.deepEqual(codes(await alice('GET', `sync?since=${token}`)), [400, 'M_INVALID_PARAM']);
  }
});
