import type { RoomId, ServerName, UserId } from '#core/ids.js';
import type { TermsPolicies } from '#core/terms.js';
import { forgetSent } from '#store/sent-transactions.js';
import type { Store } from '#store/types.js';
import { AccountAttempts, LOGINS, WRONG_PASSWORDS } from '#users/account-attempts.js';
import { dropDeviceSettings } from '#users/account-data.js';
import type { DeviceObserver } from '#users/devices.js';
import { dropDehydrated } from '#users/keys/dehydrated.js';
import { dropDeviceKeys } from '#users/keys/device-keys.js';
import { KnownSessions } from '#users/known-sessions.js';
import { LastSeen } from '#users/last-seen.js';
import { Passwords } from '#users/passwords.js';
import { Presences } from '#users/presence.js';
import type { PushListener } from '#users/push-queue.js';
import { removeOfDevice } from '#users/pushers.js';
import { UserDirectory } from '#users/user-directory.js';
import type { Clock } from '#util/clock.js';
import type { Random } from '#util/random.js';

/** Who may register: nobody, holders of a registration token, or anyone. */
export type RegistrationMode = 'closed' | 'token' | 'open';

export interface UsersOptions {
  readonly registration: RegistrationMode;
  readonly guests: boolean;
  /** Key of `/_synapse/admin/v1/register`; absent where that way of registering is off. */
  readonly sharedSecret?: string;
  /** Documents to agree to when registering, by id. */
  readonly terms?: TermsPolicies;
  /** Lifetime of access tokens of clients that can refresh them, in milliseconds. */
  readonly accessTokenLifetimeMs: number;
  /** Whether logins to one account, and wrong passwords for it, are slowed down. */
  readonly limitAttempts: boolean;
  /** Devices that a user may have: a login beyond them deletes those that were longest unused. */
  readonly maxDevices: number;
  /** Networks with push gateways although they are not public. */
  readonly pushAllow: readonly string[];
}

export const DEFAULT_USERS_OPTIONS: UsersOptions = {
  registration: 'token',
  guests: false,
  accessTokenLifetimeMs: 5 * 60_000,
  limitAttempts: true,
  maxDevices: 500,
  pushAllow: [],
};

/** What accounts ask of the rooms: both send member events. */
export interface RoomVerbs {
  /** Leaves a room, or rejects an invite or takes back a knock. Resolves also where the user is not in it any more. */
  leave(user: UserId, room: RoomId): Promise<void>;
  /** Renews the user's member event in a joined room from the profile, where it differs. */
  showProfile(user: UserId, room: RoomId): Promise<void>;
}

/** The opened layer of accounts: what every verb of this folder takes first. */
export interface Users {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly serverName: ServerName;
  readonly options: UsersOptions;
  readonly rooms: RoomVerbs;
  readonly passwords: Passwords;
  readonly presences: Presences;
  readonly directory: UserDirectory;
  readonly lastSeen: LastSeen;
  readonly knownSessions: KnownSessions;
  readonly wrongPasswords: AccountAttempts;
  readonly logins: AccountAttempts;
  /** Nonces of shared-secret registration, by when they were given out (monotonic clock, milliseconds). */
  readonly nonces: Map<string, number>;
  /** Access tokens whose first use is being written, by the refresh token that made them; hashes of both. */
  readonly confirming: Map<string, string>;
  /** User-interactive authentication of this run; times in milliseconds since the epoch. */
  readonly uia: { key?: Buffer; readonly openedTs: number; sweptTs: number };
  /** Asked within the transaction that deletes a device, for the rows that other parts keep of it. */
  readonly onDeviceDeleted: DeviceObserver[];
  /** Told of pushers that have something to deliver, or that are gone with something left over. */
  readonly onPushQueued: PushListener[];
  /** Aborted when the layer closes: tasks stop at the next room. */
  readonly stop: AbortController;
  /** Tasks of `users/tasks.ts` that are running, by user. */
  readonly running: Map<string, Promise<void>>;
  /** Called with what a background task failed with; the task stays and is tried again at the next start. */
  readonly onTaskError: (error: unknown) => void;
}

export interface UsersParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly serverName: ServerName;
  readonly rooms: RoomVerbs;
  readonly options?: Partial<UsersOptions>;
  readonly onTaskError?: (error: unknown) => void;
}

/** Opens the layer. `resumeTasks` (users/tasks.ts) is to be called once the rooms are open; `closeUsers` ends it. */
export function openUsers(parts: UsersParts): Users {
  const { store, clock } = parts;
  const users: Users = {
    store,
    clock,
    random: parts.random,
    serverName: parts.serverName,
    rooms: parts.rooms,
    options: { ...DEFAULT_USERS_OPTIONS, ...parts.options },
    passwords: new Passwords(),
    presences: new Presences(store, clock),
    directory: new UserDirectory(store),
    lastSeen: new LastSeen(store, clock),
    knownSessions: new KnownSessions(store),
    wrongPasswords: new AccountAttempts(clock, WRONG_PASSWORDS),
    logins: new AccountAttempts(clock, LOGINS),
    nonces: new Map(),
    confirming: new Map(),
    uia: { openedTs: clock.now(), sweptTs: 0 },
    onDeviceDeleted: [dropDeviceSettings, dropDeviceKeys, dropDehydrated, forgetSent],
    onPushQueued: [],
    stop: new AbortController(),
    running: new Map(),
    onTaskError: parts.onTaskError ?? (() => {}),
  };
  users.onDeviceDeleted.push((tx, user, device) => removeOfDevice(users, tx, user as UserId, device));
  return users;
}

/** Writes what is still in memory (when devices were last seen) and stops timers; waits for running tasks. */
export async function closeUsers(users: Users): Promise<void> {
  users.stop.abort();
  users.presences.close();
  users.directory.close();
  await Promise.all(users.running.values());
  await users.lastSeen.close();
}
