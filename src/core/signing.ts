import type { KeyObject } from 'node:crypto';
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  sign as cryptoSign,
  verify as cryptoVerify,
  hash,
} from 'node:crypto';
import nacl from 'tweetnacl';
import { canonicalBytesWithout } from '#core/canonical-json.js';
import { type JsonObject, ownObject, ownString } from '#core/json-value.js';
import { decodeBase64, encodeBase64 } from '#util/base64.js';
import { Lru } from '#util/lru.js';

/** An Ed25519 key that this server signs with (server-server API, Retrieving server keys). */
export interface SigningKey {
  /** `ed25519:` and the version. */
  readonly id: string;
  /** Unpadded base64 of the 32 bytes. */
  readonly publicKey: string;
  readonly seed: Buffer;
  /** Unpadded base64 of the 64 bytes. Ed25519 is deterministic: equal bytes give equal signatures. */
  sign(bytes: Uint8Array): string;
}

const ALGORITHM = 'ed25519';
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
const KEY_VERSION = /^[A-Za-z0-9_]+$/;
/** Keys go in and out as JWK (RFC 8037) where they can: in DER a public key takes ten times as long, and the first key a millisecond more. */
const JWK = { kty: 'OKP', crv: 'Ed25519' } as const;

export function sha256(bytes: Uint8Array | string): Buffer {
  // In one go: a hash that could be fed piece by piece is a stream, with all that one holds.
  return hash('sha256', bytes, 'buffer');
}

/** Only for the tie-break of state resolution version 1 (rooms/v1): nothing rests on its strength. */
export function sha1(text: string): Buffer {
  return createHash('sha1').update(text).digest();
}

/**
 * The signing key of a 32-byte seed, by node:crypto: tweetnacl takes 18 ms for it, at each start. `runnel check` compares.
 * `version` defaults to a short fingerprint of the public key, so that a new key gets a new id. Throws RangeError.
 */
export function signingKeyFromSeed(seed: Uint8Array, version?: string): SigningKey {
  if (seed.length !== KEY_BYTES) throw new RangeError('an Ed25519 seed has 32 bytes');
  const copy = Buffer.from(seed);
  let derived: { privateKey: KeyObject; publicBytes: Buffer } | undefined;
  // When it is asked for: a start does without what Node has to load for it.
  const derive = () => {
    if (derived === undefined) {
      const privateKey = privateKeyOf(copy);
      derived = { privateKey, publicBytes: Buffer.from(privateKey.export({ format: 'jwk' }).x!, 'base64url') };
    }
    return derived;
  };
  const name = version ?? `a_${sha256(derive().publicBytes).toString('hex').slice(0, 6)}`;
  if (!KEY_VERSION.test(name)) throw new RangeError('a key version has only letters, digits and _');
  return {
    id: `${ALGORITHM}:${name}`,
    get publicKey() {
      return encodeBase64(derive().publicBytes);
    },
    seed: copy,
    sign: (bytes) => encodeBase64(cryptoSign(null, bytes, derive().privateKey)),
  };
}

/** What stands before the seed in PKCS #8 (RFC 8410). */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

function privateKeyOf(seed: Buffer): KeyObject {
  try {
    // The public half must be named. Up to Node 22 it is not looked at.
    return createPrivateKey({ format: 'jwk', key: { ...JWK, d: seed.toString('base64url'), x: '' } });
  } catch {
    return createPrivateKey({ format: 'der', type: 'pkcs8', key: Buffer.concat([PKCS8, seed]) });
  }
}

/** Reads a key file's line `ed25519 <version> <seed in base64>`, the form that Synapse writes; undefined if it's not one. */
export function parseSigningKey(fileText: string): SigningKey | undefined {
  const [algorithm, version, seedText, ...rest] = fileText.trim().split(/\s+/);
  if (algorithm !== ALGORITHM || version === undefined || seedText === undefined || rest.length > 0) return undefined;
  const seed = decodeBase64(seedText);
  if (seed?.length !== KEY_BYTES || !KEY_VERSION.test(version)) return undefined;
  return signingKeyFromSeed(seed, version);
}

