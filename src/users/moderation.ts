import { MatrixError } from '#core/errors.js';
import type { UserId } from '#core/ids.js';
import { devices, type User } from '#store/schema.js';
import { findUser, isLocal, setFlags } from '#users/accounts.js';
import type { Users } from '#users/users.js';

const MAX_DEVICES = 5_000;

/** What an administrator may do to an account (client-server API, Server administration). */
export type Restriction = 'locked' | 'suspended';

function target(users: Users, user: UserId): User {
  if (!isLocal(users, user)) throw new MatrixError('M_INVALID_PARAM', 'The user is not of this server');
  const row = findUser(users.store.latest, user);
  if (row === undefined || row.deactivated) throw new MatrixError('M_NOT_FOUND', 'No such user');
  return row;
}

/**
 * Whether an account is locked or suspended. That the caller is an administrator was checked before. M_INVALID_PARAM for
 * a user of another server, M_NOT_FOUND for an unknown or deactivated one, M_FORBIDDEN for another administrator.
 */
export function getRestriction(users: Users, admin: UserId, user: UserId, what: Restriction): boolean {
  const row = target(users, user);
  if (row.admin && user !== admin) throw new MatrixError('M_FORBIDDEN', 'This user is an administrator');
  return row[what] === true;
}

/** Locks or suspends an account, or lifts that. Errors as for `getRestriction`, and M_FORBIDDEN for one's own. */
export async function setRestriction(
  users: Users,
  admin: UserId,
  user: UserId,
  what: Restriction,
  on: boolean,
): Promise<void> {
  const row = target(users, user);
  if (row.admin || user === admin) throw new MatrixError('M_FORBIDDEN', 'This user is an administrator');
  await setFlags(users, user, { [what]: on });
}

/** Body of the answer to whois. */
export interface Whois {
  readonly user_id: UserId;
  readonly devices: Readonly<Record<string, object>>;
}

/** Where and with what a user was last seen, by device. M_NOT_FOUND for an unknown user. */
export async function whois(users: Users, user: UserId): Promise<Whois> {
  if (findUser(users.store, user) === undefined) throw new MatrixError('M_NOT_FOUND', 'No such user');
  const rows = await users.store.list(devices, { prefix: [user], limit: MAX_DEVICES });
  const entries = rows.map(([[, id], row]) => {
    const seen = users.lastSeen.pending(user, id);
    const ip = seen?.ip ?? row.lastSeenIp;
    const ts = seen?.ts ?? row.lastSeenTs;
    const agent = row.userAgent;
    const connection = {
      ...(ip !== undefined && { ip }),
      ...(ts !== undefined && { last_seen: ts }),
      ...(agent !== undefined && { user_agent: agent }),
    };
    const connections = Object.keys(connection).length === 0 ? [] : [connection];
    return [id, { sessions: [{ connections }] }] as const;
  });
  return { user_id: user, devices: Object.fromEntries(entries) };
}
