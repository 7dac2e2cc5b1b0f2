import { checkEventAuth } from '#core/auth/check.js';
import { MatrixError } from '#core/errors.js';
import { buildPdu } from '#core/event/build.js';
import type { Draft, Pdu } from '#core/event/pdu.js';
import { RoomAlias, RoomId, UserId } from '#core/ids.js';
import { type JsonObject, type JsonValue, own, ownObject } from '#core/json-value.js';
import { type RoomRules, roomRules } from '#core/room-versions.js';
import { appendEvent, openRoom } from '#rooms/append.js';
import { appendDraft } from '#rooms/append-local.js';
import { checkContent, checkLevels } from '#rooms/check-content.js';
import { changeMembershipIn } from '#rooms/membership.js';
import { findRoom, type Room, type Rooms, roomByNum } from '#rooms/rooms.js';
import { roomNums } from '#store/schema.js';
import type { Tx } from '#store/types.js';

/** Users invited by one request, and events of `initial_state`, at most: it is all one transaction. */
const MAX_INVITES = 100;
const MAX_INITIAL_STATE = 500;
/** Largest name and topic, in UTF-16 units. */
const MAX_NAME = 255;
/** Create events tried before giving up on an unused room id. */
const MAX_TRIES = 20;
/** How far ahead of the clock a create event may claim to be, to be another than one made in the same millisecond. */
const LATEST_MS = 4_096;

export type Preset = 'private_chat' | 'trusted_private_chat' | 'public_chat';

/** The body of createRoom (client-server API, POST createRoom), checked as far as its schema goes. */
export interface CreateRoomBody {
  readonly visibility?: 'public' | 'private';
  readonly room_alias_name?: string;
  readonly name?: string;
  readonly topic?: string;
  readonly invite?: readonly UserId[];
  readonly invite_3pid?: readonly JsonObject[];
  readonly room_version?: string;
  readonly creation_content?: JsonObject;
  readonly initial_state?: readonly InitialState[];
  readonly preset?: Preset;
  readonly is_direct?: boolean;
  readonly power_level_content_override?: JsonObject;
}
export interface InitialState {
  readonly type: string;
  readonly state_key?: string;
  readonly content: JsonObject;
}

export interface CreateRoomRequest {
  readonly creator: UserId;
  readonly body: CreateRoomBody;
  /** Points `alias` at the new room, or throws M_ROOM_IN_USE, M_EXCLUSIVE …; needed for `room_alias_name`. */
  readonly reserveAlias?: (tx: Tx, alias: RoomAlias, room: RoomId, creator: UserId) => void;
  /** Lists the new room in the public directory; needed for `visibility` public. */
  readonly publish?: (tx: Tx, room: RoomId, creator: UserId) => void;
  /**
   * Called in the same transaction once the room is complete, before the invites: an upgrade carries things over here.
   */
  readonly complete?: (tx: Tx, room: Room) => void;
}

const PRESETS = {
  private_chat: { joinRule: 'invite', guests: true, trusted: false },
  trusted_private_chat: { joinRule: 'invite', guests: true, trusted: true },
  public_chat: { joinRule: 'public', guests: false, trusted: false },
} as const satisfies Record<Preset, { joinRule: string; guests: boolean; trusted: boolean }>;

/**
 * Creates a room with everything that the request says, all of it or nothing, and gives its id once it is durable
 * (client-server API, createRoom).
 *
 * Errors: M_UNSUPPORTED_ROOM_VERSION; M_BAD_JSON and M_INVALID_PARAM for a body that makes no room, M_INVALID_ROOM_STATE
 * for one whose own power levels forbid what it asks, M_ROOM_IN_USE and what `reserveAlias` throws, M_TOO_LARGE.
 */
export function createRoom(rooms: Rooms, request: CreateRoomRequest): Promise<RoomId> {
  return rooms.store.commit((tx) => createRoomIn(rooms, tx, request));
}

/** As `createRoom`, as a part of a larger transaction. */
export function createRoomIn(rooms: Rooms, tx: Tx, request: CreateRoomRequest): RoomId {
  const { body, creator } = request;
  const rules = rulesFor(rooms, body);
  const alias = aliasFor(rooms, body);
  checkBody(body, creator, rules);
  const preset = PRESETS[body.preset ?? (body.visibility === 'public' ? 'public_chat' : 'private_chat')];
  const { room, pdu } = makeCreateEvent(rooms, tx, request, rules, preset.trusted);
  const roomId = room.head.id;
  appendEvent(rooms, tx, room, pdu, { stateBefore: 0, outcome: 'accepted', fresh: true });
  joinCreator(rooms, tx, roomId, creator);
  if (alias !== undefined) reserve(tx, request, alias, roomId);
  try {
    for (const draft of initialDrafts(request, rules, preset, alias)) {
      const now = roomByNum(tx, room.num);
      // The room's own alias has just been reserved, so nothing is left to ask of it.
      if (draft.content['alias'] !== alias || alias === undefined)
        checkContent(rooms, tx, now, { ...draft, sender: creator, stateKey: draft.state_key });
      appendDraft(rooms, tx, now, { ...draft, sender: creator });
    }
  } catch (error) {
    throw invalidState(error);
  }
  if (body.visibility === 'public') request.publish?.(tx, roomId, creator);
  request.complete?.(tx, roomByNum(tx, room.num));
  for (const target of new Set(body.invite ?? [])) {
    changeMembershipIn(rooms, tx, {
      roomId,
      sender: creator,
      target,
      action: 'invite',
      ...(body.is_direct ? { isDirect: true } : {}),
    });
  }
  return roomId;
}

