import { canonicalJson } from '#core/canonical-json.js';
import { MatrixError } from '#core/errors.js';
import type { DeviceId, UserId } from '#core/ids.js';
import { isObject, type JsonObject, type JsonValue, own, ownObject } from '#core/json-value.js';
import {
  type CrossSigningRole,
  crossSigningKeys,
  deviceKeys,
  devices,
  keyedDevices,
  keySignatures,
} from '#store/schema.js';
import type { Reader, Tx } from '#store/types.js';
import { deviceListChanged } from '#users/device-lists.js';
import {
  bad,
  checkDeviceKeys,
  checkOneTimeKey,
  ed25519Of,
  publicKeyOf,
  withKnownSignatures,
} from '#users/keys/key-format.js';
import {
  addOneTimeKeys,
  claimKey,
  dropOneTimeKeys,
  type KeyCounts,
  keyCounts,
  setFallbackKeys,
} from '#users/keys/one-time-keys.js';
import { dropOwnSignatures } from '#users/keys/signatures.js';
import type { Users } from '#users/users.js';
import { nextTurn } from '#util/steps.js';

/** Devices of one user that a query shows at most. */
const MOST_DEVICES = 5_000;
/** Claims of one transaction. */
const CLAIMS_AT_ONCE = 250;
/** Devices read before others get their turn. */
const DEVICES_A_SLICE = 250;

/** Body of POST /keys/upload. */
export interface KeyUpload {
  readonly device_keys?: JsonValue | undefined;
  readonly one_time_keys?: JsonValue | undefined;
  readonly fallback_keys?: JsonValue | undefined;
}

function entriesOf(value: JsonValue | undefined, name: string): [string, JsonValue][] {
  if (value === undefined || value === null) return [];
  if (!isObject(value)) throw bad(`'${name}' must be an object`);
  return Object.entries(value) as [string, JsonValue][];
}

/**
 * Takes in the keys of a device (client-server API, Uploading keys): all of them checked before any is stored, in one
 * transaction. Returns what the device has then.
 */
export async function uploadKeys(users: Users, user: UserId, device: DeviceId, upload: KeyUpload): Promise<KeyCounts> {
  const put = readKeyUpload(user, device, upload);
  return users.store.commit((tx) => {
    put(tx);
    return keyCounts(tx, user, device);
  });
}

/**
 * Checks the form of an upload and returns what stores it in a transaction, after the checks that need stored keys.
 * M_BAD_JSON, M_INVALID_SIGNATURE, and M_INVALID_PARAM for what is too much or contradicts what is stored.
 */
export function readKeyUpload(user: UserId, device: DeviceId, upload: KeyUpload): (tx: Tx) => void {
  const identity = upload.device_keys === undefined ? undefined : checkDeviceKeys(upload.device_keys, user, device);
  const oneTime = entriesOf(upload.one_time_keys, 'one_time_keys');
  const fallback = entriesOf(upload.fallback_keys, 'fallback_keys');
  return (tx) => {
    // It may have been deleted while the request was read: keys put now would stay for ever.
    if (!tx.has(devices, [user, device])) throw new MatrixError('M_UNKNOWN_TOKEN', 'The device is gone');
    const stored = tx.get(deviceKeys, [user, device]);
    const ed25519 =
      identity !== undefined || stored !== undefined ? ed25519Of((identity ?? stored)!, device) : undefined;
    for (const [keyId, key] of [...oneTime, ...fallback]) checkOneTimeKey(keyId, key, user, device, ed25519);
    if (identity !== undefined) putDeviceKeys(tx, user, device, identity);
    if (oneTime.length > 0) addOneTimeKeys(tx, user, device, oneTime);
    if (fallback.length > 0) setFallbackKeys(tx, user, device, fallback);
  };
}

