import { MatrixError } from '#core/errors.js';
import type { UserId } from '#core/ids.js';
import { isObject, type JsonObject, type JsonValue, own, ownObject, ownString } from '#core/json-value.js';
import type { KeyPart } from '#store/keyspace.js';
import { type BackupVersion, backupSessions, backups, backupVersions } from '#store/schema.js';
import type { Reader, Tx } from '#store/types.js';
import { bad } from '#users/keys/key-format.js';
import type { Users } from '#users/users.js';

const MAX_AUTH_DATA_BYTES = 65_536;
const MAX_SESSION_BYTES = 16_384;
/** Most sessions of one backup version. */
const MOST_SESSIONS = 500_000;
/** Versions that a user keeps: the oldest goes with its keys when one more is made. */
const MOST_VERSIONS = 20;
/** Longest id of a room or session, in bytes. */
const MAX_ID_BYTES = 255;
const SLICE = 500;
/** Characters of JSON handed on at a time. */
const CHUNK = 1 << 16;

export interface BackupState {
  readonly etag: string;
  readonly count: number;
}

function notFound(what: string): MatrixError {
  return new MatrixError('M_NOT_FOUND', what);
}

function versionNumber(text: string): number {
  const number = /^\d{1,12}$/.test(text) ? Number(text) : 0;
  if (number === 0) throw notFound('There is no such backup version');
  return number;
}

function versionOf(
  reader: Reader,
  user: string,
  version: string,
): { readonly number: number; readonly row: BackupVersion } {
  const number = versionNumber(version);
  const row = reader.get(backupVersions, [user, number]);
  if (row === undefined || row.deleted) throw notFound('There is no such backup version');
  return { number, row };
}

const stateOf = (row: BackupVersion): BackupState => ({ etag: String(row.etag), count: row.count });

/** Begins a new backup version, which is then the current one; the oldest of many goes. */
export async function createBackup(
  users: Users,
  user: UserId,
  algorithm: string,
  authData: JsonObject,
): Promise<string> {
  if (algorithm.length > 255) throw bad("'algorithm' is too long");
  checkAuthData(authData);
  const version = await users.store.commit((tx) => {
    const last = (tx.get(backups, [user])?.last ?? 0) + 1;
    tx.put(backups, [user], { current: last, last });
    tx.put(backupVersions, [user, last], { algorithm, authData, etag: 0, count: 0 });
    return last;
  });
  const upTo = [version - MOST_VERSIONS];
  for (const [key] of await users.store.list(backupVersions, { prefix: [user], lte: upTo, limit: MOST_VERSIONS })) {
    await deleteBackup(users, user, String(key[1]));
    await users.store.commit((tx) => tx.delete(backupVersions, key));
  }
  return String(version);
}

function checkAuthData(authData: JsonObject): void {
  if (Buffer.byteLength(JSON.stringify(authData)) > MAX_AUTH_DATA_BYTES) throw bad("'auth_data' is too large");
}

/** A backup version, the current one where none is named; M_NOT_FOUND. */
export function getBackup(users: Users, user: UserId, version: string | undefined): JsonObject {
  const current = version ?? String(users.store.get(backups, [user])?.current ?? '');
  const { number, row } = versionOf(users.store, user, current);
  return { algorithm: row.algorithm, auth_data: row.authData, ...stateOf(row), version: String(number) };
}

/** Replaces the auth data of a version; its algorithm may not change. */
export async function updateBackup(users: Users, user: UserId, version: string, body: JsonObject): Promise<void> {
  const authData = ownObject(body, 'auth_data');
  if (authData === undefined) throw new MatrixError('M_MISSING_PARAM', "'auth_data' is missing");
  checkAuthData(authData);
  const named = ownString(body, 'version');
  if (named !== undefined && named !== version) throw new MatrixError('M_INVALID_PARAM', 'The versions differ');
  await users.store.commit((tx) => {
    const { number, row } = versionOf(tx, user, version);
    if (ownString(body, 'algorithm') !== row.algorithm)
      throw new MatrixError('M_INVALID_PARAM', 'The algorithm can not change');
    tx.put(backupVersions, [user, number], { ...row, authData });
  });
}

