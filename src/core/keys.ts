import type { RoomRules } from '#core/room-versions.js';

/** A public key of another server as its key response, or a notary, told it. Times in milliseconds since the epoch. */
export interface PublishedKey {
  /** Base64 of the 32 bytes. */
  readonly publicKey: string;
  /** From `verify_keys`: good until then, by the server's own word. Absent for a key of `old_verify_keys`. */
  readonly validUntilTs?: number;
  /** From `old_verify_keys`: not used any more since then. */
  readonly expiredTs?: number;
}

/** How far into the future a key's own `valid_until_ts` is believed: 7 days (rooms/v5, Signing key validity period). */
export const MAX_KEY_VALIDITY_MS = 7 * 24 * 60 * 60 * 1000;

/**
 * Public keys whose secret half is known to everyone: many servers were set up with one and the same key by a faulty
 * deployment chart (CVE-2026-24044).
 */
const BANNED_KEYS: ReadonlySet<string> = new Set(['l/O9hxMVKB6Lg+3Hqf0FQQZhVESQcMzbPN1Cz2nM3og']);

/** Whether requests and events signed with this key are to be refused whoever sends them. Padding does not matter. */
export function isBannedKey(publicKey: string): boolean {
  return BANNED_KEYS.has(publicKey.replace(/=+$/, ''));
}

/** Until when a key counts as valid, seen from `now`: the lesser of its own word and 7 days from now. */
export function validUntil(key: PublishedKey, now: number): number {
  if (key.expiredTs !== undefined) return key.expiredTs;
  return Math.min(key.validUntilTs ?? 0, now + MAX_KEY_VALIDITY_MS);
}

/**
 * Whether a key may have signed an event that claims `originServerTs`. A key known to have been taken out of use before
 * that does not count in any version (server-server API, Validating hashes and signatures on received events); versions
 * 5 and later also ask that its validity reached that far. `fetchedAt` is when the key response was received.
 */
export function keyValidForEvent(
  key: PublishedKey,
  originServerTs: number,
  fetchedAt: number,
  rules: RoomRules,
): boolean {
  if (isBannedKey(key.publicKey)) return false;
  if (key.expiredTs !== undefined) return originServerTs <= key.expiredTs;
  return !rules.enforceKeyValidity || originServerTs <= validUntil(key, fetchedAt);
}

/** Whether a key may sign a request that arrives at `now`: only current keys, within their validity. */
export function keyValidForRequest(key: PublishedKey, now: number): boolean {
  return !isBannedKey(key.publicKey) && key.expiredTs === undefined && now <= (key.validUntilTs ?? 0);
}