/** The creator's own rules forbade an event that the request implies: not a lack of power in someone else's room. */
function invalidState(error: unknown): unknown {
  return error instanceof MatrixError && error.errcode === 'M_FORBIDDEN'
    ? new MatrixError('M_INVALID_ROOM_STATE', error.message)
    : error;
}

function reserve(tx: Tx, request: CreateRoomRequest, alias: RoomAlias, roomId: RoomId): void {
  if (request.reserveAlias === undefined) throw new MatrixError('M_INVALID_PARAM', 'Aliases are not available');
  request.reserveAlias(tx, alias, roomId, request.creator);
}

function joinCreator(rooms: Rooms, tx: Tx, roomId: RoomId, creator: UserId): void {
  const room = findRoom(tx, roomId)!;
  const profile = rooms.hooks.profileOf(tx, creator);
  const content: JsonObject = { membership: 'join', ...profile };
  appendDraft(rooms, tx, room, { type: 'm.room.member', state_key: creator, sender: creator, content });
}

function rulesFor(rooms: Rooms, body: CreateRoomBody): RoomRules {
  const rules = roomRules(body.room_version ?? rooms.defaultRoomVersion);
  if (rules === undefined) {
    throw new MatrixError('M_UNSUPPORTED_ROOM_VERSION', 'This server does not know this room version');
  }
  return rules;
}

function aliasFor(rooms: Rooms, body: CreateRoomBody): RoomAlias | undefined {
  if (body.room_alias_name === undefined) return undefined;
  const alias = /\s/.test(body.room_alias_name) ? undefined : RoomAlias.make(body.room_alias_name, rooms.serverName);
  if (alias === undefined) throw new MatrixError('M_INVALID_PARAM', "'room_alias_name' can be no alias");
  return alias;
}

function checkBody(body: CreateRoomBody, creator: UserId, rules: RoomRules): void {
  if ((body.invite_3pid?.length ?? 0) > 0) {
    throw new MatrixError('M_THREEPID_DENIED', 'This server has no identity server: invites go to user ids only');
  }
  if ((body.invite?.length ?? 0) > MAX_INVITES) {
    throw new MatrixError('M_INVALID_PARAM', `At most ${MAX_INVITES} users can be invited at once`);
  }
  if ((body.initial_state?.length ?? 0) > MAX_INITIAL_STATE) {
    throw new MatrixError('M_INVALID_PARAM', `'initial_state' may hold ${MAX_INITIAL_STATE} events`);
  }
  if ((body.name?.length ?? 0) > MAX_NAME) throw new MatrixError('M_INVALID_PARAM', "'name' is too long");
  for (const { type } of body.initial_state ?? []) {
    if (type === 'm.room.create' || type === 'm.room.member') {
      throw new MatrixError('M_BAD_JSON', `'initial_state' can not hold ${type}`);
    }
  }
  const override = body.power_level_content_override;
  if (override === undefined) return;
  checkLevels(override);
  const users = ownObject(override, 'users');
  if (users === undefined) return;
  if (!rules.privilegedCreators && !Object.hasOwn(users, creator)) {
    throw new MatrixError('M_BAD_JSON', "'users' of the power levels must contain the creator");
  }
}

/** `additional_creators`, those of a trusted private chat included, without repeats (client-server API, createRoom). */
function additionalCreators(body: CreateRoomBody, creator: UserId, trusted: boolean): readonly UserId[] {
  const given = own(body.creation_content ?? {}, 'additional_creators');
  if (given !== undefined && !(Array.isArray(given) && given.every((user) => UserId.is(user)))) {
    throw new MatrixError('M_BAD_JSON', "'additional_creators' must be a list of user ids");
  }
  const all = new Set<UserId>([...((given ?? []) as UserId[]), ...(trusted ? (body.invite ?? []) : [])]);
  all.delete(creator);
  return [...all];
}

function createContent(body: CreateRoomBody, creator: UserId, rules: RoomRules, trusted: boolean): JsonObject {
  const content: Record<string, JsonValue | undefined> = { ...body.creation_content, room_version: rules.version };
  delete content['creator'];
  if (!rules.senderIsCreator) content['creator'] = creator;
  if (rules.privilegedCreators) {
    const creators = additionalCreators(body, creator, trusted);
    delete content['additional_creators'];
    if (creators.length > 0) content['additional_creators'] = creators;
  }
  return content as JsonObject;
}

