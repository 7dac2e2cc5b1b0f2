import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventId, UserId } from '#core/ids.js';
import { isObject } from '#core/json-value.js';
import { ROOM_VERSIONS } from '#core/room-versions.js';
import { toClientEvent } from '#rooms/client-form.js';
import { createRoom } from '#rooms/create.js';
import { redactEvent } from '#rooms/redact.js';
import { findRoom, memberOf, type Rooms, storedStateAt } from '#rooms/rooms.js';
import { sendEvent } from '#rooms/send.js';
import { codeOf, go, openTestRooms, say, user } from '#rooms/testing.js';

const alice = user('alice');
const bob = user('bob');
const carol = user('carol');

function shownTo(rooms: Rooms, viewer: UserId, id: EventId): ReturnType<typeof toClientEvent> {
  return toClientEvent(rooms, rooms.events.byId(rooms.store, id)!, { viewer });
}

for (const room_version of ROOM_VERSIONS) {
  test(`version ${room_version}: own events are redacted by anyone, others' by level (T104, T255)`, async () => {
    await using t = await openTestRooms();
    const roomId = await createRoom(t.rooms, { creator: alice, body: { room_version, preset: 'public_chat' } });
    await go(t.rooms, roomId, bob, 'join');
    await go(t.rooms, roomId, carol, 'join');
    const own = await say(t.rooms, roomId, bob, 'secret');
    const other = await say(t.rooms, roomId, bob, 'rude');
    const redact = (sender: UserId, eventId: EventId) =>
      codeOf(redactEvent(t.rooms, { roomId, eventId, sender, reason: 'why' }));
    assert.equal(await redact(carol, other), 'M_FORBIDDEN');
    const redaction = (await redact(bob, own)) as EventId;
    await redact(alice, other);
    for (const id of [own, other]) assert.deepEqual(shownTo(t.rooms, carol, id)['content'], {});
    const { unsigned } = shownTo(t.rooms, carol, own);
    assert.ok(isObject(unsigned) && isObject(unsigned['redacted_because']));
    assert.equal(unsigned['redacted_because']['event_id'], redaction);
    const because = shownTo(t.rooms, carol, redaction);
    assert.equal(because['redacts'], own, 'old clients look at the top level');
    assert.deepEqual(because['content'], { reason: 'why', redacts: own }, 'new ones in the content');
  });

  test(`version ${room_version}: create events, redactions and events of other rooms are not redacted (T255)`, async () => {
    await using t = await openTestRooms();
    const roomId = await createRoom(t.rooms, { creator: alice, body: { room_version } });
    const elsewhere = await createRoom(t.rooms, { creator: alice, body: { room_version } });
    const foreign = await say(t.rooms, elsewhere, alice, 'elsewhere');
    const redact = (eventId: EventId) => codeOf(redactEvent(t.rooms, { roomId, eventId, sender: alice }));
    const room = findRoom(t.store, roomId)!;
    const create = storedStateAt(t.rooms, t.store, room.head.state, 'm.room.create', '')!.pdu.event_id;
    assert.equal(await redact(create), 'M_FORBIDDEN');
    assert.equal(await redact(foreign), 'M_UNKNOWN');
    assert.equal(await redact('$unknown' as EventId), 'M_NOT_FOUND');
    assert.deepEqual(shownTo(t.rooms, alice, foreign)['content'], { msgtype: 'm.text', body: 'elsewhere' });
    const message = await say(t.rooms, roomId, alice, 'x');
    const first = (await redact(message)) as EventId;
    const second = (await redact(first)) as EventId;
    assert.match(second, /^\$/);
    assert.equal(shownTo(t.rooms, alice, first)['redacts'], message, 'a redaction stands');
    assert.deepEqual(shownTo(t.rooms, alice, message)['content'], {});
  });
}

test('a redacted member event takes the name out of the list of members', async () => {
  await using t = await openTestRooms({ profileOf: () => ({ displayname: 'Rude Name' }) });
  const roomId = await createRoom(t.rooms, { creator: alice, body: { preset: 'public_chat' } });
  const joined = await go(t.rooms, roomId, bob, 'join');
  assert.equal(memberOf(t.store, findRoom(t.store, roomId)!, bob)!.displayname, 'Rude Name');
  await redactEvent(t.rooms, { roomId, eventId: joined, sender: alice });
  assert.deepEqual(Object.keys(memberOf(t.store, findRoom(t.store, roomId)!, bob)!), ['membership', 'event']);
});

test('a redaction sent as an ordinary event does the same, and must name an event', async () => {
  await using t = await openTestRooms();
  const roomId = await createRoom(t.rooms, { creator: alice, body: { room_version: '11' } });
  const message = await say(t.rooms, roomId, alice, 'x');
  const send = (content: { redacts?: string }): Promise<unknown> =>
    codeOf(sendEvent(t.rooms, { roomId, sender: alice, type: 'm.room.redaction', content }));
  assert.equal(await send({}), 'M_BAD_JSON');
  await send({ redacts: message });
  assert.deepEqual(shownTo(t.rooms, alice, message)['content'], {});
});
