import { checkEventAuth } from '#core/auth/check.js';
import { type PowerLevels, powerLevels } from '#core/auth/power-levels.js';
import { membershipOf } from '#core/event/content.js';
import type { Pdu, StatePdu } from '#core/event/pdu.js';
import { type EventId, RoomId } from '#core/ids.js';
import { authDifferenceSteps, conflictedSubgraphSteps } from '#core/state/auth-difference.js';
import { mainlineOrder, type PoweredEvent, reverseTopologicalPowerOrder } from '#core/state/order.js';
import { type Resolution, stateMapKey } from '#core/state/resolution.js';

/** Auth checks between two yields: about a millisecond. */
const STEP = 32;
/** Look-ups between two yields. */
const LIGHT_STEP = 512;

/** The state that is being built: what was applied so far. */
type PartialState = Map<string, EventId>;

/**
 * State resolution of versions 2 (rooms/v2) and 2.1 (rooms/v12, MSC4297), which differ in two points: 2.1 starts from an
 * empty state instead of the unconflicted one, and replays what lies between conflicted events.
 */
export function* resolveV2(resolution: Resolution): Generator<void, ReadonlyMap<string, EventId>, void> {
  const { conflicted, index, rules } = resolution;
  const isV21 = rules.stateResolution === 'v2.1';

  const states: EventId[][] = [];
  const conflictedSet = new Set<EventId>();
  let work = 0;
  for (const each of conflicted.values()) {
    each.forEach((id, i) => {
      states[i] ??= [];
      if (id === undefined) return;
      states[i].push(id);
      conflictedSet.add(id);
    });
    if (++work % LIGHT_STEP === 0) yield;
  }
  const fullConflictedSet = new Set(conflictedSet);
  for (const id of yield* authDifferenceSteps(index, states, resolution.unconflicted)) fullConflictedSet.add(id);
  if (isV21) {
    for (const id of yield* conflictedSubgraphSteps(index, conflictedSet)) fullConflictedSet.add(id);
  }

  const events = new Map<EventId, StatePdu>();
  for (const id of fullConflictedSet) {
    const event = resolution.event(id);
    if (event !== undefined) events.set(id, event);
    if (++work % STEP === 0) yield;
  }

  const powered = yield* withPower(resolution, powerEventsOf(events));
  const powerEvents = (yield* reverseTopologicalPowerOrder(powered)).map(({ event }) => event as StatePdu);
  const state: PartialState = new Map();
  yield* applyInOrder(resolution, powerEvents, state, !isV21);

  const others = [...events.values()].filter((event) => !powered.has(event.event_id));
  const levels = stateEvent(resolution, state, 'm.room.power_levels', '', !isV21);
  const ordered = yield* mainlineOrder(others, levels, (event) =>
    authEvent(resolution, event, 'm.room.power_levels', ''),
  );
  yield* applyInOrder(resolution, ordered as StatePdu[], state, !isV21);

  for (const [key, id] of state) {
    const { type, state_key } = resolution.event(id)!;
    if (resolution.unconflicted(type, state_key) !== undefined) state.delete(key);
    if (++work % LIGHT_STEP === 0) yield;
  }
  return state;
}

/** Events that may take away someone's ability to do something, and what of their auth chains is to be replayed too. */
function powerEventsOf(events: ReadonlyMap<EventId, StatePdu>): Set<StatePdu> {
  const found = new Set<StatePdu>();
  const pending = [...events.values()].filter(isPowerEvent);
  for (let event = pending.pop(); event !== undefined; event = pending.pop()) {
    if (found.has(event)) continue;
    found.add(event);
    for (const id of event.auth_events) {
      const auth = events.get(id);
      if (auth !== undefined) pending.push(auth);
    }
  }
  return found;
}

/** Of power levels and join rules only those with the empty state key count, as everywhere in the network. */
function isPowerEvent(event: StatePdu): boolean {
  if (event.type === 'm.room.power_levels' || event.type === 'm.room.join_rules') return event.state_key === '';
  if (event.type !== 'm.room.member' || event.sender === event.state_key) return false;
  const membership = membershipOf(event);
  return membership === 'leave' || membership === 'ban';
}

/** Adds to each event the power that its sender has by the event's auth events. */
function* withPower(
  resolution: Resolution,
  events: Iterable<StatePdu>,
): Generator<void, Map<EventId, PoweredEvent>, void> {
  const powered = new Map<EventId, PoweredEvent>();
  const read = new Map<Pdu | undefined, { readonly create: Pdu | undefined; readonly levels: PowerLevels }>();
  let work = 0;
  for (const event of events) {
    const create = createEvent(resolution, event);
    const levelsEvent = authEvent(resolution, event, 'm.room.power_levels', '');
    let entry = read.get(levelsEvent);
    if (entry === undefined || entry.create !== create) {
      entry = { create, levels: powerLevels(resolution.rules, create, levelsEvent) };
      read.set(levelsEvent, entry);
    }
    powered.set(event.event_id, { event, power: entry.levels.user(event.sender) });
    if (++work % STEP === 0) yield;
  }
  return powered;
}

/** The create event: the one that the room id names, or the one among the auth events. */
function createEvent(resolution: Resolution, event: Pdu): StatePdu | undefined {
  if (!resolution.rules.roomIdIsHash) return authEvent(resolution, event, 'm.room.create', '');
  return accepted(resolution, RoomId.createEventId(resolution.roomId));
}

/** The auth event of an event at a key, rejected ones left out. */
function authEvent(resolution: Resolution, event: Pdu, type: string, stateKey: string): StatePdu | undefined {
  for (const id of event.auth_events) {
    const auth = accepted(resolution, id);
    if (auth?.type === type && auth.state_key === stateKey) return auth;
  }
  return undefined;
}

function accepted(resolution: Resolution, id: EventId | undefined): StatePdu | undefined {
  if (id === undefined) return undefined;
  const event = resolution.event(id);
  return event === undefined || resolution.rejected(id) ? undefined : event;
}

/** What the state holds at a key, `onUnconflicted` on top of what is unconflicted. */
function stateEvent(
  resolution: Resolution,
  state: PartialState,
  type: string,
  stateKey: string,
  onUnconflicted: boolean,
): StatePdu | undefined {
  const id = state.get(stateMapKey(type, stateKey));
  if (id !== undefined) return accepted(resolution, id);
  return onUnconflicted ? accepted(resolution, resolution.unconflicted(type, stateKey)) : undefined;
}

/** The iterative auth checks: applies each event that the state built so far allows, and ignores the others. */
function* applyInOrder(
  resolution: Resolution,
  events: readonly StatePdu[],
  state: PartialState,
  onUnconflicted: boolean,
): Generator<void, void, void> {
  let work = 0;
  for (const event of events) {
    if (++work % STEP === 0) yield;
    if (resolution.rejected(event.event_id)) continue;
    const verdict = checkEventAuth(event, resolution.rules, (type, stateKey) => {
      const held = stateEvent(resolution, state, type, stateKey, onUnconflicted);
      if (held !== undefined) return held;
      if (type === 'm.room.create' && stateKey === '') return createEvent(resolution, event);
      return authEvent(resolution, event, type, stateKey);
    });
    if (verdict.allow) state.set(stateMapKey(event.type, event.state_key), event.event_id);
  }
}
