import type { DeviceId, EventId, RoomId, UserId } from '#core/ids.js';
import { redactRelated } from '#rooms/bulk-redactions.js';
import type { Rooms } from '#rooms/rooms.js';
import { sendEventIn, type Txn } from '#rooms/send.js';

/**
 * Redacts an event (client-server API, Redactions) and gives the redaction's id. Own events always, others' with the
 * redact level. M_NOT_FOUND for an event that is not held here, M_UNKNOWN 400 for one of another room, M_FORBIDDEN.
 */
export function redactEvent(
  rooms: Rooms,
  request: {
    readonly roomId: RoomId;
    readonly eventId: EventId;
    readonly sender: UserId;
    readonly device?: DeviceId;
    readonly reason?: string;
    readonly txn?: Txn;
    /** Redacts with it what relates to it by one of these types, or by any for "*", also what still comes (MSC3912). */
    readonly relTypes?: readonly string[];
  },
): Promise<EventId> {
  const { eventId, reason, relTypes, ...rest } = request;
  return rooms.store.commit((tx) => {
    const id = sendEventIn(rooms, tx, {
      ...rest,
      type: 'm.room.redaction',
      content: reason === undefined ? {} : { reason },
      redacts: eventId,
    });
    if (relTypes !== undefined && relTypes.length > 0) {
      const { roomId: room, sender } = request;
      redactRelated(rooms, tx, eventId, { room, sender, relTypes, ...(reason !== undefined && { reason }) });
    }
    return id;
  });
}
