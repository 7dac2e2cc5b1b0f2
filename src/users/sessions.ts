import { MatrixError } from '#core/errors.js';
import { type DeviceId, UserId } from '#core/ids.js';
import { loginTokens, refreshTokens, users as userRows } from '#store/schema.js';
import type { Tx } from '#store/types.js';
import { localUser, verifyPassword } from '#users/accounts.js';
import { deleteAllDevices, deleteDevices, ensureDevice, makeRoomForDevice, newDeviceId } from '#users/devices.js';
import type { KnownSession } from '#users/known-sessions.js';
import { confirmPair, findAccess, type IssuedTokens, issueTokens, revokeTokens } from '#users/tokens.js';
import type { Users } from '#users/users.js';
import { digest } from '#util/digest.js';

/** Longest token looked at. */
const MAX_TOKEN_LENGTH = 512;
/** Recommended by the specification (`POST /login/get_token`). */
const LOGIN_TOKEN_LIFETIME_MS = 120_000;
const MAX_SWEPT = 10_000;
/** When a device was last seen is told this finely. */
const SEEN_EVERY_MS = 1_000;

/** Who is calling. The shape of `Caller` in http/endpoint.ts, which this layer may not import. */
export interface Session {
  readonly user: UserId;
  readonly device: DeviceId;
  /** Hash of the access token. */
  readonly session: string;
  readonly guest: boolean;
  readonly admin: boolean;
  readonly locked: boolean;
  readonly suspended: boolean;
}

/** What a client says of the device it logs in. */
export interface DeviceWish {
  readonly device?: DeviceId | undefined;
  readonly displayName?: string | undefined;
  /** The client can refresh access tokens. */
  readonly refresh: boolean;
}

/** A new session as login and registration answer with it. */
export interface NewSession extends IssuedTokens {
  readonly user: UserId;
  readonly device: DeviceId;
  readonly expiresInMs?: number;
}

/** Body of the answer to a login (client-server API, `POST /login`). */
export interface LoginBody {
  readonly user_id: string;
  readonly access_token: string;
  readonly device_id: string;
  readonly home_server: string;
  readonly refresh_token?: string;
  readonly expires_in_ms?: number;
}

/** The session as the body of a login's or registration's answer. */
export function loginBody(users: Users, session: NewSession): LoginBody {
  return {
    user_id: session.user,
    access_token: session.accessToken,
    device_id: session.device,
    home_server: users.serverName,
    ...(session.refreshToken !== undefined && { refresh_token: session.refreshToken }),
    ...(session.expiresInMs !== undefined && { expires_in_ms: session.expiresInMs }),
  };
}

function unknownToken(softLogout: boolean, message: string): MatrixError {
  return new MatrixError('M_UNKNOWN_TOKEN', message, { extra: { soft_logout: softLogout } });
}

/**
 * Who an access token belongs to, or M_UNKNOWN_TOKEN (with soft_logout true where the token has only expired), returned
 * and not thrown since some endpoints work without. Locked and suspended accounts come with their flag, for the caller
 * to refuse. Cached reads only: some microseconds.
 */
export function authenticate(
  users: Users,
  token: string,
  seen: { readonly ip: string; readonly userAgent: string | undefined },
): Session | MatrixError {
  if (token.length > MAX_TOKEN_LENGTH) return unknownToken(false, 'Unknown access token');
  const known = users.knownSessions.get(token) ?? findSession(users, token);
  if (known === undefined) return unknownToken(false, 'Unknown access token');
  const nowMs = users.clock.now();
  if (known.expiresTs !== undefined && known.expiresTs <= nowMs) {
    return unknownToken(true, 'The access token has expired');
  }
  const { session, replaces } = known;
  if (replaces !== undefined && !confirmInBackground(users, session.session, replaces)) {
    return unknownToken(false, 'Unknown access token');
  }
  noteSeen(users, known, seen, nowMs);
  return session;
}

