import type { RawPdu } from '#core/event/pdu.js';
import { isObject, type JsonObject, type JsonValue, own, ownObject } from '#core/json-value.js';
import type { RoomRules } from '#core/room-versions.js';

// All in the order of canonical JSON, so that the redacted event is in it too if its content is.
const KEPT = [
  'auth_events',
  'content',
  'depth',
  'event_id',
  'hashes',
  'origin_server_ts',
  'prev_events',
  'room_id',
  'sender',
  'signatures',
  'state_key',
  'type',
] as const;
/** Before version 11 more was kept. */
const KEPT_WITH_OLD = [...KEPT, 'membership', 'origin', 'prev_state'].sort();

const POWER_LEVELS = [
  'ban',
  'events',
  'events_default',
  'kick',
  'redact',
  'state_default',
  'users',
  'users_default',
] as const;
const POWER_LEVELS_AND_INVITE = [...POWER_LEVELS, 'invite'].sort();

/** The keys of `content` that redaction keeps, by event type and room version (rooms/v1, v6, v8, v9, v11, Redactions). */
function keptContentKeys(type: string, rules: RoomRules): readonly string[] {
  switch (type) {
    case 'm.room.member':
      return rules.redactionKeepsAuthorisedVia ? ['join_authorised_via_users_server', 'membership'] : ['membership'];
    case 'm.room.create':
      return ['creator'];
    case 'm.room.join_rules':
      return rules.restrictedJoin ? ['allow', 'join_rule'] : ['join_rule'];
    case 'm.room.power_levels':
      return rules.updatedRedaction ? POWER_LEVELS_AND_INVITE : POWER_LEVELS;
    case 'm.room.aliases':
      return rules.aliasesAreSpecial ? ['aliases'] : [];
    case 'm.room.history_visibility':
      return ['history_visibility'];
    case 'm.room.redaction':
      return rules.redactsInContent ? ['redacts'] : [];
    default:
      return [];
  }
}

/** A copy of `content` with only what redaction keeps. */
export function redactContent(type: string, content: JsonObject, rules: RoomRules): JsonObject {
  if (type === 'm.room.create' && rules.updatedRedaction) return content;
  const kept: Record<string, JsonValue> = {};
  for (const key of keptContentKeys(type, rules)) {
    const value = own(content, key);
    if (value !== undefined) kept[key] = value;
  }
  if (type === 'm.room.member' && rules.updatedRedaction) {
    const invite = ownObject(content, 'third_party_invite');
    if (invite !== undefined) {
      const signed = own(invite, 'signed');
      kept['third_party_invite'] = signed === undefined ? {} : { signed };
    }
  }
  return kept;
}

/**
 * The event without everything that is not essential to the protocol (client-server API, Redactions). Signatures, and
 * from version 3 on the event id, are the same before and after; redacting twice changes nothing. `unsigned` is gone.
 */
export function redactPdu(raw: RawPdu, rules: RoomRules): RawPdu {
  const redacted: Record<string, JsonValue> = {};
  for (const key of rules.updatedRedaction ? KEPT : KEPT_WITH_OLD) {
    const value = own(raw, key);
    if (value !== undefined) redacted[key] = value;
  }
  const type = own(raw, 'type');
  const content = own(raw, 'content');
  redacted['content'] = redactContent(typeof type === 'string' ? type : '', isObject(content) ? content : {}, rules);
  return redacted;
}
