import { MatrixError } from '#core/errors.js';
import { checkAvailable, createAccount, userIdFor } from '#users/accounts.js';
import { normalPassword } from '#users/passwords.js';
import { type NewSession, openSession } from '#users/sessions.js';
import type { Users } from '#users/users.js';
import { hmacSha1, sameSecret } from '#util/digest.js';

/** How long a nonce can be used, in milliseconds, and how many are held at once. */
const NONCE_LIFETIME_MS = 60_000;
const MAX_NONCES = 1_000;

function secretOf(users: Users): string {
  if (users.options.sharedSecret === undefined) {
    throw new MatrixError('M_UNKNOWN', 'Shared secret registration is not enabled', { status: 400 });
  }
  return users.options.sharedSecret;
}

function dropOldNonces(users: Users): void {
  const nowMs = users.clock.monotonicMs();
  // In order of issue: those to go come first.
  for (const [nonce, atMs] of users.nonces) {
    if (nowMs - atMs <= NONCE_LIFETIME_MS && users.nonces.size <= MAX_NONCES) return;
    users.nonces.delete(nonce);
  }
}

/** A nonce for one registration by shared secret within a minute; M_UNKNOWN where there is no secret. */
export function issueNonce(users: Users): string {
  secretOf(users);
  const nonce = users.random.bytes(32).toString('hex');
  users.nonces.set(nonce, users.clock.monotonicMs());
  dropOldNonces(users);
  return nonce;
}

/**
 * Makes an account for whoever knows the shared secret, and opens a session. `mac` is the HMAC-SHA1 under the secret of
 * nonce, name, password, and `admin` or `notadmin`, with NUL between. A nonce is used up by any attempt.
 */
export async function registerWithSecret(
  users: Users,
  wanted: {
    readonly nonce: string;
    readonly username: string;
    readonly password: string;
    readonly mac: string;
    readonly admin: boolean;
    readonly displayname: string | undefined;
  },
): Promise<NewSession> {
  const secret = secretOf(users);
  dropOldNonces(users);
  if (!users.nonces.delete(wanted.nonce)) {
    throw new MatrixError('M_UNKNOWN', 'Unknown or expired nonce', { status: 400 });
  }
  if (wanted.username.includes('\0')) throw new MatrixError('M_INVALID_USERNAME', 'The user name holds NUL');
  normalPassword(wanted.password);
  const fields = [wanted.nonce, wanted.username, wanted.password, wanted.admin ? 'admin' : 'notadmin'];
  if (!sameSecret(hmacSha1(secret, fields.join('\0')), wanted.mac.toLowerCase())) {
    throw new MatrixError('M_FORBIDDEN', 'The HMAC is not right');
  }
  const user = userIdFor(users, wanted.username);
  checkAvailable(users.store.latest, user);
  const passwordHash = await users.passwords.hash(wanted.password);
  return await users.store.commit((tx) => {
    createAccount(tx, users, { user, passwordHash, admin: wanted.admin, displayname: wanted.displayname });
    return openSession(tx, users, user, { refresh: false });
  });
}
