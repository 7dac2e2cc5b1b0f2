import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventId, RoomId, UserId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { toClientEvent } from '#rooms/client-form.js';
import { createRoom } from '#rooms/create.js';
import { joinedMembers, listMembers, readState, readStateEvent } from '#rooms/members.js';
import { changeMembership, forgetRoom } from '#rooms/membership.js';
import type { Rooms } from '#rooms/rooms.js';
import { codeOf, go, openTestRooms, say, setState, user } from '#rooms/testing.js';
import { eventByTimestamp, eventContext, pageTimeline } from '#rooms/timeline.js';
import { getEvent } from '#rooms/visibility.js';

const alice = user('alice');
const bob = user('bob');
const carol = user('carol');

type Moment = 'before' | 'invited' | 'joined' | 'left' | 'back';

/** A room with the given history visibility in which alice says something at each stage of bob's way through it. */
async function story(
  rooms: Rooms,
  history_visibility: string,
): Promise<{ roomId: RoomId; said: Map<Moment, EventId> }> {
  const body = {
    initial_state: [{ type: 'm.room.history_visibility', content: { history_visibility } }],
  };
  const roomId = await createRoom(rooms, { creator: alice, body });
  const said = new Map<Moment, EventId>();
  const speak = async (moment: Moment) => said.set(moment, await say(rooms, roomId, alice, moment));
  await speak('before');
  await changeMembership(rooms, { roomId, sender: alice, target: bob, action: 'invite' });
  await speak('invited');
  await go(rooms, roomId, bob, 'join');
  await speak('joined');
  await go(rooms, roomId, bob, 'leave');
  await speak('left');
  return { roomId, said };
}

function seen(rooms: Rooms, viewer: UserId, roomId: RoomId, said: Map<Moment, EventId>): Moment[] {
  return [...said].flatMap(([moment, id]) => {
    try {
      getEvent(rooms, viewer, roomId, id);
      return [moment];
    } catch {
      return [];
    }
  });
}

const EXPECTED: Record<string, { left: Moment[]; back: Moment[]; stranger: Moment[] }> = {
  joined: { left: ['joined'], back: ['joined', 'back'], stranger: [] },
  invited: { left: ['invited', 'joined'], back: ['invited', 'joined', 'back'], stranger: [] },
  shared: {
    left: ['before', 'invited', 'joined'],
    back: ['before', 'invited', 'joined', 'left', 'back'],
    stranger: [],
  },
  world_readable: {
    left: ['before', 'invited', 'joined', 'left'],
    back: ['before', 'invited', 'joined', 'left', 'back'],
    stranger: ['before', 'invited', 'joined', 'left'],
  },
  nonsense: {
    left: ['before', 'invited', 'joined'],
    back: ['before', 'invited', 'joined', 'left', 'back'],
    stranger: [],
  },
};

for (const [visibility, expected] of Object.entries(EXPECTED)) {
  test(`history_visibility ${visibility}: who sees what, by event and by page (T274)`, async () => {
    await using t = await openTestRooms();
    const { roomId, said } = await story(t.rooms, visibility);
    assert.deepEqual(seen(t.rooms, bob, roomId, said), expected.left);
    assert.deepEqual(seen(t.rooms, carol, roomId, said), expected.stranger);
    assert.deepEqual(seen(t.rooms, alice, roomId, said), ['before', 'invited', 'joined', 'left']);
    const page = await pageTimeline(t.rooms, bob, roomId, { dir: 'b', limit: 100 });
    const paged = page.events.flatMap(({ pdu }) => [...said].find(([, id]) => id === pdu.event_id)?.[0] ?? []);
    // Who left pages up to where they left, even where anyone may look in by event.
    assert.deepEqual(
      paged.reverse(),
      expected.left.filter((moment) => moment !== 'left'),
    );
    assert.equal(page.end, undefined);
    await changeMembership(t.rooms, { roomId, sender: alice, target: bob, action: 'invite' });
    await go(t.rooms, roomId, bob, 'join');
    said.set('back', await say(t.rooms, roomId, alice, 'back'));
    assert.deepEqual(seen(t.rooms, bob, roomId, said), expected.back);
  });
}

test('rooms that can not be read answer as unknown ones do (T277)', async () => {
  await using t = await openTestRooms();
  const { roomId, said } = await story(t.rooms, 'shared');
  const other = await createRoom(t.rooms, { creator: carol, body: {} });
  const id = said.get('joined')!;
  for (const room of [roomId, '!unknown:test' as RoomId]) {
    const codes = await Promise.all([
      codeOf(pageTimeline(t.rooms, carol, room, { dir: 'b', limit: 1 })),
      codeOf(eventContext(t.rooms, carol, room, id, { limit: 1 })),
      codeOf(eventByTimestamp(t.rooms, carol, room, 0, 'f')),
      codeOf(readState(t.rooms, carol, room)),
      codeOf(listMembers(t.rooms, carol, room)),
      codeOf(joinedMembers(t.rooms, carol, room)),
      codeOf(Promise.resolve().then(() => readStateEvent(t.rooms, carol, room, 'm.room.create', ''))),
      codeOf(Promise.resolve().then(() => getEvent(t.rooms, carol, room, id))),
    ]);
    assert.deepEqual(codes, [...Array(7).fill('M_FORBIDDEN'), 'M_NOT_FOUND']);
  }
  assert.equal(
    await codeOf(Promise.resolve().then(() => getEvent(t.rooms, carol, other, id))),
    'M_NOT_FOUND',
    'bound to the room',
  );
  assert.equal(await codeOf(joinedMembers(t.rooms, bob, roomId)), 'M_FORBIDDEN', 'bob has left');
});

