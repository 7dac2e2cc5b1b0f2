// Client-server API, Querying threads in a room; Threaded read receipts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, type Client, inRoom, ofUser, query, seg } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { ourChoice, synapseDiffers } from '../support/known.js';
import { follow } from '../support/threads.js';

const hs = await homeserver();
test.after(() => hs.stop());

const threads = (room: string): string => `/_matrix/client/v1/rooms/${seg(room)}/threads`;
const relate = (client: Client, room: string, relType: string, event: string, type = 'm.room.message') =>
  client.send(room, type, {
    msgtype: 'm.text',
    body: 'x',
    'm.relates_to': { rel_type: relType, event_id: event, ...(relType === 'm.annotation' ? { key: 'x' } : {}) },
  });
const roots = (body: Body): [string, string][] =>
  body['chunk'].map((event: Body) => [
    event['event_id'],
    event['unsigned']['m.relations']['m.thread'].latest_event.event_id,
  ]);

async function twoThreads() {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  const one = await alice.say(room, 'one');
  const two = await alice.say(room, 'two');
  await follow(bob, room, one);
  const toOne = await relate(alice, room, 'm.thread', one);
  const toTwo = await relate(alice, room, 'm.thread', two);
  return { alice, bob, room, one, two, toOne, toTwo };
}

test('threads are listed by their newest reply', async () => {
  const { alice, room, one, two, toOne, toTwo } = await twoThreads();
  assert.deepEqual(roots(await alice.ok('GET', threads(room))), [
    [two, toTwo],
    [one, toOne],
  ]);
  const again = await relate(alice, room, 'm.thread', one);
  assert.deepEqual(roots(await alice.ok('GET', threads(room))), [
    [one, again],
    [two, toTwo],
  ]);
  await alice.redact(room, again);
  assert.deepEqual(roots(await alice.ok('GET', threads(room))), [
    [two, toTwo],
    [one, toOne],
  ]);
});

test('threads come in pages, and only those that one took part in where asked for', async () => {
  const { alice, bob, room, one, two, toTwo } = await twoThreads();
  const first = await alice.ok('GET', threads(room) + query({ limit: 1 }));
  assert.deepEqual(roots(first), [[two, toTwo]]);
  const second = await alice.ok('GET', threads(room) + query({ limit: 1, from: first['next_batch'] }));
  assert.equal(roots(second)[0]?.[0], one);
  const mine = await relate(bob, room, 'm.thread', one);
  assert.deepEqual(roots(await bob.ok('GET', threads(room) + query({ include: 'participated' }))), [[one, mine]]);
});

test('threads that one took no part in are left out where so asked', async () => {
  const { alice, bob, room, one, two } = await twoThreads();
  const participated = async (client: Client) =>
    roots(await client.ok('GET', threads(room) + query({ include: 'participated' }))).map(([root]) => root);
  assert.deepEqual(await participated(bob), []);
  assert.deepEqual(await participated(alice), [two, one]);
});

test('the root of an ignored user is there, emptied', ourChoice('some servers leave it out'), async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  const root = await bob.say(room, 'what nobody wants to hear');
  await relate(alice, room, 'm.thread', root);
  const ignored = { ignored_users: { [bob.userId]: {} } };
  await alice.ok('PUT', ofUser(alice, 'account_data', 'm.ignored_user_list'), ignored);
  const { chunk } = await alice.ok('GET', threads(room));
  assert.equal(chunk[0]?.event_id, root);
  assert.deepEqual(chunk[0].content, {});
});

test('threads of rooms that one may not read are not told', async () => {
  const { room } = await twoThreads();
  const stranger = await hs.user('stranger');
  await stranger.fails(403, 'M_FORBIDDEN', 'GET', threads(room));
});

test('wrong parameters are refused', synapseDiffers('answers 500'), async () => {
  const { alice, room } = await twoThreads();
  for (const wrong of [{ limit: 0 }, { include: 'none' }, { from: 'nonsense' }]) {
    const answer = await alice.request('GET', threads(room) + query(wrong as Record<string, string>));
    assert.equal(answer.status, 400, JSON.stringify(wrong));
  }
});

test('a receipt may name the thread of an event that relates to the thread over several steps', async () => {
  const { alice, bob, room, one } = await twoThreads();
  const reference = await relate(alice, room, 'm.reference', one);
  const reaction = await relate(alice, room, 'm.annotation', reference, 'm.reaction');
  const filter = JSON.stringify({ room: { timeline: { unread_thread_notifications: true } } });
  const counts = async () => (await (await bob.login()).sync({ filter }))['rooms'].join[room];
  assert.equal((await counts()).unread_thread_notifications?.[one]?.notification_count, 1);
  await bob.receipt(room, 'm.read', reaction, { thread_id: one });
  assert.equal((await counts()).unread_thread_notifications?.[one], undefined);
  const other = await alice.say(room, 'elsewhere');
  await bob.fails(400, 'M_INVALID_PARAM', 'POST', inRoom(room, 'receipt', 'm.read', other), { thread_id: one });
});
