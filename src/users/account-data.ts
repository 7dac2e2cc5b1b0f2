import { MatrixError } from '#core/errors.js';
import type { EventId, RoomId, UserId } from '#core/ids.js';
import { isObject, type JsonObject, own, ownObject } from '#core/json-value.js';
import { type AccountDatum, accountData, eventNums, roomNums } from '#store/schema.js';
import type { Reader, Tx } from '#store/types.js';
import type { Users } from '#users/users.js';

/** Longest type, in bytes. */
const MAX_TYPE_BYTES = 255;
/** Largest content, as JSON, in bytes. */
const MAX_CONTENT_BYTES = 1 << 18;
/** Types that a user may have globally, and in one room. */
const MAX_TYPES = 1_000;
const MAX_PURGED = 10_000;

const MAX_TAGS = 100;
const MAX_TAG_BYTES = 255;

/** Types with endpoints of their own, which clients may read here but not set (client-server API, Client config). */
const RESERVED: ReadonlySet<string> = new Set(['m.fully_read', 'm.push_rules']);

/** Where account data belongs: a room, or '' for the account itself. */
export type Place = RoomId | '';

/** The datum, or undefined. */
export function findAccountData(reader: Reader, user: UserId, room: Place, type: string): AccountDatum | undefined {
  return reader.get(accountData, [user, room, type]);
}

/**
 * Whether a datum with this content counts as deleted (MSC3391): its row stays, so that syncs under way hear of it, but
 * nobody who asks anew is told of it.
 */
export function isDeleted(content: JsonObject): boolean {
  return Object.keys(content).length === 0;
}

/** The content of the datum; M_NOT_FOUND where there is none, or only the empty one of a deleted one. */
export function getAccountData(users: Users, user: UserId, room: Place, type: string): JsonObject {
  const datum = findAccountData(users.store, user, room, type);
  if (datum === undefined || isDeleted(datum.content)) throw new MatrixError('M_NOT_FOUND', 'No such account data');
  return datum.content;
}

/** All data of a place, by type: at most 1,000. */
export async function listAccountData(
  users: Users,
  user: UserId,
  room: Place,
): Promise<(AccountDatum & { readonly type: string })[]> {
  const rows = await users.store.list(accountData, { prefix: [user, room], limit: MAX_TYPES });
  return rows.map(([[, , type], datum]) => ({ type, ...datum })).filter(({ content }) => !isDeleted(content));
}

/**
 * Puts a datum with its place in the log, so that syncs tell of it; content that is the same already changes nothing. The
 * one way to write account data, for whatever keeps its rows there (push rules, tags, read markers).
 */
export function putAccountData(tx: Tx, user: UserId, room: Place, type: string, content: JsonObject): void {
  const before = tx.get(accountData, [user, room, type]);
  if (before !== undefined) {
    if (JSON.stringify(before.content) === JSON.stringify(content)) return;
    tx.retract(before.position);
  }
  const position = tx.position();
  tx.put(accountData, [user, room, type], { content, position });
  const num = room === '' ? undefined : tx.get(roomNums, [room]);
  tx.fact(position, { kind: 'accountData', user, type, ...(num !== undefined && { room: num }) });
}

/**
 * Deletes a datum (MSC3391): for syncs under way its content becomes empty. One that is not there is left so. M_BAD_JSON
 * (405) for the types that have endpoints of their own.
 */
export async function deleteAccountData(users: Users, user: UserId, room: Place, type: string): Promise<void> {
  checkSettable(type);
  await users.store.commit((tx) => dropAccountData(tx, user, room, type));
}

function dropAccountData(tx: Tx, user: UserId, room: Place, type: string): void {
  if (findAccountData(tx, user, room, type) !== undefined) putAccountData(tx, user, room, type, {});
}

/** Deletes the notification settings of a device that goes (MSC3890; client-server API, Local notification settings). */
export function dropDeviceSettings(tx: Tx, user: string, device: string): void {
  for (const prefix of ['m', 'org.matrix.msc3890']) {
    dropAccountData(tx, user as UserId, '', `${prefix}.local_notification_settings.${device}`);
  }
}

function checkSettable(type: string): void {
  if (!RESERVED.has(type)) return;
  throw new MatrixError('M_BAD_JSON', `${type} can not be set through this endpoint`, { status: 405 });
}

/**
 * Sets account data as its user asks; the empty object deletes it (MSC3391). M_BAD_JSON (405) for the types that have endpoints of their own, M_TOO_LARGE for
 * content beyond 256 KiB, M_NOT_FOUND for a room that is not held here.
 */
export async function setAccountData(
  users: Users,
  user: UserId,
  room: Place,
  type: string,
  content: JsonObject,
): Promise<void> {
  checkSettable(type);
  if (type === '' || Buffer.byteLength(type) > MAX_TYPE_BYTES) {
    throw new MatrixError('M_INVALID_PARAM', `A type has 1 to ${MAX_TYPE_BYTES} bytes`);
  }
  checkSize(content);
  checkRoom(users, room);
  if (isDeleted(content)) return deleteAccountData(users, user, room, type);
  const forgotten = await checkCount(users, user, room, type);
  await users.store.commit((tx) => {
    for (const old of forgotten) {
      const datum = findAccountData(tx, user, room, old);
      if (datum === undefined || !isDeleted(datum.content)) continue;
      tx.retract(datum.position);
      tx.delete(accountData, [user, room, old]);
    }
    putAccountData(tx, user, room, type, content);
  });
}

