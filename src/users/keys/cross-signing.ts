import { canonicalJson } from '#core/canonical-json.js';
import { MatrixError } from '#core/errors.js';
import type { UserId } from '#core/ids.js';
import { isObject, type JsonObject, type JsonValue, own, ownString } from '#core/json-value.js';
import { verifyJson } from '#core/signing.js';
import { type CrossSigningRole, crossSigningKeys, devices } from '#store/schema.js';
import type { Reader, Tx } from '#store/types.js';
import { deviceListChanged } from '#users/device-lists.js';
import {
  bad,
  badSignature,
  checkSize,
  deviceKeyOf,
  publicKeyOf,
  sameKey,
  withKnownSignatures,
} from '#users/keys/key-format.js';
import { purgeSignaturesOn } from '#users/keys/signatures.js';
import type { UiaDone } from '#users/uia.js';
import { finishUia } from '#users/uia.js';
import type { Users } from '#users/users.js';

/** Body of POST /keys/device_signing/upload. */
export interface CrossSigningUpload {
  readonly master_key?: JsonValue | undefined;
  readonly self_signing_key?: JsonValue | undefined;
  readonly user_signing_key?: JsonValue | undefined;
}

const ROLES = [
  ['master', 'master_key'],
  ['self_signing', 'self_signing_key'],
  ['user_signing', 'user_signing_key'],
] as const;

type Keys = Partial<Record<CrossSigningRole, JsonObject>>;

function checkKey(value: JsonValue, role: CrossSigningRole, user: string): JsonObject {
  if (!isObject(value)) throw bad('A cross-signing key must be an object');
  if (ownString(value, 'user_id') !== user) throw bad("'user_id' is not the caller's");
  const usage = own(value, 'usage');
  if (!Array.isArray(usage) || !usage.includes(role)) throw bad(`The usage of the key is not ${role}`);
  if (publicKeyOf(value) === undefined) throw bad('A cross-signing key must name one Ed25519 key after itself');
  checkSize(value);
  return value;
}

/**
 * Reads and checks the keys of an upload (client-server API, Cross-signing): of the right user, role and form, and the
 * two signing keys signed by the master key that comes with them or stands. Other signatures are taken off, but those of
 * the user's devices on the master key. M_BAD_JSON, M_INVALID_SIGNATURE, M_MISSING_PARAM where there is no master key,
 * M_FORBIDDEN where a key is named like a device.
 */
export function checkCrossSigning(reader: Reader, user: UserId, upload: CrossSigningUpload): Keys {
  const keys: Keys = {};
  for (const [role, field] of ROLES) {
    const value = upload[field];
    if (value === undefined || value === null) continue;
    const key = checkKey(value, role, user);
    if (reader.has(devices, [user, publicKeyOf(key)!.value]))
      throw new MatrixError('M_FORBIDDEN', 'The key has the name of a device');
    keys[role] = key;
  }
  if (keys.master !== undefined) {
    const own = publicKeyOf(keys.master)!;
    keys.master = withKnownSignatures(keys.master, user, (id) =>
      id === own.id ? own.value : deviceKeyOf(reader, user, id),
    );
  }
  const master = keys.master ?? reader.get(crossSigningKeys, [user, 'master']);
  for (const role of ['self_signing', 'user_signing'] as const) {
    const key = keys[role];
    if (key === undefined) continue;
    const by = master === undefined ? undefined : publicKeyOf(master);
    if (by === undefined) throw new MatrixError('M_MISSING_PARAM', 'There is no master key to sign the others');
    if (!verifyJson(key, user, by.id, by.value)) throw badSignature(`The ${role} key is not signed by the master key`);
    keys[role] = withKnownSignatures(key, user, (id) => (id === by.id ? by.value : undefined));
  }
  return keys;
}

/** Whether the upload replaces a key that stands: only then the user must prove themselves anew (MSC3967). */
export function replacesKeys(reader: Reader, user: UserId, keys: Keys): boolean {
  if (reader.get(crossSigningKeys, [user, 'master']) === undefined) return false;
  return Object.entries(keys).some(([role, key]) => {
    const known = reader.get(crossSigningKeys, [user, role as CrossSigningRole]);
    return known === undefined || !sameKey(known, key);
  });
}

function isSame(reader: Reader, user: string, role: CrossSigningRole, key: JsonObject): boolean {
  const known = reader.get(crossSigningKeys, [user, role]);
  return known !== undefined && canonicalJson(known) === canonicalJson(key);
}

/** Stores checked keys. `proof` is the interactive authentication that replacing needs. */
export async function putCrossSigning(
  users: Users,
  user: UserId,
  keys: Keys,
  proof: UiaDone | undefined,
): Promise<void> {
  const replaced = await users.store.commit((tx: Tx) => {
    if (proof === undefined && replacesKeys(tx, user, keys)) {
      throw new MatrixError('M_CONFLICT', 'The keys were replaced meanwhile');
    }
    if (proof !== undefined) finishUia(tx, proof);
    let changed = false;
    const before = keys.master && replacedMaster(tx, user, keys.master);
    // What the old master key signed counts for nothing under the new one.
    if (before !== undefined) for (const [role] of ROLES) tx.delete(crossSigningKeys, [user, role]);
    for (const [role, key] of Object.entries(keys) as [CrossSigningRole, JsonObject][]) {
      if (isSame(tx, user, role, key)) continue;
      tx.put(crossSigningKeys, [user, role], key);
      changed = true;
    }
    if (changed) deviceListChanged(tx, user);
    return before;
  });
  if (replaced !== undefined) await purgeSignaturesOn(users, [user, replaced]);
}

/** The public key of the master key that stands, where `next` is another one. */
function replacedMaster(reader: Reader, user: string, next: JsonObject): string | undefined {
  const before = reader.get(crossSigningKeys, [user, 'master']);
  const old = before === undefined ? undefined : publicKeyOf(before)?.value;
  return old === publicKeyOf(next)?.value ? undefined : old;
}

/** Deletes the cross-signing keys of a deactivated account. */
export async function purgeCrossSigning(users: Users, user: UserId): Promise<void> {
  await users.store.commit((tx) => {
    const found = ROLES.filter(([role]) => tx.has(crossSigningKeys, [user, role]));
    for (const [role] of found) tx.delete(crossSigningKeys, [user, role]);
    if (found.length > 0) deviceListChanged(tx, user);
  });
}
