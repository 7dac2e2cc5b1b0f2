import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pdu, StatePdu } from '#core/event/pdu.js';
import type { EventId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { authDifferenceSteps, conflictedSubgraphSteps } from '#core/state/auth-difference.js';
import { addToAuthIndex, memoryAuthIndex } from '#core/state/auth-index.js';
import {
  naiveAuthDifference,
  naiveResolve,
  naiveSubgraph,
  RoomDag,
  type StateMap,
  seeded,
} from '#core/state/fixtures.js';
import { parseStateMapKey, resolveStateMaps, splitStates, stateMapKey } from '#core/state/resolve.js';
import { drive } from '#util/steps.js';

const USERS = ['@a:a.example', '@b:b.example', '@c:c.example', '@d:d.example'];

const JOIN_RULES = ['public', 'public', 'invite', 'knock', 'restricted', 'knock_restricted'];

type Pick = <T>(list: readonly T[]) => T;

/** A room of `size` events with forks, power struggles, bans, rejected events and lying clocks. */
function randomRoom(version: string, random: () => number, size: number): { dag: RoomDag; events: Pdu[] } {
  const pick: Pick = (list) => list[Math.floor(random() * list.length)]!;
  const dag = new RoomDag(version);
  const events: Pdu[] = [dag.start(USERS[0]!)];
  const add = (fields: { type: string; sender: string; state_key: string; content: JsonObject }, prev: Pdu[]): void => {
    events.push(dag.add({ ...fields, ts: Math.floor(random() * 50) }, prev));
  };
  const creator = USERS[0]!;
  const member = (sender: string, user: string, membership: string) => ({
    type: 'm.room.member',
    sender,
    state_key: user,
    content: { membership },
  });
  add(member(creator, creator, 'join'), [events[0]!]);
  const state = (type: string, sender: string, content: JsonObject) => ({ type, sender, state_key: '', content });
  const first = dag.rules.privilegedCreators ? {} : { [creator]: 100 };
  add(state('m.room.power_levels', creator, { users: { ...first, [USERS[1]!]: 50 } }), [events[1]!]);
  add(state('m.room.join_rules', creator, { join_rule: 'public' }), [events[2]!]);
  while (events.length < size) {
    const recent = events.slice(-6);
    const prev = [...new Set([pick(recent), ...(random() < 0.5 ? [pick(recent), pick(recent)] : [])])];
    const sender = pick(USERS);
    const other = pick(USERS);
    const kind = random();
    if (kind < 0.35) add(member(sender, sender, pick(['join', 'join', 'join', 'leave', 'knock'])), prev);
    else if (kind < 0.55) add(member(sender, other, pick(['invite', 'leave', 'ban'])), prev);
    else if (kind < 0.7) {
      const users = Object.fromEntries(USERS.slice(1).map((user) => [user, pick([0, 50, 50, 100])]));
      add(
        state('m.room.power_levels', sender, {
          users: { ...first, ...users },
          state_default: pick([0, 50]),
          ban: pick([0, 50, 60]),
          events: { 'm.room.name': pick([0, 50]) },
        }),
        prev,
      );
    } else if (kind < 0.8) add(state('m.room.join_rules', sender, { join_rule: pick(JOIN_RULES) }), prev);
    else add(state(pick(['m.room.topic', 'm.room.name']), sender, { n: events.length }), prev);
  }
  return { dag, events };
}

/** States after some events, and now and then with an entry that is older, or gone, as a lying server might answer. */
function randomStates(dag: RoomDag, events: readonly Pdu[], random: () => number): StateMap[] {
  const pick: Pick = (list) => list[Math.floor(random() * list.length)]!;
  const states: Map<string, EventId>[] = [];
  for (let i = 2 + Math.floor(random() * 3); i > 0; i--) {
    const state = new Map(dag.stateAfter.get(pick(events.slice(4)).event_id)!);
    if (random() < 0.4) {
      const old = pick(events.filter((event) => event.type !== 'm.room.create' && !dag.rejected.has(event.event_id)));
      state.set(stateMapKey(old.type, old.state_key!), old.event_id);
    }
    if (random() < 0.1) state.delete(pick([...state.keys()].slice(1)));
    states.push(state);
  }
  return states;
}

function shuffled<T>(list: readonly T[], random: () => number): T[] {
  return list
    .map((item) => ({ item, at: random() }))
    .sort((x, y) => x.at - y.at)
    .map(({ item }) => item);
}

function sorted(state: StateMap): [string, EventId][] {
  return [...state].sort(([x], [y]) => (x < y ? -1 : 1));
}

/** The same room's index with its events in another order of arrival. */
function reindexed(dag: RoomDag, random: () => number) {
  const index = memoryAuthIndex();
  let waiting = shuffled([...dag.events.values()], random).filter((event) => !dag.rejected.has(event.event_id));
  while (waiting.length > 0) waiting = waiting.filter((event) => !addToAuthIndex(index, event as StatePdu));
  return index;
}

for (const version of ['1', '2', '6', '11', '12']) {
  test(`version ${version}: random rooms resolve alike by the naive reference, in any order of states and arrival`, () => {
    let conflicts = 0;
    for (let seed = 1; seed <= 60; seed++) {
      const random = seeded(seed * 1000 + Number(version));
      const { dag, events } = randomRoom(version, random, 60);
      for (let round = 0; round < 8; round++) {
        const states = randomStates(dag, events, random);
        const label = `version ${version}, seed ${seed}, round ${round}`;
        const expected = sorted(dag.resolve(states));
        if (dag.rules.stateResolution !== 'v1') assert.deepEqual(expected, sorted(naiveResolve(dag, states)), label);
        const again = shuffled(states, random);
        const otherIndex = reindexed(dag, random);
        assert.deepEqual(sorted(resolveStateMaps(dag.rules, again, dag.source, otherIndex)), expected, label);
        assert.deepEqual(sorted(resolveStateMaps(dag.rules, again, dag.source)), expected, label);

        const { conflicted, unconflicted } = splitStates(states);
        conflicts += conflicted.size;
        const sets = states.map((_, i) => [...conflicted.values()].flatMap((each) => each[i] ?? []));
        const shared = (type: string, key: string): EventId | undefined => unconflicted.get(stateMapKey(type, key));
        const difference = drive(authDifferenceSteps(otherIndex, sets, shared));
        assert.deepEqual([...difference].sort(), [...naiveAuthDifference(dag, states)].sort(), label);
        const ids = new Set(sets.flat());
        const subgraph = drive(conflictedSubgraphSteps(otherIndex, ids));
        assert.deepEqual([...subgraph].sort(), [...naiveSubgraph(dag, ids)].sort(), label);
      }
    }
    assert.ok(conflicts > 500, `only ${conflicts} conflicts`);
  });
}

test('state map keys can be told apart and taken apart', () => {
  const keys = [
    ['a', 'b'],
    ['ab', ''],
    ['', 'ab'],
    ['a:', '1:b'],
    ['a', ':1:b'],
  ] as const;
  assert.equal(new Set(keys.map(([type, key]) => stateMapKey(type, key))).size, keys.length);
  for (const [type, state_key] of keys)
    assert.deepEqual(parseStateMapKey(stateMapKey(type, state_key)), { type, state_key });
});
