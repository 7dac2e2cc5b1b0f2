import { stateOwner } from '#core/auth/check.js';
import { MatrixError } from '#core/errors.js';
import { privilegedCreatorsOf } from '#core/event/content.js';
import { isObject, type JsonObject, own, ownObject } from '#core/json-value.js';
import { compileServerAcl } from '#core/server-acl.js';
import { shown } from '#rooms/redactions.js';
import { hasAnnotation, isRelated, MAX_ANNOTATION_KEY, relatesTo } from '#rooms/relations.js';
import { type Room, type Rooms, storedStateAt } from '#rooms/rooms.js';
import type { Tx } from '#store/types.js';

/** What of a request to send the checks look at. */
interface Sent {
  readonly type: string;
  readonly sender: string;
  readonly stateKey?: string;
  readonly content: JsonObject;
}

/** Types that make sense as state only. */
const STATE_ONLY: ReadonlySet<string> = new Set([
  'm.room.name',
  'm.room.topic',
  'm.room.power_levels',
  'm.room.tombstone',
]);
const SINGLE_LEVELS = ['users_default', 'events_default', 'state_default', 'ban', 'redact', 'kick', 'invite'];
const LEVEL_MAPS = ['users', 'events', 'notifications'];
/** Aliases that one m.room.canonical_alias may name. */
const MAX_ALT_ALIASES = 100;

/**
 * Refuses content that local clients must not send though federation would carry it: M_BAD_JSON for the wrong form of
 * what this server and others rely on, M_BAD_ALIAS for an alias that does not point here.
 */
export function checkContent(rooms: Rooms, tx: Tx, room: Room, sent: Sent): void {
  const { type, content } = sent;
  if (room.rules.ownedState && sent.stateKey?.startsWith('@') && stateOwner(sent.stateKey) === undefined) {
    throw badJson('The state key must be a user id, or begin with one and an underscore');
  }
  if (STATE_ONLY.has(type) && sent.stateKey === undefined) throw badJson(`${type} must be a state event`);
  switch (type) {
    case 'm.room.message':
      needString(content, 'msgtype');
      needString(content, 'body');
      break;
    case 'm.room.name':
      needString(content, 'name');
      break;
    case 'm.room.topic':
      needString(content, 'topic');
      break;
    case 'm.room.tombstone':
      needString(content, 'replacement_room');
      if (own(content, 'replacement_room') === room.head.id) throw badJson('A room can not replace itself');
      break;
    case 'm.room.power_levels':
      checkLevels(content);
      checkCreators(rooms, tx, room, content);
      break;
    case 'm.room.server_acl':
      if (!compileServerAcl(content).allows(rooms.serverName)) throw badJson('This would deny the server itself');
      break;
    case 'm.room.canonical_alias':
      if (sent.stateKey !== undefined) checkAliases(rooms, tx, room, content);
      break;
  }
  const mentions = own(content, 'm.mentions');
  if (mentions !== undefined) checkMentions(mentions);
}

function badJson(message: string): MatrixError {
  return new MatrixError('M_BAD_JSON', message);
}

function needString(content: JsonObject, key: string): void {
  if (typeof own(content, key) !== 'string') throw badJson(`'${key}' must be a string`);
}

/** Levels are integers in every room version for those who write them here; old versions only read other forms. */
export function checkLevels(content: JsonObject): void {
  for (const key of SINGLE_LEVELS) {
    const level = own(content, key);
    if (level !== undefined && !isLevel(level)) throw badJson(`'${key}' must be an integer`);
  }
  for (const key of LEVEL_MAPS) {
    const map = own(content, key);
    if (map === undefined) continue;
    if (!isObject(map)) throw badJson(`'${key}' must be an object`);
    for (const level of Object.values(map)) {
      if (!isLevel(level)) throw badJson(`levels in '${key}' must be integers`);
    }
  }
}

