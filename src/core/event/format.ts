import { canonicalBytes } from '#core/canonical-json.js';
import { eventIdOf } from '#core/event/hash.js';
import type { Pdu, RawPdu } from '#core/event/pdu.js';
import { EventId, RoomId, UserId } from '#core/ids.js';
import { JsonError } from '#core/json.js';
import { isObject, type JsonObject, type JsonValue, own, ownObject, ownString } from '#core/json-value.js';
import type { RoomRules } from '#core/room-versions.js';
import { strictCanonicalProblem } from '#core/strict-json.js';
import { decodeBase64 } from '#util/base64.js';

/** Largest event in canonical JSON, signatures included, in bytes (client-server API, Size limits). */
export const MAX_EVENT_BYTES = 65_536;
/** Largest `type`, `state_key`, `sender`, `room_id` and event id, in bytes. */
export const MAX_FIELD_BYTES = 255;
export const MAX_PREV_EVENTS = 20;
export const MAX_AUTH_EVENTS = 10;
/** Largest depth of versions 6 and later; an event after one this deep has the same depth. */
export const MAX_DEPTH = Number.MAX_SAFE_INTEGER;
/** Largest depth of versions 1 to 5. */
const MAX_OLD_DEPTH = 2n ** 63n - 1n;

export type ParsedPdu = { readonly pdu: Pdu } | { readonly problem: string };

/**
 * Checks that `raw` has the form of a PDU of this room version (server-server API, Checks performed on receipt of a PDU,
 * step 1) and computes its id. `problem` says why it is to be dropped. Signatures and hashes are not checked here.
 *
 * `raw` must have been read with exact numbers. Of `unsigned`, which nothing vouches for, only the stripped state of
 * invites and knocks is kept.
 */
export function parsePdu(raw: RawPdu, rules: RoomRules): ParsedPdu {
  if (!isObject(raw)) return { problem: 'not an object' };
  const json = withTrustworthyUnsigned(raw);
  try {
    const problem = formProblem(json, rules) ?? (rules.strictCanonicalJson ? strictCanonicalProblem(json) : undefined);
    if (problem !== undefined) return { problem };
    if (canonicalBytes(json).length > MAX_EVENT_BYTES) return { problem: `larger than ${MAX_EVENT_BYTES} bytes` };
    const id = eventIdOf(json, rules);
    if (id === undefined) return { problem: 'event_id is not an event id' };
    const pdu = pduFromTrusted(json, rules, id);
    if (pdu.prev_events.includes(id) || pdu.auth_events.includes(id)) return { problem: 'refers to itself' };
    return { pdu };
  } catch (error) {
    if (error instanceof JsonError) return { problem: `no canonical JSON: ${error.message}` };
    throw error;
  }
}

/**
 * The Pdu of JSON that was checked before: read back from our own store, or built here. Checks and hashes nothing.
 * `json` is kept as it is and must not be changed afterwards.
 */
export function pduFromTrusted(json: RawPdu, rules: RoomRules, eventId: EventId): Pdu {
  const type = json['type'] as string;
  const content = json['content'] as JsonObject;
  const pdu: { -readonly [K in keyof Pdu]: Pdu[K] } = {
    event_id: eventId,
    room_id: rules.roomIdIsHash && isCreate(json) ? RoomId.fromCreateEventId(eventId) : (json['room_id'] as RoomId),
    type,
    sender: json['sender'] as UserId,
    content,
    origin_server_ts: clampInteger(json['origin_server_ts']),
    depth: clampInteger(json['depth']),
    prev_events: references(json['prev_events'], rules),
    auth_events: references(json['auth_events'], rules),
    json,
  };
  const stateKey = own(json, 'state_key');
  if (stateKey !== undefined) pdu.state_key = stateKey as string;
  if (type === 'm.room.redaction') {
    const redacts = EventId.parse(own(rules.redactsInContent ? content : json, 'redacts'));
    if (redacts !== undefined) pdu.redacts = redacts;
  }
  return Object.freeze(pdu);
}

/**
 * Why an event of versions 1 to 10 whose fields have at most 255 characters, but more bytes, is to be kept as rejected:
 * servers that counted characters hold such events, so dropping it would leave a hole in the room's graph. Undefined for
 * all others; from version 11 on such an event never gets past `parsePdu`.
 */
export function oversizedField(pdu: Pdu): string | undefined {
  if (exceeds(pdu.type)) return 'type is larger than 255 bytes';
  if (pdu.state_key !== undefined && exceeds(pdu.state_key)) return 'state_key is larger than 255 bytes';
  return undefined;
}

function exceeds(text: string): boolean {
  return text.length * 3 > MAX_FIELD_BYTES && Buffer.byteLength(text) > MAX_FIELD_BYTES;
}

function tooLong(text: string, rules: RoomRules): boolean {
  if (!exceeds(text)) return false;
  if (rules.byteLimits || text.length > 2 * MAX_FIELD_BYTES) return true;
  let characters = 0;
  for (const _ of text) characters++;
  return characters > MAX_FIELD_BYTES;
}

function isCreate(json: RawPdu): boolean {
  return json['type'] === 'm.room.create' && own(json, 'state_key') === '';
}

const ROOM_STATE_FOR_INVITEES = ['invite_room_state', 'knock_room_state'] as const;

