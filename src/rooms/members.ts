import { MatrixError } from '#core/errors.js';
import { membershipOf } from '#core/event/content.js';
import type { RoomId, UserId } from '#core/ids.js';
import { joinedRoom, notInRoom, type Rooms, storedStateAt } from '#rooms/rooms.js';
import { lastEventUpTo, rootAt } from '#rooms/state-at.js';
import { readableRoom } from '#rooms/visibility.js';
import type { StoredEvent } from '#store/events.js';
import { type Member, members } from '#store/schema.js';
import type { Order, StateRoot } from '#store/types.js';

/** State entries read between two turns of the event loop. */
const SLICE = 500;

/** Current state of a room, or that at which the viewer left (client-server API, GET state). M_FORBIDDEN otherwise. */
export async function readState(rooms: Rooms, viewer: UserId | undefined, roomId: RoomId): Promise<StoredEvent[]> {
  return stateIn(rooms, readableRoom(rooms, roomId, viewer).root);
}

/** One piece of the state that `readState` gives; M_NOT_FOUND where it is not set. */
export function readStateEvent(
  rooms: Rooms,
  viewer: UserId | undefined,
  roomId: RoomId,
  type: string,
  stateKey: string,
): StoredEvent {
  const { root } = readableRoom(rooms, roomId, viewer);
  const stored = storedStateAt(rooms, rooms.store, root, type, stateKey);
  if (stored === undefined) throw new MatrixError('M_NOT_FOUND', 'The room has no such state');
  return stored;
}

/** All events of a snapshot, or those of one type. */
export async function stateIn(rooms: Rooms, root: StateRoot, type?: string): Promise<StoredEvent[]> {
  const found: StoredEvent[] = [];
  let read = 0;
  for (const [of, , num] of rooms.trees.entries(rooms.store, root)) {
    if (++read % SLICE === 0) await new Promise<void>((next) => setImmediate(next));
    if (type !== undefined && of !== type) continue;
    const stored = rooms.events.get(rooms.store, num);
    if (stored !== undefined) found.push(stored);
  }
  return found;
}

export interface MembersQuery {
  /** Gap of the timeline (docs/STREAMS.md): members as they were there, and at most as the viewer left. */
  readonly at?: Order;
  /** Only these, or only others; with both, either is enough (client-server API, GET members). */
  readonly membership?: string;
  readonly notMembership?: string;
}

/** Member events of a room (client-server API, GET members). M_FORBIDDEN as `readState`. */
export async function listMembers(
  rooms: Rooms,
  viewer: UserId | undefined,
  roomId: RoomId,
  query: MembersQuery = {},
): Promise<StoredEvent[]> {
  const access = readableRoom(rooms, roomId, viewer);
  let { root } = access;
  if (query.at !== undefined && query.at < Math.min(access.until, access.room.head.tip)) {
    const last = await lastEventUpTo(rooms, access.room.num, query.at);
    if (last === undefined || !access.visibility.sees(last)) throw notInRoom();
    root = await rootAt(rooms, access.room.num, query.at);
  }
  const all =
    root === access.room.head.state
      ? await currentMembers(rooms, access.room.num)
      : await stateIn(rooms, root, 'm.room.member');
  const { membership: is, notMembership: not } = query;
  if (is === undefined && not === undefined) return all;
  return all.filter((stored) => {
    const membership = membershipOf(stored.pdu);
    return (is !== undefined && membership === is) || (not !== undefined && membership !== not);
  });
}

async function currentMembers(rooms: Rooms, room: number): Promise<StoredEvent[]> {
  const found: StoredEvent[] = [];
  for await (const [, member] of rooms.store.range(members, { prefix: [room] })) {
    const stored = rooms.events.get(rooms.store, member.event);
    if (stored !== undefined) found.push(stored);
  }
  return found;
}

/** Users joined now with their names there (client-server API, GET joined_members), for one who is joined too. */
export async function joinedMembers(
  rooms: Rooms,
  viewer: UserId,
  roomId: RoomId,
): Promise<ReadonlyMap<string, Member>> {
  const room = joinedRoom(rooms.store, roomId, viewer);
  const joined = new Map<string, Member>();
  for await (const [[, user], member] of rooms.store.range(members, { prefix: [room.num] })) {
    if (member.membership === 'join') joined.set(user, member);
  }
  return joined;
}