function checkSize(content: JsonObject): void {
  if (Buffer.byteLength(JSON.stringify(content)) > MAX_CONTENT_BYTES) {
    throw new MatrixError('M_TOO_LARGE', `Account data may have at most ${MAX_CONTENT_BYTES} bytes`);
  }
}

function checkRoom(users: Users, room: Place): void {
  if (room !== '' && !users.store.latest.has(roomNums, [room])) {
    throw new MatrixError('M_NOT_FOUND', 'The room is not known here');
  }
}

/** Types deleted before that must go for good, where a new one leaves no place for them. */
async function checkCount(users: Users, user: UserId, room: Place, type: string): Promise<string[]> {
  if (users.store.has(accountData, [user, room, type])) return [];
  const rows = await users.store.list(accountData, { prefix: [user, room], limit: MAX_TYPES });
  if (rows.length < MAX_TYPES) return [];
  const deleted = rows.filter(([, datum]) => isDeleted(datum.content)).map(([[, , old]]) => old);
  if (deleted.length === 0) {
    throw new MatrixError('M_RESOURCE_LIMIT_EXCEEDED', `There are ${MAX_TYPES} types of account data already`);
  }
  return deleted;
}

/** The tags of a room by name, as `m.tag` holds them. */
export function getTags(users: Users, user: UserId, room: RoomId): JsonObject {
  const datum = findAccountData(users.store, user, room, 'm.tag');
  return (datum && ownObject(datum.content, 'tags')) ?? {};
}

/** Sets one tag of a room; at most 100 with names up to 255 bytes, and `order` from 0 to 1 where it is given. */
export async function setTag(
  users: Users,
  user: UserId,
  room: RoomId,
  tag: string,
  content: JsonObject,
): Promise<void> {
  if (tag === '' || Buffer.byteLength(tag) > MAX_TAG_BYTES) {
    throw new MatrixError('M_INVALID_PARAM', `A tag has 1 to ${MAX_TAG_BYTES} bytes`);
  }
  const order = own(content, 'order');
  if (order !== undefined && !(typeof order === 'number' && order >= 0 && order <= 1)) {
    throw new MatrixError('M_BAD_JSON', "'order' must be a number from 0 to 1");
  }
  checkRoom(users, room);
  await users.store.commit((tx) => {
    const tags = tagsToChange(tx, user, room);
    tags.set(tag, content);
    if (tags.size > MAX_TAGS) throw new MatrixError('M_INVALID_PARAM', `A room may have at most ${MAX_TAGS} tags`);
    const changed = { tags: Object.fromEntries(tags) };
    checkSize(changed);
    putAccountData(tx, user, room, 'm.tag', changed);
  });
}

/** Takes a tag off a room; it need not be there. */
export async function deleteTag(users: Users, user: UserId, room: RoomId, tag: string): Promise<void> {
  await users.store.commit((tx) => {
    const tags = tagsToChange(tx, user, room);
    if (tags.delete(tag)) putAccountData(tx, user, room, 'm.tag', { tags: Object.fromEntries(tags) });
  });
}

function tagsToChange(tx: Tx, user: UserId, room: RoomId): Map<string, JsonObject> {
  const datum = findAccountData(tx, user, room, 'm.tag');
  const tags = new Map<string, JsonObject>();
  for (const [name, content] of Object.entries((datum && ownObject(datum.content, 'tags')) ?? {})) {
    if (isObject(content)) tags.set(name, content);
  }
  return tags;
}

/** Moves the user's fully-read marker of a room (`m.fully_read`), never back to an older event. */
export async function setReadMarker(users: Users, user: UserId, room: RoomId, event: EventId): Promise<void> {
  await users.store.commit((tx) => {
    const before = findAccountData(tx, user, room, 'm.fully_read');
    const marked = before && own(before.content, 'event_id');
    const old = typeof marked === 'string' ? tx.get(eventNums, [marked as EventId]) : undefined;
    const now = tx.get(eventNums, [event]);
    if (old !== undefined && now !== undefined && now < old) return;
    putAccountData(tx, user, room, 'm.fully_read', { event_id: event });
  });
}

/** Deletes all account data of a deactivated account. Their places in the log go as well. */
export async function purgeAccountData(users: Users, user: UserId): Promise<void> {
  for (;;) {
    const rows = await users.store.list(accountData, { prefix: [user], limit: MAX_PURGED });
    if (rows.length === 0) return;
    await users.store.commit((tx) => {
      for (const [key] of rows) {
        const datum = tx.get(accountData, key);
        if (datum === undefined) continue;
        tx.retract(datum.position);
        tx.delete(accountData, key);
      }
    });
  }
}
