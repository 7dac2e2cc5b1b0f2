import type { EventId } from '#core/ids.js';
import { RoomId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { isErased } from '#rooms/erasure.js';
import { redacted, shown } from '#rooms/redactions.js';
import { type Rooms, roomByNum } from '#rooms/rooms.js';
import type { StoredEvent } from '#store/events.js';
import type { Reader, StateRoot } from '#store/types.js';

/**
 * An event as other servers are given it: redacted where it was redacted. Words of a user who had themselves erased are
 * left out, state that the room rests on is not.
 */
export function wireForm(reader: Reader, stored: StoredEvent): JsonObject {
  const { pdu } = stored;
  const isWithoutWords = pdu.state_key === undefined && isErased(reader, pdu.sender);
  return isWithoutWords ? redacted(stored).json : shown(reader, stored).json;
}

/** The events of a snapshot. */
export function stateEvents(rooms: Rooms, reader: Reader, root: StateRoot): StoredEvent[] {
  const events: StoredEvent[] = [];
  for (const [, , num] of rooms.trees.entries(reader, root)) {
    const stored = rooms.events.get(reader, num);
    if (stored !== undefined) events.push(stored);
  }
  return events;
}

/**
 * All events that authorise `events`, directly or not, each once; the events themselves only where they authorise
 * another (server-server API, Auth chain). From version 12 on the create event authorises all without being named.
 */
export function authChainOf(rooms: Rooms, reader: Reader, events: readonly StoredEvent[]): StoredEvent[] {
  const chain = new Map<EventId, StoredEvent>();
  const add = (id: EventId): void => {
    const stored = chain.has(id) ? undefined : rooms.events.byId(reader, id);
    if (stored !== undefined) chain.set(id, stored);
  };
  const addAuth = ({ pdu, room }: StoredEvent): void => {
    for (const id of pdu.auth_events) add(id);
    const { rules } = roomByNum(reader, room);
    if (rules.roomIdIsHash && pdu.type !== 'm.room.create') add(RoomId.createEventId(pdu.room_id));
  };
  for (const event of events) addAuth(event);
  // A map goes on with what is put into it meanwhile.
  for (const event of chain.values()) addAuth(event);
  return [...chain.values()];
}
