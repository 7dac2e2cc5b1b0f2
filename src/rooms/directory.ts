import { powerLevels } from '#core/auth/power-levels.js';
import { MatrixError } from '#core/errors.js';
import { historyVisibilityOf } from '#core/event/content.js';
import { RoomAlias, type RoomId, type UserId } from '#core/ids.js';
import { type JsonObject, own } from '#core/json-value.js';
import { appendDraft } from '#rooms/append-local.js';
import { findRoom, memberOf, notInRoom, type Room, type Rooms, storedStateAt } from '#rooms/rooms.js';
import { type AliasTarget, aliases, published, roomAliases } from '#store/schema.js';
import type { Reader, Tx } from '#store/types.js';

/** Local aliases that one room may have. */
const MAX_ALIASES = 1_000;

/** Where a local alias points; undefined where it does not exist, or is another server's. */
export function resolveAlias(reader: Reader, alias: RoomAlias): AliasTarget | undefined {
  return reader.get(aliases, [alias]);
}

/** As `resolveAlias`; M_NOT_FOUND where there is no such alias here. */
export function needAlias(reader: Reader, alias: RoomAlias): AliasTarget {
  const target = resolveAlias(reader, alias);
  if (target === undefined) throw new MatrixError('M_NOT_FOUND', 'There is no such alias');
  return target;
}

/** Points a new local alias at a room, inside a larger transaction. M_ROOM_IN_USE where it points somewhere already. */
export function addAliasIn(tx: Tx, alias: RoomAlias, room: RoomId, creator: UserId): void {
  if (tx.has(aliases, [alias])) throw new MatrixError('M_ROOM_IN_USE', 'This alias is taken');
  tx.put(aliases, [alias], { roomId: room, creator });
  tx.put(roomAliases, [room, alias], true);
}

/**
 * Gives a room another local alias, as one of its members asks (client-server API, PUT directory/room). M_INVALID_PARAM
 * for an alias that this server can't have, M_FORBIDDEN outside the room, M_UNKNOWN 409 where the alias is taken.
 */
export async function addAlias(rooms: Rooms, user: UserId, alias: RoomAlias, roomId: RoomId): Promise<void> {
  checkNewAlias(rooms, alias);
  const held = await listAliases(rooms, roomId);
  if (held.length >= MAX_ALIASES) {
    throw new MatrixError('M_RESOURCE_LIMIT_EXCEEDED', `The room has ${MAX_ALIASES} aliases already`);
  }
  await rooms.store.commit((tx) => {
    const room = findRoom(tx, roomId);
    if (room === undefined || memberOf(tx, room, user)?.membership !== 'join') throw notInRoom();
    if (tx.has(aliases, [alias])) throw new MatrixError('M_UNKNOWN', 'This alias is taken', { status: 409 });
    addAliasIn(tx, alias, roomId, user);
  });
}

function checkNewAlias(rooms: Rooms, alias: RoomAlias): void {
  if (RoomAlias.serverName(alias) !== rooms.serverName) {
    throw new MatrixError('M_INVALID_PARAM', 'Aliases of other servers can not be made here');
  }
  if (/\s/.test(alias) || RoomAlias.localpart(alias) === '') {
    throw new MatrixError('M_INVALID_PARAM', 'An alias has no spaces and is not empty');
  }
}

/**
 * Takes an alias away: its maker may, those who may set the room's canonical alias, and administrators. Where the room's
 * m.room.canonical_alias names it and the user may change that, it is taken out there as well.
 * M_NOT_FOUND, M_FORBIDDEN.
 */
export async function removeAlias(
  rooms: Rooms,
  user: UserId,
  alias: RoomAlias,
  options: { readonly admin?: boolean } = {},
): Promise<void> {
  await rooms.store.commit((tx) => {
    const target = needAlias(tx, alias);
    const room = findRoom(tx, target.roomId);
    const mayAdvertise = room !== undefined && maySetCanonicalAlias(rooms, tx, room, user);
    if (target.creator !== user && !options.admin && !mayAdvertise) {
      throw new MatrixError('M_FORBIDDEN', 'You may not delete this alias');
    }
    tx.delete(aliases, [alias]);
    tx.delete(roomAliases, [target.roomId, alias]);
    if (mayAdvertise) dropFromCanonical(rooms, tx, room, user, alias);
  });
}

/** Moves all of `from`'s local aliases to `to`, inside an upgrade's transaction; `held` is what `listAliases` gave before. */
export function moveAliasesIn(tx: Tx, held: readonly string[], from: RoomId, to: RoomId): void {
  for (const alias of held) {
    const target = tx.get(aliases, [alias]);
    if (target?.roomId !== from) continue;
    tx.delete(roomAliases, [from, alias]);
    tx.put(aliases, [alias], { ...target, roomId: to });
    tx.put(roomAliases, [to, alias], true);
  }
}

