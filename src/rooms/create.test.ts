import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MatrixError } from '#core/errors.js';
import type { EventId, RoomId, UserId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { ROOM_VERSIONS, roomRules } from '#core/room-versions.js';
import { type CreateRoomBody, type CreateRoomRequest, createRoom } from '#rooms/create.js';
import { changeMembership } from '#rooms/membership.js';
import { findRoom, storedStateAt } from '#rooms/rooms.js';
import { sendEvent } from '#rooms/send.js';
import { codeOf, openTestRooms, type TestRooms, user } from '#rooms/testing.js';
import { pageTimeline } from '#rooms/timeline.js';

const alice = user('alice');
const bob = user('bob');

for (const version of ROOM_VERSIONS) {
  test(`version ${version}: a room is made, joined and talked in`, async () => {
    await using t = await openTestRooms();
    const roomId: RoomId = await createRoom(t.rooms, {
      creator: alice,
      body: { room_version: version, preset: 'public_chat', name: 'Tea', topic: 'Leaves' },
    });
    await changeMembership(t.rooms, { roomId, sender: bob, target: bob, action: 'join' });
    const sent: EventId = await sendEvent(t.rooms, {
      roomId,
      sender: bob,
      type: 'm.room.message',
      content: { msgtype: 'm.text', body: 'hi' },
    });
    const room = findRoom(t.store, roomId)!;
    assert.equal(room.head.version, version);
    assert.equal(room.head.joined, 2);
    assert.deepEqual(room.head.extremities, [sent]);
    assert.equal(storedStateAt(t.rooms, t.store, room.head.state, 'm.room.name', '')?.pdu.content['name'], 'Tea');
    assert.equal(t.rooms.events.byId(t.store, sent)?.pdu.sender, bob);
    assert.equal(roomId.includes(':'), version !== '12');
  });
}

function create(t: TestRooms, body: CreateRoomBody, more: Partial<CreateRoomRequest> = {}): Promise<RoomId> {
  return createRoom(t.rooms, { creator: alice, body, ...more });
}

function stateOf(t: TestRooms, roomId: RoomId, type: string): JsonObject | undefined {
  const { state } = findRoom(t.store, roomId)!.head;
  return storedStateAt(t.rooms, t.store, state, type, '')?.pdu.content;
}

const PRESETS = {
  private_chat: ['invite', 'can_join'],
  trusted_private_chat: ['invite', 'can_join'],
  public_chat: ['public', 'forbidden'],
} as const;

for (const [preset, [joinRule, guests]] of Object.entries(PRESETS)) {
  test(`preset ${preset}`, async () => {
    await using t = await openTestRooms();
    const roomId = await create(t, { preset: preset as keyof typeof PRESETS });
    assert.deepEqual(stateOf(t, roomId, 'm.room.join_rules'), { join_rule: joinRule });
    assert.deepEqual(stateOf(t, roomId, 'm.room.guest_access'), { guest_access: guests });
    assert.deepEqual(stateOf(t, roomId, 'm.room.history_visibility'), { history_visibility: 'shared' });
  });
}

test('the visibility picks the preset, and public rooms are published in the same transaction', async () => {
  await using t = await openTestRooms();
  const listed: RoomId[] = [];
  const roomId = await create(t, { visibility: 'public' }, { publish: (_, room) => void listed.push(room) });
  assert.deepEqual(stateOf(t, roomId, 'm.room.join_rules'), { join_rule: 'public' });
  assert.deepEqual(listed, [roomId]);
  const hidden = await create(t, { visibility: 'private' }, { publish: (_, room) => void listed.push(room) });
  assert.deepEqual(stateOf(t, hidden, 'm.room.join_rules'), { join_rule: 'invite' });
  assert.equal(listed.length, 1);
});

test('the events come in the order that the specification gives', async () => {
  await using t = await openTestRooms();
  const body: CreateRoomBody = {
    room_alias_name: 'tea',
    name: 'Tea',
    topic: 'Leaves',
    invite: [bob],
    initial_state: [
      { type: 'x.custom', state_key: 'k', content: { a: 1 } },
      { type: 'm.room.name', content: { name: 'overwritten' } },
      { type: 'm.room.join_rules', content: { join_rule: 'knock' } },
    ],
  };
  const roomId = await create(t, body, { reserveAlias: () => {} });
  const { events } = await pageTimeline(t.rooms, alice, roomId, { dir: 'f', limit: 100 });
  assert.deepEqual(
    events.map(({ pdu }) => pdu.type),
    [
      'm.room.create',
      'm.room.member',
      'm.room.power_levels',
      'm.room.canonical_alias',
      'm.room.history_visibility',
      'm.room.guest_access',
      'x.custom',
      'm.room.join_rules',
      'm.room.name',
      'm.room.topic',
      'm.room.member',
    ],
  );
  assert.deepEqual(stateOf(t, roomId, 'm.room.name'), { name: 'Tea' });
  assert.deepEqual(stateOf(t, roomId, 'm.room.topic'), {
    topic: 'Leaves',
    'm.topic': { 'm.text': [{ body: 'Leaves' }] },
  });
  assert.deepEqual(stateOf(t, roomId, 'm.room.canonical_alias'), { alias: '#tea:test' });
});

for (const version of ROOM_VERSIONS) {
  const rules = roomRules(version)!;
  test(`version ${version}: who has which power at first (T122)`, async () => {
    await using t = await openTestRooms();
    const roomId = await create(t, { room_version: version, preset: 'trusted_private_chat', invite: [bob] });
    const content = stateOf(t, roomId, 'm.room.create')!;
    const levels = stateOf(t, roomId, 'm.room.power_levels')!;
    const { 'm.room.tombstone': tombstone } = levels['events'] as JsonObject;
    assert.equal(content['room_version'], version);
    assert.equal(content['creator'], rules.senderIsCreator ? undefined : alice);
    assert.deepEqual(content['additional_creators'], rules.privilegedCreators ? [bob] : undefined);
    assert.deepEqual(levels['users'], rules.privilegedCreators ? {} : { [alice]: 100, [bob]: 100 });
    assert.equal(tombstone, rules.privilegedCreators ? 150 : 100);
  });
}

test('version 12: creators in the levels, and odd additional creators, are refused (T117, T118, T258)', async () => {
  await using t = await openTestRooms();
  const levels = (users: JsonObject) => codeOf(create(t, { power_level_content_override: { users } }));
  assert.equal(await levels({ [alice]: 100 }), 'M_BAD_JSON');
  assert.match(String(await levels({ [bob]: 50 })), /^!/);
  for (const additional_creators of ['x', [5], ['not a user'], {}, null]) {
    assert.equal(await codeOf(create(t, { creation_content: { additional_creators } })), 'M_BAD_JSON');
  }
  const more = {
    preset: 'trusted_private_chat',
    invite: [bob],
    creation_content: { additional_creators: [bob, alice] },
  };
  const roomId = await create(t, more as CreateRoomBody);
  assert.deepEqual(stateOf(t, roomId, 'm.room.create')!['additional_creators'], [bob], 'each once');
});

test('bodies that make no room (T258)', async () => {
  await using t = await openTestRooms();
  const before = t.store.tip;
  const refused = async (body: CreateRoomBody, code: string) => assert.equal(await codeOf(create(t, body)), code);
  await refused({ room_version: '99' }, 'M_UNSUPPORTED_ROOM_VERSION');
  await refused({ invite: Array.from({ length: 101 }, (_, i) => user(`u${i}`)) }, 'M_INVALID_PARAM');
  await refused({ invite: ['@far:elsewhere' as UserId] }, 'M_FORBIDDEN');
  await refused({ invite_3pid: [{ medium: 'email' }] }, 'M_THREEPID_DENIED');
  await refused({ room_alias_name: 'a:b' }, 'M_INVALID_PARAM');
  await refused({ room_alias_name: 'a b' }, 'M_INVALID_PARAM');
  await refused({ initial_state: [{ type: 'm.room.create', content: {} }] }, 'M_BAD_JSON');
  await refused(
    { initial_state: [{ type: 'm.room.member', state_key: bob, content: { membership: 'join' } }] },
    'M_BAD_JSON',
  );
  await refused({ initial_state: [{ type: 'x', state_key: bob, content: {} }] }, 'M_INVALID_ROOM_STATE');
  await refused({ power_level_content_override: { ban: '50' } }, 'M_BAD_JSON');
  await refused({ room_version: '11', power_level_content_override: { users: {} } }, 'M_BAD_JSON');
  await refused({ name: 'x'.repeat(256) }, 'M_INVALID_PARAM');
  await refused({ topic: 'x'.repeat(70_000) }, 'M_TOO_LARGE');
  const levels = { users: { [alice]: 10 }, users_default: 0, state_default: 50 };
  await refused({ room_version: '11', power_level_content_override: levels, name: 'x' }, 'M_INVALID_ROOM_STATE');
  assert.deepEqual(await t.store.log(before, t.store.tip, 10), [], 'all or nothing');
});

test('the creation content can set neither version nor creator (T258)', async () => {
  await using t = await openTestRooms();
  const creation_content = { room_version: '1', creator: bob, 'm.federate': false, type: 'm.space' };
  const roomId = await create(t, { room_version: '10', creation_content });
  assert.deepEqual(stateOf(t, roomId, 'm.room.create'), {
    room_version: '10',
    creator: alice,
    'm.federate': false,
    type: 'm.space',
  });
});

test('an alias that is taken undoes the whole room', async () => {
  await using t = await openTestRooms();
  const before = t.store.tip;
  const reserveAlias = () => {
    throw new MatrixError('M_ROOM_IN_USE', 'taken');
  };
  assert.equal(await codeOf(create(t, { room_alias_name: 'tea' }, { reserveAlias })), 'M_ROOM_IN_USE');
  assert.deepEqual(await t.store.log(before, t.store.tip, 10), []);
});

test('rooms made alike in the same millisecond are different rooms', async () => {
  await using t = await openTestRooms();
  const made = await Promise.all(Array.from({ length: 50 }, () => create(t, {})));
  assert.equal(new Set(made).size, 50);
});

test('version 12: the strongest admin has no power over a creator (T119)', async () => {
  await using t = await openTestRooms();
  const users = { [bob]: Number.MAX_SAFE_INTEGER };
  const roomId = await create(t, { preset: 'public_chat', power_level_content_override: { users } });
  await changeMembership(t.rooms, { roomId, sender: bob, target: bob, action: 'join' });
  for (const action of ['kick', 'ban'] as const) {
    const against = (sender: UserId, target: UserId) =>
      codeOf(changeMembership(t.rooms, { roomId, sender, target, action }));
    assert.equal(await against(bob, alice), 'M_FORBIDDEN');
  }
  const kicked = await codeOf(changeMembership(t.rooms, { roomId, sender: alice, target: bob, action: 'kick' }));
  assert.match(String(kicked), /^\$/);
});
