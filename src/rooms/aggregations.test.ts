import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventId, RoomId, UserId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { toClientEvent } from '#rooms/client-form.js';
import { createRoom } from '#rooms/create.js';
import { relatedEvents } from '#rooms/related.js';
import type { Rooms } from '#rooms/rooms.js';
import { sendEvent } from '#rooms/send.js';
import { go, openTestRooms, say, setState, user } from '#rooms/testing.js';
import { listThreads } from '#rooms/threads.js';
import { accountData, aggregates, bundled, threadOrders, threadSenders } from '#store/schema.js';

const alice = user('alice');
const bob = user('bob');
const carol = user('carol');

interface World {
  readonly rooms: Rooms;
  readonly roomId: RoomId;
}

async function world(rooms: Rooms): Promise<World> {
  const roomId = await createRoom(rooms, { creator: alice, body: { preset: 'public_chat' } });
  await go(rooms, roomId, bob, 'join');
  await go(rooms, roomId, carol, 'join');
  return { rooms, roomId };
}

function relate(
  { rooms, roomId }: World,
  sender: UserId,
  relType: string,
  parent: EventId,
  more: JsonObject = {},
): Promise<EventId> {
  const content = { body: 'x', msgtype: 'm.text', 'm.relates_to': { rel_type: relType, event_id: parent }, ...more };
  return sendEvent(rooms, { roomId, sender, type: 'm.room.message', content });
}

const edit = (w: World, sender: UserId, parent: EventId) =>
  relate(w, sender, 'm.replace', parent, { 'm.new_content': { body: 'y', msgtype: 'm.text' } });

async function redact({ rooms, roomId }: World, sender: UserId, redacts: EventId): Promise<void> {
  await sendEvent(rooms, { roomId, sender, type: 'm.room.redaction', content: {}, redacts });
}

