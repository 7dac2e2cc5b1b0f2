/**
 * Room versions as a table of differences (rooms/v1 … rooms/v12 of the specification). Algorithms take `RoomRules` and
 * never a version: this file is the only one that compares version literals.
 */
export interface RoomRules {
  readonly version: RoomVersion;
  /** v1, v2: the sender's server picks `$opaque:server`; v3: reference hash in base64; v4 on: in URL-safe base64. */
  readonly eventIdFormat: 'server' | 'base64' | 'base64url';
  /** v1: the original algorithm; v2 to v11: version 2; v12: version 2.1 (MSC4297). */
  readonly stateResolution: 'v1' | 'v2' | 'v2.1';
  /** v5 on: a signing key must have been valid at the event's origin_server_ts. */
  readonly enforceKeyValidity: boolean;
  /** v6 on: only integers within ±(2^53 - 1), no floats; the whole PDU must be canonical JSON. */
  readonly strictCanonicalJson: boolean;
  /** v1 to v5: m.room.aliases has an authorisation rule of its own, and keeps `aliases` when redacted. */
  readonly aliasesAreSpecial: boolean;
  /** v6 on: changes to `notifications` of m.room.power_levels are checked like `events`. */
  readonly notificationLevelsChecked: boolean;
  /** v1, v2: m.room.redaction is authorised by power or by the redacted event's server; v3 on this is checked on use. */
  readonly redactionAuthorised: boolean;
  /** v7 on: membership `knock` and join rule `knock`. */
  readonly knock: boolean;
  /** v8 on: join rule `restricted`, `join_authorised_via_users_server`; redaction keeps `allow` of join rules. */
  readonly restrictedJoin: boolean;
  /** v9 on: redaction keeps `join_authorised_via_users_server` of member events. */
  readonly redactionKeepsAuthorisedVia: boolean;
  /** v10 on: join rule `knock_restricted`. */
  readonly knockRestricted: boolean;
  /** v10 on: power levels must be JSON integers, not strings. */
  readonly integerPowerLevels: boolean;
  /**
   * v11 on: redaction keeps all of m.room.create, `invite` of power levels and `third_party_invite.signed` of member
   * events; and no longer keeps `origin`, `membership` and `prev_state` at the top level.
   */
  readonly updatedRedaction: boolean;
  /** v11 on: `redacts` of m.room.redaction is in its content. */
  readonly redactsInContent: boolean;
  /** v11 on: the sender of m.room.create is the creator; `content.creator` means nothing. */
  readonly senderIsCreator: boolean;
  /** v11 on: fields beyond 255 bytes make an event invalid; before, only beyond 255 characters (as Synapse did). */
  readonly byteLimits: boolean;
  /** v12: the room id is the create event's reference hash; the create event has no room_id and is in no auth_events. */
  readonly roomIdIsHash: boolean;
  /** v12: creators (sender and `additional_creators`) have infinite power and may not stand in `users` of power levels. */
  readonly privilegedCreators: boolean;
  /**
   * org.matrix.msc3757.*: a state key may be a user id with `_` and a suffix, and who has more power than that user may
   * set it as well (MSC3757).
   */
  readonly ownedState: boolean;
}

export const ROOM_VERSIONS = ['1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12'] as const;
/** Versions of proposals that clients may ask for; they never become a room's by default. */
export const UNSTABLE_ROOM_VERSIONS = ['org.matrix.msc3757.10', 'org.matrix.msc3757.11'] as const;
export type RoomVersion = (typeof ROOM_VERSIONS | typeof UNSTABLE_ROOM_VERSIONS)[number];

/** The version of new rooms unless configured otherwise (client-server API, m.room_versions). */
export const DEFAULT_ROOM_VERSION: RoomVersion = '12';

const v1: RoomRules = {
  version: '1',
  eventIdFormat: 'server',
  stateResolution: 'v1',
  enforceKeyValidity: false,
  strictCanonicalJson: false,
  aliasesAreSpecial: true,
  notificationLevelsChecked: false,
  redactionAuthorised: true,
  knock: false,
  restrictedJoin: false,
  redactionKeepsAuthorisedVia: false,
  knockRestricted: false,
  integerPowerLevels: false,
  updatedRedaction: false,
  redactsInContent: false,
  senderIsCreator: false,
  byteLimits: false,
  roomIdIsHash: false,
  privilegedCreators: false,
  ownedState: false,
};
const v2: RoomRules = { ...v1, version: '2', stateResolution: 'v2' };
const v3: RoomRules = { ...v2, version: '3', eventIdFormat: 'base64', redactionAuthorised: false };
const v4: RoomRules = { ...v3, version: '4', eventIdFormat: 'base64url' };
const v5: RoomRules = { ...v4, version: '5', enforceKeyValidity: true };
const v6: RoomRules = {
  ...v5,
  version: '6',
  strictCanonicalJson: true,
  aliasesAreSpecial: false,
  notificationLevelsChecked: true,
};
const v7: RoomRules = { ...v6, version: '7', knock: true };
const v8: RoomRules = { ...v7, version: '8', restrictedJoin: true };
const v9: RoomRules = { ...v8, version: '9', redactionKeepsAuthorisedVia: true };
const v10: RoomRules = { ...v9, version: '10', knockRestricted: true, integerPowerLevels: true };
const v11: RoomRules = {
  ...v10,
  version: '11',
  updatedRedaction: true,
  redactsInContent: true,
  senderIsCreator: true,
  byteLimits: true,
};
const v12: RoomRules = {
  ...v11,
  version: '12',
  stateResolution: 'v2.1',
  roomIdIsHash: true,
  privilegedCreators: true,
};

const owned10: RoomRules = { ...v10, version: 'org.matrix.msc3757.10', ownedState: true };
const owned11: RoomRules = { ...v11, version: 'org.matrix.msc3757.11', ownedState: true };

const TABLE: ReadonlyMap<string, RoomRules> = new Map(
  [v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, owned10, owned11].map((rules) => [rules.version, rules]),
);

/** The rules of a room version, or undefined where this server does not know it. */
export function roomRules(version: string): RoomRules | undefined {
  return TABLE.get(version);
}
