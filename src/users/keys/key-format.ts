import { canonicalJson } from '#core/canonical-json.js';
import { MatrixError } from '#core/errors.js';
import { isObject, type JsonObject, type JsonValue, own, ownObject, ownString } from '#core/json-value.js';
import { signatureOf, signingKeyIds, verifyJson } from '#core/signing.js';
import { deviceKeys } from '#store/schema.js';
import type { Reader } from '#store/types.js';

/** Largest identity, one-time or cross-signing key, as JSON. */
export const MAX_KEY_BYTES = 16_384;
const MAX_KEY_ID = 255;
const KEY_ID = /^[A-Za-z0-9_.-]+:.+$/;

export function bad(message: string): MatrixError {
  return new MatrixError('M_BAD_JSON', message);
}

export function badSignature(message: string): MatrixError {
  return new MatrixError('M_INVALID_SIGNATURE', message);
}

/** Splits `algorithm:id`; M_BAD_JSON for another form. */
export function splitKeyId(keyId: string): { readonly algorithm: string; readonly id: string } {
  if (keyId.length > MAX_KEY_ID || !KEY_ID.test(keyId)) throw bad('A key is not named algorithm:id');
  const colon = keyId.indexOf(':');
  return { algorithm: keyId.slice(0, colon), id: keyId.slice(colon + 1) };
}

export function checkSize(value: JsonValue): void {
  if (Buffer.byteLength(JSON.stringify(value)) > MAX_KEY_BYTES) throw bad('A key is too large');
}

/** The Ed25519 key of a device among its identity keys. */
export function ed25519Of(keys: JsonObject, device: string): string | undefined {
  return ownString(ownObject(keys, 'keys') ?? {}, `ed25519:${device}`);
}

/** The Ed25519 key `ed25519:<device>` of a user's device. */
export function deviceKeyOf(reader: Reader, user: string, id: string): string | undefined {
  const device = id.startsWith('ed25519:') ? id.slice('ed25519:'.length) : '';
  const keys = reader.get(deviceKeys, [user, device]);
  return keys === undefined ? undefined : ed25519Of(keys, device);
}

/** The one public key of a cross-signing key, with its id; undefined where it is malformed. */
export function publicKeyOf(key: JsonObject): { readonly id: string; readonly value: string } | undefined {
  const entries = Object.entries(ownObject(key, 'keys') ?? {});
  const [first] = entries;
  if (entries.length !== 1 || first === undefined) return undefined;
  const [id, value] = first;
  return typeof value === 'string' && id === `ed25519:${value}` ? { id, value } : undefined;
}

const withoutSignatures = (object: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(object).filter(([key]) => key !== 'signatures' && key !== 'unsigned'));

/**
 * A copy of `key` that carries no other signatures than `user`'s by the keys that `publicKeyById` knows: what can't be
 * verified is not handed on. M_INVALID_SIGNATURE where one of them is wrong.
 */
export function withKnownSignatures(
  key: JsonObject,
  user: string,
  publicKeyById: (id: string) => string | undefined,
): JsonObject {
  const { signatures: _, unsigned: __, ...signed } = key;
  const kept: [string, string][] = [];
  for (const id of signingKeyIds(key, user)) {
    const publicKey = publicKeyById(id);
    if (publicKey === undefined) continue;
    if (!verifyJson(key, user, id, publicKey)) throw badSignature(`The signature by ${id} is not valid`);
    kept.push([id, signatureOf(key, user, id)!]);
  }
  return kept.length === 0 ? signed : { ...signed, signatures: { [user]: Object.fromEntries(kept) } };
}

/** Whether two keys say the same, signatures and unsigned data aside. */
export function sameKey(a: JsonObject, b: JsonObject): boolean {
  return canonicalJson(withoutSignatures(a)) === canonicalJson(withoutSignatures(b));
}

/** Checks the identity keys that a device uploads (client-server API, Device keys): of the right user and device, and
 * signed by themselves. M_BAD_JSON for the wrong form, M_INVALID_SIGNATURE. */
export function checkDeviceKeys(keys: JsonValue, user: string, device: string): JsonObject {
  if (!isObject(keys)) throw bad("'device_keys' must be an object");
  if (ownString(keys, 'user_id') !== user) throw bad("'user_id' is not the caller's");
  if (ownString(keys, 'device_id') !== device) throw bad("'device_id' is not the caller's");
  const algorithms = own(keys, 'algorithms');
  if (!Array.isArray(algorithms) || !algorithms.every((one) => typeof one === 'string')) {
    throw bad("'algorithms' must be a list of strings");
  }
  const named = ownObject(keys, 'keys');
  if (named === undefined || Object.values(named).some((key) => typeof key !== 'string')) {
    throw bad("'keys' must map names to strings");
  }
  for (const id of Object.keys(named)) if (splitKeyId(id).id !== device) throw bad('A key is named for another device');
  checkSize(keys);
  const identity = ed25519Of(keys, device);
  if (identity === undefined) throw bad('There is no ed25519 key');
  if (signatureOf(keys, user, `ed25519:${device}`) === undefined) throw bad('The device keys are not signed');
  if (!verifyJson(keys, user, `ed25519:${device}`, identity))
    throw badSignature('The device keys are not signed rightly');
  return keys;
}

/** Checks one one-time or fallback key: signed ones by the device's own key. */
export function checkOneTimeKey(
  keyId: string,
  key: JsonValue,
  user: string,
  device: string,
  identity: string | undefined,
): void {
  const { algorithm } = splitKeyId(keyId);
  checkSize(key);
  if (!algorithm.startsWith('signed_')) {
    if (typeof key !== 'string' && !isObject(key)) throw bad('A one-time key must be a string or an object');
    return;
  }
  if (!isObject(key) || ownString(key, 'key') === undefined)
    throw bad('A signed one-time key must be an object with a key');
  if (identity === undefined) throw bad('One-time keys can not be checked before the device keys are known');
  if (signatureOf(key, user, `ed25519:${device}`) === undefined) throw bad('A one-time key is not signed');
  if (!verifyJson(key, user, `ed25519:${device}`, identity)) throw badSignature('A one-time key is not signed rightly');
}