async function ignore(rooms: Rooms, who: UserId, ignored: UserId): Promise<void> {
  await rooms.store.commit((tx) =>
    tx.put(accountData, [who, '', 'm.ignored_user_list'], {
      content: { ignored_users: { [ignored]: {} } },
      position: tx.position(),
    }),
  );
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
function relations({ rooms }: World, id: EventId, viewer: UserId): any {
  const { unsigned } = toClientEvent(rooms, rooms.events.byId(rooms.store, id)!, { viewer });
  return (unsigned as JsonObject)['m.relations'];
}

test('an event without relations has no bundle, and neither has a state event (T267)', async () => {
  await using t = await openTestRooms();
  const w = await world(t.rooms);
  assert.equal(relations(w, await say(w.rooms, w.roomId, alice, 'hello'), bob), undefined);
  const state = await setState(w.rooms, w.roomId, alice, 'm.room.topic', { topic: 'x' });
  await relate(w, bob, 'm.reference', state);
  assert.equal(relations(w, state, bob), undefined);
});

test('the newest valid edit is bundled; what is no edit is not (T267)', async () => {
  await using t = await openTestRooms();
  const w = await world(t.rooms);
  const said = await say(w.rooms, w.roomId, alice, 'hello');
  await relate(w, alice, 'm.replace', said);
  assert.equal(relations(w, said, bob), undefined, 'an edit without new content');
  const first = await edit(w, alice, said);
  assert.equal(relations(w, said, bob)['m.replace'].event_id, first);
  t.clock.advance(5);
  const second = await edit(w, alice, said);
  await edit(w, bob, said);
  const bundle = relations(w, said, bob)['m.replace'];
  assert.equal(bundle.event_id, second, "another's edit does not count");
  assert.equal(bundle.content['m.new_content'].body, 'y');
  assert.equal(bundle.room_id, w.roomId);
  await edit(w, alice, second);
  assert.equal(relations(w, second, bob), undefined, 'an edit is not edited');
  await redact(w, alice, second);
  assert.equal(relations(w, said, bob)['m.replace'].event_id, first, 'the edit before counts again');
  await redact(w, alice, said);
  assert.equal(relations(w, said, bob), undefined, 'a redacted event shows no edit');
});

test('references are listed, oldest first, and leave with their redaction (T282)', async () => {
  await using t = await openTestRooms();
  const w = await world(t.rooms);
  const said = await say(w.rooms, w.roomId, alice, 'hello');
  const [one, two, three] = [
    await relate(w, bob, 'm.reference', said),
    await relate(w, carol, 'm.reference', said),
    await relate(w, alice, 'm.reference', said),
  ];
  const listed = (viewer: UserId) =>
    relations(w, said, viewer)['m.reference'].chunk.map((entry: { event_id: EventId }) => entry.event_id);
  assert.deepEqual(listed(bob), [one, two, three]);
  await redact(w, carol, two);
  assert.deepEqual(listed(bob), [one, three]);
  await ignore(w.rooms, alice, bob);
  assert.deepEqual(listed(alice), [three], 'ignored users are left out');
});

test('a thread tells its newest reply, its length and whether the viewer took part (T282)', async () => {
  await using t = await openTestRooms();
  const w = await world(t.rooms);
  const root = await say(w.rooms, w.roomId, alice, 'hello');
  await relate(w, bob, 'm.thread', root);
  const last = await relate(w, bob, 'm.thread', root);
  const edited = await edit(w, bob, last);
  const thread = (viewer: UserId) => relations(w, root, viewer)?.['m.thread'];
  assert.equal(thread(carol).count, 2);
  assert.equal(thread(carol).latest_event.event_id, last);
  assert.equal(thread(carol).latest_event.unsigned['m.relations']['m.replace'].event_id, edited);
  assert.equal(thread(carol).current_user_participated, false);
  assert.equal(thread(alice).current_user_participated, true, 'who began it took part');
  assert.equal(thread(bob).current_user_participated, true);
  const reply = await relate(w, carol, 'm.thread', root);
  assert.equal(thread(alice).latest_event.event_id, reply);
  await ignore(w.rooms, alice, carol);
  assert.deepEqual([thread(alice).latest_event.event_id, thread(alice).count], [last, 2], 'an ignored reply');
  await redact(w, carol, reply);
  assert.equal(thread(carol).current_user_participated, false);
  assert.equal(thread(bob).latest_event.event_id, last);
});

test('a bundle shows nothing that history visibility hides (T282)', async () => {
  await using t = await openTestRooms();
  const { rooms } = t;
  const roomId = await createRoom(rooms, {
    creator: alice,
    body: {
      preset: 'public_chat',
      initial_state: [{ type: 'm.room.history_visibility', content: { history_visibility: 'joined' } }],
    },
  });
  const w = { rooms, roomId };
  await go(rooms, roomId, bob, 'join');
  const root = await say(rooms, roomId, alice, 'hello');
  const seen = await relate(w, alice, 'm.thread', root);
  await go(rooms, roomId, bob, 'leave');
  await relate(w, alice, 'm.thread', root);
  await edit(w, alice, root);
  await relate(w, alice, 'm.reference', root);
  const bundle = relations(w, root, bob);
  assert.deepEqual(Object.keys(bundle), ['m.thread']);
  assert.equal(bundle['m.thread'].latest_event.event_id, seen);
  assert.equal(bundle['m.thread'].count, 1);
});

test('threads are listed by their newest reply, also once it is redacted', async () => {
  await using t = await openTestRooms();
  const w = await world(t.rooms);
  const one = await say(w.rooms, w.roomId, alice, 'one');
  const two = await say(w.rooms, w.roomId, carol, 'two');
  await relate(w, alice, 'm.thread', one);
  await relate(w, alice, 'm.thread', two);
  const list = async (viewer: UserId, more: object = {}) =>
    (await listThreads(w.rooms, viewer, w.roomId, { participated: false, limit: 10, ...more })).roots.map(
      ({ pdu }) => pdu.event_id,
    );
  assert.deepEqual(await list(bob), [two, one]);
  const reply = await relate(w, bob, 'm.thread', one);
  assert.deepEqual(await list(bob), [one, two]);
  assert.deepEqual(await list(bob, { participated: true }), [one]);
  assert.deepEqual(await list(carol, { participated: true }), [two]);
  await redact(w, bob, reply);
  assert.deepEqual(await list(bob), [two, one]);
  const page = await listThreads(w.rooms, bob, w.roomId, { participated: false, limit: 1 });
  assert.deepEqual(await list(bob, { from: page.end }), [one]);
});

test('when the last child goes, nothing of the bundle stays', async () => {
  await using t = await openTestRooms();
  const w = await world(t.rooms);
  const root = await say(w.rooms, w.roomId, alice, 'one');
  const children = [await relate(w, bob, 'm.thread', root), await relate(w, carol, 'm.thread', root)];
  for (const child of children) await redact(w, alice, child);
  for (const keyspace of [aggregates, bundled, threadSenders, threadOrders]) {
    assert.deepEqual(await w.rooms.store.list(keyspace as typeof aggregates, { limit: 10 }), [], keyspace.name);
  }
  assert.equal(relations(w, root, bob), undefined);
});

test('relations of ignored users are not listed', async () => {
  await using t = await openTestRooms();
  const w = await world(t.rooms);
  const said = await say(w.rooms, w.roomId, alice, 'one');
  await relate(w, bob, 'm.reference', said);
  const kept = await relate(w, carol, 'm.reference', said);
  await ignore(w.rooms, alice, bob);
  for (const recurse of [false, true]) {
    const { events } = await relatedEvents(w.rooms, alice, w.roomId, said, { dir: 'b', limit: 5, recurse });
    assert.deepEqual(
      events.map(({ pdu }) => pdu.event_id),
      [kept],
    );
  }
});