/** Whether a user is in the room with the power to set m.room.canonical_alias, by which the directory goes. */
export function maySetCanonicalAlias(rooms: Rooms, reader: Reader, room: Room, user: UserId): boolean {
  if (memberOf(reader, room, user)?.membership !== 'join') return false;
  const at = (type: string) => storedStateAt(rooms, reader, room.head.state, type, '')?.pdu;
  const levels = powerLevels(room.rules, at('m.room.create'), at('m.room.power_levels'));
  return levels.user(user) >= levels.event('m.room.canonical_alias', true);
}

function dropFromCanonical(rooms: Rooms, tx: Tx, room: Room, user: UserId, alias: RoomAlias): void {
  const current = storedStateAt(rooms, tx, room.head.state, 'm.room.canonical_alias', '')?.pdu;
  if (current === undefined) return;
  const content = withoutAlias(current.content, alias);
  if (content === undefined) return;
  appendDraft(rooms, tx, room, { type: 'm.room.canonical_alias', state_key: '', sender: user, content });
}

/** Content of m.room.canonical_alias with one alias taken out; undefined where it isn't in there. */
function withoutAlias(content: JsonObject, alias: RoomAlias): JsonObject | undefined {
  const alternatives = own(content, 'alt_aliases');
  const isMain = own(content, 'alias') === alias;
  const isAlternative = Array.isArray(alternatives) && alternatives.includes(alias);
  if (!isMain && !isAlternative) return undefined;
  const kept = Object.entries(content).filter(([key]) => !(isMain && key === 'alias') && key !== 'alt_aliases');
  const left = Array.isArray(alternatives) ? alternatives.filter((other) => other !== alias) : [];
  return Object.fromEntries(left.length === 0 ? kept : [...kept, ['alt_aliases', left]]);
}

/** Local aliases of a room, whoever asks. */
export async function listAliases(rooms: Rooms, roomId: RoomId): Promise<RoomAlias[]> {
  const rows = await rooms.store.list(roomAliases, { prefix: [roomId], limit: MAX_ALIASES });
  return rows.map(([[, alias]]) => alias as RoomAlias);
}

/** Local aliases of a room for its members, and for anyone while it is world readable. M_FORBIDDEN otherwise. */
export async function readAliases(rooms: Rooms, viewer: UserId, roomId: RoomId): Promise<RoomAlias[]> {
  const room = findRoom(rooms.store, roomId);
  if (room === undefined) throw notInRoom();
  const visibility = storedStateAt(rooms, rooms.store, room.head.state, 'm.room.history_visibility', '')?.pdu;
  const mayRead =
    memberOf(rooms.store, room, viewer)?.membership === 'join' || historyVisibilityOf(visibility) === 'world_readable';
  if (!mayRead) throw notInRoom();
  return listAliases(rooms, roomId);
}

/** Lists a room in the public directory, inside a larger transaction. */
export function publishIn(rooms: Rooms, tx: Tx, roomId: RoomId): void {
  if (!tx.has(published, [roomId])) tx.put(published, [roomId], { since: rooms.clock.now() });
}

/** Takes a room out of the public directory, inside a larger transaction. Gives whether it was there. */
export function unpublishIn(tx: Tx, roomId: RoomId): boolean {
  if (!tx.has(published, [roomId])) return false;
  tx.delete(published, [roomId]);
  return true;
}

/** Whether the room is in the public directory. M_NOT_FOUND for a room that is not held here. */
export function isPublished(rooms: Rooms, roomId: RoomId): boolean {
  if (findRoom(rooms.store, roomId) === undefined) throw new MatrixError('M_NOT_FOUND', 'The room is not known here');
  return rooms.store.has(published, [roomId]);
}

/**
 * Lists a room in the public directory or takes it out: for those who may set its canonical alias, and administrators.
 * M_NOT_FOUND for a room that is not held here, M_FORBIDDEN.
 */
export async function setPublished(
  rooms: Rooms,
  user: UserId,
  roomId: RoomId,
  listed: boolean,
  options: { readonly admin?: boolean } = {},
): Promise<void> {
  await rooms.store.commit((tx) => {
    const room = findRoom(tx, roomId);
    if (room === undefined) throw new MatrixError('M_NOT_FOUND', 'The room is not known here');
    if (!options.admin && !maySetCanonicalAlias(rooms, tx, room, user)) {
      throw new MatrixError('M_FORBIDDEN', 'You may not list this room or take it off the list');
    }
    if (listed) publishIn(rooms, tx, roomId);
    else unpublishIn(tx, roomId);
  });
}
