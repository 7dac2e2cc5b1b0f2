import type { RoomId, UserId } from '#core/ids.js';
import { participates } from '#rooms/aggregations.js';
import type { Rooms } from '#rooms/rooms.js';
import { readableRoom } from '#rooms/visibility.js';
import type { StoredEvent } from '#store/events.js';
import { threadOrders } from '#store/schema.js';
import type { Order } from '#store/types.js';

/** Threads looked at for one page. */
const SCAN_LIMIT = 2_000;

export interface ThreadsQuery {
  /** Only threads that the viewer began or replied in. */
  readonly participated: boolean;
  readonly limit: number;
  /** Gap of the timeline: threads whose newest reply is behind it are passed over. */
  readonly from?: Order;
}

/**
 * Roots of a room's threads that `viewer` may see, those with the newest reply first (client-server API, Querying threads
 * in a room). `end` is the gap to go on from. M_FORBIDDEN as `readableRoom`.
 */
export async function listThreads(
  rooms: Rooms,
  viewer: UserId,
  roomId: RoomId,
  query: ThreadsQuery,
): Promise<{ readonly roots: readonly StoredEvent[]; readonly end?: Order }> {
  const { room, visibility, until } = readableRoom(rooms, roomId, viewer);
  const roots: StoredEvent[] = [];
  const from = Math.min(query.from ?? Infinity, until);
  let scanned = 0;
  for await (const [[, order], id] of rooms.store.range(threadOrders, {
    prefix: [room.num],
    ...(from === Infinity ? {} : { lte: [from] }),
    reverse: true,
  })) {
    if (roots.length >= query.limit || scanned++ >= SCAN_LIMIT) return { roots, end: order };
    const root = rooms.events.byId(rooms.store, id);
    if (root === undefined || !visibility.sees(root)) continue;
    if (query.participated && !participates(rooms.store, root.pdu, viewer)) continue;
    roots.push(root);
  }
  return { roots };
}
