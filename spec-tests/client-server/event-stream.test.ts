// Client-server API, Syncing: GET /events, deprecated but for looking into rooms (Room previews), and GET /events/{eventId}.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, type Client, type ClientEvent, query, seg, texts } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

const follow = (client: Client, parameters: Readonly<Record<string, string | number>>): Promise<Body> =>
  client.ok('GET', `${C}/events${query(parameters)}`);
/** What happened in rooms; some servers tell of presence as well. */
const happened = (body: Body): ClientEvent[] =>
  body['chunk'].filter((event: ClientEvent) => event.type !== 'm.presence');
/** Follows the stream until something happens in a room. */
async function heard(client: Client, parameters: Readonly<Record<string, string>>): Promise<ClientEvent[]> {
  let from = parameters['from']!;
  for (let answers = 0; answers < 10; answers++) {
    const body = await follow(client, { ...parameters, from, timeout: 20_000 });
    if (happened(body).length > 0) return happened(body);
    from = body['end'];
  }
  return [];
}
/** Where the stream stands now. */
const here = async (client: Client): Promise<string> => (await follow(client, { timeout: 0 }))['end'];
const readable = {
  type: 'm.room.history_visibility',
  state_key: '',
  content: { history_visibility: 'world_readable' },
};

test('the stream tells what happens in the rooms of a user, and goes on where it ended', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ invite: [bob.userId] });
  await bob.join(room);
  const from = await here(bob);
  await alice.say(room, 'one');
  await alice.say(room, 'two');
  const first = await follow(bob, { from, timeout: 0 });
  assert.deepEqual(texts(first['chunk']), ['one', 'two']);
  assert.equal(first['start'], from);
  assert.equal(happened(first)[0]!['room_id'], room);
  const second = await follow(bob, { from: first['end'], timeout: 0 });
  assert.deepEqual(happened(second), []);
});

test('the stream waits for what comes', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ invite: [bob.userId] });
  await bob.join(room);
  const from = await here(bob);
  const waiting = heard(bob, { from });
  await alice.say(room, 'at last');
  assert.deepEqual(texts(await waiting), ['at last']);
});

test('the stream brings invites, and nothing of rooms that the user is not in', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const from = await here(bob);
  const room = await alice.createRoom({ initial_state: [readable] });
  await alice.say(room, 'unheard');
  await alice.invite(room, bob.userId);
  const told = happened(await follow(bob, { from, timeout: 0 }));
  assert.deepEqual(
    told.map(({ type, state_key, content }) => [type, state_key, content['membership']]),
    [['m.room.member', bob.userId, 'invite']],
  );
  await bob.join(room);
  await bob.leave(room);
  const left = await here(bob);
  await alice.say(room, 'after');
  assert.deepEqual(happened(await follow(bob, { from: left, timeout: 0 })), []);
});

test('messages of ignored users are left out of the stream', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ invite: [bob.userId] });
  await bob.join(room);
  await bob.ok('PUT', `${C}/user/${seg(bob.userId)}/account_data/m.ignored_user_list`, {
    ignored_users: { [alice.userId]: {} },
  });
  const from = await here(bob);
  await alice.say(room, 'unwanted');
  const own = await bob.say(room, 'own');
  const told = happened(await follow(bob, { from, timeout: 0 }));
  assert.deepEqual(
    told.map((event) => event.event_id),
    [own],
  );
});

test('anyone follows a world-readable room without being in it, and no other', async () => {
  const [alice, eve] = await hs.users('alice', 'eve');
  const open = await alice.createRoom({ initial_state: [readable] });
  const closed = await alice.createRoom();
  const from = await here(eve);
  const waiting = heard(eve, { room_id: open, from });
  await alice.say(closed, 'secret');
  await alice.say(open, 'hello');
  assert.deepEqual(texts(await waiting), ['hello']);
  for (const room_id of [closed, '!none:localhost']) {
    await eve.fails(403, 'M_FORBIDDEN', 'GET', `${C}/events${query({ room_id, from, timeout: 0 })}`);
  }
});

test('a token that was not given out is refused, and so is a request without an access token', async () => {
  const alice = await hs.user('alice');
  for (const from of ['nonsense', '-1', '9'.repeat(15)]) {
    await alice.fails(400, ['M_INVALID_PARAM', 'M_UNKNOWN'], 'GET', `${C}/events${query({ from, timeout: 0 })}`);
  }
  await hs.anonymous().fails(401, 'M_MISSING_TOKEN', 'GET', `${C}/events`);
});

test('one event is had by its id alone, by who may see it', synapseDiffers('answers 403'), async () => {
  const [alice, eve] = await hs.users('alice', 'eve');
  const room = await alice.createRoom();
  const id = await alice.say(room, 'found');
  const event = await alice.ok('GET', `${C}/events/${seg(id)}`);
  assert.deepEqual([event['room_id'], event['content'].body], [room, 'found']);
  await eve.fails(404, 'M_NOT_FOUND', 'GET', `${C}/events/${seg(id)}`);
  await alice.fails(404, 'M_NOT_FOUND', 'GET', `${C}/events/${seg('$none')}`);
});
