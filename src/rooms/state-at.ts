import type { EventId } from '#core/ids.js';
import { resolveState, stateMapKey } from '#core/state/resolve.js';
import { authIndex } from '#rooms/auth-index.js';
import type { Room, Rooms } from '#rooms/rooms.js';
import type { StoredEvent } from '#store/events.js';
import { log, timeline } from '#store/schema.js';
import type { EventNum, Order, Reader, RoomNum, StateRoot, Tx } from '#store/types.js';
import { assert } from '#util/assert.js';

/**
 * Room state after all of `events`, which are held here: the state after the one, or what the states after them
 * resolve to by the room version's algorithm.
 */
export function stateAfterEvents(rooms: Rooms, tx: Tx, room: Room, events: readonly EventId[]): StateRoot {
  const roots = new Set<StateRoot>();
  for (const id of events) {
    const stored = rooms.events.byId(tx, id);
    assert(stored !== undefined && stored.room === room.num, `${id} is not held in its room`);
    assert(hasState(stored), `${id} has no state`);
    roots.add(stored.stateAfter);
  }
  return resolveRoots(rooms, tx, room, [...roots]);
}

/**
 * Whether the state after an event is known, so that others may build on it: not where it was only fetched for a state or
 * an auth chain. Of those that entered the graph only the create event has nothing before it, and that one is accepted.
 */
export function hasState({ outcome, stateBefore }: StoredEvent): boolean {
  return outcome !== 'outlier' && !(outcome === 'rejected' && stateBefore === 0);
}

/** The snapshot that `roots`, all of one room, resolve to. */
export function resolveRoots(rooms: Rooms, tx: Tx, room: Room, roots: readonly StateRoot[]): StateRoot {
  const [base = 0, ...others] = roots;
  if (others.length === 0) return base;
  const keys = new Map<string, readonly [type: string, stateKey: string]>();
  for (const other of others) {
    for (const { type, stateKey } of rooms.trees.diff(tx, base, other)) {
      keys.set(stateMapKey(type, stateKey), [type, stateKey]);
    }
  }
  if (keys.size === 0) return base;
  const conflicted = new Map<string, (EventId | undefined)[]>();
  for (const [key, [type, stateKey]] of keys) {
    conflicted.set(
      key,
      roots.map((root) => idAt(rooms, tx, root, type, stateKey)),
    );
  }
  const resolved = resolveState({
    rules: room.rules,
    roomId: room.head.id,
    conflicted,
    unconflicted: (type, stateKey) => idAt(rooms, tx, base, type, stateKey),
    event: (id) => rooms.events.byId(tx, id)?.pdu,
    rejected: (id) => rooms.events.byId(tx, id)?.outcome === 'rejected',
    index: authIndex(tx),
  });
  const changes: [string, string, EventNum | undefined][] = [];
  for (const [key, [type, stateKey]] of keys) {
    const id = resolved.get(key);
    changes.push([type, stateKey, id === undefined ? undefined : rooms.events.numOf(tx, id)]);
  }
  return rooms.trees.apply(tx, base, changes);
}

function idAt(rooms: Rooms, reader: Reader, root: StateRoot, type: string, stateKey: string): EventId | undefined {
  const num = rooms.trees.get(reader, root, type, stateKey);
  return num === undefined ? undefined : rooms.events.get(reader, num)?.pdu.event_id;
}

/** The newest event of a room at or below `order` in its timeline. */
export async function lastEventUpTo(rooms: Rooms, room: RoomNum, order: Order): Promise<StoredEvent | undefined> {
  const [last] = await rooms.store.list(timeline, { prefix: [room], lte: [order], reverse: true, limit: 1 });
  return last === undefined ? undefined : rooms.events.get(rooms.store, last[1]);
}

/** Room state once every event up to `order` in the timeline was taken in: what a token stands for. 0 before the first. */
export async function rootAt(rooms: Rooms, room: RoomNum, order: Order): Promise<StateRoot> {
  const last = await lastEventUpTo(rooms, room, order);
  if (last === undefined) return 0;
  // The log says what the room's state was then, which after a fork is not the state after that event.
  const fact = last.order === last.num ? rooms.store.get(log, [last.num]) : undefined;
  return fact?.kind === 'event' && fact.state !== undefined ? fact.state : last.stateAfter;
}
