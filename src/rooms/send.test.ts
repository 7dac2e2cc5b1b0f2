import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeviceId, EventId, RoomId } from '#core/ids.js';
import { JsonFloat, type JsonObject } from '#core/json-value.js';
import { ROOM_VERSIONS, roomRules } from '#core/room-versions.js';
import { toClientEvent } from '#rooms/client-form.js';
import { createRoom } from '#rooms/create.js';
import { redactEvent } from '#rooms/redact.js';
import { findRoom } from '#rooms/rooms.js';
import { sendEvent } from '#rooms/send.js';
import { codeOf, go, openTestRooms, roomsOn, say, setState, user } from '#rooms/testing.js';
import { openStore } from '#store/db.js';
import { openTestStore, watchReads } from '#store/testing.js';

const alice = user('alice');
const bob = user('bob');
const phone = 'PHONE' as DeviceId;
const laptop = 'LAPTOP' as DeviceId;
const message = (roomId: RoomId) => ({ roomId, sender: alice, type: 'm.room.message', content: text('hi') });
const text = (body: string): JsonObject => ({ msgtype: 'm.text', body });

test('one transaction id of one device on one path makes one event, at once and after a restart (T266)', async () => {
  await using t = await openTestRooms();
  const roomId = await createRoom(t.rooms, { creator: alice, body: {} });
  const once = (device: DeviceId, path: string) => ({
    roomId,
    sender: alice,
    device,
    type: 'm.room.message',
    content: text('hi'),
    txn: { path, id: '1' },
  });
  const [first, second] = await Promise.all([
    sendEvent(t.rooms, once(phone, 'a')),
    sendEvent(t.rooms, once(phone, 'a')),
  ]);
  assert.equal(first, second);
  assert.notEqual(await sendEvent(t.rooms, once(laptop, 'a')), first);
  assert.notEqual(await sendEvent(t.rooms, once(phone, 'b')), first);
  await t.store.close();
  await using again = await openStore({ directory: t.directory, clock: t.clock, serverName: 'test' }).then((store) => ({
    store,
    [Symbol.asyncDispose]: () => store.close(),
  }));
  assert.equal(await sendEvent(roomsOn({ store: again.store, clock: t.clock }), once(phone, 'a')), first);
});

test('neither a send nor what others are told of it looks for a row in vain', async () => {
  let vain = 0;
  await using t = await openTestStore({ dbIn: (directory) => watchReads(directory, (isFound) => isFound || vain++) });
  const rooms = roomsOn(t);
  const roomId = await createRoom(rooms, { creator: alice, body: { preset: 'public_chat' } });
  await go(rooms, roomId, bob, 'join');
  const send = async (id: string): Promise<void> => {
    const txn = { path: 'send', id };
    const event = await sendEvent(rooms, { ...message(roomId), device: phone, txn });
    const stored = rooms.events.byId(t.store, event)!;
    toClientEvent(rooms, stored, { viewer: bob, withoutRelations: true });
  };
  // With the first it is found out that the device is new.
  await send('first');
  vain = 0;
  for (let n = 0; n < 300; n++) await send(`${n}`);
  assert.equal(vain, 0);
});

test('state that says what it says already is not sent again', async () => {
  await using t = await openTestRooms();
  const roomId = await createRoom(t.rooms, { creator: alice, body: { name: 'Tea' } });
  const { tip } = findRoom(t.store, roomId)!.head;
  const first = await setState(t.rooms, roomId, alice, 'm.room.name', { name: 'Tea' });
  assert.equal(findRoom(t.store, roomId)!.head.tip, tip);
  const other = await setState(t.rooms, roomId, alice, 'm.room.name', { name: 'Coffee' });
  assert.notEqual(other, first);
  assert.notEqual(await setState(t.rooms, roomId, alice, 'm.room.name', { name: 'Tea' }), first);
});

for (const version of ROOM_VERSIONS) {
  test(`version ${version}: floats and great integers in content (T3, T4, T5)`, async () => {
    await using t = await openTestRooms();
    const roomId = await createRoom(t.rooms, { creator: alice, body: { room_version: version } });
    const strict = roomRules(version)!.strictCanonicalJson;
    for (const n of [new JsonFloat(1.5), 2n ** 60n]) {
      const content = { ...text('x'), n };
      const result = await codeOf(sendEvent(t.rooms, { roomId, sender: alice, type: 'm.room.message', content }));
      if (strict) assert.equal(result, 'M_BAD_JSON');
      else assert.match(String(result), /^\$/);
    }
  });
}

