import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RoomAlias, type RoomId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { ROOM_VERSIONS } from '#core/room-versions.js';
import { createRoom } from '#rooms/create.js';
import { addAlias, addAliasIn, isPublished, listAliases, publishIn, resolveAlias } from '#rooms/directory.js';
import { changeMembership } from '#rooms/membership.js';
import { findRoom, memberOf, type RoomHooks, type Rooms, storedStateAt } from '#rooms/rooms.js';
import { sendEvent } from '#rooms/send.js';
import { codeOf, openTestRooms, user } from '#rooms/testing.js';
import { upgradeRoom } from '#rooms/upgrade.js';

const alice = user('alice');
const bob = user('bob');
const carol = user('carol');
const hooks: Partial<RoomHooks> = {
  aliasPointsAt: (reader, alias, room) => RoomAlias.is(alias) && resolveAlias(reader, alias)?.roomId === room,
};

function state(rooms: Rooms, room: RoomId, type: string, key = ''): JsonObject | undefined {
  return storedStateAt(rooms, rooms.store, findRoom(rooms.store, room)!.head.state, type, key)?.pdu.content;
}

function set(rooms: Rooms, roomId: RoomId, type: string, content: JsonObject, stateKey = ''): Promise<unknown> {
  return sendEvent(rooms, { roomId, sender: alice, type, stateKey, content });
}

for (const [from, to] of [
  ...ROOM_VERSIONS.map((version) => [version, '12'] as const),
  ['12', '10'],
  ['12', '12'],
  ['10', '6'],
] as const) {
  test(`from version ${from} to ${to}: what the room is goes over, and the old one is closed`, async () => {
    await using t = await openTestRooms(hooks);
    const { rooms } = t;
    const old = await createRoom(rooms, {
      creator: alice,
      body: {
        room_version: from,
        preset: 'public_chat',
        visibility: 'public',
        name: 'Tea',
        topic: 'Leaves',
        room_alias_name: 'tea',
        creation_content: { 'm.federate': false },
        initial_state: [
          { type: 'm.room.encryption', content: { algorithm: 'm.megolm.v1.aes-sha2' } },
          { type: 'm.room.server_acl', content: { allow: ['*'], deny: ['evil.test'] } },
          { type: 'm.room.avatar', content: { url: 'mxc://test/a' } },
          { type: 'org.example.other', content: { stays: true } },
        ],
      },
      reserveAlias: addAliasIn,
      publish: (tx, room) => publishIn(rooms, tx, room),
    });
    for (const who of [bob, carol])
      await changeMembership(rooms, { roomId: old, sender: who, target: who, action: 'join' });
    await addAlias(rooms, bob, RoomAlias.parse('#leaves:test')!, old);
    await changeMembership(rooms, { roomId: old, sender: alice, target: carol, action: 'ban', reason: 'noise' });
    const to_ = await upgradeRoom(rooms, { roomId: old, user: alice, version: to });

    const create = state(rooms, to_, 'm.room.create')!;
    assert.equal(create['room_version'], to);
    assert.equal((create['predecessor'] as JsonObject)['room_id'], old);
    assert.equal(Object.hasOwn(create['predecessor'] as JsonObject, 'event_id'), to !== '12');
    assert.equal(create['m.federate'], false);
    assert.equal(state(rooms, to_, 'm.room.name')?.['name'], 'Tea');
    assert.equal(state(rooms, to_, 'm.room.topic')?.['topic'], 'Leaves');
    assert.equal(state(rooms, to_, 'm.room.avatar')?.['url'], 'mxc://test/a');
    assert.equal(state(rooms, to_, 'm.room.join_rules')?.['join_rule'], 'public');
    assert.equal(state(rooms, to_, 'm.room.guest_access')?.['guest_access'], 'forbidden');
    assert.equal(state(rooms, to_, 'm.room.encryption')?.['algorithm'], 'm.megolm.v1.aes-sha2');
    assert.deepEqual(state(rooms, to_, 'm.room.server_acl')?.['deny'], ['evil.test']);
    assert.equal(state(rooms, to_, 'org.example.other'), undefined);
    assert.deepEqual(state(rooms, to_, 'm.room.member', carol), { membership: 'ban', reason: 'noise' });
    assert.equal(memberOf(t.store, findRoom(t.store, to_)!, bob), undefined, 'nobody is joined unasked');
    assert.deepEqual(await listAliases(rooms, to_), ['#leaves:test', '#tea:test']);
    assert.deepEqual(await listAliases(rooms, old), []);
    assert.deepEqual(state(rooms, to_, 'm.room.canonical_alias'), { alias: '#tea:test' });
    assert.deepEqual(state(rooms, old, 'm.room.canonical_alias'), {});
    assert.deepEqual([isPublished(rooms, old), isPublished(rooms, to_)], [false, true]);
    assert.equal(state(rooms, old, 'm.room.tombstone')?.['replacement_room'], to_);
    const closed = state(rooms, old, 'm.room.power_levels')!;
    assert.deepEqual([closed['events_default'], closed['invite']], [50, 50]);
    const say = { roomId: old, sender: bob, type: 'm.room.message', content: { msgtype: 'm.text', body: 'hello?' } };
    assert.equal(await codeOf(sendEvent(rooms, say)), 'M_FORBIDDEN');
    await sendEvent(rooms, { ...say, roomId: to_, sender: alice });
  });
}