/** The session of a token by its rows, expired or not; undefined where there is none. */
function findSession(users: Users, token: string): KnownSession | undefined {
  const hash = digest(token);
  const row = findAccess(users.store, hash);
  const user = row && users.store.get(userRows, [row.user]);
  if (row === undefined || user === undefined || user.deactivated) return undefined;
  const session = {
    user: row.user,
    device: row.device,
    session: hash,
    guest: user.guest === true,
    admin: user.admin === true,
    locked: user.locked === true,
    suspended: user.suspended === true,
  };
  const known = { session, expiresTs: row.expiresTs, replaces: row.replaces, noted: undefined };
  users.knownSessions.set(token, known);
  return known;
}

/** Notes when and from where the session's device was seen, once for all requests within a second from one place. */
function noteSeen(
  users: Users,
  known: KnownSession,
  { ip, userAgent }: { readonly ip: string; readonly userAgent: string | undefined },
  nowMs: number,
): void {
  const { noted } = known;
  const isNoted = noted !== undefined && noted.ip === ip && noted.userAgent === userAgent;
  if (isNoted && nowMs - noted.ts < SEEN_EVERY_MS && nowMs >= noted.ts) return;
  known.noted = { ts: nowMs, ip, userAgent };
  users.lastSeen.note(known.session.user, known.session.device, ip, userAgent);
}

/**
 * The pair of this token is in use now, so the refresh token before it is spent: written beside the request. False where
 * another pair of the same refresh token came first.
 */
function confirmInBackground(users: Users, hash: string, replaces: string): boolean {
  const first = users.confirming.get(replaces);
  if (first !== undefined) return first === hash;
  users.confirming.set(replaces, hash);
  users.store
    .commit((tx) => confirmPair(tx, hash))
    // Should the disk refuse, the next request with the token tries again.
    .catch(() => {})
    .finally(() => users.confirming.delete(replaces));
  return true;
}

/**
 * Opens a session in `tx`: the device is made where it is not there, tokens it had before are revoked. Refuses accounts
 * that were deactivated or locked meanwhile, and, where `verifiedHash` says what password was checked, those whose
 * password has changed since.
 */
export function openSession(tx: Tx, users: Users, user: UserId, wish: DeviceWish, verifiedHash?: string): NewSession {
  const row = tx.get(userRows, [user]);
  if (row === undefined) throw new MatrixError('M_FORBIDDEN', 'Unknown account');
  if (row.deactivated) throw new MatrixError('M_USER_DEACTIVATED', 'The account is deactivated');
  if (row.locked) throw new MatrixError('M_USER_LOCKED', 'The account is locked', { extra: { soft_logout: true } });
  if (verifiedHash !== undefined && row.passwordHash !== verifiedHash) throw wrongPassword();
  const device = wish.device ?? newDeviceId(users);
  const nowMs = users.clock.now();
  ensureDevice(tx, user, device, { nowMs, displayName: wish.displayName });
  revokeTokens(tx, user, device);
  const lifetimeMs = users.options.accessTokenLifetimeMs;
  const tokens = issueTokens(
    tx,
    users.random,
    user,
    device,
    wish.refresh ? { refreshableUntilTs: nowMs + lifetimeMs } : {},
  );
  return { ...tokens, user, device, ...(wish.refresh && { expiresInMs: lifetimeMs }) };
}

function wrongPassword(): MatrixError {
  return new MatrixError('M_FORBIDDEN', 'Wrong user name or password');
}

/**
 * Logs in with a password. `name` is a user id or localpart. Unknown users and wrong passwords give the same
 * M_FORBIDDEN, after the same work. M_LIMIT_EXCEEDED after too many wrong passwords or logins.
 */
export async function loginWithPassword(
  users: Users,
  name: string,
  password: string,
  wish: DeviceWish,
): Promise<NewSession> {
  // A name that can be nobody's here goes the same way as one that happens not to exist.
  const user = localUser(users, name) ?? UserId.make('-', users.serverName)!;
  if (users.options.limitAttempts) users.logins.check(user);
  const verified = await verifyPassword(users, user, password);
  if (verified === undefined) {
    if (users.store.get(userRows, [user])?.deactivated) {
      throw new MatrixError('M_USER_DEACTIVATED', 'The account is deactivated');
    }
    throw wrongPassword();
  }
  if (users.options.limitAttempts) users.logins.count(user);
  await makeRoomForDevice(users, user, wish.device);
  return await users.store.commit((tx) => openSession(tx, users, user, wish, verified));
}

