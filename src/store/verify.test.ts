import assert from 'node:assert/strict';
import test from 'node:test';
import { pduFromTrusted } from '#core/event/format.js';
import { EventId, RoomId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { roomRules } from '#core/room-versions.js';
import { Events } from '#store/events.js';
import { setMember, setMembership } from '#store/members.js';
import {
  eventNums,
  members,
  memberships,
  roomNums,
  rooms,
  stateKeys,
  stateNodes,
  timeline,
  timestamps,
} from '#store/schema.js';
import { StateTrees } from '#store/state.js';
import { openTestStore } from '#store/testing.js';
import type { Store, Tx } from '#store/types.js';
import { rebuildDerived, verifyStore } from '#store/verify.js';
import { STORE_CHECKS } from '#store/verify-rows.js';

const id = RoomId.parse('!room:test')!;
const USERS = ['@a:test', '@b:test', '@c:elsewhere'];

/** A room with a few members and messages, as the layers above write it. */
async function fill(store: Store): Promise<{ room: number; nums: number[] }> {
  const events = new Events();
  const trees = new StateTrees();
  return store.commit((tx) => {
    const room = tx.position();
    const nums: number[] = [];
    let state = 0;
    tx.put(roomNums, [id], room);
    const head = { id, version: '11', depth: 1, invited: 0, oldest: room };
    tx.put(rooms, [room], { ...head, extremities: [], state, tip: room, joined: 0 });
    const append = (name: string, more: JsonObject): void => {
      const json = { auth_events: [], prev_events: [], depth: 1, origin_server_ts: 1_000, room_id: id, ...more };
      const pdu = pduFromTrusted(json, roomRules('11')!, EventId.of(`$${name}`));
      const num = tx.position();
      const before = state;
      if (pdu.state_key !== undefined) state = trees.set(tx, state, pdu.type, pdu.state_key, num);
      events.put(tx, { num, room, order: num, outcome: 'accepted', stateBefore: before, stateAfter: state, pdu });
      tx.fact(num, { kind: 'event', room });
      nums.push(num);
    };
    for (const user of USERS) {
      const content = { membership: 'join', displayname: user };
      append(`join${user}`, { type: 'm.room.member', state_key: user, sender: user, content });
      const num = nums.at(-1)!;
      setMember(tx, room, user, { membership: 'join', event: num, displayname: user });
      if (user.endsWith(':test')) setMembership(tx, user, room, { membership: 'join', position: num, event: num });
    }
    append('message', { type: 'm.room.message', sender: '@a:test', content: { body: 'hi' } });
    tx.put(rooms, [room], { ...head, extremities: [EventId.of('$message')], state, tip: nums.at(-1)!, joined: 3 });
    return { room, nums };
  });
}

async function problemsOf(store: Store): Promise<string[]> {
  const found: string[] = [];
  for await (const { keyspace, key, problem } of verifyStore(store, STORE_CHECKS))
    found.push(`${keyspace} ${key.join(' ')}: ${problem}`);
  return found;
}

test('a whole store has no problems', async () => {
  await using opened = await openTestStore();
  await fill(opened.store);
  assert.deepEqual(await problemsOf(opened.store), []);
  assert.equal(await rebuildDerived(opened.store, STORE_CHECKS), 0);
});

type Filled = Awaited<ReturnType<typeof fill>>;
const DERIVED: readonly [what: string, damage: (tx: Tx, filled: Filled) => void][] = [
  ['event number', (tx) => tx.delete(eventNums, [EventId.of('$message')])],
  ['stray event number', (tx, { nums }) => tx.put(eventNums, [EventId.of('$other')], nums[0]!)],
  ['timeline row', (tx, { room, nums }) => tx.delete(timeline, [room, nums[3]!])],
  ['stray timeline row', (tx, { room, nums }) => tx.put(timeline, [room, -4], nums[1]!)],
  ['timestamp row', (tx, { room, nums }) => tx.delete(timestamps, [room, 1_000, nums[3]!])],
  ['member', (tx, { room }) => tx.delete(members, [room, '@c:elsewhere'])],
  ['stray member', (tx, { room }) => tx.put(members, [room, '@d:elsewhere'], { membership: 'join', event: 1 })],
  ['membership', (tx, { room }) => tx.delete(memberships, ['@b:test', room])],
];

for (const [what, damage] of DERIVED) {
  test(`a wrong or missing ${what} is found and made anew`, async () => {
    await using opened = await openTestStore();
    const { store } = opened;
    const filled = await fill(store);
    await store.commit((tx) => damage(tx, filled));
    assert.notDeepEqual(await problemsOf(store), []);
    assert.ok((await rebuildDerived(store, STORE_CHECKS)) > 0);
    assert.deepEqual(await problemsOf(store), []);
  });
}

test('missing state names are made anew; a missing node or a wrong count is only told', async () => {
  await using opened = await openTestStore();
  const { store } = opened;
  const { room } = await fill(store);
  const [names] = await store.list(stateKeys, { limit: 1 });
  await store.commit((tx) => tx.delete(stateKeys, names![0]));
  assert.ok((await problemsOf(store)).some((problem) => problem.includes('unknown state key')));
  await rebuildDerived(store, STORE_CHECKS);
  assert.deepEqual(await problemsOf(store), []);

  const head = store.get(rooms, [room])!;
  await store.commit((tx) => tx.put(rooms, [room], { ...head, joined: 9 }));
  assert.deepEqual(await problemsOf(store), [`rooms ${room}: counts 9 joined members, there are 3`]);
  await store.commit((tx) => {
    tx.put(rooms, [room], head);
    tx.delete(stateNodes, [head.state]);
  });
  assert.ok((await problemsOf(store)).some((problem) => problem.includes(`state node ${head.state} is missing`)));
});
