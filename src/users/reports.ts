import { MatrixError } from '#core/errors.js';
import type { EventId, RoomId, UserId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { findRoom, memberOf, type Rooms } from '#rooms/rooms.js';
import { getEvent } from '#rooms/visibility.js';
import { reports } from '#store/schema.js';
import type { Position } from '#store/types.js';
import type { Users } from '#users/users.js';

const MAX_REASON_BYTES = 2_048;

/** What is reported: an event of a room, a room, or a user. */
export type Reported =
  | { readonly room: RoomId; readonly event: EventId }
  | { readonly room: RoomId }
  | { readonly reportedUser: UserId };

/**
 * Keeps a report for the administrators (client-server API, Reporting content). An event must be visible to its reporter,
 * who must be joined to its room: M_NOT_FOUND otherwise. Rooms and users need not exist here, so that nobody learns from
 * the answer whether they do.
 */
export async function report(
  users: Users,
  rooms: Rooms,
  reporter: UserId,
  about: Reported,
  reason: string | undefined,
): Promise<void> {
  if (reason !== undefined && Buffer.byteLength(reason) > MAX_REASON_BYTES) {
    throw new MatrixError('M_INVALID_PARAM', `A reason may have at most ${MAX_REASON_BYTES} bytes`);
  }
  if ('event' in about) {
    const room = findRoom(users.store, about.room);
    if (room === undefined || memberOf(users.store, room, reporter)?.membership !== 'join') {
      throw new MatrixError('M_NOT_FOUND', 'The event was not found, or you are not joined to its room');
    }
    getEvent(rooms, reporter, about.room, about.event);
  }
  const row = { ...about, reporter, receivedTs: users.clock.now(), ...(reason !== undefined && { reason }) };
  await users.store.commit((tx) => tx.put(reports, [tx.position()], row));
}

/** Reports after a position, oldest first. */
export async function listReports(
  users: Users,
  after: Position,
  limit: number,
): Promise<{ readonly position: Position; readonly report: JsonObject }[]> {
  const rows = await users.store.list(reports, { gt: [after], limit });
  return rows.map(([[position], row]) => ({ position, report: row }));
}
