import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MatrixError } from '#core/errors.js';
import type { RoomId, UserId } from '#core/ids.js';
import { ROOM_VERSIONS, roomRules } from '#core/room-versions.js';
import { createRoom } from '#rooms/create.js';
import { changeMembership, forgetRoom, type MembershipAction } from '#rooms/membership.js';
import { findRoom, memberOf, type Rooms, storedStateAt } from '#rooms/rooms.js';
import { sendEvent } from '#rooms/send.js';
import { codeOf, go, openTestRooms, say, setState, user } from '#rooms/testing.js';
import { memberships } from '#store/schema.js';

const alice = user('alice');
const bob = user('bob');
const carol = user('carol');

function act(rooms: Rooms, roomId: RoomId, sender: UserId, action: MembershipAction, target: UserId): Promise<unknown> {
  return codeOf(changeMembership(rooms, { roomId, sender, target, action }));
}

function membershipNow(rooms: Rooms, roomId: RoomId, who: UserId): string | undefined {
  return memberOf(rooms.store, findRoom(rooms.store, roomId)!, who)?.membership;
}

for (const room_version of ROOM_VERSIONS) {
  test(`version ${room_version}: invite, join, kick, ban, unban, leave (T97, T101)`, async () => {
    await using t = await openTestRooms();
    const roomId = await createRoom(t.rooms, { creator: alice, body: { room_version, preset: 'private_chat' } });
    assert.equal(await act(t.rooms, roomId, bob, 'join', bob), 'M_FORBIDDEN');
    assert.equal(await act(t.rooms, roomId, bob, 'invite', carol), 'M_FORBIDDEN');
    await act(t.rooms, roomId, alice, 'invite', bob);
    assert.equal(membershipNow(t.rooms, roomId, bob), 'invite');
    assert.equal(findRoom(t.store, roomId)!.head.invited, 1);
    const joined = await act(t.rooms, roomId, bob, 'join', bob);
    assert.equal(await act(t.rooms, roomId, bob, 'join', bob), joined, 'joining again changes nothing');
    assert.equal(await act(t.rooms, roomId, alice, 'invite', bob), 'M_FORBIDDEN');
    assert.equal(await act(t.rooms, roomId, bob, 'kick', alice), 'M_FORBIDDEN');
    assert.equal(await act(t.rooms, roomId, alice, 'kick', carol), 'M_FORBIDDEN', 'not in the room');
    await act(t.rooms, roomId, alice, 'kick', bob);
    assert.equal(membershipNow(t.rooms, roomId, bob), 'leave');
    assert.equal(await act(t.rooms, roomId, alice, 'kick', bob), 'M_FORBIDDEN', 'kicked already');
    assert.equal(await act(t.rooms, roomId, alice, 'unban', bob), 'M_BAD_STATE');
    await act(t.rooms, roomId, alice, 'ban', bob);
    assert.equal(await act(t.rooms, roomId, alice, 'invite', bob), 'M_BAD_STATE');
    assert.equal(await act(t.rooms, roomId, bob, 'join', bob), 'M_FORBIDDEN');
    assert.equal(await act(t.rooms, roomId, bob, 'unban', bob), 'M_FORBIDDEN');
    await act(t.rooms, roomId, alice, 'unban', bob);
    await act(t.rooms, roomId, alice, 'invite', bob);
    await act(t.rooms, roomId, bob, 'leave', bob);
    assert.equal(membershipNow(t.rooms, roomId, bob), 'leave', 'the invite is rejected');
    assert.deepEqual([findRoom(t.store, roomId)!.head.joined, findRoom(t.store, roomId)!.head.invited], [1, 0]);
  });
}

test('who is not in the room can do nothing in it, known or not (T254)', async () => {
  await using t = await openTestRooms();
  const roomId = await createRoom(t.rooms, { creator: alice, body: {} });
  const nowhere = '!nowhere:test' as RoomId;
  for (const room of [roomId, nowhere]) {
    assert.equal(await codeOf(say(t.rooms, room, bob, 'hi')), 'M_FORBIDDEN');
    assert.equal(await codeOf(setState(t.rooms, room, bob, 'm.room.name', { name: 'x' })), 'M_FORBIDDEN');
    assert.equal(await act(t.rooms, room, bob, 'invite', carol), 'M_FORBIDDEN');
    assert.equal(await act(t.rooms, room, bob, 'leave', bob), 'M_FORBIDDEN');
    assert.equal(await codeOf(forgetRoom(t.rooms, bob, room)), 'M_FORBIDDEN');
  }
  assert.equal(await act(t.rooms, nowhere, bob, 'join', bob), 'M_NOT_FOUND');
});

