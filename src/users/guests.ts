import { guestsCanJoin } from '#core/event/content.js';
import { type RoomId, UserId } from '#core/ids.js';
import { changeMembershipIn } from '#rooms/membership.js';
import { findRoom, type Rooms, storedStateAt } from '#rooms/rooms.js';
import { localMembers } from '#rooms/roster.js';
import type { Tx } from '#store/types.js';
import { findUser } from '#users/accounts.js';

/** Lets this server's guests leave a room that no longer takes guests (client-server API, Guest access). */
export function removeGuests(rooms: Rooms, tx: Tx, roomId: RoomId): void {
  const room = findRoom(tx, roomId);
  if (room === undefined) return;
  if (guestsCanJoin(storedStateAt(rooms, tx, room.head.state, 'm.room.guest_access', '')?.pdu)) return;
  // Leaving changes the list that is walked, so it is taken whole first.
  for (const user of [...localMembers(tx, room.num)]) {
    if (!UserId.is(user) || findUser(tx, user)?.guest !== true) continue;
    changeMembershipIn(rooms, tx, { roomId, sender: user, target: user, action: 'leave' });
  }
}
