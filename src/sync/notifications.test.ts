import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventId, RoomId } from '#core/ids.js';
import { createRoom } from '#rooms/create.js';
import { sendEvent } from '#rooms/send.js';
import { go, openTestRooms, say, type TestRooms, user } from '#rooms/testing.js';
import { listNotifications, rememberRead } from '#sync/notifications.js';
import { markRead } from '#sync/read.js';
import { Unread } from '#sync/unread.js';

const alice = user('alice');
const bob = user('bob');

async function open(t: TestRooms): Promise<{ unread: Unread; roomId: RoomId }> {
  const unread = new Unread(t.rooms);
  const roomId = await createRoom(t.rooms, { creator: alice, body: { preset: 'public_chat' } });
  await go(t.rooms, roomId, bob, 'join');
  return { unread, roomId };
}

async function listed(t: TestRooms, more: object = {}) {
  const page = await listNotifications(t.rooms, bob, { limit: 10, onlyHighlights: false, ...more });
  return { ...page, told: page.notifications.map(({ event, read }) => [event.pdu.event_id, read]) };
}

test('notifications of all rooms come newest first, in pages, and tell whether they are read', async () => {
  await using t = await openTestRooms();
  const { unread, roomId } = await open(t);
  const other = await createRoom(t.rooms, { creator: alice, body: { preset: 'public_chat' } });
  await go(t.rooms, other, bob, 'join');
  const ids: EventId[] = [];
  for (const room of [roomId, other, roomId]) ids.push(await say(t.rooms, room, alice, 'hello'));
  await say(t.rooms, roomId, bob, 'my own');
  assert.deepEqual(
    (await listed(t)).told,
    [...ids].reverse().map((id) => [id, false]),
  );
  await markRead(t.rooms, unread, { user: bob, roomId, eventId: ids[0]!, type: 'm.read' });
  const [one, two, three] = ids;
  const expected = [
    [three, false],
    [two, false],
    [one, true],
  ];
  assert.deepEqual((await listed(t)).told, expected);
  const first = await listed(t, { limit: 2 });
  assert.deepEqual(first.told, expected.slice(0, 2));
  const second = await listed(t, { limit: 2, before: first.end });
  assert.deepEqual(second.told, expected.slice(2));
  assert.equal(second.end, undefined);
  unread.close();
});

test('highlights can be listed alone', async () => {
  await using t = await openTestRooms();
  const { unread, roomId } = await open(t);
  await say(t.rooms, roomId, alice, 'hello');
  const content = { msgtype: 'm.text', body: 'you', 'm.mentions': { user_ids: [bob] } };
  const id = await sendEvent(t.rooms, { roomId, sender: alice, type: 'm.room.message', content });
  assert.deepEqual((await listed(t, { onlyHighlights: true })).told, [[id, false]]);
  await markRead(t.rooms, unread, { user: bob, roomId, eventId: id, type: 'm.read' });
  assert.deepEqual((await listed(t, { onlyHighlights: true })).told, [[id, true]]);
  unread.close();
});

test('only the newest read notifications are remembered', async () => {
  await using t = await openTestRooms();
  const { unread, roomId } = await open(t);
  const id = await say(t.rooms, roomId, alice, 'hello');
  const { order, room } = t.rooms.events.byId(t.rooms.store, id)!;
  await markRead(t.rooms, unread, { user: bob, roomId, eventId: id, type: 'm.read' });
  assert.equal((await listed(t)).told.length, 1);
  const many = Array.from({ length: 700 }, () => ({ room, order: order - 1 }));
  await t.rooms.store.commit((tx) => rememberRead(tx, bob, many.slice(0, 50)));
  assert.ok((await listed(t, { limit: 1 })).told[0]?.[0] === id);
  await t.rooms.store.commit((tx) => rememberRead(tx, bob, many));
  assert.ok((await listed(t, { limit: 1 })).told[0]?.[0] !== id);
  unread.close();
});