test('an invited user finds the stripped state of the room, the create event included', async () => {
  await using t = await openTestRooms();
  const body = { name: 'Tea', invite: [bob], is_direct: true, room_alias_name: 'tea' };
  const roomId = await createRoom(t.rooms, { creator: alice, body, reserveAlias: () => {} });
  const row = t.store.get(memberships, [bob, findRoom(t.store, roomId)!.num])!;
  assert.equal(row.membership, 'invite');
  const types = row.stripped!.map((event) => event['type']);
  for (const type of ['m.room.create', 'm.room.name', 'm.room.join_rules', 'm.room.canonical_alias', 'm.room.member']) {
    assert.ok(types.includes(type), type);
  }
  const own = row.stripped!.find((event) => event['state_key'] === bob)!;
  assert.deepEqual(own['content'], { membership: 'invite', is_direct: true });
  assert.equal(own['event_id'], undefined);
});

for (const room_version of ROOM_VERSIONS) {
  const rules = roomRules(room_version)!;
  test(`version ${room_version}: knocking is ${rules.knock ? 'let in' : 'refused'} (T98)`, async () => {
    await using t = await openTestRooms();
    const roomId = await createRoom(t.rooms, { creator: alice, body: { room_version } });
    assert.equal(await act(t.rooms, roomId, bob, 'knock', bob), 'M_FORBIDDEN', 'join rule invite');
    await setState(t.rooms, roomId, alice, 'm.room.join_rules', { join_rule: 'knock' });
    const knocked = await act(t.rooms, roomId, bob, 'knock', bob);
    if (!rules.knock) return assert.equal(knocked, 'M_FORBIDDEN');
    const row = t.store.get(memberships, [bob, findRoom(t.store, roomId)!.num])!;
    assert.equal(row.membership, 'knock');
    assert.ok(row.stripped!.some((event) => event['type'] === 'm.room.create'));
    await act(t.rooms, roomId, bob, 'leave', bob);
    assert.equal(membershipNow(t.rooms, roomId, bob), 'leave', 'the knock is taken back');
    await act(t.rooms, roomId, bob, 'knock', bob);
    await act(t.rooms, roomId, alice, 'invite', bob);
    await act(t.rooms, roomId, bob, 'join', bob);
    assert.equal(await act(t.rooms, roomId, bob, 'knock', bob), 'M_FORBIDDEN', 'joined already');
  });

  test(`version ${room_version}: a restricted room ${rules.restrictedJoin ? 'lets members of another in' : 'lets nobody in'}`, async () => {
    await using t = await openTestRooms();
    const space = await createRoom(t.rooms, { creator: alice, body: { preset: 'public_chat' } });
    const allow = [{ type: 'm.room_membership', room_id: space }];
    const content = { join_rule: 'restricted', allow };
    const body = { room_version, initial_state: [{ type: 'm.room.join_rules', content }] };
    const roomId = await createRoom(t.rooms, { creator: alice, body });
    assert.equal(await act(t.rooms, roomId, bob, 'join', bob), 'M_FORBIDDEN');
    await go(t.rooms, space, bob, 'join');
    const result = await act(t.rooms, roomId, bob, 'join', bob);
    if (!rules.restrictedJoin) return assert.equal(result, 'M_FORBIDDEN');
    const room = findRoom(t.store, roomId)!;
    const member = storedStateAt(t.rooms, t.store, room.head.state, 'm.room.member', bob)!.pdu;
    assert.equal(member.content['membership'], 'join');
    assert.equal(member.content['join_authorised_via_users_server'], alice);
  });
}

test('a restricted room lets nobody in once no local user may invite (T99)', async () => {
  await using t = await openTestRooms();
  const space = await createRoom(t.rooms, { creator: alice, body: { preset: 'public_chat' } });
  await go(t.rooms, space, bob, 'join');
  const content = { join_rule: 'restricted', allow: [{ type: 'm.room_membership', room_id: space }] };
  const body = { invite: [carol], initial_state: [{ type: 'm.room.join_rules', content }] };
  const roomId = await createRoom(t.rooms, { creator: alice, body });
  await go(t.rooms, roomId, carol, 'join');
  await go(t.rooms, roomId, alice, 'leave');
  assert.equal(await act(t.rooms, roomId, bob, 'join', bob), 'M_FORBIDDEN', 'carol has no power to invite');
});

test('clients can not say by whom they were let in (T99)', async () => {
  await using t = await openTestRooms();
  const roomId = await createRoom(t.rooms, { creator: alice, body: { preset: 'public_chat' } });
  const content = { membership: 'join', join_authorised_via_users_server: alice, displayname: 'B' };
  await sendEvent(t.rooms, { roomId, sender: bob, type: 'm.room.member', stateKey: bob, content });
  const room = findRoom(t.store, roomId)!;
  const member = storedStateAt(t.rooms, t.store, room.head.state, 'm.room.member', bob)!.pdu;
  assert.deepEqual(member.content, { membership: 'join', displayname: 'B' });
  assert.equal(memberOf(t.store, room, bob)!.displayname, 'B');
});

