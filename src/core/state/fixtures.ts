import { checkAuthEvents, checkEventAuth } from '#core/auth/check.js';
import { type EventFields, EventMaker, selectAuth } from '#core/auth/fixtures.js';
import type { AuthState } from '#core/auth/member.js';
import { powerLevels } from '#core/auth/power-levels.js';
import { membershipOf } from '#core/event/content.js';
import type { Pdu, StatePdu } from '#core/event/pdu.js';
import { type EventId, RoomId } from '#core/ids.js';
import { addToAuthIndex, memoryAuthIndex } from '#core/state/auth-index.js';
import { resolveStateMaps, stateMapKey } from '#core/state/resolve.js';

export type StateMap = ReadonlyMap<string, EventId>;

/** Numbers in [0, 1) from a seed (mulberry32): the same on every run. */
export function seeded(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = a;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A room whose events come with parents; states and auth events follow from these. */
export class RoomDag extends EventMaker {
  readonly index = memoryAuthIndex();
  readonly stateAfter = new Map<EventId, StateMap>();

  event(id: EventId): Pdu | undefined {
    return this.events.get(id);
  }

  resolve(states: readonly StateMap[]): StateMap {
    return resolveStateMaps(this.rules, states, this.source, this.index);
  }

  get source() {
    return {
      roomId: this.roomId,
      event: (id: EventId) => this.events.get(id),
      rejected: (id: EventId) => this.rejected.has(id),
    };
  }

  lookup(state: StateMap): AuthState {
    return (type, stateKey) => {
      if (type === 'm.room.create' && this.rules.roomIdIsHash) {
        return this.events.get(RoomId.createEventId(this.roomId));
      }
      const id = state.get(stateMapKey(type, stateKey));
      return id === undefined ? undefined : this.events.get(id);
    };
  }

  /** Adds an event on top of `prev`; it is rejected where the rules refuse it, unless `force`. */
  add(fields: EventFields, prev: readonly Pdu[], force = false): Pdu {
    const before = this.resolve(prev.map((event) => this.stateAfter.get(event.event_id)!));
    const lookup = this.lookup(before);
    const auth = fields.auth ?? selectAuth(fields, this.rules, lookup);
    const event = this.make({ ...fields, prev, auth });
    if (!force) {
      const isRejected = (id: EventId): boolean => this.rejected.has(id);
      const allowed =
        checkAuthEvents(event, auth, isRejected, this.rules).allow && checkEventAuth(event, this.rules, lookup).allow;
      if (!allowed) this.rejected.add(event.event_id);
    }
    const after = new Map(before);
    if (event.state_key !== undefined && !this.rejected.has(event.event_id)) {
      addToAuthIndex(this.index, event as StatePdu);
      after.set(stateMapKey(event.type, event.state_key), event.event_id);
    }
    this.stateAfter.set(event.event_id, after);
    return event;
  }

  start(creator: string, content = {}): Pdu {
    const event = this.create(content, creator);
    addToAuthIndex(this.index, event as StatePdu);
    this.stateAfter.set(event.event_id, new Map([[stateMapKey('m.room.create', ''), event.event_id]]));
    return event;
  }
}

/**
 * Versions 2 and 2.1 of state resolution once more, as slow and as close to the text as can be: whole auth chains by
 * walking, sorting by repeated search for the smallest. Only the authorisation rules are shared with the real one.
 */
export function naiveResolve(dag: RoomDag, states: readonly StateMap[]): StateMap {
  const isV21 = dag.rules.stateResolution === 'v2.1';
  const unconflicted = new Map<string, EventId>();
  const conflicted = new Set<EventId>();
  for (const key of new Set(states.flatMap((state) => [...state.keys()]))) {
    const ids = new Set(states.map((state) => state.get(key)));
    if (ids.size === 1) unconflicted.set(key, [...ids][0]!);
    else for (const id of ids) if (id !== undefined) conflicted.add(id);
  }
  if (conflicted.size === 0) return unconflicted;

  const full = new Set([...conflicted, ...naiveAuthDifference(dag, states)]);
  if (isV21) for (const id of naiveSubgraph(dag, conflicted)) full.add(id);

  const event = (id: EventId): StatePdu => dag.events.get(id) as StatePdu;
  const authOf = (of: Pdu, type: string, key = ''): Pdu | undefined =>
    of.auth_events.map(event).find((auth) => auth.type === type && auth.state_key === key);
  const createOf = (of: Pdu): Pdu | undefined =>
    dag.rules.roomIdIsHash ? dag.events.get(RoomId.createEventId(dag.roomId)) : authOf(of, 'm.room.create');
  const power = (of: Pdu): number =>
    Number(powerLevels(dag.rules, createOf(of), authOf(of, 'm.room.power_levels')).user(of.sender));
  const isPower = (of: StatePdu): boolean =>
    (of.type === 'm.room.power_levels' && of.state_key === '') ||
    (of.type === 'm.room.join_rules' && of.state_key === '') ||
    (of.type === 'm.room.member' && of.sender !== of.state_key && ['leave', 'ban'].includes(membershipOf(of) ?? ''));

  const chosen = new Set<EventId>();
  const choose = (id: EventId): void => {
    if (chosen.has(id)) return;
    chosen.add(id);
    for (const auth of event(id).auth_events) if (full.has(auth)) choose(auth);
  };
  for (const id of full) if (isPower(event(id))) choose(id);
  const byAge = (x: Pdu, y: Pdu): number =>
    x.origin_server_ts - y.origin_server_ts || (x.event_id < y.event_id ? -1 : 1);
  const sorted: StatePdu[] = [];
  const left = new Set(chosen);
  while (left.size > 0) {
    const free = [...left].map(event).filter((of) => !of.auth_events.some((auth) => left.has(auth)));
    free.sort((x, y) => (power(x) === power(y) ? byAge(x, y) : power(x) > power(y) ? -1 : 1));
    sorted.push(free[0]!);
    left.delete(free[0]!.event_id);
  }

  const state = new Map(isV21 ? [] : unconflicted);
  const apply = (events: readonly StatePdu[]): void => {
    for (const of of events) {
      const lookup: AuthState = (type, key) => {
        const id = state.get(stateMapKey(type, key));
        if (id !== undefined) return event(id);
        return type === 'm.room.create' ? createOf(of) : authOf(of, type, key);
      };
      if (dag.rejected.has(of.event_id) || !checkEventAuth(of, dag.rules, lookup).allow) continue;
      state.set(stateMapKey(of.type, of.state_key), of.event_id);
    }
  };
  apply(sorted);

  const mainline: EventId[] = [];
  const levels = state.get(stateMapKey('m.room.power_levels', ''));
  for (let at = levels && event(levels); at !== undefined; at = authOf(at, 'm.room.power_levels') as StatePdu) {
    mainline.push(at.event_id);
  }
  const position = (of: Pdu): number => {
    for (let at = authOf(of, 'm.room.power_levels'); at !== undefined; at = authOf(at, 'm.room.power_levels')) {
      if (mainline.includes(at.event_id)) return mainline.indexOf(at.event_id);
    }
    return Infinity;
  };
  const others = [...full].filter((id) => !chosen.has(id)).map(event);
  others.sort((x, y) => (position(x) === position(y) ? byAge(x, y) : position(x) > position(y) ? -1 : 1));
  apply(others);
  return new Map([...state, ...unconflicted]);
}

/** The events of `from` and of their auth chains, by walking. */
export function naiveReach(dag: RoomDag, from: Iterable<EventId>): Set<EventId> {
  const reached = new Set<EventId>();
  const pending = [...from];
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    if (reached.has(id)) continue;
    reached.add(id);
    pending.push(...dag.events.get(id)!.auth_events);
  }
  return reached;
}

export function naiveAuthDifference(dag: RoomDag, states: readonly StateMap[]): Set<EventId> {
  const chains = states.map((state) => naiveReach(dag, state.values()));
  const difference = new Set(chains.flatMap((chain) => [...chain]));
  for (const id of difference) if (chains.every((chain) => chain.has(id))) difference.delete(id);
  return difference;
}

export function naiveSubgraph(dag: RoomDag, conflicted: ReadonlySet<EventId>): Set<EventId> {
  const between = [...naiveReach(dag, conflicted)].filter((id) =>
    [...naiveReach(dag, [id])].some((below) => conflicted.has(below)),
  );
  return new Set(between);
}
