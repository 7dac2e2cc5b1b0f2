import { eventSignature, isToBeSigned } from '#core/event/build.js';
import type { EventId } from '#core/ids.js';
import { RoomId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { roomRules } from '#core/room-versions.js';
import { withSignature } from '#core/signing.js';
import { isErased } from '#rooms/erasure.js';
import { redacted, shown } from '#rooms/redactions.js';
import { type Rooms, roomByNum } from '#rooms/rooms.js';
import type { StoredEvent } from '#store/events.js';
import type { Reader, StateRoot } from '#store/types.js';

/**
 * An event as other servers are given it: signed, and redacted where it was redacted. Words of a user who had themselves
 * erased are left out, state that the room rests on is not.
 */
export function wireForm(rooms: Rooms, reader: Reader, stored: StoredEvent): JsonObject {
  const { pdu } = stored;
  const isWithoutWords = pdu.state_key === undefined && isErased(reader, pdu.sender);
  return isWithoutWords ? redactedWireForm(rooms, stored) : signedForm(rooms, stored, shown(reader, stored).json);
}

/** The event for servers that may know of it, but not what it says. */
export function redactedWireForm(rooms: Rooms, stored: StoredEvent): JsonObject {
  return signedForm(rooms, stored, redacted(stored).json);
}

/** Signatures that were made of events while these are held in memory. */
const made = new WeakMap<StoredEvent, string>();

/** `form`, of the event, with the signature that was left for now: see docs/decisions/0012-signed-when-sent.md. */
function signedForm({ serverName, signingKey }: Rooms, stored: StoredEvent, form: JsonObject): JsonObject {
  const { pdu, version } = stored;
  if (!isToBeSigned(pdu)) return form;
  const signature = made.get(stored) ?? eventSignature(pdu.json, roomRules(version)!, signingKey);
  made.set(stored, signature);
  return withSignature(form, serverName, signingKey.id, signature);
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
