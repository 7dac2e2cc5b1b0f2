import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Draft, Pdu } from '#core/event/pdu.js';
import type { RoomId } from '#core/ids.js';
import { ROOM_VERSIONS } from '#core/room-versions.js';
import { toClientEvent } from '#rooms/client-form.js';
import { createRoom } from '#rooms/create.js';
import { changeMembership } from '#rooms/membership.js';
import { findRoom, memberOf, type Rooms, storedStateAt } from '#rooms/rooms.js';
import { attach, forge, go, openTestRooms, say, setState, takeIn, user } from '#rooms/testing.js';
import { pageTimeline } from '#rooms/timeline.js';

const alice = user('alice');
const bob = user('bob');

function message(body: string, sender = bob): Draft {
  return { type: 'm.room.message', sender, content: { msgtype: 'm.text', body } };
}

function stateNow(rooms: Rooms, roomId: RoomId, type: string): Pdu['content'] | undefined {
  const { state } = findRoom(rooms.store, roomId)!.head;
  return storedStateAt(rooms, rooms.store, state, type, '')?.pdu.content;
}

for (const room_version of ROOM_VERSIONS) {
  test(`version ${room_version}: a fork is resolved, and the next event joins it`, async () => {
    await using t = await openTestRooms();
    const roomId = await createRoom(t.rooms, { creator: alice, body: { room_version, preset: 'public_chat' } });
    await go(t.rooms, roomId, bob, 'join');
    const base = await say(t.rooms, roomId, alice, 'base');
    const name = await setState(t.rooms, roomId, alice, 'm.room.name', { name: 'Left' });
    const topic: Draft = { type: 'm.room.topic', state_key: '', sender: alice, content: { topic: 'Right' } };
    const right = await attach(t.rooms, roomId, topic, [base]);
    assert.equal(right.outcome, 'accepted');
    const forked = findRoom(t.store, roomId)!;
    assert.deepEqual([...forked.head.extremities].sort(), [name, right.pdu.event_id].sort());
    assert.deepEqual(stateNow(t.rooms, roomId, 'm.room.name'), { name: 'Left' });
    assert.deepEqual(stateNow(t.rooms, roomId, 'm.room.topic'), { topic: 'Right' });
    const joining = await say(t.rooms, roomId, bob, 'both');
    const joined = findRoom(t.store, roomId)!;
    assert.deepEqual(joined.head.extremities, [joining]);
    assert.equal(joined.head.state, forked.head.state);
    assert.equal(t.rooms.events.byId(t.store, joining)!.pdu.prev_events.length, 2);
  });

  test(`version ${room_version}: a ban on one side of a fork outweighs what the other side says`, async () => {
    await using t = await openTestRooms();
    const roomId = await createRoom(t.rooms, { creator: alice, body: { room_version, preset: 'public_chat' } });
    const joined = await go(t.rooms, roomId, bob, 'join');
    await changeMembership(t.rooms, { roomId, sender: alice, target: bob, action: 'ban' });
    assert.equal(memberOf(t.store, findRoom(t.store, roomId)!, bob)!.membership, 'ban');
    const rename: Draft = {
      type: 'm.room.member',
      state_key: bob,
      sender: bob,
      content: { membership: 'join', displayname: 'Still here' },
    };
    const late = await attach(t.rooms, roomId, rename, [joined]);
    assert.equal(late.outcome, 'softFailed');
    const room = findRoom(t.store, roomId)!;
    assert.equal(memberOf(t.store, room, bob)!.membership, 'ban');
    assert.equal(room.head.extremities.length, 1);
  });
}

test('a soft-failed event is shown to nobody, is no extremity, and what joins over it goes on (T109, T110)', async () => {
  await using t = await openTestRooms();
  const roomId = await createRoom(t.rooms, { creator: alice, body: { preset: 'public_chat' } });
  await go(t.rooms, roomId, bob, 'join');
  const base = await say(t.rooms, roomId, bob, 'hi');
  const ban = await changeMembership(t.rooms, { roomId, sender: alice, target: bob, action: 'ban' });
  const first = await attach(t.rooms, roomId, message('one'), [base]);
  const second = await attach(t.rooms, roomId, message('two'), [first.pdu.event_id]);
  assert.deepEqual([first.outcome, second.outcome], ['softFailed', 'softFailed']);
  assert.deepEqual(findRoom(t.store, roomId)!.head.extremities, [ban]);
  const next = await attach(t.rooms, roomId, message('three', alice), [ban, second.pdu.event_id]);
  assert.equal(next.outcome, 'accepted');
  assert.deepEqual(findRoom(t.store, roomId)!.head.extremities, [next.pdu.event_id]);
  const { events } = await pageTimeline(t.rooms, alice, roomId, { dir: 'b', limit: 3 });
  assert.deepEqual(
    events.map((event) => event.pdu.event_id),
    [next.pdu.event_id, ban, base],
  );
});

