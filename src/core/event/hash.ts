import { canonicalJsonWithout } from '#core/canonical-json.js';
import type { RawPdu } from '#core/event/pdu.js';
import { redactPdu } from '#core/event/redact.js';
import { EventId } from '#core/ids.js';
import { ownString } from '#core/json-value.js';
import type { RoomRules } from '#core/room-versions.js';
import { sha256, signedBytes } from '#core/signing.js';
import { encodeBase64, encodeBase64Url } from '#util/base64.js';

const NOT_HASHED = ['unsigned', 'signatures', 'hashes'] as const;

/** What the content hash covers, before it is UTF-8: all of the event but `unsigned`, `signatures` and `hashes`. */
export function contentHashText(raw: RawPdu): string {
  return canonicalJsonWithout(raw, NOT_HASHED);
}

/**
 * The content hash in unpadded base64 (server-server API, Calculating the content hash for an event). Throws JsonError
 * where the event has no canonical form.
 */
export function contentHash(raw: RawPdu): string {
  return encodeBase64(sha256(contentHashText(raw)));
}

/**
 * The bytes that signatures of the event, and its reference hash, cover: the redacted event without `signatures` and
 * `unsigned`. Throws JsonError where the event has no canonical form.
 */
export function eventSignedBytes(raw: RawPdu, rules: RoomRules): Buffer {
  return signedBytes(redactPdu(raw, rules));
}

/** The reference hash, 32 bytes (server-server API, Calculating the reference hash for an event). Throws JsonError. */
export function referenceHash(raw: RawPdu, rules: RoomRules): Buffer {
  return sha256(eventSignedBytes(raw, rules));
}

/** The event id that a reference hash gives in versions 3 and later. */
export function eventIdOfHash(hash: Buffer, rules: RoomRules): EventId {
  return EventId.of(`$${rules.eventIdFormat === 'base64' ? encodeBase64(hash) : encodeBase64Url(hash)}`);
}

/**
 * The event's id: in versions 1 and 2 its own `event_id` (undefined where that is missing or malformed), from version 3
 * on made of its reference hash. Throws JsonError where the event has no canonical form.
 */
export function eventIdOf(raw: RawPdu, rules: RoomRules): EventId | undefined {
  if (rules.eventIdFormat !== 'server') return eventIdOfHash(referenceHash(raw, rules), rules);
  const id = ownString(raw, 'event_id');
  return id !== undefined && EventId.isWithServer(id) ? EventId.of(id) : undefined;
}
