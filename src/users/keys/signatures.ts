import { type ErrorCode, MatrixError } from '#core/errors.js';
import { UserId } from '#core/ids.js';
import { isObject, type JsonObject, type JsonValue } from '#core/json-value.js';
import { signatureOf, signingKeyIds, verifyJson } from '#core/signing.js';
import { crossSigningKeys, deviceKeys, keySignatures, signedUsers } from '#store/schema.js';
import type { Reader, Tx } from '#store/types.js';
import { deviceListChanged } from '#users/device-lists.js';
import { bad, badSignature, deviceKeyOf, publicKeyOf, sameKey } from '#users/keys/key-format.js';
import type { Users } from '#users/users.js';

/** Most keys that one request may sign. */
const MOST_KEYS = 5_000;
const PURGED_AT_ONCE = 1_000;

/** Failures by user and key (client-server API, POST /keys/signatures/upload). */
export type Failures = Readonly<
  Record<string, Readonly<Record<string, { readonly errcode: ErrorCode; readonly error: string }>>>
>;

/**
 * Takes in signatures that `signer` made on device and master keys. Each is verified against the key that must have made
 * it, in its role: the own self-signing key for own devices, own devices for the own master key, the own user-signing
 * key for other people's master keys. What fails is told key by key, and the rest stands.
 */
export async function uploadSignatures(users: Users, signer: UserId, signed: JsonObject): Promise<Failures> {
  const entries: [string, string, JsonValue][] = [];
  for (const [user, byKey] of Object.entries(signed)) {
    if (!isObject(byKey)) throw bad('Signed keys must be objects under users');
    for (const [keyId, key] of Object.entries(byKey)) entries.push([user, keyId, key as JsonValue]);
  }
  if (entries.length > MOST_KEYS) throw new MatrixError('M_TOO_LARGE', `A request may sign at most ${MOST_KEYS} keys`);
  const failures = new Map<string, [string, { errcode: ErrorCode; error: string }][]>();
  await users.store.commit((tx) => {
    const changed = new Set<string>();
    for (const [user, keyId, key] of entries) {
      try {
        if (!isObject(key)) throw bad('A signed key must be an object');
        if (!UserId.is(user)) throw bad('Not a user id');
        if (takeIn(tx, signer, user, keyId, key)) changed.add(user);
      } catch (error) {
        if (!(error instanceof MatrixError)) throw error;
        const ofUser = failures.get(user) ?? [];
        failures.set(user, ofUser);
        ofUser.push([keyId, { errcode: error.errcode, error: error.message }]);
      }
    }
    for (const user of changed) tell(tx, signer, user);
  });
  return Object.fromEntries([...failures].map(([user, ofUser]) => [user, Object.fromEntries(ofUser)]));
}

function tell(tx: Tx, signer: string, user: string): void {
  if (user === signer) {
    deviceListChanged(tx, user);
    return;
  }
  // A signature on somebody else's key is the signer's own affair.
  const before = tx.get(signedUsers, [signer, user]);
  if (before !== undefined) tx.retract(before);
  const position = tx.position();
  tx.put(signedUsers, [signer, user], position);
  tx.fact(position, { kind: 'deviceList', user, only: signer });
}

function notFound(): MatrixError {
  return new MatrixError('M_NOT_FOUND', 'There is no such key');
}

/** Checks and stores the signatures on one key; returns whether any is new. */
function takeIn(tx: Tx, signer: UserId, user: UserId, keyId: string, key: JsonObject): boolean {
  const device = user === signer ? tx.get(deviceKeys, [user, keyId]) : undefined;
  const master = tx.get(crossSigningKeys, [user, 'master']);
  const target = device ?? (master !== undefined && publicKeyOf(master)?.value === keyId ? master : undefined);
  if (target === undefined) throw notFound();
  if (!sameKey(key, target)) throw badSignature('The key that was signed is not the one that is known');
  const kind = device !== undefined ? 'device' : user === signer ? 'master' : 'other';
  const stored = tx.get(keySignatures, [user, keyId, signer]) ?? {};
  const made = new Map(Object.entries(stored));
  let counted = 0;
  for (const id of signingKeyIds(key, signer)) {
    const signature = signatureOf(key, signer, id)!;
    // Clients send along signatures that were there before, by keys that have no part in this.
    const publicKey = signingKey(tx, signer, id, kind);
    if (publicKey === undefined) continue;
    counted++;
    if (made.get(id) === signature || signatureOf(target, signer, id) === signature) continue;
    if (!verifyJson(key, signer, id, publicKey)) throw badSignature(`The signature by ${id} is not valid`);
    made.set(id, signature);
  }
  if (counted === 0) throw badSignature('There is no signature by a key that may sign this one');
  if ([...made].every(([id, signature]) => stored[id] === signature)) return false;
  tx.put(keySignatures, [user, keyId, signer], Object.fromEntries(made));
  return true;
}

type Target = 'device' | 'master' | 'other';

/** The public key named `id` of the signer, if its role lets it sign a key of this kind. */
function signingKey(reader: Reader, signer: UserId, id: string, target: Target): string | undefined {
  if (target === 'master') return deviceKeyOf(reader, signer, id);
  const key = reader.get(crossSigningKeys, [signer, target === 'device' ? 'self_signing' : 'user_signing']);
  const found = key === undefined ? undefined : publicKeyOf(key);
  return found?.id === id ? found.value : undefined;
}

/** Forgets what the user's own keys signed on the key of a device that is deleted, or on a master key that is replaced. */
export function dropOwnSignatures(tx: Tx, user: string, keyId: string): void {
  tx.delete(keySignatures, [user, keyId, user]);
}

/** Deletes the signatures on a deactivated account's keys, and those that it made on the master keys of others. */
export async function purgeSignatures(users: Users, user: UserId): Promise<void> {
  const { store } = users;
  for await (const [key, position] of store.range(signedUsers, { prefix: [user] })) {
    await store.commit((tx) => {
      const master = tx.get(crossSigningKeys, [key[1], 'master']);
      const id = master === undefined ? undefined : publicKeyOf(master)?.value;
      if (id !== undefined) tx.delete(keySignatures, [key[1], id, user]);
      tx.delete(signedUsers, key);
      tx.retract(position);
    });
  }
  await purgeSignaturesOn(users, [user]);
}

/** Deletes the signatures of all users on the keys of a user, or on one of them. */
export async function purgeSignaturesOn(
  { store }: Users,
  prefix: readonly [user: string] | readonly [user: string, keyId: string],
): Promise<void> {
  for (;;) {
    const rows = await store.list(keySignatures, { prefix, limit: PURGED_AT_ONCE });
    if (rows.length === 0) return;
    await store.commit((tx) => {
      for (const [key] of rows) tx.delete(keySignatures, key);
    });
  }
}