/** Stores checked identity keys with the signatures of the device itself and of the self-signing key that stands. */
function putDeviceKeys(tx: Tx, user: UserId, device: DeviceId, identity: JsonObject): void {
  const selfSigning = tx.get(crossSigningKeys, [user, 'self_signing']);
  const by = selfSigning === undefined ? undefined : publicKeyOf(selfSigning);
  const next = withKnownSignatures(identity, user, (id) => {
    if (id === `ed25519:${device}`) return ed25519Of(identity, device);
    return id === by?.id ? by.value : undefined;
  });
  const stored = tx.get(deviceKeys, [user, device]);
  if (stored !== undefined) {
    if (canonicalJson(stored) === canonicalJson(next)) return;
    // Another identity: what the old one signed, and what was signed of it, is worth nothing any more.
    if (canonicalJson(stored['keys']!) !== canonicalJson(next['keys']!)) {
      dropOneTimeKeys(tx, user, device);
      dropOwnSignatures(tx, user, device);
    }
  } else tx.put(keyedDevices, [user], [...(tx.get(keyedDevices, [user]) ?? []), device]);
  tx.put(deviceKeys, [user, device], next);
  deviceListChanged(tx, user);
}

/** Adds to a key the checked signatures that `signer` made on it. */
export function withSignaturesOf(
  reader: Reader,
  key: JsonObject,
  owner: string,
  keyId: string,
  signers: readonly string[],
): JsonObject {
  let signatures: Record<string, JsonValue> | undefined;
  for (const signer of signers) {
    const made = reader.get(keySignatures, [owner, keyId, signer]);
    if (made === undefined) continue;
    signatures ??= { ...(ownObject(key, 'signatures') as Record<string, JsonValue> | undefined) };
    const known = signatures[signer];
    signatures[signer] = { ...(isObject(known) ? known : {}), ...made };
  }
  return signatures === undefined ? key : { ...key, signatures };
}

/** What POST /keys/query answers. */
export interface QueriedKeys {
  readonly device_keys: Readonly<Record<string, Readonly<Record<string, JsonObject>>>>;
  readonly master_keys: Readonly<Record<string, JsonObject>>;
  readonly self_signing_keys: Readonly<Record<string, JsonObject>>;
  readonly user_signing_keys: Readonly<Record<string, JsonObject>>;
}

/**
 * Keys of local users as `viewer` may see them (client-server API, Querying keys): by point reads,
 * some for each user and some for each device. User-signing keys are shown to their owner alone, and of other people's
 * signatures only the viewer's own.
 */
export async function queryKeys(
  users: Users,
  viewer: UserId,
  asked: ReadonlyMap<UserId, readonly string[]>,
): Promise<QueriedKeys> {
  const { store } = users;
  const found: (readonly [UserId, KeysOfUser])[] = [];
  let read = 0;
  for (const [user, ids] of asked) {
    const named = ids.length === 0 ? (store.get(keyedDevices, [user]) ?? []) : [...new Set(ids)];
    found.push([user, keysOfUser(store, viewer, user, named.slice(0, MOST_DEVICES))]);
    read += 1 + named.length;
    if (read < DEVICES_A_SLICE) continue;
    read = 0;
    await nextTurn();
  }
  // Ids are data, `__proto__` among them: entries are gathered, never assigned by name.
  const gathered = <K extends keyof KeysOfUser>(name: K): [string, NonNullable<KeysOfUser[K]>][] =>
    found.flatMap(([user, keys]) => (keys[name] === undefined ? [] : [[user, keys[name]]]));
  return {
    device_keys: Object.fromEntries(gathered('devices')),
    master_keys: Object.fromEntries(gathered('master')),
    self_signing_keys: Object.fromEntries(gathered('selfSigning')),
    user_signing_keys: Object.fromEntries(gathered('userSigning')),
  };
}

interface KeysOfUser {
  readonly devices: Readonly<Record<string, JsonObject>>;
  readonly master: JsonObject | undefined;
  readonly selfSigning: JsonObject | undefined;
  readonly userSigning: JsonObject | undefined;
}

