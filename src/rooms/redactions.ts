import { powerLevels } from '#core/auth/power-levels.js';
import { MatrixError } from '#core/errors.js';
import { pduFromTrusted } from '#core/event/format.js';
import type { Draft, Pdu } from '#core/event/pdu.js';
import { redactPdu } from '#core/event/redact.js';
import { type EventId, UserId } from '#core/ids.js';
import { roomRules } from '#core/room-versions.js';
import { forgetRelation } from '#rooms/relations.js';
import { type Room, type RoomGraph, type Rooms, roomByNum, storedStateAt } from '#rooms/rooms.js';
import { unindexText } from '#rooms/search-index.js';
import type { StoredEvent } from '#store/events.js';
import { awaitedRedactions, redactions } from '#store/schema.js';
import type { Reader, StateRoot, Tx } from '#store/types.js';
import { assert } from '#util/assert.js';

/** Redactions kept for one event that is not here yet. */
const MAX_AWAITED = 16;

/** The level of `user` for redacting others' events in the state `root` reaches the room's redact level. */
export function mayRedactOthers(rooms: RoomGraph, reader: Reader, room: Room, root: StateRoot, user: UserId): boolean {
  const create = storedStateAt(rooms, reader, root, 'm.room.create', '')?.pdu;
  const levels = powerLevels(room.rules, create, storedStateAt(rooms, reader, root, 'm.room.power_levels', '')?.pdu);
  return levels.user(user) >= levels.redact;
}

/**
 * Whether a redaction takes effect on an event (rooms/v3, Handling redactions): it needs the redact level, or a sender
 * of the redacted event's server. In versions 1 and 2 the authorisation rules have asked that already. Create events
 * and redactions are never redacted: a room must not lose its root, and two redactions must not undo each other.
 */
export function takesEffect(
  rooms: RoomGraph,
  reader: Reader,
  room: Room,
  redaction: StoredEvent,
  target: StoredEvent,
): boolean {
  if (target.room !== room.num || redaction.room !== room.num) return false;
  if (target.pdu.type === 'm.room.create' || target.pdu.type === 'm.room.redaction') return false;
  if (room.rules.redactionAuthorised) return true;
  if (UserId.serverName(redaction.pdu.sender) === UserId.serverName(target.pdu.sender)) return true;
  return mayRedactOthers(rooms, reader, room, redaction.stateBefore, redaction.pdu.sender);
}

/**
 * Lets an accepted m.room.redaction take effect, at once or when its event comes. Gives the event redacted now.
 * The first redaction that takes effect stays the reason that clients are told.
 */
export function applyRedaction(rooms: Rooms, tx: Tx, room: Room, redaction: StoredEvent): StoredEvent | undefined {
  const id = redaction.pdu.redacts;
  if (id === undefined || id === redaction.pdu.event_id) return undefined;
  const target = rooms.events.byId(tx, id);
  if (target === undefined) {
    const waiting = tx.get(awaitedRedactions, [id]) ?? [];
    if (waiting.length < MAX_AWAITED) tx.put(awaitedRedactions, [id], [...waiting, redaction.pdu.event_id]);
    return undefined;
  }
  return redact(rooms, tx, room, redaction, target) ? target : undefined;
}

/** Applies the redactions that came before `target` did. Gives whether one took effect. */
export function applyAwaitedRedactions(rooms: Rooms, tx: Tx, room: Room, target: StoredEvent): boolean {
  const waiting = tx.get(awaitedRedactions, [target.pdu.event_id]);
  if (waiting === undefined) return false;
  tx.delete(awaitedRedactions, [target.pdu.event_id]);
  return waiting.some((id) => {
    const redaction = rooms.events.byId(tx, id);
    return redaction !== undefined && redact(rooms, tx, room, redaction, target);
  });
}

function redact(rooms: Rooms, tx: Tx, room: Room, redaction: StoredEvent, target: StoredEvent): boolean {
  if (!takesEffect(rooms, tx, room, redaction, target)) return false;
  return markRedacted(tx, target, redaction.pdu.event_id);
}

/** Marks an event as redacted by the event `by`, whose power for it was asked before; false where it was already. */
export function markRedacted(tx: Tx, target: StoredEvent, by: EventId): boolean {
  if (tx.has(redactions, [target.pdu.event_id])) return false;
  tx.put(redactions, [target.pdu.event_id], by);
  forgetRelation(tx, target);
  unindexText(tx, target);
  return true;
}

/**
 * Whether a redaction is kept from clients (rooms/v3, Handling redactions): as long as the event that it redacts is not
 * here, or where it must not take effect on it.
 */
export function isWithheld(rooms: Rooms, reader: Reader, event: StoredEvent): boolean {
  if (event.pdu.type !== 'm.room.redaction' || event.pdu.state_key !== undefined) return false;
  const target = event.pdu.redacts === undefined ? undefined : rooms.events.byId(reader, event.pdu.redacts);
  return target === undefined || !takesEffect(rooms, reader, roomByNum(reader, event.room), event, target);
}

/** The redaction that took effect on the event `id`, if one did. */
export function redactionOf(rooms: Rooms, reader: Reader, id: EventId): StoredEvent | undefined {
  const redaction = reader.get(redactions, [id]);
  return redaction === undefined ? undefined : rooms.events.byId(reader, redaction);
}

/** Whether a redaction took effect on the event `id`, though it need not be held. */
export function isRedacted(reader: Reader, id: EventId): boolean {
  return reader.has(redactions, [id]);
}

/** The event without what a redaction has taken away. What one viewer is shown of it: `shownTo` of rooms/erasure.ts. */
export function shown(reader: Reader, stored: StoredEvent): Pdu {
  return isRedacted(reader, stored.pdu.event_id) ? redacted(stored) : stored.pdu;
}

/** The event without what a redaction takes away, whether or not there was one. */
export function redacted({ pdu, version }: StoredEvent): Pdu {
  const rules = roomRules(version);
  assert(rules !== undefined, 'events are held in known room versions only');
  return pduFromTrusted(redactPdu(pdu.json, rules), rules, pdu.event_id);
}

/** What this server asks of its own users' redactions, beyond the authorisation rules. */
export function checkRedaction(rooms: Rooms, tx: Tx, room: Room, draft: Draft): void {
  if (draft.redacts === undefined) throw new MatrixError('M_BAD_JSON', 'The redaction names no event');
  const target = rooms.events.byId(tx, draft.redacts);
  if (target === undefined) throw new MatrixError('M_NOT_FOUND', 'The event to redact is not known');
  if (target.room !== room.num) {
    throw new MatrixError('M_UNKNOWN', 'The event to redact is in another room', { status: 400 });
  }
  if (target.pdu.type === 'm.room.create' || target.pdu.type === 'm.room.server_acl') {
    throw new MatrixError('M_FORBIDDEN', `An event of type ${target.pdu.type} must not be redacted`);
  }
  if (target.pdu.sender === draft.sender) return;
  if (!mayRedactOthers(rooms, tx, room, room.head.state, draft.sender)) {
    throw new MatrixError('M_FORBIDDEN', "You have not the power to redact others' events");
  }
}
