import { MatrixError } from '#core/errors.js';
import { firstTokens, type RegistrationToken, registrationTokens, users as userRows } from '#store/schema.js';
import type { Reader, Tx } from '#store/types.js';
import type { Users } from '#users/users.js';

/** Client-server API, Token-authenticated registration: opaque identifier grammar, at most 64 characters. */
const TOKEN = /^[A-Za-z0-9._~-]{1,64}$/;
const MAX_LISTED = 10_000;
/** Enough for guessing to be hopeless, short enough to type. */
const GENERATED_BYTES = 12;

export interface NewRegistrationToken {
  /** Chosen by the administrator; generated where absent. */
  readonly token?: string;
  readonly usesAllowed?: number;
  /** Milliseconds since the epoch. */
  readonly expiresTs?: number;
  /** The account made with it becomes an administrator. */
  readonly admin?: true;
}

/** Whether an account could be made with the token now. */
export function isTokenValid(row: RegistrationToken | undefined, nowMs: number): row is RegistrationToken {
  if (row === undefined || (row.expiresTs !== undefined && row.expiresTs <= nowMs)) return false;
  return row.usesAllowed === undefined || row.pending + row.completed < row.usesAllowed;
}

/** The token's row, or undefined. */
export function findRegistrationToken(reader: Reader, token: string): RegistrationToken | undefined {
  return TOKEN.test(token) ? reader.get(registrationTokens, [token]) : undefined;
}

/** Makes a registration token; M_INVALID_PARAM where it breaks the grammar or is taken. Resolves with the token. */
export async function createRegistrationToken(users: Users, wanted: NewRegistrationToken = {}): Promise<string> {
  const token = wanted.token ?? users.random.token(GENERATED_BYTES);
  checkWanted(token, wanted);
  await users.store.commit((tx) => putToken(tx, users, token, wanted));
  return token;
}

function checkWanted(token: string, wanted: NewRegistrationToken): void {
  if (!TOKEN.test(token)) throw new MatrixError('M_INVALID_PARAM', 'A token has 1 to 64 of A-Z a-z 0-9 . _ ~ -');
  if (wanted.usesAllowed !== undefined && !(Number.isSafeInteger(wanted.usesAllowed) && wanted.usesAllowed >= 0)) {
    throw new MatrixError('M_INVALID_PARAM', 'uses_allowed must be a whole number from 0');
  }
}

function putToken(tx: Tx, users: Users, token: string, wanted: NewRegistrationToken): void {
  if (tx.has(registrationTokens, [token])) throw new MatrixError('M_INVALID_PARAM', 'There is such a token');
  tx.put(registrationTokens, [token], {
    pending: 0,
    completed: 0,
    createdTs: users.clock.now(),
    ...(wanted.usesAllowed !== undefined && { usesAllowed: wanted.usesAllowed }),
    ...(wanted.expiresTs !== undefined && { expiresTs: wanted.expiresTs }),
    ...(wanted.admin && { admin: true }),
  });
}

/** All registration tokens, by token. */
export async function listRegistrationTokens(
  users: Users,
): Promise<(RegistrationToken & { readonly token: string })[]> {
  const rows = await users.store.list(registrationTokens, { limit: MAX_LISTED });
  return rows.map(([[token], row]) => ({ token, ...row }));
}

/** Takes a token back: registrations under way with it fail too. False where there was none. */
export async function revokeRegistrationToken(users: Users, token: string): Promise<boolean> {
  return await users.store.commit((tx) => {
    if (!tx.has(registrationTokens, [token])) return false;
    tx.delete(registrationTokens, [token]);
    return true;
  });
}

/**
 * The one-time token that makes the first account an administrator: made where there is no account yet, and the same one
 * on every start until there is. Undefined from then on, and where it was revoked by hand.
 */
export async function ensureFirstToken(users: Users): Promise<string | undefined> {
  for await (const [, user] of users.store.range(userRows, { limit: MAX_LISTED })) {
    if (user.guest === undefined) return undefined;
  }
  const fresh = users.random.token(GENERATED_BYTES);
  return await users.store.commit((tx) => {
    const first = tx.get(firstTokens, []);
    // An account may have been made since the look above.
    if (first !== undefined) {
      return first.token !== undefined && tx.has(registrationTokens, [first.token]) ? first.token : undefined;
    }
    putToken(tx, users, fresh, { usesAllowed: 1, admin: true });
    tx.put(firstTokens, [], { token: fresh });
    return fresh;
  });
}

/** There is an account now, so the first token is none any more; registrations under way with it fail. */
export function endFirstToken(tx: Tx): void {
  const first = tx.get(firstTokens, []);
  if (first !== undefined && first.token === undefined) return;
  tx.put(firstTokens, [], {});
  if (first?.token !== undefined) tx.delete(registrationTokens, [first.token]);
}

/** Holds one use of the token for a registration under way; false where the token is not valid (any more). */
export function reserveUse(tx: Tx, token: string, nowMs: number): boolean {
  const row = findRegistrationToken(tx, token);
  if (!isTokenValid(row, nowMs)) return false;
  tx.put(registrationTokens, [token], { ...row, pending: row.pending + 1 });
  return true;
}

/** Gives a held use back: the registration was abandoned. */
export function releaseUse(tx: Tx, token: string): void {
  const row = tx.get(registrationTokens, [token]);
  if (row !== undefined) tx.put(registrationTokens, [token], { ...row, pending: Math.max(0, row.pending - 1) });
}

/** The held use is used up by an account made in the same transaction. M_FORBIDDEN where the token was revoked meanwhile. */
export function completeUse(tx: Tx, token: string): RegistrationToken {
  const row = tx.get(registrationTokens, [token]);
  if (row === undefined) throw new MatrixError('M_FORBIDDEN', 'The registration token was revoked');
  const used = { ...row, pending: Math.max(0, row.pending - 1), completed: row.completed + 1 };
  tx.put(registrationTokens, [token], used);
  return used;
}
