import type { Level } from '#core/auth/power-levels.js';
import type { Pdu } from '#core/event/pdu.js';
import type { EventId } from '#core/ids.js';

/** Compares by code point, as every other implementation does; `<` on strings goes by UTF-16 unit. */
export function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    // Surrogates stand for code points above all others of the plane.
    if (x >= 0xd800 && y >= 0xd800) {
      const xIsHigh = x < 0xe000;
      const yIsHigh = y < 0xe000;
      if (xIsHigh !== yIsHigh) return xIsHigh ? 1 : -1;
    }
    return x - y;
  }
  return a.length - b.length;
}

/** A state event with the power that its sender has by the event's own auth events. */
export interface PoweredEvent {
  readonly event: Pdu;
  readonly power: Level;
}

function comparePower(x: PoweredEvent, y: PoweredEvent): number {
  if (x.power !== y.power) return x.power > y.power ? -1 : 1;
  return compareAge(x.event, y.event);
}

function compareAge(x: Pdu, y: Pdu): number {
  if (x.origin_server_ts !== y.origin_server_ts) return x.origin_server_ts < y.origin_server_ts ? -1 : 1;
  return compareCodePoints(x.event_id, y.event_id);
}

/**
 * The reverse topological power ordering (rooms/v2, State resolution): Kahn's algorithm over the auth edges among the
 * given events, and of all that are free at a time the one of the most powerful sender, then the oldest, then the
 * smallest id. Yields between bounded pieces of work.
 */
export function* reverseTopologicalPowerOrder(
  events: ReadonlyMap<EventId, PoweredEvent>,
): Generator<void, PoweredEvent[], void> {
  const waitingFor = new Map<EventId, number>();
  const citedBy = new Map<EventId, PoweredEvent[]>();
  const free: PoweredEvent[] = [];
  let work = 0;
  for (const [id, powered] of events) {
    let edges = 0;
    for (const auth of new Set(powered.event.auth_events)) {
      if (!events.has(auth) || auth === id) continue;
      edges++;
      const list = citedBy.get(auth);
      if (list === undefined) citedBy.set(auth, [powered]);
      else list.push(powered);
    }
    waitingFor.set(id, edges);
    if (edges === 0) push(free, powered);
    if (++work % STEP === 0) yield;
  }
  const ordered: PoweredEvent[] = [];
  for (let next = pop(free); next !== undefined; next = pop(free)) {
    ordered.push(next);
    for (const later of citedBy.get(next.event.event_id) ?? []) {
      const left = waitingFor.get(later.event.event_id)! - 1;
      waitingFor.set(later.event.event_id, left);
      if (left === 0) push(free, later);
    }
    if (++work % STEP === 0) yield;
  }
  return ordered;
}

/** Events between two yields: some hundred microseconds at most. */
const STEP = 256;

/** A binary heap with the smallest event on top. */
function push(heap: PoweredEvent[], item: PoweredEvent): void {
  let at = heap.length;
  heap.push(item);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (comparePower(heap[parent]!, item) <= 0) break;
    heap[at] = heap[parent]!;
    at = parent;
  }
  heap[at] = item;
}

function pop(heap: PoweredEvent[]): PoweredEvent | undefined {
  const top = heap[0];
  const item = heap.pop();
  if (item === undefined || heap.length === 0) return top;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && comparePower(heap[child + 1]!, heap[child]!) < 0) child++;
    if (comparePower(item, heap[child]!) <= 0) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = item;
  return top;
}

/**
 * The mainline ordering based on `levels`, the resolved m.room.power_levels event (rooms/v2, State resolution).
 * `powerLevelsOf` gives the m.room.power_levels event among an event's auth events. The walk from event to event is
 * remembered, so that all together cost no more than the power levels events that they rest on.
 */
export function* mainlineOrder(
  events: readonly Pdu[],
  levels: Pdu | undefined,
  powerLevelsOf: (event: Pdu) => Pdu | undefined,
): Generator<void, Pdu[], void> {
  if (events.length === 0) return [];
  let work = 0;
  /** Distance from `levels`; Infinity for power levels events that lead to no event of the mainline. */
  const positions = new Map<EventId, number>();
  for (let event = levels; event !== undefined && !positions.has(event.event_id); event = powerLevelsOf(event)) {
    positions.set(event.event_id, positions.size);
    if (++work % STEP === 0) yield;
  }
  const placed: { readonly event: Pdu; readonly position: number }[] = [];
  for (const event of events) {
    const path = new Set<EventId>();
    let above = powerLevelsOf(event);
    while (above !== undefined && !positions.has(above.event_id) && !path.has(above.event_id)) {
      path.add(above.event_id);
      above = powerLevelsOf(above);
      if (++work % STEP === 0) yield;
    }
    const position = (above && positions.get(above.event_id)) ?? Infinity;
    for (const id of path) positions.set(id, position);
    placed.push({ event, position });
    if (++work % STEP === 0) yield;
  }
  placed.sort((x, y) => (x.position === y.position ? compareAge(x.event, y.event) : x.position > y.position ? -1 : 1));
  return placed.map(({ event }) => event);
}