function withTrustworthyUnsigned(raw: RawPdu): RawPdu {
  if (!Object.hasOwn(raw, 'unsigned')) return raw;
  const { unsigned, ...json } = raw;
  if (!isObject(unsigned) || raw['type'] !== 'm.room.member') return json;
  const kept: Record<string, JsonValue> = {};
  for (const key of ROOM_STATE_FOR_INVITEES) {
    const value = own(unsigned, key);
    if (value !== undefined) kept[key] = value;
  }
  return Object.keys(kept).length === 0 ? json : { ...json, unsigned: kept };
}

function formProblem(raw: RawPdu, rules: RoomRules): string | undefined {
  const type = own(raw, 'type');
  if (typeof type !== 'string' || tooLong(type, rules)) return 'type is not a string of at most 255 bytes';
  if (Object.hasOwn(raw, 'state_key')) {
    const stateKey = raw['state_key'];
    if (typeof stateKey !== 'string' || tooLong(stateKey, rules)) {
      return 'state_key is not a string of at most 255 bytes';
    }
  }
  if (!UserId.is(own(raw, 'sender'))) return 'sender is not a user id';
  const content = own(raw, 'content');
  if (!isObject(content)) return 'content is not an object';
  return (
    roomIdProblem(raw, rules) ??
    numberProblem(raw, rules) ??
    hashesProblem(raw) ??
    referencesProblem(own(raw, 'prev_events'), 'prev_events', MAX_PREV_EVENTS, rules) ??
    referencesProblem(own(raw, 'auth_events'), 'auth_events', MAX_AUTH_EVENTS, rules) ??
    authoriserProblem(type, content, rules)
  );
}

function roomIdProblem(raw: RawPdu, rules: RoomRules): string | undefined {
  const roomId = own(raw, 'room_id');
  if (!rules.roomIdIsHash) return RoomId.is(roomId) ? undefined : 'room_id is not a room id';
  // A create event that has a room id is for authorisation rule 1.2 to reject, and is no format error.
  if (isCreate(raw)) return undefined;
  const isHash = RoomId.is(roomId) && EventId.isBase64Url(RoomId.createEventId(roomId));
  return isHash ? undefined : 'room_id is not the hash of a create event';
}

function numberProblem(raw: RawPdu, rules: RoomRules): string | undefined {
  if (!isInteger(own(raw, 'origin_server_ts'))) return 'origin_server_ts is not an integer';
  const depth = own(raw, 'depth');
  if (!isInteger(depth)) return 'depth is not an integer';
  const largest = rules.strictCanonicalJson ? MAX_DEPTH : MAX_OLD_DEPTH;
  return depth < 0 || depth > largest ? 'depth is out of range' : undefined;
}

function isInteger(value: JsonValue | undefined): value is number | bigint {
  return typeof value === 'bigint' || Number.isSafeInteger(value);
}

/** Large integers of versions 1 to 5 only serve for ordering, where the nearest safe integer does as well. */
function clampInteger(value: JsonValue | undefined): number {
  return typeof value === 'bigint'
    ? Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Number(value)))
    : (value as number);
}

function hashesProblem(raw: RawPdu): string | undefined {
  const hash = ownString(ownObject(raw, 'hashes') ?? {}, 'sha256');
  if (hash === undefined || decodeBase64(hash) === undefined) return 'hashes has no sha256 in base64';
  const signatures = ownObject(raw, 'signatures');
  if (signatures === undefined) return 'signatures is not an object';
  return Object.values(signatures).every(isObject) ? undefined : 'signatures of a server are not an object';
}

function referencesProblem(
  value: JsonValue | undefined,
  name: string,
  most: number,
  rules: RoomRules,
): string | undefined {
  if (!Array.isArray(value)) return `${name} is not an array`;
  if (value.length > most) return `${name} has more than ${most} entries`;
  const seen = new Set<string>();
  for (const entry of value as readonly JsonValue[]) {
    const id = referencedId(entry, rules);
    if (id === undefined) return `${name} holds something else than event ids of this room version`;
    if (seen.has(id)) return `${name} holds an event twice`;
    seen.add(id);
  }
  return undefined;
}

/** The id of one entry of `prev_events` or `auth_events`; in versions 1 and 2 an entry is `[id, {"sha256": hash}]`. */
function referencedId(entry: JsonValue, rules: RoomRules): string | undefined {
  if (rules.eventIdFormat === 'server') {
    if (!Array.isArray(entry) || entry.length !== 2 || !isObject(entry[1])) return undefined;
    const id: JsonValue | undefined = entry[0];
    return typeof id === 'string' && EventId.isWithServer(id) ? id : undefined;
  }
  if (typeof entry !== 'string') return undefined;
  const isOfVersion = rules.eventIdFormat === 'base64' ? EventId.isBase64(entry) : EventId.isBase64Url(entry);
  return isOfVersion ? entry : undefined;
}

function references(value: JsonValue | undefined, rules: RoomRules): readonly EventId[] {
  const entries = value as readonly JsonValue[];
  if (rules.eventIdFormat !== 'server') return entries as unknown as readonly EventId[];
  return entries.map((entry) => EventId.of((entry as readonly JsonValue[])[0] as string));
}

/** Whoever lets a user in to a restricted room has to sign, so it must be clear which server that is. */
function authoriserProblem(type: string, content: JsonObject, rules: RoomRules): string | undefined {
  if (!rules.restrictedJoin || type !== 'm.room.member' || own(content, 'membership') !== 'join') return undefined;
  const authoriser = own(content, 'join_authorised_via_users_server');
  if (authoriser === undefined || UserId.is(authoriser)) return undefined;
  return 'join_authorised_via_users_server is not a user id';
}