function keysOfUser(reader: Reader, viewer: UserId, user: UserId, ids: readonly string[]): KeysOfUser {
  const shown: [string, JsonObject][] = [];
  for (const device of ids) {
    const keys = reader.get(deviceKeys, [user, device]);
    if (keys === undefined) continue;
    const name = reader.get(devices, [user, device])?.displayName;
    const unsigned = name === undefined ? {} : { device_display_name: name };
    shown.push([device, { ...withSignaturesOf(reader, keys, user, device, [user]), unsigned }]);
  }
  const key = (role: CrossSigningRole): JsonObject | undefined => reader.get(crossSigningKeys, [user, role]);
  const master = key('master');
  const masterId = master === undefined ? '' : (publicKeyOf(master)?.value ?? '');
  return {
    devices: Object.fromEntries(shown),
    master: master && withSignaturesOf(reader, master, user, masterId, [...new Set([user, viewer])]),
    selfSigning: key('self_signing'),
    userSigning: user === viewer ? key('user_signing') : undefined,
  };
}

/** Users and devices that a query names: `{user: [device…]}`, an empty list for all; M_BAD_JSON for another form. */
export function queriedDevices(value: JsonObject): Map<string, readonly string[]> {
  const asked = new Map<string, readonly string[]>();
  for (const [user, ids] of Object.entries(value)) {
    if (!Array.isArray(ids) || !ids.every((id) => typeof id === 'string')) {
      throw bad("'device_keys' must map users to lists of devices");
    }
    asked.set(user, ids as readonly string[]);
  }
  return asked;
}

/** One key to claim. */
export interface Claim {
  readonly user: UserId;
  readonly device: string;
  readonly algorithm: string;
}

/**
 * Claims one key for each device; those that have none are left out. Durable when it resolves. Many claims are made in
 * slices, so that other requests get their turn meanwhile.
 */
export async function claimKeys(
  users: Users,
  claims: readonly Claim[],
): Promise<Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, JsonValue>>>>>>> {
  const claimed = new Map<string, [string, Readonly<Record<string, JsonValue>>][]>();
  for (let at = 0; at < claims.length; at += CLAIMS_AT_ONCE) {
    const slice = claims.slice(at, at + CLAIMS_AT_ONCE);
    const keys = await users.store.commit((tx) =>
      slice.map(({ user, device, algorithm }) => claimKey(tx, user, device, algorithm)),
    );
    for (const [index, key] of keys.entries()) {
      if (key === undefined) continue;
      const { user, device } = slice[index]!;
      const ofUser = claimed.get(user) ?? [];
      claimed.set(user, ofUser);
      ofUser.push([device, { [key.id]: key.key }]);
    }
  }
  return Object.fromEntries([...claimed].map(([user, ofUser]) => [user, Object.fromEntries(ofUser)]));
}

/** Forgets the keys of a deleted device. */
export function dropDeviceKeys(tx: Tx, user: string, device: string): void {
  dropOneTimeKeys(tx, user, device);
  dropOwnSignatures(tx, user, device);
  if (!tx.has(deviceKeys, [user, device])) return;
  tx.delete(deviceKeys, [user, device]);
  const left = (tx.get(keyedDevices, [user]) ?? []).filter((id) => id !== device);
  if (left.length > 0) tx.put(keyedDevices, [user], left);
  else tx.delete(keyedDevices, [user]);
}

/** The claims of a request body: `{user: {device: algorithm}}`; M_BAD_JSON for another form. */
export function claimsOf(
  value: JsonObject,
): { readonly user: string; readonly device: string; readonly algorithm: string }[] {
  const claims: { user: string; device: string; algorithm: string }[] = [];
  for (const [user, byDevice] of Object.entries(value)) {
    if (!isObject(byDevice)) throw bad("'one_time_keys' must map users to devices");
    for (const device of Object.keys(byDevice)) {
      const algorithm = own(byDevice, device);
      if (typeof algorithm !== 'string') throw bad('An algorithm must be a string');
      claims.push({ user, device, algorithm });
    }
  }
  return claims;
}
