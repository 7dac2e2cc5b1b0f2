import type { RoomId, UserId } from '#core/ids.js';
import type { Rooms } from '#rooms/rooms.js';
import { roomsOf } from '#store/members.js';
import { rooms as heads } from '#store/schema.js';

/** Rooms that a local user is joined to (client-server API, GET joined_rooms). */
export async function joinedRooms(rooms: Rooms, user: UserId): Promise<RoomId[]> {
  const joined: RoomId[] = [];
  for await (const [room, row] of roomsOf(rooms.store, user)) {
    const head = row.membership === 'join' ? rooms.store.get(heads, [room]) : undefined;
    if (head !== undefined) joined.push(head.id);
  }
  return joined;
}