test('content that breaks limits or forms (T8, T94, T102)', async () => {
  await using t = await openTestRooms();
  const roomId = await createRoom(t.rooms, { creator: alice, body: {} });
  const send = (type: string, content: JsonObject, stateKey?: string): Promise<unknown> =>
    codeOf(
      sendEvent(t.rooms, { roomId, sender: alice, type, content, ...(stateKey === undefined ? {} : { stateKey }) }),
    );
  assert.equal(await send('m.room.message', text('x'.repeat(65_536))), 'M_TOO_LARGE');
  assert.equal(await send('x'.repeat(256), {}), 'M_TOO_LARGE');
  assert.equal(await send('x', {}, 'ä'.repeat(128)), 'M_TOO_LARGE');
  assert.equal(await send('m.room.message', text('\ud800')), 'M_BAD_JSON');
  assert.equal(await send('m.room.message', { body: 'x' }), 'M_BAD_JSON');
  assert.equal(await send('m.room.create', {}, ''), 'M_BAD_STATE');
  assert.equal(await send('m.room.name', {}, ''), 'M_BAD_JSON');
  assert.equal(await send('x', {}, bob), 'M_FORBIDDEN', "another user's state key");
  assert.equal(await send('x', {}, '@x'), 'M_FORBIDDEN');
  assert.equal(await send('m.room.server_acl', { allow: ['elsewhere'] }, ''), 'M_BAD_JSON');
  assert.equal(await send('m.room.tombstone', { body: '', replacement_room: roomId }, ''), 'M_BAD_JSON');
  for (const level of ['50', null, true, 2 ** 53]) {
    assert.equal(await send('m.room.power_levels', { ban: level }, ''), 'M_BAD_JSON', String(level));
  }
  assert.equal(await send('m.room.power_levels', { users: [] }, ''), 'M_BAD_JSON');
  assert.equal(await send('m.room.message', { ...text('x'), 'm.mentions': { user_ids: [1] } }), 'M_BAD_JSON');
});

test('an alias must point at the room before it is named', async () => {
  await using t = await openTestRooms({ aliasPointsAt: (_, alias) => alias === '#here:test' });
  const roomId = await createRoom(t.rooms, { creator: alice, body: {} });
  const name = (content: JsonObject): Promise<unknown> =>
    codeOf(setState(t.rooms, roomId, alice, 'm.room.canonical_alias', content));
  assert.equal(await name({ alias: '#other:test' }), 'M_BAD_ALIAS');
  assert.equal(await name({ alias: 'here' }), 'M_INVALID_PARAM');
  assert.equal(await name({ alias: 5 }), 'M_INVALID_PARAM');
  assert.equal(await name({ alt_aliases: '#here:test' }), 'M_INVALID_PARAM');
  assert.equal(await name({ alt_aliases: ['#here:test', '#other:test'] }), 'M_BAD_ALIAS');
  assert.match(String(await name({ alias: '#here:test', alt_aliases: ['#here:test'] })), /^\$/);
});

test('relations (T267)', async () => {
  await using t = await openTestRooms();
  const roomId = await createRoom(t.rooms, { creator: alice, body: { preset: 'public_chat' } });
  const elsewhere = await createRoom(t.rooms, { creator: alice, body: {} });
  await go(t.rooms, roomId, bob, 'join');
  const root = await say(t.rooms, roomId, alice, 'root');
  const foreign = await say(t.rooms, elsewhere, alice, 'elsewhere');
  const relate = (sender: typeof alice, rel_type: string, event_id: EventId, key?: string): Promise<unknown> => {
    const type = rel_type === 'm.annotation' ? 'm.reaction' : 'm.room.message';
    const block = { rel_type, event_id, ...(key === undefined ? {} : { key }) };
    return codeOf(
      sendEvent(t.rooms, { roomId, sender, type, content: { msgtype: 'm.text', body: '', 'm.relates_to': block } }),
    );
  };
  const reply = (await relate(alice, 'm.thread', root)) as EventId;
  assert.match(reply, /^\$/);
  assert.equal(await relate(alice, 'm.thread', reply), 'M_UNKNOWN');
  assert.equal(await relate(alice, 'm.reference', foreign), 'M_UNKNOWN');
  assert.equal(await relate(alice, 'm.reference', '$unknown' as EventId), 'M_UNKNOWN');
  const reaction = (await relate(alice, 'm.annotation', root, '👍')) as EventId;
  assert.match(reaction, /^\$/);
  assert.equal(await relate(alice, 'm.annotation', root, '👍'), 'M_DUPLICATE_ANNOTATION');
  const [one, two] = await Promise.all([
    relate(bob, 'm.annotation', root, '👍'),
    relate(bob, 'm.annotation', root, '👍'),
  ]);
  assert.match(String(one), /^\$/);
  assert.equal(two, 'M_DUPLICATE_ANNOTATION', 'sent at the same time');
  assert.match(String(await relate(alice, 'm.annotation', root, '🎉')), /^\$/);
  assert.equal(await relate(alice, 'm.annotation', root), 'M_UNKNOWN');
  assert.equal(await relate(alice, 'm.annotation', root, 'x'.repeat(501)), 'M_UNKNOWN');
  await redactEvent(t.rooms, { roomId, eventId: reaction, sender: alice });
  assert.match(String(await relate(alice, 'm.annotation', root, '👍')), /^\$/, 'the first was taken back');
});

test('levels decide who may send what (T93, T95)', async () => {
  await using t = await openTestRooms();
  const body = { preset: 'public_chat', power_level_content_override: { events_default: 50 } } as const;
  const roomId = await createRoom(t.rooms, { creator: alice, body });
  await go(t.rooms, roomId, bob, 'join');
  assert.equal(await codeOf(say(t.rooms, roomId, bob, 'hi')), 'M_FORBIDDEN');
  assert.equal(await codeOf(setState(t.rooms, roomId, bob, 'm.room.power_levels', {})), 'M_FORBIDDEN');
  const levels = { users: { [bob]: 100 }, events_default: 50, users_default: 0 };
  await setState(t.rooms, roomId, alice, 'm.room.power_levels', levels);
  await say(t.rooms, roomId, bob, 'hi');
  const higher = { ...levels, users: { [bob]: 101 } };
  assert.equal(await codeOf(setState(t.rooms, roomId, bob, 'm.room.power_levels', higher)), 'M_FORBIDDEN');
});
