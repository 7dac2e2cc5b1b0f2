import { MatrixError } from '#core/errors.js';
import type { UserId } from '#core/ids.js';
import { isObject, type JsonObject, type JsonValue, own } from '#core/json-value.js';
import { profiles } from '#store/schema.js';
import type { Reader, Tx } from '#store/types.js';
import type { Users } from '#users/users.js';

/** Largest profile as JSON (client-server API, Profiles). */
const MAX_PROFILE_BYTES = 65_536;
const MAX_KEY_BYTES = 255;
const MAX_DISPLAYNAME = 256;
const MAX_AVATAR_URL = 1_000;
/** As many fields as could ever fit. */
const MAX_FIELDS = 16_384;
/** The Common Namespaced Identifier Grammar (appendices), which `displayname` and `avatar_url` fit as well. */
const KEY = /^[a-z][a-z0-9_.-]*$/;
const TIME_ZONE = /^[A-Za-z0-9_+/-]{1,64}$/;

/** Throws M_KEY_TOO_LARGE or M_INVALID_PARAM unless `key` may name a profile field. */
export function checkFieldName(key: string): void {
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) {
    throw new MatrixError('M_KEY_TOO_LARGE', `A field name may have at most ${MAX_KEY_BYTES} bytes`);
  }
  if (!KEY.test(key)) throw new MatrixError('M_INVALID_PARAM', 'Not a valid name of a profile field');
}

/** Throws M_BAD_JSON or M_INVALID_PARAM unless the value fits the field. */
export function checkFieldValue(key: string, value: JsonValue): void {
  if (key === 'displayname') {
    if (typeof value !== 'string') throw new MatrixError('M_BAD_JSON', "'displayname' must be a string");
    if (value.length > MAX_DISPLAYNAME) {
      throw new MatrixError('M_INVALID_PARAM', `A display name may have at most ${MAX_DISPLAYNAME} characters`);
    }
  } else if (key === 'avatar_url') {
    if (typeof value !== 'string') throw new MatrixError('M_BAD_JSON', "'avatar_url' must be a string");
    // Not only mxc://: bridges and old clients set other addresses, and everyone takes them as they are.
    if (value.length > MAX_AVATAR_URL) {
      throw new MatrixError('M_INVALID_PARAM', "'avatar_url' must have at most 1,000 characters");
    }
  } else if (key === 'm.tz' && !(typeof value === 'string' && TIME_ZONE.test(value))) {
    throw new MatrixError('M_INVALID_PARAM', "'m.tz' must be the name of a time zone");
  }
}

/** All fields of a local user's profile. */
export async function readProfile(users: Users, user: UserId): Promise<ReadonlyMap<string, JsonValue>> {
  const rows = await users.store.list(profiles, { prefix: [user], limit: MAX_FIELDS });
  return new Map(rows.map(([[, field], value]) => [field, value]));
}

/** One field of a local user's profile. */
export function findField(reader: Reader, user: UserId, field: string): JsonValue | undefined {
  return reader.get(profiles, [user, field]);
}

/** What the user's member events carry; never throws. */
export function memberProfile(reader: Reader, user: UserId): { displayname?: string; avatar_url?: string } {
  const displayname = findField(reader, user, 'displayname');
  const avatar = findField(reader, user, 'avatar_url');
  return {
    ...(typeof displayname === 'string' && { displayname }),
    ...(typeof avatar === 'string' && { avatar_url: avatar }),
  };
}

/** Puts a field; an empty display name or avatar takes the field away, as clients mean by it. */
export function putField(tx: Tx, user: UserId, field: string, value: JsonValue): void {
  if (value === '' && (field === 'displayname' || field === 'avatar_url')) tx.delete(profiles, [user, field]);
  else tx.put(profiles, [user, field], value);
  tx.fact(tx.position(), { kind: 'profile', user });
}

/** Takes a field away. */
export function deleteField(tx: Tx, user: UserId, field: string): void {
  tx.delete(profiles, [user, field]);
  tx.fact(tx.position(), { kind: 'profile', user });
}

/** The first profile of an account, in the transaction that makes it. */
export function initialProfile(tx: Tx, user: UserId, displayname: string): void {
  tx.put(profiles, [user, 'displayname'], displayname.slice(0, MAX_DISPLAYNAME));
  tx.fact(tx.position(), { kind: 'profile', user });
}

/** M_PROFILE_TOO_LARGE where the profile would grow beyond 64 KiB. */
export function checkProfileSize(profile: ReadonlyMap<string, JsonValue>, key: string, value: JsonValue): void {
  let bytes = 2;
  for (const [name, held] of new Map(profile).set(key, value)) {
    bytes += Buffer.byteLength(JSON.stringify(name)) + Buffer.byteLength(JSON.stringify(held)) + 2;
  }
  if (bytes > MAX_PROFILE_BYTES) {
    throw new MatrixError('M_PROFILE_TOO_LARGE', `A profile may have at most ${MAX_PROFILE_BYTES} bytes`);
  }
}

/** The value that a request body gives for `key`; M_MISSING_PARAM where it has none. */
export function fieldOfBody(body: JsonObject, key: string): JsonValue {
  const value = isObject(body) ? own(body, key) : undefined;
  if (value === undefined) throw new MatrixError('M_MISSING_PARAM', `'${key}' is missing`);
  return value;
}

/** Deletes the profile of an erased account. */
export async function purgeProfile(users: Users, user: UserId): Promise<void> {
  const rows = await users.store.list(profiles, { prefix: [user], limit: MAX_FIELDS });
  if (rows.length === 0) return;
  await users.store.commit((tx) => {
    for (const [key] of rows) tx.delete(profiles, key);
  });
}