/** Deletes a version with its keys: at once for everyone who asks, and from the disk in slices. */
export async function deleteBackup(users: Users, user: UserId, version: string): Promise<void> {
  const number = versionNumber(version);
  await users.store.commit((tx) => {
    const row = tx.get(backupVersions, [user, number]);
    if (row === undefined) throw notFound('There is no such backup version');
    if (row.deleted) return;
    tx.put(backupVersions, [user, number], { ...row, deleted: true });
    const head = tx.get(backups, [user]);
    if (head?.current === number) tx.put(backups, [user], { last: head.last, ...newestBefore(tx, user, number) });
  });
  await dropSessions(users, [user, number]);
}

async function dropSessions(users: Users, prefix: readonly KeyPart[]): Promise<void> {
  for (;;) {
    const rows = await users.store.list(backupSessions, { prefix, limit: SLICE });
    if (rows.length === 0) return;
    await users.store.commit((tx) => {
      for (const [key] of rows) tx.delete(backupSessions, key);
    });
  }
}

/** Deletes all backups of a deactivated account. */
export async function purgeBackups(users: Users, user: UserId): Promise<void> {
  await dropSessions(users, [user]);
  const versions = await users.store.list(backupVersions, { prefix: [user], limit: 10 * MOST_VERSIONS });
  await users.store.commit((tx) => {
    for (const [key] of versions) tx.delete(backupVersions, key);
    if (tx.has(backups, [user])) tx.delete(backups, [user]);
  });
}

function newestBefore(reader: Reader, user: string, number: number): { readonly current?: number } {
  for (let at = number - 1; at > Math.max(0, number - 2 * MOST_VERSIONS); at--) {
    const row = reader.get(backupVersions, [user, at]);
    if (row !== undefined && !row.deleted) return { current: at };
  }
  return {};
}

/** One session to back up. */
interface SessionRow {
  readonly room: string;
  readonly session: string;
  readonly data: JsonObject;
}

function checkSession(data: JsonValue): JsonObject {
  if (!isObject(data)) throw bad('A session must be an object');
  const integer = (key: string): void => {
    const value = own(data, key);
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
      throw bad(`'${key}' must be an integer`);
  };
  integer('first_message_index');
  integer('forwarded_count');
  if (typeof own(data, 'is_verified') !== 'boolean') throw bad("'is_verified' must be a boolean");
  if (ownObject(data, 'session_data') === undefined) throw bad("'session_data' must be an object");
  if (Buffer.byteLength(JSON.stringify(data)) > MAX_SESSION_BYTES) throw bad('A session is too large');
  return data;
}

function sessionRow(room: string, session: string, data: JsonValue): SessionRow {
  if (Buffer.byteLength(room) > MAX_ID_BYTES || Buffer.byteLength(session) > MAX_ID_BYTES)
    throw bad('An id is too long');
  return { room, session, data: checkSession(data) };
}

/** Sessions of a request body at any of its three depths; M_BAD_JSON for another form. */
export function sessionsOf(body: JsonObject, room: string | undefined, session: string | undefined): SessionRow[] {
  if (room !== undefined && session !== undefined) return [sessionRow(room, session, body)];
  const ofRoom = (name: string, json: JsonValue): SessionRow[] => {
    const sessions = isObject(json) ? ownObject(json, 'sessions') : undefined;
    if (sessions === undefined) throw bad("'sessions' must be an object");
    return Object.entries(sessions).map(([id, data]) => sessionRow(name, id, data as JsonValue));
  };
  if (room !== undefined) return ofRoom(room, body);
  const rooms = ownObject(body, 'rooms');
  if (rooms === undefined) throw bad("'rooms' must be an object");
  return Object.entries(rooms).flatMap(([name, json]) => ofRoom(name, json as JsonValue));
}

/** Whether a session is worth more than the one that is held (client-server API, Backing up keys). */
function isBetter(next: JsonObject, known: JsonObject): boolean {
  if (next['is_verified'] !== known['is_verified']) return next['is_verified'] === true;
  const [a, b] = [Number(next['first_message_index']), Number(known['first_message_index'])];
  if (a !== b) return a < b;
  return Number(next['forwarded_count']) < Number(known['forwarded_count']);
}

