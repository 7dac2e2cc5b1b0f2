import { allowsRoomEvent, type RoomEventFilter } from '#core/filter.js';
import type { UserId } from '#core/ids.js';
import { ignoredBy } from '#rooms/ignored.js';
import type { StoredEvent } from '#store/events.js';
import type { Reader } from '#store/types.js';

/** Whether an event is what the filter asks for, and no message of someone whom `viewer` ignores. */
export function wantedBy(reader: Reader, viewer: UserId, filter: RoomEventFilter): (event: StoredEvent) => boolean {
  const ignored = ignoredBy(reader, viewer);
  return ({ pdu }) => (pdu.state_key !== undefined || !ignored.has(pdu.sender)) && allowsRoomEvent(filter, pdu);
}
