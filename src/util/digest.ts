import { createHash, createHmac, hash, timingSafeEqual } from 'node:crypto';

/** SHA-256 of a text, unpadded URL-safe base64: 43 characters. */
export function digest(text: string): string {
  return hash('sha256', text, 'base64url');
}

/** HMAC-SHA1 in lower-case hexadecimal, as Synapse's shared-secret registration defines it. */
export function hmacSha1(key: string, message: string): string {
  return createHmac('sha1', key).update(message).digest('hex');
}

/** HMAC-SHA256 of bytes, unpadded URL-safe base64. */
export function hmacSha256(key: Uint8Array, message: Uint8Array): string {
  return createHmac('sha256', key).update(message).digest('base64url');
}

/** Whether two texts are equal, in time that depends on neither where they differ nor on how long `secret` is. */
export function sameSecret(secret: string, given: string): boolean {
  const a = createHash('sha256').update(secret).digest();
  const b = createHash('sha256').update(given).digest();
  return timingSafeEqual(a, b);
}
