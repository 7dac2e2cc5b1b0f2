import { createHash, randomBytes } from 'node:crypto';

/** Randomness comes in from outside, so that simulations repeat from a seed. */
export interface Random {
  /** `length` unpredictable bytes. */
  bytes(length: number): Buffer;
  /** A URL-safe token with `bytes` × 8 bits of entropy (base64url, no padding). */
  token(bytes?: number): string;
}

/** The operating system's generator: the only one a real server uses. */
export const systemRandom: Random = {
  bytes: (length) => randomBytes(length),
  token: (bytes = 24) => randomBytes(bytes).toString('base64url'),
};

/** A repeatable generator for tests and simulations. Never for a real server. */
export function seededRandom(seed: string): Random {
  let counter = 0;
  const bytes = (length: number): Buffer => {
    const parts: Buffer[] = [];
    for (let have = 0; have < length; have += 32) {
      parts.push(createHash('sha256').update(`${seed}/${counter++}`).digest());
    }
    return Buffer.concat(parts).subarray(0, length);
  };
  return { bytes, token: (n = 24) => bytes(n).toString('base64url') };
}