/** Makes a one-time token with which another client can log in as the user within two minutes. */
export async function createLoginToken(
  users: Users,
  user: UserId,
): Promise<{ readonly login_token: string; readonly expires_in_ms: number }> {
  const token = `rnt_${users.random.token(24)}`;
  await sweepLoginTokens(users);
  await users.store.commit((tx) =>
    tx.put(loginTokens, [digest(token)], { user, expiresTs: users.clock.now() + LOGIN_TOKEN_LIFETIME_MS }),
  );
  return { login_token: token, expires_in_ms: LOGIN_TOKEN_LIFETIME_MS };
}

async function sweepLoginTokens(users: Users): Promise<void> {
  const nowMs = users.clock.now();
  const rows = await users.store.list(loginTokens, { limit: MAX_SWEPT });
  const expired = rows.filter(([, row]) => row.expiresTs <= nowMs);
  if (expired.length === 0) return;
  await users.store.commit((tx) => {
    for (const [key] of expired) tx.delete(loginTokens, key);
  });
}

/** Logs in with a one-time token, which is used up. M_FORBIDDEN where it is unknown, used or expired. */
export async function loginWithToken(users: Users, token: string, wish: DeviceWish): Promise<NewSession> {
  const hash = digest(token.slice(0, MAX_TOKEN_LENGTH));
  const owner = users.store.latest.get(loginTokens, [hash]);
  if (owner !== undefined && owner.expiresTs > users.clock.now()) {
    await makeRoomForDevice(users, owner.user, wish.device);
  }
  return await users.store.commit((tx) => {
    const row = tx.get(loginTokens, [hash]);
    if (row === undefined || row.expiresTs <= users.clock.now()) {
      throw new MatrixError('M_FORBIDDEN', 'The login token is not valid');
    }
    tx.delete(loginTokens, [hash]);
    return openSession(tx, users, row.user, wish);
  });
}

/** Body of the answer to `POST /refresh`. */
export interface RefreshBody {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly expires_in_ms: number;
}

/**
 * A new pair of tokens for a refresh token. The old one stays valid until the new pair is first used; shown after that, it
 * was stolen or the new pair was, and the session ends (soft logout). M_UNKNOWN_TOKEN where it is unknown.
 */
export async function refresh(users: Users, refreshToken: string): Promise<RefreshBody> {
  const hash = digest(refreshToken.slice(0, MAX_TOKEN_LENGTH));
  const issued = await users.store.commit((tx) => {
    const row = tx.get(refreshTokens, [hash]);
    if (row === undefined) return undefined;
    const { user, device } = row;
    const account = tx.get(userRows, [user]);
    if (account?.deactivated) return undefined;
    if (account?.locked) {
      throw new MatrixError('M_USER_LOCKED', 'The account is locked', { extra: { soft_logout: true } });
    }
    if (row.spent) {
      revokeTokens(tx, user, device);
      return undefined;
    }
    // To refresh again is to use the pair: what it replaced is spent.
    confirmPair(tx, row.access);
    return issueTokens(tx, users.random, user, device, {
      refreshableUntilTs: users.clock.now() + users.options.accessTokenLifetimeMs,
      replaces: hash,
    });
  });
  if (issued?.refreshToken === undefined) throw unknownToken(true, 'The refresh token is not valid any more');
  return {
    access_token: issued.accessToken,
    refresh_token: issued.refreshToken,
    expires_in_ms: users.options.accessTokenLifetimeMs,
  };
}

/** Ends the session: its device is deleted with everything of it. */
export async function logout(
  users: Users,
  session: { readonly user: UserId; readonly device: DeviceId },
): Promise<void> {
  await deleteDevices(users, session.user, [session.device]);
}

/** Ends all sessions of the user. */
export async function logoutAll(users: Users, user: UserId): Promise<void> {
  await deleteAllDevices(users, user);
}
