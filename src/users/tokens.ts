import type { DeviceId, UserId } from '#core/ids.js';
import { type AccessToken, accessTokens, type DeviceTokens, deviceTokens, refreshTokens } from '#store/schema.js';
import type { Reader, Tx } from '#store/types.js';
import { digest } from '#util/digest.js';
import type { Random } from '#util/random.js';

/** Pairs made from one refresh token that may wait for their first use at once. */
const MAX_PENDING_PAIRS = 4;
/** Spent refresh tokens remembered for a device. */
const MAX_SPENT = 8;
const NONE: DeviceTokens = { access: [], refresh: [], spent: [] };

/** New tokens, in the only moment in which they are known in clear. */
export interface IssuedTokens {
  readonly accessToken: string;
  readonly refreshToken?: string;
  /** Milliseconds since the epoch. */
  readonly expiresTs?: number;
}

export interface IssueOptions {
  /** Set for clients that can refresh: when the access token expires, in milliseconds since the epoch. */
  readonly refreshableUntilTs?: number;
  /** Hash of the refresh token that the new pair will replace. */
  readonly replaces?: string;
}

/**
 * Issues an access token for a device, with a refresh token where asked for. Tokens that the device had stay; whoever logs
 * a device in anew revokes them first.
 */
export function issueTokens(
  tx: Tx,
  random: Random,
  user: UserId,
  device: DeviceId,
  options: IssueOptions = {},
): IssuedTokens {
  const accessToken = `rnl_${random.token(32)}`;
  const access = digest(accessToken);
  const held = tx.get(deviceTokens, [user, device]) ?? NONE;
  if (options.refreshableUntilTs === undefined) {
    tx.put(accessTokens, [access], { user, device });
    tx.put(deviceTokens, [user, device], { ...held, access: [...held.access, access] });
    return { accessToken };
  }
  const refreshToken = `rnr_${random.token(32)}`;
  const refresh = digest(refreshToken);
  const expiresTs = options.refreshableUntilTs;
  tx.put(accessTokens, [access], {
    user,
    device,
    expiresTs,
    refresh,
    ...(options.replaces !== undefined && { replaces: options.replaces }),
  });
  tx.put(refreshTokens, [refresh], { user, device, access });
  const next = { ...held, access: [...held.access, access], refresh: [...held.refresh, refresh] };
  tx.put(deviceTokens, [user, device], dropOldPairs(tx, next));
  return { accessToken, refreshToken, expiresTs };
}

/** Of the pairs that wait for their first use, the oldest go when there are too many. */
function dropOldPairs(tx: Tx, held: DeviceTokens): DeviceTokens {
  const waiting = held.access.filter((hash) => tx.get(accessTokens, [hash])?.replaces !== undefined);
  const gone = new Set<string>();
  for (const hash of waiting.slice(0, Math.max(0, waiting.length - MAX_PENDING_PAIRS))) {
    const refresh = tx.get(accessTokens, [hash])?.refresh;
    tx.delete(accessTokens, [hash]);
    gone.add(hash);
    if (refresh !== undefined) {
      tx.delete(refreshTokens, [refresh]);
      gone.add(refresh);
    }
  }
  return {
    access: held.access.filter((hash) => !gone.has(hash)),
    refresh: held.refresh.filter((hash) => !gone.has(hash)),
    spent: held.spent,
  };
}

/** The session behind an access token, expired or not. */
export function findAccess(reader: Reader, hash: string): AccessToken | undefined {
  return reader.get(accessTokens, [hash]);
}

/**
 * The pair of the access token `hash` is in use: every other token of the device goes, and the refresh token that made it
 * is spent (client-server API, Refreshing access tokens).
 */
export function confirmPair(tx: Tx, hash: string): void {
  const row = tx.get(accessTokens, [hash]);
  if (row?.replaces === undefined) return;
  const { replaces, ...kept } = row;
  const held = tx.get(deviceTokens, [row.user, row.device]) ?? NONE;
  for (const other of held.access) if (other !== hash) tx.delete(accessTokens, [other]);
  const spent = [...held.spent];
  for (const other of held.refresh) {
    if (other === kept.refresh) continue;
    if (other === replaces) {
      const old = tx.get(refreshTokens, [other]);
      if (old !== undefined) tx.put(refreshTokens, [other], { ...old, spent: true });
      spent.push(other);
    } else {
      tx.delete(refreshTokens, [other]);
    }
  }
  for (const old of spent.splice(0, Math.max(0, spent.length - MAX_SPENT))) tx.delete(refreshTokens, [old]);
  tx.put(accessTokens, [hash], kept);
  tx.put(deviceTokens, [row.user, row.device], {
    access: [hash],
    refresh: kept.refresh === undefined ? [] : [kept.refresh],
    spent,
  });
}

/** Revokes every token of a device; the device itself stays. */
export function revokeTokens(tx: Tx, user: string, device: string): void {
  const held = tx.get(deviceTokens, [user, device]);
  if (held === undefined) return;
  for (const hash of held.access) tx.delete(accessTokens, [hash]);
  for (const hash of [...held.refresh, ...held.spent]) tx.delete(refreshTokens, [hash]);
  tx.delete(deviceTokens, [user, device]);
}