/** The line that `parseSigningKey` reads. It is a secret. */
export function formatSigningKey(key: SigningKey): string {
  return `${ALGORITHM} ${key.id.slice(ALGORITHM.length + 1)} ${encodeBase64(key.seed)}\n`;
}

/** Parsed public keys by their base64; `null` for text that is no usable key. */
const publicKeys = new Lru<string, KeyObject | null>(5_000);

function publicKeyObject(publicKey: string): KeyObject | null {
  const known = publicKeys.get(publicKey);
  if (known !== undefined) return known;
  if (publicKey.length > 64) return null;
  const bytes = decodeBase64(publicKey);
  const object =
    bytes?.length === KEY_BYTES && isCanonicalPoint(bytes) && !isSmallOrderPoint(bytes)
      ? createPublicKey({ format: 'jwk', key: { ...JWK, x: bytes.toString('base64url') } })
      : null;
  publicKeys.set(publicKey, object);
  return object;
}

/**
 * Encodings of the points whose order divides 8, sign bit cleared. Anyone can sign with such a key, for any message.
 * libsodium, with which most of the network verifies, refuses them, and OpenSSL doesn't; so they are refused here.
 */
const SMALL_ORDER_POINTS = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]);
const SMALL_ORDER_FIRST_BYTES = new Set([...SMALL_ORDER_POINTS].map((hex) => Number.parseInt(hex.slice(0, 2), 16)));

function isSmallOrderPoint(bytes: Buffer): boolean {
  if (!SMALL_ORDER_FIRST_BYTES.has(bytes[0]!)) return false;
  const point = Buffer.from(bytes.subarray(0, KEY_BYTES));
  point[31]! &= 0x7f;
  return SMALL_ORDER_POINTS.has(point.toString('hex'));
}

/** Whether the coordinate is below the field's prime 2^255 - 19. */
function isCanonicalPoint(bytes: Buffer): boolean {
  if ((bytes[31]! & 0x7f) !== 0x7f || bytes[0]! < 0xed) return true;
  return bytes.subarray(1, 31).some((byte) => byte !== 0xff);
}

function signatureBytes(signature: string): Buffer | undefined {
  if (signature.length > 88) return undefined;
  const bytes = decodeBase64(signature);
  return bytes?.length === SIGNATURE_BYTES && !isSmallOrderPoint(bytes) ? bytes : undefined;
}

/**
 * Checks an Ed25519 signature; key and signature in base64, padded or not. False, never an exception, for anything
 * malformed, for malleated signatures (S not below the group order) and for keys of small order.
 */
export function verifySignature(publicKey: string, signature: string, bytes: Uint8Array): boolean {
  const key = publicKeyObject(publicKey);
  const raw = signatureBytes(signature);
  return key !== null && raw !== undefined && cryptoVerify(null, bytes, key, raw);
}

/** The same check by tweetnacl: some eighty times slower, the second implementation that tests hold ours against. */
export function verifySignatureByTweetnacl(publicKey: string, signature: string, bytes: Uint8Array): boolean {
  const key = decodeBase64(publicKey);
  const raw = decodeBase64(signature);
  if (key?.length !== KEY_BYTES || raw?.length !== SIGNATURE_BYTES) return false;
  return nacl.sign.detached.verify(Uint8Array.from(bytes), Uint8Array.from(raw), Uint8Array.from(key));
}

/** Whether tweetnacl derives from a key's seed what the server is known by. */
export function tweetnaclAgrees(key: SigningKey): boolean {
  const { publicKey } = nacl.sign.keyPair.fromSeed(Uint8Array.from(key.seed));
  return encodeBase64(publicKey) === key.publicKey;
}

