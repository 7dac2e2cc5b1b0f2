import { canonicalJson, inCanonicalOrder } from '#core/canonical-json.js';
import { MatrixError } from '#core/errors.js';
import {
  MAX_AUTH_EVENTS,
  MAX_DEPTH,
  MAX_EVENT_BYTES,
  MAX_PREV_EVENTS,
  oversizedField,
  pduFromTrusted,
} from '#core/event/format.js';
import { contentHashText, eventIdOfHash, eventSignedBytes } from '#core/event/hash.js';
import type { Draft, Pdu, RawPdu } from '#core/event/pdu.js';
import { EventId, type RoomId, type ServerName } from '#core/ids.js';
import { JsonError } from '#core/json.js';
import { type JsonObject, type JsonValue, ownObject } from '#core/json-value.js';
import type { RoomRules } from '#core/room-versions.js';
import { type SigningKey, sha256 } from '#core/signing.js';
import { strictCanonicalProblem } from '#core/strict-json.js';
import { assert } from '#util/assert.js';
import { encodeBase64 } from '#util/base64.js';

/** Where in a room's graph a new event goes, and who signs it. */
export interface Place {
  readonly rules: RoomRules;
  /** Undefined exactly for the create event of a room whose id is that event's hash (version 12). */
  readonly roomId: RoomId | undefined;
  readonly prevEvents: readonly EventId[];
  readonly authEvents: readonly EventId[];
  /** One more than the deepest of `prevEvents`; brought down to the largest that there may be. */
  readonly depth: number;
  /** Milliseconds since the epoch, unless the draft has a time of its own. */
  readonly originServerTs: number;
  readonly serverName: ServerName;
  readonly key: SigningKey;
  /** A message is left without a signature, which `eventSignature` makes when it first leaves for another server. State is not. */
  readonly signsLater?: boolean;
  /** The part of the event id that the sending server chooses in versions 1 and 2; unused in others. */
  readonly opaqueId: string;
  /** Versions 1 and 2: the reference hash, in unpadded base64, of an event referred to. */
  readonly prevHashes?: (id: EventId) => string;
}

/** Size of `"hashes":{"sha256":"…"},` with its 43 characters of base64, in bytes. */
const HASHES_BYTES = 66;
/** Size of `"signatures":{"…":{"…":"…"}},` without the names of server and key, with the 86 characters of base64, in bytes. */
const SIGNATURES_BYTES = 112;

/**
 * Makes a PDU of a draft: content hash, signature and id (server-server API, Adding hashes and signatures to outgoing
 * events). Throws MatrixError M_TOO_LARGE where it breaks a size limit with its signature, and M_BAD_JSON where the content
 * can't be canonical JSON in this room version.
 */
export function buildPdu(draft: Draft, place: Place): Pdu {
  const { rules } = place;
  assert(place.prevEvents.length <= MAX_PREV_EVENTS, 'too many prev_events');
  assert(place.authEvents.length <= MAX_AUTH_EVENTS, 'too many auth_events');
  const json = eventTemplate(draft, place);
  if (rules.strictCanonicalJson) {
    const problem = strictCanonicalProblem(json);
    if (problem !== undefined) throw new MatrixError('M_BAD_JSON', `The event holds ${problem}`);
  }
  try {
    const hashed = contentHashText(json);
    json['hashes'] = { sha256: encodeBase64(sha256(hashed)) };
    const signed = eventSignedBytes(json, rules);
    json['signatures'] = place.signsLater ? NONE : { [place.serverName]: { [place.key.id]: place.key.sign(signed) } };
    const size = Buffer.byteLength(hashed) + HASHES_BYTES + signaturesSize(place) + unsignedSize(draft.unsigned);
    if (size > MAX_EVENT_BYTES) throw new MatrixError('M_TOO_LARGE', 'The event is too large');
    const id =
      rules.eventIdFormat === 'server' ? EventId.of(json['event_id'] as string) : eventIdOfHash(sha256(signed), rules);
    const pdu = pduFromTrusted(json, rules, id);
    const oversized = oversizedField(pdu);
    if (oversized !== undefined) throw new MatrixError('M_TOO_LARGE', oversized);
    return pdu;
  } catch (error) {
    if (error instanceof JsonError) throw new MatrixError('M_BAD_JSON', `The event is no JSON: ${error.message}`);
    throw error;
  }
}

const NONE: JsonObject = Object.freeze({});

/**
 * This server's signature of an event, in unpadded base64 (server-server API, Signing events). It covers the redacted
 * event, so it is the same whatever was taken away since.
 */
export function eventSignature(json: RawPdu, rules: RoomRules, key: SigningKey): string {
  return key.sign(eventSignedBytes(json, rules));
}

/**
 * Whether this is a message that this server made and has still to sign: see `Place.signsLater`. Messages from elsewhere carry at
 * least the signature of their sender's server; state may come without any (third-party invites), and is nobody's to sign here.
 */
export function isToBeSigned({ state_key, json }: Pdu): boolean {
  const signatures = state_key === undefined ? ownObject(json, 'signatures') : undefined;
  return signatures !== undefined && Object.keys(signatures).length === 0;
}

/** What `"signatures":…,` adds to the event's size. */
function signaturesSize({ serverName, key }: Place): number {
  return SIGNATURES_BYTES + serverName.length + key.id.length;
}

/** What `"unsigned":…,` adds to the event's size. */
function unsignedSize(unsigned: JsonObject | undefined): number {
  return unsigned === undefined ? 0 : canonicalSize({ unsigned }) - 1;
}

function canonicalSize(object: JsonObject): number {
  return Buffer.byteLength(canonicalJson(object));
}

/**
 * The event that `draft` makes at `place`, without hashes and signatures: these are there, undefined. Its keys are in the order
 * of canonical JSON, since it is written so three times.
 */
export function eventTemplate(draft: Draft, place: Place): Template {
  const { rules } = place;
  const inContent = draft.redacts !== undefined && rules.redactsInContent;
  const content = inContent ? ({ ...draft.content, redacts: draft.redacts } as JsonObject) : draft.content;
  const json: Template = {
    auth_events: wireReferences(place.authEvents, place),
    content: inCanonicalOrder(content),
    depth: Math.min(place.depth, MAX_DEPTH),
  };
  if (rules.eventIdFormat === 'server') json['event_id'] = `$${place.opaqueId}:${place.serverName}`;
  json['hashes'] = undefined;
  json['origin_server_ts'] = draft.origin_server_ts ?? place.originServerTs;
  json['prev_events'] = wireReferences(place.prevEvents, place);
  if (draft.redacts !== undefined && !inContent) json['redacts'] = draft.redacts;
  if (place.roomId !== undefined) json['room_id'] = place.roomId;
  json['sender'] = draft.sender;
  json['signatures'] = undefined;
  if (draft.state_key !== undefined) json['state_key'] = draft.state_key;
  json['type'] = draft.type;
  if (draft.unsigned !== undefined) json['unsigned'] = draft.unsigned;
  return json;
}

/** An event on its way. */
type Template = Record<string, JsonValue | undefined> & RawPdu;

function wireReferences(ids: readonly EventId[], place: Place): JsonValue {
  if (place.rules.eventIdFormat !== 'server') return ids;
  const { prevHashes } = place;
  assert(prevHashes !== undefined || ids.length === 0, 'versions 1 and 2 need the hashes of the events referred to');
  return ids.map((id) => [id, { sha256: prevHashes?.(id) ?? '' }]);
}
