import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ALICE, BOB, CHARLIE, type EventFields } from '#core/auth/fixtures.js';
import type { Pdu, StatePdu } from '#core/event/pdu.js';
import type { EventId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { ROOM_VERSIONS } from '#core/room-versions.js';
import { addToAuthIndex } from '#core/state/auth-index.js';
import { RoomDag, type StateMap } from '#core/state/fixtures.js';
import { type ResolveInput, resolveState, resolveSteps, stateMapKey } from '#core/state/resolve.js';
import { drive } from '#util/steps.js';

const ZARA = '@zara:z.example';
const EVELYN = '@evelyn:e.example';

const v2Versions = ROOM_VERSIONS.filter((version) => version !== '1');

/** A public room of Alice, Bob, Charlie and Zara; `add` puts what it is given on top of parents, allowed or not. */
function room(version: string) {
  const dag = new RoomDag(version);
  const add = (id: string, fields: Omit<EventFields, 'id'>, ...prev: Pdu[]): Pdu =>
    dag.add({ id, ...fields }, prev, true);
  const member = (sender: string, user: string, membership: string) => ({
    type: 'm.room.member',
    sender,
    state_key: user,
    content: { membership },
  });
  const state = (type: string, sender: string, content: JsonObject = {}) => ({ type, sender, state_key: '', content });
  const users = (others: JsonObject): JsonObject => (version === '12' ? others : { [ALICE]: 100, ...others });
  const levels = (sender: string, others: JsonObject, more: JsonObject = {}) =>
    state('m.room.power_levels', sender, { users: users(others), ...more });
  const topic = (sender: string) => state('m.room.topic', sender);
  let start = dag.start(ALICE);
  start = add('IMA', member(ALICE, ALICE, 'join'), start);
  start = add('IPOWER', levels(ALICE, {}), start);
  start = add('IJR', state('m.room.join_rules', ALICE, { join_rule: 'public' }), start);
  for (const user of [BOB, CHARLIE, ZARA]) start = add(`IM-${user}`, member(user, user, 'join'), start);
  /** The name of the event at a key once the forks are resolved. */
  const merge = (...tips: Pdu[]) => {
    const resolved = dag.resolve(tips.map((tip) => dag.stateAfter.get(tip.event_id)!));
    return (type: string, stateKey = ''): string | undefined =>
      resolved.get(stateMapKey(type, stateKey))?.replace(/^\$|:a\.example$/g, '');
  };
  return { dag, start, add, member, state, levels, topic, merge };
}

function stateWith(state: StateMap, ...events: Pdu[]): StateMap {
  return new Map([
    ...state,
    ...events.map((event) => [stateMapKey(event.type, event.state_key!), event.event_id] as const),
  ]);
}

test('a ban wins over what the banned moderator did to the power levels at the same time', () => {
  for (const version of v2Versions) {
    const { start, add, member, levels, merge } = room(version);
    const pa = add('PA', levels(ALICE, { [BOB]: 50 }), start);
    const ma = add('MA', member(ALICE, ALICE, 'join'), pa);
    const mb = add('MB', member(ALICE, BOB, 'ban'), ma);
    const pb = add('PB', levels(BOB, { [BOB]: 50 }), pa);
    const at = merge(mb, pb);
    assert.deepEqual(
      [at('m.room.power_levels'), at('m.room.member', ALICE), at('m.room.member', BOB)],
      ['PA', 'MA', 'MB'],
      version,
    );
  }
});

test('join rules and power levels under another key are no power events', () => {
  for (const version of v2Versions) {
    for (const type of ['m.room.join_rules', 'm.room.power_levels']) {
      const { start, add, levels, merge } = room(version);
      const keyed = { type, state_key: 'other', sender: ALICE, content: {} };
      const younger = add('YOUNGER', { ...keyed, ts: 1000 }, start);
      // As a power event it would go by age alone; on the mainline it stands after one that knows only older levels.
      const newLevels = add('PL', { ...levels(ALICE, { [BOB]: 50 }), ts: 100 }, start);
      const older = add('OLDER', { ...keyed, ts: 500 }, newLevels);
      assert.equal(merge(younger, older)(type, 'other'), 'OLDER', version);
    }
  }
});

test('a join from before the room was closed does not get in', () => {
  for (const version of v2Versions) {
    const { start, add, member, state, merge } = room(version);
    const jr = add('JR', state('m.room.join_rules', ALICE, { join_rule: 'private' }), start);
    const me = add('ME', member(EVELYN, EVELYN, 'join'), start);
    const at = merge(jr, me);
    assert.deepEqual([at('m.room.join_rules'), at('m.room.member', EVELYN)], ['JR', undefined], version);
  }
});

test('a fork that knows only older power levels does not bring them back', () => {
  for (const version of v2Versions) {
    const { start, add, levels, merge } = room(version);
    const pa = add('PA', levels(ALICE, { [BOB]: 50 }), start);
    const pb = add('PB', levels(BOB, { [BOB]: 50, [CHARLIE]: 50 }), pa);
    const pc = add('PC', levels(CHARLIE, { [BOB]: 50, [CHARLIE]: 0 }), pb);
    assert.equal(merge(pc, pa)('m.room.power_levels'), 'PC', version);
  }
});

test('topics of someone who lost the power for it are dropped', () => {
  for (const version of v2Versions) {
    const { start, add, levels, topic, merge } = room(version);
    const t1 = add('T1', topic(ALICE), start);
    const pa1 = add('PA1', levels(ALICE, { [BOB]: 50 }), t1);
    const t2 = add('T2', topic(ALICE), pa1);
    const pa2 = add('PA2', levels(ALICE, { [BOB]: 0 }), t2);
    const pb = add('PB', levels(BOB, { [BOB]: 50 }), pa1);
    const t3 = add('T3', topic(BOB), pb);
    const at = merge(pa2, t3);
    assert.deepEqual([at('m.room.power_levels'), at('m.room.topic')], ['PA2', 'T2'], version);
    const merged = add('MZ1', { type: 'm.room.message', sender: ZARA }, pa2, t3);
    const after = merge(add('T4', topic(ALICE), merged));
    assert.deepEqual([after('m.room.power_levels'), after('m.room.topic')], ['PA2', 'T4'], version);
  }
});

test('the topic goes back to the last one not set by a user who is banned on the other fork', () => {
  for (const version of v2Versions) {
    const { start, add, member, levels, topic, merge } = room(version);
    const t1 = add('T1', topic(ALICE), start);
    const pa = add('PA', levels(ALICE, { [BOB]: 50 }), t1);
    const t2 = add('T2', topic(BOB), pa);
    const mb = add('MB', member(ALICE, BOB, 'ban'), t2);
    const at = merge(mb, t1);
    assert.deepEqual(
      [at('m.room.topic'), at('m.room.member', BOB), at('m.room.power_levels')],
      ['T1', 'MB', 'PA'],
      version,
    );
  }
});

test('mainline: what rests on newer power levels wins over what claims to be later', () => {
  for (const version of v2Versions) {
    const { start, add, levels, topic, merge } = room(version);
    const t1 = add('T1', topic(ALICE), start);
    const pa1 = add('PA1', levels(ALICE, { [BOB]: 50 }), t1);
    const t2 = add('T2', topic(ALICE), pa1);
    const pa2 = add('PA2', levels(ALICE, { [BOB]: 50 }, { events: { 'm.room.power_levels': 100 } }), t2);
    const pb = add('PB', levels(BOB, { [BOB]: 50 }), pa1);
    const t3 = add('T3', topic(BOB), pa2);
    const t4 = add('T4', topic(ALICE), pb);
    const at = merge(t3, t4);
    assert.deepEqual([at('m.room.topic'), at('m.room.power_levels')], ['T3', 'PA2'], version);
  }
});

test('MSC4297 problem A: join rules of an admin who has left survive a stale entry from version 12 on', () => {
  for (const version of ['11', '12']) {
    const { dag, start, add, member, state } = room(version);
    const jr1 = add('JR1', state('m.room.join_rules', ALICE, { join_rule: 'knock' }), start);
    const jr2 = add('JR2', state('m.room.join_rules', ALICE, { join_rule: 'invite' }), jr1);
    const left = add('LEFT', member(ALICE, ALICE, 'leave'), jr2);
    const state1 = dag.stateAfter.get(left.event_id)!;
    const resolved = dag.resolve([state1, stateWith(state1, jr1)]);
    const expected = version === '12' ? jr2.event_id : undefined;
    assert.equal(resolved.get(stateMapKey('m.room.join_rules', '')), expected, version);
  }
});

test('MSC4297 problem B: power levels between two conflicting ones are replayed from version 12 on', () => {
  for (const version of ['11', '12']) {
    const { dag, start, add, levels, topic } = room(version);
    const pl1 = add('PL1', levels(ALICE, {}), start);
    const pl2 = add('PL2', levels(ALICE, { [BOB]: 50 }), pl1);
    const pl3 = add('PL3', levels(BOB, { [BOB]: 50, [CHARLIE]: 50 }), pl2);
    const tip = add('T', topic(CHARLIE), pl3);
    const state = dag.stateAfter.get(tip.event_id)!;
    const resolved = dag.resolve([state, stateWith(state, pl1)]);
    const expected = version === '12' ? pl3 : pl1;
    assert.equal(resolved.get(stateMapKey('m.room.power_levels', '')), expected.event_id, version);
  }
});

test('version 12: a creator’s ban sorts before what an admin of the highest level does (T121)', () => {
  const { start, add, member, levels, merge } = room('12');
  const top = Number.MAX_SAFE_INTEGER;
  const pl = add('PL', levels(ALICE, { [BOB]: top, [CHARLIE]: top }), start);
  const byAdmin = add('P', { ...levels(BOB, { [BOB]: top, [CHARLIE]: top, [ZARA]: 50 }), ts: 1 }, pl);
  const byCreator = add('B', { ...member(ALICE, BOB, 'ban'), ts: 1000 }, pl);
  const at = merge(byAdmin, byCreator);
  assert.deepEqual([at('m.room.power_levels'), at('m.room.member', BOB)], ['PL', 'B']);
});

test('version 1: ordinary state goes to the deepest event that is allowed, power levels step by step', () => {
  const { start, add, levels, topic, member, merge } = room('1');
  const t1 = add('T1', topic(ALICE), start);
  const filler = add('F', { type: 'm.room.message', sender: ZARA }, start);
  const t2 = add('T2', topic(ALICE), filler);
  assert.equal(merge(t1, t2)('m.room.topic'), 'T2');
  assert.equal(merge(t2, t1)('m.room.topic'), 'T2');
  const deepButPowerless = add('T3', topic(BOB), t2);
  assert.equal(merge(t1, deepButPowerless)('m.room.topic'), 'T1');
  const pa = add('PA', levels(ALICE, { [BOB]: 50 }), start);
  const notByCharlie = add('PC', levels(CHARLIE, { [CHARLIE]: 100 }), t2);
  assert.equal(merge(pa, notByCharlie)('m.room.power_levels'), 'PA');
  // A key that one side lacks is no conflict.
  const joined = add('ME', member(EVELYN, EVELYN, 'join'), start);
  assert.equal(merge(joined, t1)('m.room.member', EVELYN), 'ME');
});

test('rejected events never enter the resolved state, nor speak for others (T90, T112)', () => {
  for (const version of ROOM_VERSIONS) {
    const { dag, start, add, state, topic, merge } = room(version);
    const bad = add('BAD', state('m.room.join_rules', ALICE, { join_rule: 'invite' }), start);
    const good = add('GOOD', topic(ALICE), start);
    dag.rejected.add(bad.event_id);
    const at = merge(bad, good);
    assert.notEqual(at('m.room.join_rules'), 'BAD', version);
    assert.equal(at('m.room.topic'), 'GOOD', version);
  }
});

test('events of another room, unknown ones and malformed content do not stop resolution (T103)', () => {
  const junk: JsonObject[] = [
    {},
    { users: [], events: 5 },
    { membership: 5 },
    { join_rule: [] },
    { users: { [BOB]: null } },
  ];
  for (const version of ROOM_VERSIONS) {
    const { dag, start, add, topic } = room(version);
    const base = dag.stateAfter.get(start.event_id)!;
    const foreign = dag.make({ ...topic(ALICE), id: 'FOREIGN', room: '!other:evil.example' });
    addToAuthIndex(dag.index, foreign as StatePdu);
    const unknown = '$unknown' as EventId;
    const odd = junk.flatMap((content, i) =>
      [
        { type: 'm.room.member', state_key: BOB },
        { type: 'm.room.power_levels', state_key: '' },
        { type: 'm.room.join_rules', state_key: '' },
      ].map((key, j) => add(`J${i}-${j}`, { ...key, sender: ALICE, content }, start)),
    );
    const good = add('T', topic(ALICE), start);
    for (const event of odd) {
      const resolved = dag.resolve([
        stateWith(base, event, foreign),
        dag.stateAfter.get(good.event_id)!,
        new Map([...base, [stateMapKey('m.room.name', ''), unknown]]),
      ]);
      // Power levels without `users` take Alice's power for a topic, as they should.
      const topicAt = resolved.get(stateMapKey('m.room.topic', ''));
      if (event.type !== 'm.room.power_levels') assert.equal(topicAt, good.event_id, version);
      assert.notEqual(topicAt, foreign.event_id, version);
      assert.ok(![...resolved.values()].includes(unknown), version);
    }
  }
});

test('twenty thousand power levels on top of each other resolve without recursion, in small steps', () => {
  const { dag, start, levels } = room('11');
  const base = dag.stateAfter.get(start.event_id)!;
  const get = (type: string, key = ''): Pdu => dag.event(base.get(stateMapKey(type, key))!)!;
  const common = [get('m.room.create'), get('m.room.member', ALICE)];
  let top = get('m.room.power_levels');
  let middle = top;
  for (let i = 0; i < 20_000; i++) {
    top = dag.make({ ...levels(ALICE, { [BOB]: i % 50 }), auth: [...common, top] });
    addToAuthIndex(dag.index, top as StatePdu);
    if (i === 10_000) middle = top;
  }
  const key = stateMapKey('m.room.power_levels', '');
  const input: ResolveInput = {
    ...dag.source,
    rules: dag.rules,
    index: dag.index,
    conflicted: new Map([[key, [middle.event_id, top.event_id]]]),
    unconflicted: (type, stateKey) => base.get(stateMapKey(type, stateKey)),
  };
  let steps = 0;
  const counted = (function* () {
    const inner = resolveSteps(input);
    for (;;) {
      const { done, value } = inner.next();
      if (done) return value;
      steps++;
      yield;
    }
  })();
  assert.equal(drive(counted).get(key), top.event_id);
  assert.ok(steps > 500, `${steps} steps`);
});

test('the work is bound to the conflict, not to the room', () => {
  for (const version of ['11', '12']) {
    const costs = [200, 10_000].map((size) => {
      const { dag, start, member } = room(version);
      const base = new Map(dag.stateAfter.get(start.event_id)!);
      const get = (type: string, key = ''): Pdu => dag.event(base.get(stateMapKey(type, key))!)!;
      const auth = ['m.room.power_levels', 'm.room.join_rules', ...(version === '12' ? [] : ['m.room.create'])].map(
        (type) => get(type),
      );
      for (let i = 0; i < size; i++) {
        const joined = dag.make({ ...member(`@u${i}:x.example`, `@u${i}:x.example`, 'join'), auth });
        addToAuthIndex(dag.index, joined as StatePdu);
        base.set(stateMapKey('m.room.member', joined.state_key!), joined.event_id);
      }
      const conflicted = new Map<string, (EventId | undefined)[]>();
      for (let i = 0; i < 10; i++) {
        const key = stateMapKey('m.room.member', `@u${i}:x.example`);
        const before = dag.event(base.get(key)!)!;
        const fields = member(`@u${i}:x.example`, `@u${i}:x.example`, 'leave');
        const left = dag.make({
          ...fields,
          auth: [...auth.filter((event) => event.type !== 'm.room.join_rules'), before],
        });
        addToAuthIndex(dag.index, left as StatePdu);
        conflicted.set(key, [before.event_id, left.event_id]);
      }
      let reads = 0;
      const counting = <A extends unknown[], R>(fn: (...args: A) => R) =>
        ((...args: A): R => {
          reads++;
          return fn(...args);
        }) as (...args: A) => R;
      const resolved = resolveState({
        rules: dag.rules,
        roomId: dag.roomId,
        event: counting((id: EventId) => dag.event(id)),
        rejected: () => false,
        conflicted,
        unconflicted: counting((type: string, key: string) => base.get(stateMapKey(type, key))),
        index: {
          place: counting((event: EventId) => dag.index.place(event)),
          chain: counting((chain: number) => dag.index.chain(chain)),
          node: counting((chain: number, sequence: number) => dag.index.node(chain, sequence)),
          citation: counting((chain: number, sequence: number, n: number) => dag.index.citation(chain, sequence, n)),
        },
      });
      for (const [key, [, left]] of conflicted) assert.equal(resolved.get(key), left);
      return reads;
    });
    assert.ok(costs[1]! <= costs[0]! * 1.1, `version ${version}: ${costs} reads`);
  }
});
