import type { EventId } from '#core/ids.js';
import { RoomId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { redacted, shown } from '#rooms/redactions.js';
import { type Rooms, roomByNum } from '#rooms/rooms.js';
import type { StoredEvent } from '#store/events.js';
import { users } from '#store/schema.js';
import type { Reader, StateRoot } from '#store/types.js';

/** An event as other servers are given it: redacted where it was redacted, or its sender had themselves erased. */
export function wireForm(reader: Reader, stored: StoredEvent): JsonObject {
  return isErased(reader, stored) ? redacted(stored).json : shown(reader, stored).json;
}

function isErased(reader: Reader, { pdu }: StoredEvent): boolean {
  return pdu.state_key === undefined && reader.get(users, [pdu.sender])?.erased === true;
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