/** Backs sessions up into the current version; M_WRONG_ROOM_KEYS_VERSION for another one. Many go in slices. */
export async function putSessions(
  users: Users,
  user: UserId,
  version: string,
  sessions: readonly SessionRow[],
): Promise<BackupState> {
  for (let at = 0; ; at += SLICE) {
    const state = await users.store.commit((tx) => putSlice(tx, user, version, sessions.slice(at, at + SLICE)));
    if (at + SLICE >= sessions.length) return state;
  }
}

function putSlice(tx: Tx, user: UserId, version: string, sessions: readonly SessionRow[]): BackupState {
  const { number, row } = versionOf(tx, user, version);
  const current = tx.get(backups, [user])?.current;
  if (number !== current) {
    throw new MatrixError('M_WRONG_ROOM_KEYS_VERSION', 'This is not the current backup version', {
      extra: { current_version: String(current ?? '') },
    });
  }
  let { count } = row;
  let changed = false;
  for (const { room, session, data } of sessions) {
    const known = tx.get(backupSessions, [user, number, room, session]);
    if (known !== undefined && !isBetter(data, known)) continue;
    if (known === undefined && ++count > MOST_SESSIONS) throw new MatrixError('M_TOO_LARGE', 'The backup is full');
    tx.put(backupSessions, [user, number, room, session], data);
    changed = true;
  }
  if (!changed) return stateOf(row);
  const next = { ...row, count, etag: row.etag + 1 };
  tx.put(backupVersions, [user, number], next);
  return stateOf(next);
}

/** One backed up session; M_NOT_FOUND where it isn't there. */
export function getSession(users: Users, user: UserId, version: string, room: string, session: string): JsonObject {
  const { number } = versionOf(users.store, user, version);
  const data = users.store.get(backupSessions, [user, number, room, session]);
  if (data === undefined) throw notFound('There is no such session in the backup');
  return data;
}

/**
 * Backed up sessions of a room, or all, as the text of a JSON object in pieces: a backup may be too large to be held as a
 * whole. M_NOT_FOUND at once where the version isn't there.
 */
export function readSessions(
  users: Users,
  user: UserId,
  version: string,
  room: string | undefined,
): AsyncIterable<string> {
  const { number } = versionOf(users.store, user, version);
  return room === undefined ? allSessions(users, user, number) : sessionsOfRoom(users, user, number, room);
}

async function* sessionsOfRoom(users: Users, user: UserId, number: number, room: string): AsyncGenerator<string> {
  let text = '{"sessions":{';
  let before = '';
  for await (const [[, , , id], data] of users.store.range(backupSessions, { prefix: [user, number, room] })) {
    text += `${before}${JSON.stringify(id)}:${JSON.stringify(data)}`;
    before = ',';
    if (text.length < CHUNK) continue;
    yield text;
    text = '';
  }
  yield `${text}}}`;
}

async function* allSessions(users: Users, user: UserId, number: number): AsyncGenerator<string> {
  let text = '{"rooms":{';
  let room: string | undefined;
  for await (const [[, , name, id], data] of users.store.range(backupSessions, { prefix: [user, number] })) {
    if (name === room) text += ',';
    else text += `${room === undefined ? '' : '}},'}${JSON.stringify(name)}:{"sessions":{`;
    room = name;
    text += `${JSON.stringify(id)}:${JSON.stringify(data)}`;
    if (text.length < CHUNK) continue;
    yield text;
    text = '';
  }
  yield `${text}${room === undefined ? '' : '}}'}}}`;
}

/** Deletes backed up sessions: one, those of a room, or all. */
export async function deleteSessions(
  users: Users,
  user: UserId,
  version: string,
  room: string | undefined,
  session: string | undefined,
): Promise<BackupState> {
  const { number } = versionOf(users.store, user, version);
  const prefix = [user, number, ...(room === undefined ? [] : [room]), ...(session === undefined ? [] : [session])];
  let state: BackupState | undefined;
  for (;;) {
    const rows = await users.store.list(backupSessions, { prefix, limit: SLICE });
    state = await users.store.commit((tx: Tx) => {
      const { row } = versionOf(tx, user, version);
      const gone = rows.filter(([key]) => tx.has(backupSessions, key));
      for (const [key] of gone) tx.delete(backupSessions, key);
      const next = gone.length === 0 ? row : { ...row, count: row.count - gone.length, etag: row.etag + 1 };
      if (next !== row) tx.put(backupVersions, [user, number], next);
      return stateOf(next);
    });
    if (rows.length < SLICE) return state;
  }
}
