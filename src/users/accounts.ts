import { MatrixError } from '#core/errors.js';
import { UserId } from '#core/ids.js';
import { type User, users as userRows } from '#store/schema.js';
import type { Reader, Tx } from '#store/types.js';
import { deleteAllDevices } from '#users/devices.js';
import { initialProfile } from '#users/profile.js';
import { purgeAccount } from '#users/purge.js';
import { endFirstToken } from '#users/registration-tokens.js';
import { runTask, startTask } from '#users/tasks.js';
import type { Users } from '#users/users.js';

const MAX_LISTED = 100_000;
const ALL_DIGITS = /^[0-9]+$/;
const GENERATED_LETTERS = 12;

/** What a new account starts with. */
export interface NewAccount {
  readonly user: UserId;
  readonly passwordHash?: string | undefined;
  readonly admin?: boolean;
  readonly guest?: boolean;
  readonly displayname?: string | undefined;
  /** Versions of the terms that were agreed to, by id. */
  readonly terms?: Readonly<Record<string, string>> | undefined;
}

/** ASCII only: what other alphabets lower to ASCII letters (the Kelvin sign) must not become another's name. */
function lowerAscii(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/**
 * The user id that a wanted name gives. Capitals become small; M_INVALID_USERNAME where the name breaks the grammar
 * (appendices, User Identifiers), begins with `_`, or is all digits, which guests' names are.
 */
export function userIdFor(users: Users, name: string): UserId {
  const localpart = lowerAscii(name);
  const user = UserId.make(localpart, users.serverName);
  if (user === undefined) {
    throw new MatrixError('M_INVALID_USERNAME', 'A user name may have the characters a-z 0-9 . _ = - / + only');
  }
  if (localpart.startsWith('_') || ALL_DIGITS.test(localpart)) {
    throw new MatrixError('M_INVALID_USERNAME', 'User names that begin with _ or are all digits are reserved');
  }
  return user;
}

/** The local user that a login or a command names, by user id or localpart; undefined where it can be none of ours. */
export function localUser(users: Users, text: string): UserId | undefined {
  if (!text.startsWith('@')) return UserId.make(lowerAscii(text), users.serverName);
  const user = UserId.parse(text);
  if (user === undefined || UserId.serverName(user) !== users.serverName) return undefined;
  return UserId.make(lowerAscii(UserId.localpart(user)), users.serverName) ?? user;
}

/** Whether the user id belongs to this server; the account need not exist. */
export function isLocal(users: Users, user: UserId): boolean {
  return UserId.serverName(user) === users.serverName;
}

/** The account, deactivated ones included. */
export function findUser(reader: Reader, user: UserId): User | undefined {
  return reader.get(userRows, [user]);
}

/** Throws M_USER_IN_USE where the name is taken, now or ever before. */
export function checkAvailable(reader: Reader, user: UserId): void {
  if (reader.has(userRows, [user])) throw new MatrixError('M_USER_IN_USE', 'The user name is taken');
}

/** A free name for a client that asked for none: small letters, or digits for guests. */
export function generateUserId(users: Users, guest = false): UserId {
  for (;;) {
    let localpart = '';
    for (const byte of users.random.bytes(GENERATED_LETTERS)) {
      localpart += guest ? String(byte % 10) : String.fromCharCode(97 + (byte % 26));
    }
    const user = UserId.make(localpart, users.serverName)!;
    if (!users.store.latest.has(userRows, [user])) return user;
  }
}

/**
 * Makes the account with its first profile; M_USER_IN_USE where another transaction was first. However the first account
 * is made, the token that would have made an administrator of it ends here.
 */
export function createAccount(tx: Tx, users: Users, account: NewAccount): void {
  checkAvailable(tx, account.user);
  tx.put(userRows, [account.user], {
    createdTs: users.clock.now(),
    ...(account.passwordHash !== undefined && { passwordHash: account.passwordHash }),
    ...(account.admin && { admin: true }),
    ...(account.guest && { guest: true }),
    ...(account.terms !== undefined && { terms: account.terms }),
  });
  if (account.guest) return;
  endFirstToken(tx);
  initialProfile(tx, account.user, account.displayname ?? UserId.localpart(account.user));
}

/** Makes an account with a password from outside the API (command line). Resolves with its user id. */
export async function addUser(
  users: Users,
  wanted: { readonly name: string; readonly password: string; readonly admin?: boolean; readonly displayname?: string },
): Promise<UserId> {
  const user = userIdFor(users, wanted.name);
  checkAvailable(users.store.latest, user);
  const passwordHash = await users.passwords.hash(wanted.password);
  await users.store.commit((tx) =>
    createAccount(tx, users, {
      user,
      passwordHash,
      admin: wanted.admin ?? false,
      displayname: wanted.displayname,
    }),
  );
  return user;
}

/** All accounts, in order of their ids. */
export async function listUsers(users: Users): Promise<(User & { readonly user: string })[]> {
  const rows = await users.store.list(userRows, { limit: MAX_LISTED });
  return rows.map(([[user], row]) => ({ user, ...row }));
}

/** Changes flags of an account; M_NOT_FOUND where there is none. */
export async function setFlags(
  users: Users,
  user: UserId,
  flags: { readonly admin?: boolean; readonly locked?: boolean; readonly suspended?: boolean },
): Promise<void> {
  await users.store.commit((tx) => {
    const row = tx.get(userRows, [user]);
    if (row === undefined) throw new MatrixError('M_NOT_FOUND', 'No such account');
    const { admin, locked, suspended, ...kept } = row;
    tx.put(userRows, [user], {
      ...kept,
      ...((flags.admin ?? admin) && { admin: true }),
      ...((flags.locked ?? locked) && { locked: true }),
      ...((flags.suspended ?? suspended) && { suspended: true }),
    });
  });
}

/**
 * Sets the password. With `logoutExcept` given, all devices but that one are deleted (`undefined` in it: all). Deactivated
 * accounts stay so: M_USER_DEACTIVATED.
 */
export async function setPassword(
  users: Users,
  user: UserId,
  password: string,
  options: { readonly logoutDevices: boolean; readonly except?: Parameters<typeof deleteAllDevices>[2] },
): Promise<void> {
  const passwordHash = await users.passwords.hash(password);
  await users.store.commit((tx) => {
    const row = tx.get(userRows, [user]);
    if (row === undefined) throw new MatrixError('M_NOT_FOUND', 'No such account');
    if (row.deactivated) throw new MatrixError('M_USER_DEACTIVATED', 'The account is deactivated');
    tx.put(userRows, [user], { ...row, passwordHash });
  });
  if (options.logoutDevices) await deleteAllDevices(users, user, options.except);
}

/**
 * Whether `password` is the account's. Resolves with the hash it was checked against, or undefined; slowed down where too
 * many wrong ones were tried. Unknown users cost the same time.
 */
export async function verifyPassword(users: Users, user: UserId, password: string): Promise<string | undefined> {
  const limited = users.options.limitAttempts;
  if (limited) {
    users.wrongPasswords.check(user);
    users.wrongPasswords.count(user);
  }
  const stored = users.store.get(userRows, [user])?.passwordHash;
  if (!(await users.passwords.verify(stored, password))) return undefined;
  if (limited) users.wrongPasswords.clear(user);
  return stored;
}

/**
 * Ends an account for good (client-server API, account deactivation): no login of any kind works from the moment this
 * is durable; devices, account data, filters and presence go before it resolves; the rooms are left in the background,
 * which goes on after a restart. With `erase`, profile fields go too and what the user sent is served redacted to who
 * joins later. Idempotent.
 */
export async function deactivate(users: Users, user: UserId, erase: boolean): Promise<void> {
  await users.store.commit((tx) => {
    const row = tx.get(userRows, [user]);
    if (row === undefined) throw new MatrixError('M_NOT_FOUND', 'No such account');
    const { passwordHash: _, admin: __, ...kept } = row;
    tx.put(userRows, [user], {
      ...kept,
      deactivated: true,
      ...(erase && { erased: true, erasedAt: row.erasedAt ?? tx.position() }),
    });
    startTask(tx, users, user, 'deactivate');
  });
  await purgeAccount(users, user);
  void runTask(users, user, 'deactivate');
}