test('member events by the state endpoint (T102, T103)', async () => {
  await using t = await openTestRooms();
  const roomId = await createRoom(t.rooms, { creator: alice, body: { preset: 'public_chat' } });
  const send = (stateKey: string, content: Record<string, string | number>): Promise<unknown> =>
    codeOf(sendEvent(t.rooms, { roomId, sender: alice, type: 'm.room.member', stateKey, content }));
  assert.equal(await send(bob, { membership: 'join' }), 'M_FORBIDDEN');
  assert.equal(await send(bob, {}), 'M_BAD_JSON');
  assert.equal(await send(bob, { membership: 5 }), 'M_BAD_JSON');
  assert.equal(await send(bob, { membership: 'foo' }), 'M_BAD_JSON');
  assert.equal(await send('@x', { membership: 'invite' }), 'M_INVALID_PARAM');
  assert.equal(await send(alice, { membership: 'join', displayname: 'x'.repeat(257) }), 'M_BAD_JSON');
  assert.equal(await send(alice, { membership: 'join', displayname: 5 }), 'M_BAD_JSON');
  assert.match(String(await send(bob, { membership: 'invite' })), /^\$/);
  assert.match(String(await send(bob, { membership: 'leave' })), /^\$/);
});

test('forgetting: only what was left, and the room is gone until the user comes back', async () => {
  await using t = await openTestRooms();
  const roomId = await createRoom(t.rooms, { creator: alice, body: { preset: 'public_chat' } });
  await go(t.rooms, roomId, bob, 'join');
  assert.equal(await codeOf(forgetRoom(t.rooms, bob, roomId)), 'M_UNKNOWN');
  await go(t.rooms, roomId, bob, 'leave');
  await forgetRoom(t.rooms, bob, roomId);
  const { num } = findRoom(t.store, roomId)!;
  assert.equal(t.store.get(memberships, [bob, num])!.forgotten, true);
  await act(t.rooms, roomId, alice, 'ban', bob);
  assert.equal(t.store.get(memberships, [bob, num])!.forgotten, true, 'a ban does not bring it back');
  await act(t.rooms, roomId, alice, 'unban', bob);
  await go(t.rooms, roomId, bob, 'join');
  assert.equal(t.store.get(memberships, [bob, num])!.forgotten, undefined);
});

test('guests join where guests may', async () => {
  await using t = await openTestRooms();
  const closed = await createRoom(t.rooms, { creator: alice, body: { preset: 'public_chat' } });
  const join = (roomId: RoomId): Promise<unknown> =>
    codeOf(changeMembership(t.rooms, { roomId, sender: bob, target: bob, action: 'join', guest: true }));
  assert.equal(await join(closed), 'M_GUEST_ACCESS_FORBIDDEN');
  await setState(t.rooms, closed, alice, 'm.room.guest_access', { guest_access: 'can_join' });
  assert.match(String(await join(closed)), /^\$/);
});

test('each change of a local membership is told in the log, after the event', async () => {
  await using t = await openTestRooms();
  const before = t.store.tip;
  const roomId = await createRoom(t.rooms, { creator: alice, body: { invite: [bob] } });
  const { num } = findRoom(t.store, roomId)!;
  const facts = await t.store.log(before, t.store.tip, 1_000);
  const told = facts.filter(({ fact }) => fact.kind === 'membership');
  assert.deepEqual(
    told.map(({ fact }) => fact),
    [alice, bob].map((who) => ({ kind: 'membership', room: num, user: who })),
  );
  const invite = t.store.get(memberships, [bob, num])!;
  assert.ok(told[1]!.position > invite.position);
  assert.equal(invite.position, invite.event);
});

test('a user whom a hook refuses is not invited, and the error is the hook’s', async () => {
  await using t = await openTestRooms({
    checkInvite: (_, __, target) => {
      if (target === carol) throw new MatrixError('M_INVITE_BLOCKED', 'no');
    },
  });
  assert.equal(await codeOf(createRoom(t.rooms, { creator: alice, body: { invite: [carol] } })), 'M_INVITE_BLOCKED');
  assert.equal(t.store.get(memberships, [alice, 1]), undefined);
  const roomId = await createRoom(t.rooms, { creator: alice, body: { invite: [bob] } });
  assert.equal(await act(t.rooms, roomId, alice, 'invite', carol), 'M_INVITE_BLOCKED');
});
