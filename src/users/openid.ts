import { MatrixError } from '#core/errors.js';
import type { UserId } from '#core/ids.js';
import { openIdTokens } from '#store/schema.js';
import { findUser } from '#users/accounts.js';
import type { Users } from '#users/users.js';
import { digest } from '#util/digest.js';

const LIFETIME_MS = 60 * 60 * 1000;
const MAX_TOKEN_LENGTH = 512;
/** Rows looked at for expired ones with each new token: more than one goes for each that comes. */
const SWEPT = 50;

/** Body of the answer to a request for an OpenID token (client-server API, OpenID). */
export interface OpenIdToken {
  readonly access_token: string;
  readonly token_type: 'Bearer';
  readonly matrix_server_name: string;
  /** Seconds. */
  readonly expires_in: number;
}

/** Makes a token by which a service can ask this server who the user is; it is good for nothing else. */
export async function issueOpenIdToken(users: Users, user: UserId): Promise<OpenIdToken> {
  const token = `rno_${users.random.token(24)}`;
  const hash = digest(token);
  const now = users.clock.now();
  // Hashes lie evenly: the neighbours of a new one are as good as a random choice of all rows.
  const neighbours = await users.store.list(openIdTokens, { gte: [hash], limit: SWEPT });
  await users.store.commit((tx) => {
    for (const [key, row] of neighbours) if (row.expiresTs <= now) tx.delete(openIdTokens, key);
    tx.put(openIdTokens, [hash], { user, expiresTs: now + LIFETIME_MS });
  });
  return {
    access_token: token,
    token_type: 'Bearer',
    matrix_server_name: users.serverName,
    expires_in: LIFETIME_MS / 1000,
  };
}

/** Whose an OpenID token is (server-server API, OpenID). M_UNKNOWN_TOKEN for an unknown or expired one. */
export function openIdUser(users: Users, token: string): UserId {
  const row = users.store.get(openIdTokens, [digest(token.slice(0, MAX_TOKEN_LENGTH))]);
  const account = row && findUser(users.store, row.user);
  if (row === undefined || row.expiresTs <= users.clock.now() || account?.deactivated || account?.locked) {
    throw new MatrixError('M_UNKNOWN_TOKEN', 'The token is unknown or has expired');
  }
  return row.user;
}
