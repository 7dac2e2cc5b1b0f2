import { membershipOf } from '#core/event/content.js';
import { pduFromTrusted } from '#core/event/format.js';
import type { Pdu } from '#core/event/pdu.js';
import { redactContent } from '#core/event/redact.js';
import type { UserId } from '#core/ids.js';
import { isObject, type JsonObject, own, ownString } from '#core/json-value.js';
import { type RoomRules, roomRules } from '#core/room-versions.js';
import { isRedacted, redacted } from '#rooms/redactions.js';
import { type Rooms, storedStateAt } from '#rooms/rooms.js';
import type { StoredEvent } from '#store/events.js';
import { memberships, users } from '#store/schema.js';
import type { Reader, StateRoot } from '#store/types.js';
import { assert } from '#util/assert.js';

/**
 * What erasure leaves of state content, beside what redaction leaves: not anyone's words but how the room works. Without
 * it a newcomer's client would write unencrypted, or not find the rooms that belong together.
 */
const WORKINGS: Readonly<Record<string, readonly string[]>> = {
  'm.room.canonical_alias': ['alias', 'alt_aliases'],
  'm.room.encryption': ['algorithm', 'rotation_period_ms', 'rotation_period_msgs'],
  'm.room.guest_access': ['guest_access'],
  'm.room.pinned_events': ['pinned'],
  'm.room.server_acl': ['allow', 'deny', 'allow_ip_literals'],
  'm.room.tombstone': ['replacement_room'],
  'm.space.child': ['via', 'order', 'suggested'],
  'm.space.parent': ['via', 'canonical'],
};

/** Whether the user had themselves erased when they deactivated their account. */
export function isErased(reader: Reader, user: string): boolean {
  return reader.get(users, [user])?.erased === true;
}

/** The viewer's membership once the event was in (MSC4115): `leave` where they had none; undefined for outliers. */
export function membershipAt(
  rooms: Rooms,
  reader: Reader,
  stored: StoredEvent,
  viewer: UserId | undefined,
): string | undefined {
  if (viewer === undefined || stored.stateAfter === 0) return undefined;
  return membershipOf(storedStateAt(rooms, reader, stored.stateAfter, 'm.room.member', viewer)?.pdu) ?? 'leave';
}

/**
 * Whether the sender had themselves erased, and `viewer` was neither in the room when they sent it, nor is in it since
 * before the erasure: those who were could see it already (client-server API, Account deactivation). Nobody without an
 * account was.
 */
export function isErasedFor(rooms: Rooms, reader: Reader, stored: StoredEvent, viewer: UserId | undefined): boolean {
  const sender = reader.get(users, [stored.pdu.sender]);
  if (!sender?.erased) return false;
  if (viewer === undefined) return true;
  const own = reader.get(memberships, [viewer, stored.room]);
  const isInSince = own?.membership === 'join' && own.position < (sender.erasedAt ?? 0);
  return !isInSince && membershipAt(rooms, reader, stored, viewer) !== 'join';
}

/**
 * The event as `viewer` (undefined: anyone) is shown it: without what a redaction took away, and without the words of a
 * user who had themselves erased. Whatever shows content of an event, whole or in part, takes it from here. `wasRedacted`
 * is for callers that have looked already.
 */
export function shownTo(
  rooms: Rooms,
  reader: Reader,
  stored: StoredEvent,
  viewer: UserId | undefined,
  wasRedacted = isRedacted(reader, stored.pdu.event_id),
): Pdu {
  const pdu = wasRedacted ? redacted(stored) : stored.pdu;
  return isErasedFor(rooms, reader, stored, viewer) ? withoutWords(stored, pdu) : pdu;
}

function withoutWords(stored: StoredEvent, pdu: Pdu): Pdu {
  const rules = roomRules(stored.version);
  assert(rules !== undefined, 'events are held in known room versions only');
  const bare = redacted(stored);
  if (pdu.state_key === undefined) return bare;
  const content = workingContent(pdu.type, pdu.content, rules);
  return pduFromTrusted({ ...bare.json, content }, rules, pdu.event_id);
}

function workingContent(type: string, content: JsonObject, rules: RoomRules): JsonObject {
  const kept = Object.hasOwn(WORKINGS, type) ? WORKINGS[type]! : [];
  return {
    ...redactContent(type, content, rules),
    ...Object.fromEntries(kept.filter((key) => Object.hasOwn(content, key)).map((key) => [key, content[key]!])),
  };
}

/** An event of stripped state that was kept with an invite or knock, without the words of one erased since. */
export function strippedWithoutErased(reader: Reader, version: string, event: JsonObject): JsonObject {
  const sender = ownString(event, 'sender');
  if (sender === undefined || !isErased(reader, sender)) return event;
  const rules = roomRules(version);
  const content = own(event, 'content');
  if (rules === undefined || !isObject(content)) return { ...event, content: {} };
  return { ...event, content: workingContent(ownString(event, 'type') ?? '', content, rules) };
}

/** A text out of the state at `root` with an empty state key, as `viewer` is shown it: a room's name, say. */
export function textOfState(
  rooms: Rooms,
  reader: Reader,
  root: StateRoot,
  viewer: UserId | undefined,
  [type, key]: readonly [type: string, key: string],
): string | undefined {
  const stored = storedStateAt(rooms, reader, root, type, '');
  return stored && ownString(shownTo(rooms, reader, stored, viewer).content, key);
}