/**
 * The create event and the empty room for it. In version 12 the room's id is the event's hash: two rooms that one user
 * makes alike in one millisecond would be one, so a time is taken that gives an id not in use.
 */
function makeCreateEvent(
  rooms: Rooms,
  tx: Tx,
  request: CreateRoomRequest,
  rules: RoomRules,
  trusted: boolean,
): { room: Room; pdu: Pdu } {
  const { creator } = request;
  const draft: Draft = {
    type: 'm.room.create',
    state_key: '',
    sender: creator,
    content: createContent(request.body, creator, rules, trusted),
  };
  const now = rooms.clock.now();
  for (let tried = 0; tried < MAX_TRIES; tried++) {
    const chosen = rules.roomIdIsHash ? undefined : RoomId.make(opaque(rooms), rooms.serverName);
    const pdu = buildPdu(draft, {
      rules,
      roomId: chosen,
      prevEvents: [],
      authEvents: [],
      depth: 1,
      originServerTs: now + (tried < 4 ? tried : rooms.random.bytes(2).readUInt16BE() % LATEST_MS),
      serverName: rooms.serverName,
      key: rooms.signingKey,
      opaqueId: opaque(rooms),
    });
    if (tx.has(roomNums, [pdu.room_id])) continue;
    const verdict = checkEventAuth(pdu, rules, () => undefined);
    if (!verdict.allow) throw new MatrixError('M_BAD_JSON', verdict.reason);
    return { room: openRoom(tx, pdu.room_id, rules.version), pdu };
  }
  throw new MatrixError('M_LIMIT_EXCEEDED', 'Too many rooms are created at once', { extra: { retry_after_ms: 1_000 } });
}

function opaque(rooms: Rooms): string {
  return rooms.random.token(18).replaceAll('_', 'A').replaceAll('-', 'B');
}

type StateDraft = Omit<Draft, 'sender'> & { readonly state_key: string };

/** Events 3 to 7 of the specification's list, in its order. */
function initialDrafts(
  request: CreateRoomRequest,
  rules: RoomRules,
  preset: (typeof PRESETS)[Preset],
  alias: RoomAlias | undefined,
): StateDraft[] {
  const { body, creator } = request;
  const given = new Map<string, StateDraft>();
  for (const { type, state_key = '', content } of body.initial_state ?? []) {
    given.set(JSON.stringify([type, state_key]), { type, state_key, content });
  }
  const isGiven = (type: string): boolean => given.has(JSON.stringify([type, '']));
  const drafts: StateDraft[] = [];
  const add = (type: string, content: JsonObject): void => {
    drafts.push({ type, state_key: '', content });
  };
  const levelsKey = JSON.stringify(['m.room.power_levels', '']);
  const levels = given.get(levelsKey);
  // Levels decide what may follow, so the request's own stand where the default would, and are not sent twice.
  given.delete(levelsKey);
  add('m.room.power_levels', levels?.content ?? powerLevelContent(body, creator, rules, preset.trusted));
  if (alias !== undefined && !isGiven('m.room.canonical_alias')) add('m.room.canonical_alias', { alias });
  if (!isGiven('m.room.join_rules')) add('m.room.join_rules', { join_rule: preset.joinRule });
  if (!isGiven('m.room.history_visibility')) add('m.room.history_visibility', { history_visibility: 'shared' });
  if (!isGiven('m.room.guest_access')) {
    add('m.room.guest_access', { guest_access: preset.guests ? 'can_join' : 'forbidden' });
  }
  if (body.name !== undefined) given.delete(JSON.stringify(['m.room.name', '']));
  if (body.topic !== undefined) given.delete(JSON.stringify(['m.room.topic', '']));
  drafts.push(...given.values());
  if (body.name !== undefined) add('m.room.name', { name: body.name });
  if (body.topic !== undefined) add('m.room.topic', topicContent(body.topic));
  return drafts;
}

/** Content of m.room.topic with its block of representations (client-server API, m.room.topic). */
export function topicContent(topic: string): JsonObject {
  return { topic, 'm.topic': { 'm.text': [{ body: topic }] } };
}

/** Power levels of a new room, with the request's override on top. */
function powerLevelContent(body: CreateRoomBody, creator: UserId, rules: RoomRules, trusted: boolean): JsonObject {
  const users: Record<string, JsonValue> = {};
  // From version 12 on creators have infinite power and must not be listed.
  if (!rules.privilegedCreators) {
    users[creator] = 100;
    if (trusted) for (const user of body.invite ?? []) users[user] = 100;
  }
  return {
    users,
    users_default: 0,
    events: {
      'm.room.name': 50,
      'm.room.power_levels': 100,
      'm.room.history_visibility': 100,
      'm.room.canonical_alias': 50,
      'm.room.avatar': 50,
      'm.room.tombstone': rules.privilegedCreators ? 150 : 100,
      'm.room.server_acl': 100,
      'm.room.encryption': 100,
    },
    events_default: 0,
    state_default: 50,
    ban: 50,
    kick: 50,
    redact: 50,
    invite: 50,
    ...body.power_level_content_override,
  };
}
