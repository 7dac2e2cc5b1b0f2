// Keys of clients and what they sign (appendices, Signing JSON), by node:crypto alone.
import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign, verify } from 'node:crypto';
import type { Body, Client } from './client.js';

/** Canonical JSON (appendices) of what the tests sign: plain values and large integers, with keys in ASCII. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join(',')}}`;
}

const unpadded = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64').replace(/=+$/, '');

/** An Ed25519 key of a device or a cross-signing role. */
export class Ed25519Key {
  /** Unpadded base64. */
  readonly publicKey: string;
  readonly #private: KeyObject;

  constructor() {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    this.publicKey = unpadded(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32));
    this.#private = privateKey;
  }

  /** A copy of `object` with the signature of `userId` by this key under `keyId` added. */
  sign(object: Body, userId: string, keyId = `ed25519:${this.publicKey}`): Body {
    const { signatures, unsigned, ...signed } = object;
    const signature = unpadded(sign(null, Buffer.from(canonical(signed)), this.#private));
    return {
      ...object,
      signatures: { ...signatures, [userId]: { ...signatures?.[userId], [keyId]: signature } },
    };
  }
}

/** Whether `object` has a signature of `name` that the key made, which is in unpadded base64. */
export function isSigned(object: Body, name: string, keyId: string, publicKey: string): boolean {
  const { signatures, unsigned: _, ...signed } = object;
  const signature = signatures?.[name]?.[keyId];
  if (typeof signature !== 'string') return false;
  const x = Buffer.from(publicKey, 'base64').toString('base64url');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  return verify(null, Buffer.from(canonical(signed)), key, Buffer.from(signature, 'base64'));
}

/** The keys of a client's device. */
export class DeviceKeys {
  readonly client: Client;
  readonly key = new Ed25519Key();
  readonly curve = unpadded(randomBytes(32));

  constructor(client: Client) {
    this.client = client;
  }

  get keyId(): string {
    return `ed25519:${this.client.deviceId}`;
  }

  sign(object: Body): Body {
    return this.key.sign(object, this.client.userId, this.keyId);
  }

  /** The identity keys before they are signed. */
  unsigned(): Body {
    const { userId, deviceId } = this.client;
    return {
      user_id: userId,
      device_id: deviceId,
      algorithms: ['m.olm.v1.curve25519-aes-sha2', 'm.megolm.v1.aes-sha2'],
      keys: { [`curve25519:${deviceId}`]: this.curve, [this.keyId]: this.key.publicKey },
    };
  }

  identity(): Body {
    return this.sign(this.unsigned());
  }

  /** A signed one-time key; another one at each call. */
  oneTimeKey(): Body {
    return this.sign({ key: unpadded(randomBytes(32)) });
  }

  fallbackKey(): Body {
    return this.sign({ key: unpadded(randomBytes(32)), fallback: true });
  }

  /** As many one-time keys under `signed_curve25519:<prefix><n>`, n from 0. */
  oneTimeKeys(count: number, prefix = 'k'): Body {
    return Object.fromEntries(
      Array.from({ length: count }, (_, n) => [`signed_curve25519:${prefix}${n}`, this.oneTimeKey()]),
    );
  }
}

/** A user's cross-signing keys. */
export class CrossSigning {
  readonly userId: string;
  readonly master = new Ed25519Key();
  readonly selfSigning = new Ed25519Key();
  readonly userSigning = new Ed25519Key();

  constructor(userId: string) {
    this.userId = userId;
  }

  #form(usage: string, { publicKey }: Ed25519Key): Body {
    return { user_id: this.userId, usage: [usage], keys: { [`ed25519:${publicKey}`]: publicKey } };
  }
  masterKey(): Body {
    return this.#form('master', this.master);
  }
  selfSigningKey(): Body {
    return this.master.sign(this.#form('self_signing', this.selfSigning), this.userId);
  }
  userSigningKey(): Body {
    return this.master.sign(this.#form('user_signing', this.userSigning), this.userId);
  }
  /** The body of an upload of all three. */
  upload(): Body {
    return {
      master_key: this.masterKey(),
      self_signing_key: this.selfSigningKey(),
      user_signing_key: this.userSigningKey(),
    };
  }
}