test('fifty rejected and fifty soft-failed events in a row do not end the paging (T281)', async () => {
  await using t = await openTestRooms();
  const roomId = await createRoom(t.rooms, { creator: alice, body: { preset: 'public_chat' } });
  const oldest = await say(t.rooms, roomId, alice, 'the oldest');
  const joined = await go(t.rooms, roomId, bob, 'join');
  const ban = await changeMembership(t.rooms, { roomId, sender: alice, target: bob, action: 'ban' });
  for (let i = 0; i < 50; i++) {
    const softFailed = await attach(t.rooms, roomId, message(`${i}`), [joined]);
    const rejected = await attach(t.rooms, roomId, message(`${i}`, user('stranger')), [ban]);
    assert.deepEqual([softFailed.outcome, rejected.outcome], ['softFailed', 'rejected']);
  }
  const newest = await say(t.rooms, roomId, alice, 'the newest');
  const seen: string[] = [];
  let from: number | undefined;
  do {
    const page = await pageTimeline(t.rooms, alice, roomId, {
      dir: 'b',
      limit: 1,
      ...(from !== undefined && { from }),
    });
    seen.push(...page.events.map(({ pdu }) => pdu.event_id));
    from = page.end;
  } while (from !== undefined && seen.length < 20);
  assert.deepEqual(seen.slice(0, 4), [newest, ban, joined, oldest]);
});

test('a rejected event changes nothing, and what builds on it has the state before it (T90)', async () => {
  await using t = await openTestRooms();
  const roomId = await createRoom(t.rooms, { creator: alice, body: { preset: 'public_chat' } });
  await go(t.rooms, roomId, bob, 'join');
  const tip = await say(t.rooms, roomId, alice, 'tip');
  const { state } = findRoom(t.store, roomId)!.head;
  const coup: Draft = { type: 'm.room.name', state_key: '', sender: bob, content: { name: 'Mine' } };
  const rejected = await attach(t.rooms, roomId, coup, [tip]);
  assert.equal(rejected.outcome, 'rejected');
  assert.deepEqual(findRoom(t.store, roomId)!.head.extremities, [tip]);
  assert.equal(findRoom(t.store, roomId)!.head.state, state);
  const next = await attach(t.rooms, roomId, message('on'), [rejected.pdu.event_id]);
  assert.equal(next.outcome, 'accepted');
  assert.equal(next.stateBefore, state);
  assert.deepEqual(findRoom(t.store, roomId)!.head.extremities, [next.pdu.event_id], 'the tip lies below both');
});

test('a redaction that comes before its event takes effect when that comes', async () => {
  await using t = await openTestRooms();
  const roomId = await createRoom(t.rooms, { creator: alice, body: { preset: 'public_chat' } });
  await go(t.rooms, roomId, bob, 'join');
  const base = await say(t.rooms, roomId, alice, 'base');
  const late = await forge(t.rooms, roomId, message('late'), [base]);
  const redaction: Draft = { type: 'm.room.redaction', sender: alice, content: {}, redacts: late.event_id };
  await attach(t.rooms, roomId, redaction, [base]);
  const stored = await takeIn(t.rooms, roomId, late);
  assert.deepEqual(toClientEvent(t.rooms, stored, { viewer: alice })['content'], {});
});

test('T137: after a hundred forks an event cites twenty ends at most, and the ends grow fewer', async () => {
  await using t = await openTestRooms();
  const roomId = await createRoom(t.rooms, { creator: alice, body: { preset: 'public_chat' } });
  await go(t.rooms, roomId, bob, 'join');
  const base = await say(t.rooms, roomId, alice, 'base');
  for (let i = 0; i < 100; i++) await attach(t.rooms, roomId, message(`fork ${i}`), [base]);
  const ends = (): number => findRoom(t.store, roomId)!.head.extremities.length;
  assert.equal(ends(), 100);
  let before = ends();
  while (before > 1) {
    const id = await say(t.rooms, roomId, alice, 'joining');
    const cited = t.rooms.events.byId(t.store, id)!.pdu.prev_events.length;
    assert.ok(cited >= 2 && cited <= 20, `${cited} are cited`);
    assert.ok(ends() < before);
    before = ends();
  }
});

test('history goes below what is held and changes nothing of now', async () => {
  await using t = await openTestRooms();
  const roomId = await createRoom(t.rooms, { creator: alice, body: { preset: 'public_chat' } });
  const first = await say(t.rooms, roomId, alice, 'first');
  const before = findRoom(t.store, roomId)!;
  const { tip } = t.store;
  const parents = t.rooms.events.byId(t.store, first)!.pdu.prev_events;
  const old = await takeIn(t.rooms, roomId, await forge(t.rooms, roomId, message('older', alice), parents), false);
  const after = findRoom(t.store, roomId)!;
  assert.deepEqual(after.head.extremities, before.head.extremities);
  assert.equal(after.head.oldest, old.order);
  assert.deepEqual(await t.store.log(tip, t.store.tip, 10), []);
  const { events } = await pageTimeline(t.rooms, alice, roomId, { dir: 'f', limit: 1 });
  assert.equal(events[0]!.pdu.event_id, old.pdu.event_id);
});

test('observers are told of each accepted event inside its transaction', async () => {
  await using t = await openTestRooms();
  const told: string[] = [];
  t.rooms.observers.push((tx, stored, context) => {
    assert.equal(t.rooms.events.get(tx, stored.num), stored);
    assert.equal(findRoom(tx, stored.pdu.room_id)!.head.tip, context.room.head.tip);
    told.push(stored.pdu.type);
  });
  const roomId = await createRoom(t.rooms, { creator: alice, body: {} });
  await say(t.rooms, roomId, alice, 'hi');
  assert.equal(told[0], 'm.room.create');
  assert.equal(told.at(-1), 'm.room.message');
});
