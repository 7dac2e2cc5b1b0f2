import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pduFromTrusted } from '#core/event/format.js';
import type { Draft } from '#core/event/pdu.js';
import type { EventId, RoomId } from '#core/ids.js';
import { appendEvent } from '#rooms/append.js';
import { judgeEvent, makeLocalEvent } from '#rooms/authorize.js';
import { toClientEvent } from '#rooms/client-form.js';
import { createRoom } from '#rooms/create.js';
import { findRoom, type Rooms, storedStateAt } from '#rooms/rooms.js';
import { openTestRooms, say, user } from '#rooms/testing.js';
import { pageTimeline } from '#rooms/timeline.js';
import type { StoredEvent } from '#store/events.js';

const alice = user('alice');

/** Takes an event in as one of another server: without what this server asks of its own users, under an id of its choice. */
function takeIn(rooms: Rooms, roomId: RoomId, draft: Draft, id?: EventId): Promise<StoredEvent> {
  return rooms.store.commit((tx) => {
    const room = findRoom(tx, roomId)!;
    const { pdu } = makeLocalEvent(rooms, tx, room, draft);
    const named = id === undefined ? pdu : pduFromTrusted({ ...pdu.json, event_id: id }, room.rules, id);
    const { outcome, stateBefore } = judgeEvent(rooms, tx, room, named);
    assert.equal(outcome, 'accepted');
    return appendEvent(rooms, tx, room, named, { outcome, stateBefore, live: true }).stored;
  });
}

test('a redaction of the create event by another server takes nothing away (T105)', async () => {
  await using t = await openTestRooms();
  const roomId = await createRoom(t.rooms, { creator: alice, body: { room_version: '6' } });
  const create = storedStateAt(t.rooms, t.store, findRoom(t.store, roomId)!.head.state, 'm.room.create', '')!;
  await takeIn(t.rooms, roomId, {
    type: 'm.room.redaction',
    sender: alice,
    content: {},
    redacts: create.pdu.event_id,
  });
  const shown = toClientEvent(t.rooms, create, { viewer: alice });
  assert.deepEqual(shown['content'], { creator: alice, room_version: '6' });
  assert.equal(findRoom(t.store, roomId)!.rules.version, '6');
  await say(t.rooms, roomId, alice, 'and goes on');
});

test('redactions that name each other, or themselves, change nothing, and can be served (T106)', async () => {
  await using t = await openTestRooms();
  const roomId = await createRoom(t.rooms, { creator: alice, body: { room_version: '1' } });
  const base = await say(t.rooms, roomId, alice, 'base');
  // Only versions 1 and 2, where the server chooses the id, let an event be named before it is made.
  const ids = ['left', 'right', 'self'] as const;
  const named = { left: 'right', right: 'left', self: 'self' } as const;
  const idOf = (name: string): EventId => `$${name}:test` as EventId;
  for (const id of ids) {
    const draft: Draft = { type: 'm.room.redaction', sender: alice, content: {}, redacts: idOf(named[id]) };
    await takeIn(t.rooms, roomId, draft, idOf(id));
  }
  const after = await say(t.rooms, roomId, alice, 'after');
  const { events } = await pageTimeline(t.rooms, alice, roomId, { dir: 'b', limit: 3 });
  const shown = events.map((event) => toClientEvent(t.rooms, event, { viewer: alice }));
  // What takes no effect is not told (rooms/v3, Handling redactions); asked for by itself, it is what it was.
  assert.deepEqual([shown[0]!['event_id'], shown[1]!['event_id']], [after, base]);
  assert.ok(!JSON.stringify(shown).includes('redacted_because'));
  for (const id of ids) {
    const event = toClientEvent(t.rooms, t.rooms.events.byId(t.store, idOf(id))!, { viewer: alice });
    assert.equal(event['redacts'], idOf(named[id]));
    assert.ok(!JSON.stringify(event).includes('redacted_because'));
  }
});
