import type { Pdu, StatePdu } from '#core/event/pdu.js';
import type { EventId, RoomId } from '#core/ids.js';
import type { RoomRules } from '#core/room-versions.js';
import { type AuthIndexReader, type AuthIndexWriter, addToAuthIndex, memoryAuthIndex } from '#core/state/auth-index.js';
import { type Resolution, stateMapKey } from '#core/state/resolution.js';
import { resolveV1 } from '#core/state/v1.js';
import { resolveV2 } from '#core/state/v2.js';
import { drive } from '#util/steps.js';

export { parseStateMapKey, stateMapKey } from '#core/state/resolution.js';

/** Where resolution finds events. */
export interface EventSource {
  readonly roomId: RoomId;
  /** An event by its id, rejected ones and outliers included. */
  event(id: EventId): Pdu | undefined;
  /** Whether an event was rejected on receipt; such events never enter a state. */
  rejected(id: EventId): boolean;
}

export interface ResolveInput extends EventSource {
  readonly rules: RoomRules;
  /**
   * By `stateMapKey`, each key at which the states differ or that one of them lacks: what each state has there, in the
   * same order of states for all keys; undefined where it has nothing.
   */
  readonly conflicted: ReadonlyMap<string, readonly (EventId | undefined)[]>;
  /** What all states have at any other key. It is not asked for keys in `conflicted`. */
  unconflicted(type: string, stateKey: string): EventId | undefined;
  /** Holds the events of all states and of their auth chains. */
  readonly index: AuthIndexReader;
}

/**
 * Resolves states by the algorithm of the room version (rooms/v1, v2 and v12, State resolution). The answer holds what
 * differs from the unconflicted part: a key of `conflicted` that is missing in it has no event in the resolved state.
 * Depends on nothing but the states and their auth chains: neither on their order nor on that of arrival.
 */
export function resolveState(input: ResolveInput): ReadonlyMap<string, EventId> {
  return drive(resolveSteps(input));
}

/**
 * `resolveState` in bounded pieces: each `next()` does about a millisecond of work or less, so that a caller can let
 * others run in between. The events and the index must not change meanwhile, except by additions.
 */
export function resolveSteps(input: ResolveInput): Generator<void, ReadonlyMap<string, EventId>, void> {
  const { conflicted, rejected, roomId } = input;
  const known = new Map<EventId, StatePdu | undefined>();
  const inner: Resolution = {
    rules: input.rules,
    roomId,
    conflicted,
    index: input.index,
    unconflicted: (type, stateKey) =>
      conflicted.has(stateMapKey(type, stateKey)) ? undefined : input.unconflicted(type, stateKey),
    event(id) {
      let event = known.get(id);
      if (event === undefined && !known.has(id)) {
        const found = input.event(id);
        if (found?.state_key !== undefined && found.room_id === roomId) event = found as StatePdu;
        known.set(id, event);
      }
      return event;
    },
    rejected: (id) => rejected.call(input, id),
  };
  return input.rules.stateResolution === 'v1' ? resolveV1(inner) : resolveV2(inner);
}

/**
 * Resolves whole states, given as plain maps by `stateMapKey`, to a whole state. Without `index` one is built in memory
 * from the auth chains of the conflicted events and of the unconflicted ones.
 */
export function resolveStateMaps(
  rules: RoomRules,
  states: readonly ReadonlyMap<string, EventId>[],
  source: EventSource,
  index?: AuthIndexReader,
): ReadonlyMap<string, EventId> {
  const { conflicted, unconflicted } = splitStates(states);
  if (conflicted.size === 0) return unconflicted;
  const resolved = resolveState({
    rules,
    roomId: source.roomId,
    event: (id) => source.event(id),
    rejected: (id) => source.rejected(id),
    conflicted,
    unconflicted: (type, stateKey) => unconflicted.get(stateMapKey(type, stateKey)),
    index: index ?? indexOf(states, source),
  });
  return new Map([...unconflicted, ...resolved]);
}

/** Divides states into the keys at which all agree and the others. */
export function splitStates(states: readonly ReadonlyMap<string, EventId>[]): {
  conflicted: Map<string, (EventId | undefined)[]>;
  unconflicted: Map<string, EventId>;
} {
  const conflicted = new Map<string, (EventId | undefined)[]>();
  const unconflicted = new Map<string, EventId>();
  for (const state of states) {
    for (const [key, event] of state) {
      if (unconflicted.has(key) || conflicted.has(key)) continue;
      const each = states.map((other) => other.get(key));
      if (each.every((other) => other === event)) unconflicted.set(key, event);
      else conflicted.set(key, each);
    }
  }
  return { conflicted, unconflicted };
}

function indexOf(states: readonly ReadonlyMap<string, EventId>[], source: EventSource): AuthIndexReader {
  const index = memoryAuthIndex();
  for (const state of states) {
    for (const id of state.values()) indexChain(index, id, source);
  }
  return index;
}

/** Puts an event's auth chain into an index, deepest first, then the event. Unknown auth events are left out. */
function indexChain(index: AuthIndexWriter, id: EventId, source: EventSource): void {
  const path: EventId[] = [id];
  const entered = new Set<EventId>();
  for (let next = path.at(-1); next !== undefined; next = path.at(-1)) {
    const event = source.event(next);
    if (event?.state_key === undefined || index.place(next) !== undefined) {
      path.pop();
      continue;
    }
    const missing = event.auth_events.filter((auth) => index.place(auth) === undefined);
    if (!entered.has(next) && missing.length > 0) {
      entered.add(next);
      path.push(...missing);
      continue;
    }
    const auth_events = event.auth_events.filter((auth) => index.place(auth) !== undefined);
    addToAuthIndex(index, { event_id: next, type: event.type, state_key: event.state_key, auth_events });
    path.pop();
  }
}