/** Creators of version 12 have their power from the create event and can not be given another (MSC4289). */
function checkCreators(rooms: Rooms, tx: Tx, room: Room, content: JsonObject): void {
  const users = own(content, 'users');
  if (!room.rules.privilegedCreators || !isObject(users)) return;
  const create = storedStateAt(rooms, tx, room.head.state, 'm.room.create', '')?.pdu;
  for (const creator of privilegedCreatorsOf(create, room.rules)) {
    if (Object.hasOwn(users, creator)) throw badJson(`'users' names ${creator}, a creator of the room`);
  }
}

function isLevel(value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value);
}

function checkMentions(mentions: unknown): void {
  if (!isObject(mentions)) throw badJson("'m.mentions' must be an object");
  const users = own(mentions, 'user_ids');
  if (users !== undefined && !(Array.isArray(users) && users.every((user) => typeof user === 'string'))) {
    throw badJson("'user_ids' must be a list of strings");
  }
  const all = own(mentions, 'room');
  if (all !== undefined && typeof all !== 'boolean') throw badJson("'room' must be a boolean");
}

/** Aliases that the event names anew must point at this room (client-server API, m.room.canonical_alias). */
function checkAliases(rooms: Rooms, tx: Tx, room: Room, content: JsonObject): void {
  const known = new Set(
    aliasesIn(storedStateAt(rooms, tx, room.head.state, 'm.room.canonical_alias', '')?.pdu.content ?? {}),
  );
  const alias = own(content, 'alias');
  if (alias !== undefined && alias !== null && typeof alias !== 'string') {
    throw new MatrixError('M_INVALID_PARAM', "'alias' must be a string");
  }
  const others = own(content, 'alt_aliases');
  if (others !== undefined && others !== null) {
    if (!Array.isArray(others) || !others.every((other) => typeof other === 'string')) {
      throw new MatrixError('M_INVALID_PARAM', "'alt_aliases' must be a list of strings");
    }
    if (others.length > MAX_ALT_ALIASES) throw new MatrixError('M_INVALID_PARAM', 'Too many aliases');
  }
  for (const name of aliasesIn(content)) {
    if (known.has(name)) continue;
    if (!name.startsWith('#') || !name.includes(':')) throw new MatrixError('M_INVALID_PARAM', `${name} is no alias`);
    if (!rooms.hooks.aliasPointsAt(tx, name, room.head.id)) {
      throw new MatrixError('M_BAD_ALIAS', `${name} does not point at this room`);
    }
  }
}

function aliasesIn(content: JsonObject): string[] {
  const alias = own(content, 'alias');
  const others = own(content, 'alt_aliases');
  return [alias, ...(Array.isArray(others) ? others : [])].filter(
    (name) => typeof name === 'string' && name !== '',
  ) as string[];
}

/**
 * Refuses relations that can not stand: to an event of another room or one that nobody here knows, a thread that starts
 * from an event which is itself a relation, an annotation without a key, and the same annotation twice.
 */
export function checkRelation(rooms: Rooms, tx: Tx, room: Room, sent: Sent): void {
  if (ownObject(sent.content, 'm.relates_to') === undefined) return;
  const relation = relatesTo(sent);
  if (relation === undefined) return;
  const refuse = (message: string): MatrixError => new MatrixError('M_UNKNOWN', message, { status: 400 });
  const parent = rooms.events.byId(tx, relation.parent);
  if (parent?.outcome !== 'accepted') throw refuse('The event related to is not known');
  if (parent.room !== room.num) throw refuse('The event related to is in another room');
  if (relation.relType === 'm.thread' && isRelated(shown(tx, parent))) {
    throw refuse('A thread can not start from an event that relates to another one');
  }
  if (relation.relType !== 'm.annotation') return;
  if (relation.key === undefined) throw refuse('The annotation has no key');
  if (relation.key.length > MAX_ANNOTATION_KEY) throw refuse('The key of the annotation is too long');
  if (hasAnnotation(tx, relation.parent, sent.type, relation.key, sent.sender)) {
    throw new MatrixError('M_DUPLICATE_ANNOTATION', 'You reacted so before');
  }
}