test('power levels: creators are listed only where they have no infinite power (T259)', async () => {
  await using t = await openTestRooms(hooks);
  const { rooms } = t;
  const old = await createRoom(rooms, { creator: alice, body: { room_version: '11', preset: 'public_chat' } });
  await changeMembership(rooms, { roomId: old, sender: bob, target: bob, action: 'join' });
  const levels = { ...state(rooms, old, 'm.room.power_levels'), users: { [alice]: 100, [bob]: 100, [carol]: 60 } };
  await set(rooms, old, 'm.room.power_levels', levels);
  const second = await upgradeRoom(rooms, { roomId: old, user: bob, version: '12', additionalCreators: [carol] });
  assert.deepEqual(state(rooms, second, 'm.room.create')?.['additional_creators'], [carol]);
  const now = state(rooms, second, 'm.room.power_levels')!;
  assert.deepEqual(now['users'], { [alice]: 100 });
  assert.equal((now['events'] as JsonObject)['m.room.tombstone'], 150, 'only creators upgrade it');
  const third = await upgradeRoom(rooms, { roomId: second, user: bob, version: '11' });
  assert.deepEqual(state(rooms, third, 'm.room.power_levels')?.['users'], { [alice]: 100, [bob]: 150, [carol]: 150 });
  assert.equal(state(rooms, third, 'm.room.create')?.['additional_creators'], undefined);
});

test('who may upgrade but not set all that is carried over ends with the level they had', async () => {
  await using t = await openTestRooms(hooks);
  const { rooms } = t;
  const old = await createRoom(rooms, {
    creator: alice,
    body: {
      room_version: '10',
      preset: 'public_chat',
      initial_state: [{ type: 'm.room.server_acl', content: { allow: ['*'] } }],
    },
  });
  await changeMembership(rooms, { roomId: old, sender: bob, target: bob, action: 'join' });
  const before = state(rooms, old, 'm.room.power_levels')!;
  const events = { ...(before['events'] as JsonObject), 'm.room.tombstone': 50 };
  await set(rooms, old, 'm.room.power_levels', { ...before, events, users: { [alice]: 100, [bob]: 50 } });
  const to = await upgradeRoom(rooms, { roomId: old, user: bob, version: '11' });
  assert.deepEqual(state(rooms, to, 'm.room.server_acl'), { allow: ['*'] });
  assert.deepEqual(state(rooms, to, 'm.room.power_levels')?.['users'], { [alice]: 100, [bob]: 50 });
});

test('a refused or failed upgrade leaves the old room as it was (T259)', async () => {
  await using t = await openTestRooms(hooks);
  const { rooms } = t;
  const old = await createRoom(rooms, { creator: alice, body: { room_version: '10', preset: 'public_chat' } });
  await changeMembership(rooms, { roomId: old, sender: bob, target: bob, action: 'join' });
  const before = findRoom(t.store, old)!.head;
  const upgrade = (who: typeof alice, version: string, more = {}) =>
    codeOf(upgradeRoom(rooms, { roomId: old, user: who, version, ...more }));
  assert.equal(await upgrade(alice, '99'), 'M_UNSUPPORTED_ROOM_VERSION');
  assert.equal(await upgrade(bob, '12'), 'M_FORBIDDEN');
  assert.equal(await upgrade(carol, '12'), 'M_FORBIDDEN');
  assert.equal(await upgrade(alice, '12', { additionalCreators: ['nobody'] }), 'M_BAD_JSON');
  assert.deepEqual(findRoom(t.store, old)!.head, before);
});

test('links of spaces lead to the new room where the upgrader may change them', async () => {
  await using t = await openTestRooms(hooks);
  const { rooms } = t;
  const space = await createRoom(rooms, { creator: alice, body: { creation_content: { type: 'm.space' } } });
  const foreign = await createRoom(rooms, { creator: bob, body: { creation_content: { type: 'm.space' } } });
  const room = await createRoom(rooms, { creator: alice, body: { room_version: '11' } });
  const link = { via: ['test'], order: 'a' };
  await set(rooms, space, 'm.space.child', link, room);
  await sendEvent(rooms, { roomId: foreign, sender: bob, type: 'm.space.child', stateKey: room, content: link });
  await set(rooms, room, 'm.space.parent', { via: ['test'], canonical: true }, space);
  await set(rooms, room, 'm.space.parent', { via: ['test'] }, foreign);
  const to = await upgradeRoom(rooms, { roomId: room, user: alice, version: '12' });
  assert.deepEqual(state(rooms, to, 'm.space.parent', space), { via: ['test'], canonical: true });
  assert.deepEqual(state(rooms, space, 'm.space.child', to), link);
  assert.deepEqual(state(rooms, space, 'm.space.child', room), {});
  assert.deepEqual(state(rooms, foreign, 'm.space.child', room), link, 'not hers to change');
  assert.equal(state(rooms, foreign, 'm.space.child', to), undefined);
  const newSpace = await upgradeRoom(rooms, { roomId: space, user: alice, version: '12' });
  assert.equal(state(rooms, newSpace, 'm.room.create')?.['type'], 'm.space');
  assert.deepEqual(state(rooms, newSpace, 'm.space.child', to), link);
  assert.equal(state(rooms, newSpace, 'm.space.child', room), undefined, 'taken back before');
  assert.deepEqual(state(rooms, to, 'm.space.parent', newSpace), { via: ['test'], canonical: true });
});
