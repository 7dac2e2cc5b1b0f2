// Client-server API, Syncing: GET /initialSync, deprecated, and GET /rooms/{roomId}/initialSync.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, type Client, inRoom, ofUser, query, texts } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';

const hs = await homeserver();
test.after(() => hs.stop());

const initial = (client: Client, parameters: Readonly<Record<string, string | number | boolean>> = {}): Promise<Body> =>
  client.ok('GET', `${C}/initialSync${query(parameters)}`);
const roomOf = (body: Body, room: string): Body =>
  body['rooms'].find((info: Body) => info['room_id'] === room) ?? assert.fail(`no ${room}`);
const typesOf = (events: Body[]): string[] => events.map((event) => event['type']);

test('everything at once: rooms with messages, state and account data, and the stream from there on', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ name: 'Here', visibility: 'public', invite: [bob.userId] });
  await bob.join(room);
  await bob.ok('PUT', ofUser(bob, 'account_data', 'org.example.global'), { all: 1 });
  await bob.ok('PUT', ofUser(bob, 'rooms', room, 'account_data', 'org.example.room'), { one: 1 });
  for (const text of ['one', 'two', 'three']) await alice.say(room, text);
  const body = await initial(bob, { limit: 2 });
  const info = roomOf(body, room);
  assert.equal(info['membership'], 'join');
  assert.equal(info['visibility'], 'public');
  assert.deepEqual(texts(info['messages'].chunk), ['two', 'three']);
  assert.ok(typesOf(info['state']).includes('m.room.name'));
  assert.deepEqual(info['account_data'], [{ type: 'org.example.room', content: { one: 1 } }]);
  assert.deepEqual(
    body['account_data'].filter(({ type }: Body) => type === 'org.example.global'),
    [{ type: 'org.example.global', content: { all: 1 } }],
  );
  const older = await bob.messages(room, { from: info['messages'].start, limit: 1 });
  assert.deepEqual(texts(older['chunk']), ['one']);
  await alice.say(room, 'four');
  const { chunk } = await bob.ok('GET', `${C}/events${query({ from: body['end'], timeout: 0 })}`);
  assert.deepEqual(texts(chunk), ['four']);
});

test('an invite comes with its event, and rooms that were left only where they are asked for', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const [invited, left, refused] = await Promise.all([
    alice.createRoom({ invite: [bob.userId] }),
    alice.createRoom({ invite: [bob.userId] }),
    alice.createRoom({ invite: [bob.userId] }),
  ]);
  await bob.join(left);
  await alice.say(left, 'before');
  await bob.leave(left);
  await alice.say(left, 'after');
  await bob.leave(refused);
  const body = await initial(bob);
  assert.deepEqual(
    body['rooms'].map(({ room_id }: Body) => room_id),
    [invited],
  );
  const info = roomOf(body, invited);
  assert.equal(info['membership'], 'invite');
  assert.equal(info['invite'].sender, alice.userId);
  assert.equal(info['messages'], undefined);
  const all = await initial(bob, { archived: true });
  assert.deepEqual(texts(roomOf(all, left)['messages'].chunk), ['before']);
  assert.equal(roomOf(all, refused)['membership'], 'leave');
});

test('presence of those who share a room is told', async () => {
  const [alice, bob, eve] = await hs.users('alice', 'bob', 'eve');
  const room = await alice.createRoom({ invite: [bob.userId] });
  await bob.join(room);
  for (const client of [alice, eve]) {
    await client.ok('PUT', `${C}/presence/${client.userId}/status`, { presence: 'online', status_msg: 'here' });
  }
  const { presence } = await initial(bob);
  const seen = presence.filter(({ content }: Body) => content['status_msg'] === 'here');
  assert.deepEqual(
    seen.map(({ sender, content }: Body) => sender ?? content.user_id),
    [alice.userId],
  );
});

test('what was never given is refused', async () => {
  const alice = await hs.user('alice');
  await alice.fails(400, ['M_INVALID_PARAM', 'M_BAD_JSON'], 'GET', `${C}/initialSync?limit=many`);
  await hs.anonymous().fails(401, 'M_MISSING_TOKEN', 'GET', `${C}/initialSync`);
});

test('one room for a member, and for one who left as it was then', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ name: 'First', invite: [bob.userId] });
  await bob.join(room);
  await alice.say(room, 'before');
  const info = await bob.ok('GET', inRoom(room, 'initialSync'));
  assert.equal(info['membership'], 'join');
  assert.ok([undefined, 'private'].includes(info['visibility']));
  assert.deepEqual(texts(info['messages'].chunk), ['before']);
  await bob.leave(room);
  await alice.setState(room, 'm.room.name', '', { name: 'Second' });
  const gone = await bob.ok('GET', inRoom(room, 'initialSync'));
  assert.equal(gone['membership'], 'leave');
  const name = gone['state'].find(({ type }: Body) => type === 'm.room.name');
  assert.equal(name.content.name, 'First');
  assert.deepEqual(texts(gone['messages'].chunk), ['before']);
});

test('anyone looks into a world-readable room, and into no other', async () => {
  const [alice, eve] = await hs.users('alice', 'eve');
  const history_visibility = 'world_readable';
  const open = await alice.createRoom({
    initial_state: [{ type: 'm.room.history_visibility', state_key: '', content: { history_visibility } }],
  });
  await alice.say(open, 'hello');
  const info = await eve.ok('GET', inRoom(open, 'initialSync'));
  assert.equal(info['membership'], undefined);
  assert.deepEqual(texts(info['messages'].chunk), ['hello']);
  const closed = await alice.createRoom();
  for (const room of [closed, '!none:localhost']) {
    await eve.fails(403, 'M_FORBIDDEN', 'GET', inRoom(room, 'initialSync'));
  }
});
