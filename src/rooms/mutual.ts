import type { RoomId, UserId } from '#core/ids.js';
import { memberOf, type Rooms, roomByNum } from '#rooms/rooms.js';
import { memberships } from '#store/schema.js';
import type { RoomNum } from '#store/types.js';

/** Rooms between two turns of the event loop. */
const SLICE = 200;

export interface MutualRooms {
  /** In no particular order, but the same from page to page. */
  readonly joined: readonly RoomId[];
  /** On all pages together. */
  readonly count: number;
  /** Number of the room that the next page begins behind; absent at the end. */
  readonly end?: RoomNum;
}

/** Rooms that two users are both joined to (client-server API, Mutual rooms); `user` is a local one. */
export async function mutualRooms(
  rooms: Rooms,
  user: UserId,
  other: UserId,
  query: { readonly after?: RoomNum; readonly limit: number },
): Promise<MutualRooms> {
  const { after = 0, limit } = query;
  const joined: RoomId[] = [];
  let count = 0;
  let last = after;
  let more = false;
  let looked = 0;
  for await (const [[, num], row] of rooms.store.range(memberships, { prefix: [user] })) {
    if (++looked % SLICE === 0) await new Promise<void>((next) => setImmediate(next));
    if (row.membership !== 'join') continue;
    const room = roomByNum(rooms.store, num);
    if (memberOf(rooms.store, room, other)?.membership !== 'join') continue;
    count++;
    if (num <= after) continue;
    if (joined.length >= limit) {
      more = true;
      continue;
    }
    joined.push(room.head.id);
    last = num;
  }
  return { joined, count, ...(more ? { end: last } : {}) };
}