/** A signature in unpadded base64, made by tweetnacl. */
export function signByTweetnacl(seed: Uint8Array, bytes: Uint8Array): string {
  const { secretKey } = nacl.sign.keyPair.fromSeed(Uint8Array.from(seed));
  return encodeBase64(nacl.sign.detached(Uint8Array.from(bytes), secretKey));
}

/** One signature to check. */
export interface VerifyJob {
  readonly publicKey: string;
  readonly signature: string;
  readonly bytes: Uint8Array;
}

/** Jobs handed to the thread pool at a time: the disk's work goes through the same queue and must not wait long. */
const MAX_JOBS_ON_POOL = 16;

/**
 * Checks many signatures on libuv's thread pool, so that the event loop goes on meanwhile. `done` is called once, always
 * after this function has returned, with one answer for each job in their order.
 */
export function verifyOnPool(jobs: readonly VerifyJob[], done: (valid: readonly boolean[]) => void): void {
  const valid: boolean[] = new Array(jobs.length).fill(false);
  let next = 0;
  let running = 0;
  const advance = (): void => {
    while (next < jobs.length && running < MAX_JOBS_ON_POOL) {
      const index = next++;
      const job = jobs[index]!;
      const key = publicKeyObject(job.publicKey);
      const raw = signatureBytes(job.signature);
      if (key === null || raw === undefined) continue;
      running++;
      cryptoVerify(null, job.bytes, key, raw, (error, result) => {
        valid[index] = error === null && result;
        running--;
        advance();
      });
    }
    if (next === jobs.length && running === 0) done(valid);
  };
  queueMicrotask(advance);
}

/** Top-level keys that a signature of JSON does not cover (appendices, Signing JSON). */
const UNSIGNED_KEYS = ['signatures', 'unsigned'] as const;

/** The bytes that a signature of `object` covers. Throws JsonError where it has no canonical form. */
export function signedBytes(object: JsonObject): Buffer {
  return canonicalBytesWithout(object, UNSIGNED_KEYS);
}

/** A copy of `object` with the signature of `name` added to those that it has (appendices, Signing JSON). */
export function signJson(object: JsonObject, name: string, key: SigningKey): JsonObject {
  return withSignature(object, name, key.id, key.sign(signedBytes(object)));
}

/** A copy of `object` with one more signature. */
export function withSignature(object: JsonObject, name: string, keyId: string, signature: string): JsonObject {
  const signatures = ownObject(object, 'signatures') ?? {};
  const ofName = ownObject(signatures, name) ?? {};
  return { ...object, signatures: { ...signatures, [name]: { ...ofName, [keyId]: signature } } };
}

/** The signature that `object` carries of `name` with key `keyId`, if it is there and a string. */
export function signatureOf(object: JsonObject, name: string, keyId: string): string | undefined {
  const ofName = ownObject(ownObject(object, 'signatures') ?? {}, name);
  return ofName === undefined ? undefined : ownString(ofName, keyId);
}

/** Ids of the Ed25519 keys with which `name` signed `object`, whether validly or not. */
export function signingKeyIds(object: JsonObject, name: string): string[] {
  const ofName = ownObject(ownObject(object, 'signatures') ?? {}, name);
  return ofName === undefined ? [] : Object.keys(ofName).filter((id) => id.startsWith(`${ALGORITHM}:`));
}

/**
 * Whether `object` carries a valid signature of `name` with the key `keyId` whose public key is given (appendices,
 * Checking for a signature). False too where the object has no canonical form.
 */
export function verifyJson(object: JsonObject, name: string, keyId: string, publicKey: string): boolean {
  const signature = signatureOf(object, name, keyId);
  if (signature === undefined) return false;
  let bytes: Buffer;
  try {
    bytes = signedBytes(object);
  } catch {
    return false;
  }
  return verifySignature(publicKey, signature, bytes);
}