test('state and members stay for one who left as they were then, and a forgotten room is closed (T276, T280)', async () => {
  await using t = await openTestRooms();
  const { roomId } = await story(t.rooms, 'shared');
  await setState(t.rooms, roomId, alice, 'm.room.name', { name: 'Later' });
  await changeMembership(t.rooms, { roomId, sender: alice, target: carol, action: 'invite' });
  assert.equal(
    await codeOf(Promise.resolve().then(() => readStateEvent(t.rooms, bob, roomId, 'm.room.name', ''))),
    'M_NOT_FOUND',
  );
  const types = (await readState(t.rooms, bob, roomId)).map(({ pdu }) => pdu.type);
  assert.ok(types.includes('m.room.create') && !types.includes('m.room.name'));
  const members = (await listMembers(t.rooms, bob, roomId)).map(({ pdu }) => pdu.state_key);
  assert.deepEqual(members.sort(), [alice, bob]);
  const invited = await listMembers(t.rooms, alice, roomId, { membership: 'invite' });
  assert.deepEqual(
    invited.map(({ pdu }) => pdu.state_key),
    [carol],
  );
  const others = await listMembers(t.rooms, alice, roomId, { notMembership: 'join' });
  assert.deepEqual(others.map(({ pdu }) => pdu.state_key).sort(), [bob, carol]);
  await forgetRoom(t.rooms, bob, roomId);
  assert.equal(await codeOf(readState(t.rooms, bob, roomId)), 'M_FORBIDDEN');
});

test('members at an earlier place of the timeline (T276)', async () => {
  await using t = await openTestRooms();
  const { roomId, said } = await story(t.rooms, 'shared');
  const at = t.rooms.events.byId(t.store, said.get('joined')!)!.order;
  const then = await listMembers(t.rooms, alice, roomId, { at, membership: 'join' });
  assert.deepEqual(then.map(({ pdu }) => pdu.state_key).sort(), [alice, bob]);
  const now = await listMembers(t.rooms, alice, roomId, { membership: 'join' });
  assert.deepEqual(
    now.map(({ pdu }) => pdu.state_key),
    [alice],
  );
});

test('a change of visibility is seen by those whom it concerns on either side (T275)', async () => {
  await using t = await openTestRooms();
  const { roomId } = await story(t.rooms, 'joined');
  const opened = await setState(t.rooms, roomId, alice, 'm.room.history_visibility', {
    history_visibility: 'world_readable',
  });
  const between = await say(t.rooms, roomId, alice, 'open');
  const closed = await setState(t.rooms, roomId, alice, 'm.room.history_visibility', { history_visibility: 'joined' });
  const after = await say(t.rooms, roomId, alice, 'closed');
  const sees = (id: EventId) => codeOf(Promise.resolve().then(() => getEvent(t.rooms, carol, roomId, id).pdu.event_id));
  assert.equal(await sees(opened), opened);
  assert.equal(await sees(between), between);
  assert.equal(await sees(closed), closed);
  assert.equal(await sees(after), 'M_NOT_FOUND');
});

test('unsigned: what is the viewer’s own, and nothing they may not see (T287)', async () => {
  await using t = await openTestRooms();
  const { roomId, said } = await story(t.rooms, 'joined');
  await setState(t.rooms, roomId, alice, 'm.room.topic', { topic: 'secret' });
  await changeMembership(t.rooms, { roomId, sender: alice, target: bob, action: 'invite' });
  await go(t.rooms, roomId, bob, 'join');
  const second = await setState(t.rooms, roomId, alice, 'm.room.topic', { topic: 'open' });
  const third = await setState(t.rooms, roomId, alice, 'm.room.topic', { topic: 'later' });
  t.clock.advance(5_000);
  const unsigned = (viewer: UserId, id: EventId): JsonObject =>
    toClientEvent(t.rooms, t.rooms.events.byId(t.store, id)!, { viewer })['unsigned'] as JsonObject;
  assert.equal(unsigned(bob, second)['prev_content'], undefined);
  assert.deepEqual(unsigned(alice, second)['prev_content'], { topic: 'secret' });
  assert.deepEqual(unsigned(bob, third)['prev_content'], { topic: 'open' });
  assert.equal(unsigned(bob, third)['replaces_state'], second);
  assert.equal(unsigned(bob, third)['age'], 5_000);
  assert.equal(unsigned(bob, said.get('joined')!)['membership'], 'join');
  assert.equal(unsigned(bob, said.get('invited')!)['membership'], 'invite');
  assert.equal(unsigned(carol, said.get('joined')!)['membership'], 'leave');
});
