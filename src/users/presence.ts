import { MatrixError } from '#core/errors.js';
import type { UserId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { members, memberships, type PresenceState, presences, users as userRows } from '#store/schema.js';
import type { Position, Store, Tx } from '#store/types.js';
import type { Users } from '#users/users.js';
import type { Clock, Timer } from '#util/clock.js';

export type PresenceName = PresenceState['presence'];

/** Without activity for so long a user who is online becomes unavailable, in milliseconds. */
const IDLE_AFTER_MS = 5 * 60_000;
/** Without any sync for so long a user is offline, in milliseconds. */
const OFFLINE_AFTER_MS = 30_000;
/** From one look at who has become idle or gone to the next, at least. */
const LOOK_EVERY_MS = 10_000;
/** A user counts as active now for so long after they did something, in milliseconds. */
const ACTIVE_MS = 60_000;
/** Users whose presence is held in memory. */
const MAX_USERS = 20_000;
const MAX_STATUS_BYTES = 1_024;
const MAX_ROOMS = 10_000;

interface Live {
  presence: PresenceName;
  statusMsg: string | undefined;
  /** Milliseconds since the epoch. */
  lastActiveTs: number;
  /** Of the monotonic clock, in milliseconds. */
  activeMs: number;
  syncedMs: number;
  /** Syncs that are waiting now, and those of them that asked to be online. */
  syncing: number;
  syncingOnline: number;
  /** When the last sync that asked to be online ended; of the monotonic clock, in milliseconds. */
  onlineMs: number;
  /** Where in the log this was last told. */
  position: Position;
}

/**
 * Who is here. Only what a user says of themselves is stored; what follows from their coming and going lives in memory,
 * takes positions of the log but no rows, and is lost with a restart: then everyone is offline until they sync.
 */
export class Presences {
  readonly #store: Store;
  readonly #clock: Clock;
  /** In order of change, newest last. */
  readonly #users = new Map<string, Live>();
  #timer: Timer | undefined;
  /** When the timer is due; of the monotonic clock, in milliseconds. */
  #dueMs = 0;
  #closed = false;

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  #of(user: string): Live {
    const held = this.#users.get(user);
    if (held !== undefined) return held;
    const stored = this.#store.get(presences, [user]);
    const nowMs = this.#clock.monotonicMs();
    const live: Live = {
      presence: 'offline',
      statusMsg: stored?.statusMsg,
      lastActiveTs: stored?.lastActiveTs ?? 0,
      activeMs: nowMs,
      syncedMs: nowMs,
      syncing: 0,
      syncingOnline: 0,
      onlineMs: Number.NEGATIVE_INFINITY,
      position: 0,
    };
    this.#users.set(user, live);
    this.#dropOldest();
    return live;
  }

  #dropOldest(): void {
    if (this.#users.size <= MAX_USERS) return;
    for (const [user, live] of this.#users) {
      if (live.syncing > 0 || live.presence !== 'offline') continue;
      this.#users.delete(user);
      if (this.#users.size <= MAX_USERS) return;
    }
  }

  #tell(user: string, live: Live): void {
    live.position = this.#store.ephemeral({ kind: 'presence', user });
    this.#users.delete(user);
    this.#users.set(user, live);
    this.#watch(live);
  }

  /**
   * A sync of the user begins, with what its `set_presence` asks for. Returns the function to call when it has ended.
   * `offline` leaves the presence alone, as the specification has it.
   */
  syncing(user: string, asked: 'online' | 'unavailable' | 'offline'): () => void {
    if (asked === 'offline' || this.#closed) return () => {};
    const live = this.#of(user);
    const isOnline = asked === 'online';
    live.syncing += 1;
    if (isOnline) live.syncingOnline += 1;
    this.#touch(live, isOnline);
    // Busy is said by the user alone, and stays until they say otherwise. Of several devices the most present one counts.
    const isOnlineElsewhere = live.syncingOnline > 0 || live.syncedMs - live.onlineMs < OFFLINE_AFTER_MS;
    const keeps = live.presence === 'busy' || (live.presence === 'online' && isOnlineElsewhere);
    if (!keeps && live.presence !== asked) {
      live.presence = asked;
      this.#tell(user, live);
    }
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      live.syncing -= 1;
      live.syncedMs = this.#clock.monotonicMs();
      if (isOnline) {
        live.syncingOnline -= 1;
        live.onlineMs = live.syncedMs;
      }
      this.#watch(live);
    };
  }

  /** The user did something, such as sending a message: they are active, and online where they were idle. */
  active(user: string): void {
    const live = this.#users.get(user);
    if (live === undefined || live.presence === 'offline') return;
    this.#touch(live, true);
    if (live.presence !== 'unavailable') return;
    live.presence = 'online';
    this.#tell(user, live);
  }

  #touch(live: Live, isActive: boolean): void {
    live.syncedMs = this.#clock.monotonicMs();
    if (!isActive) return;
    live.activeMs = live.syncedMs;
    live.lastActiveTs = this.#clock.now();
  }

  /** Takes over what the user said of themselves, once it is stored. */
  said(user: string, state: PresenceState): void {
    const live = this.#of(user);
    this.#touch(live, true);
    live.presence = state.presence;
    live.statusMsg = state.statusMsg;
    live.lastActiveTs = state.lastActiveTs;
    this.#tell(user, live);
  }

  /** Forgets a user. */
  forget(user: string): void {
    const live = this.#users.get(user);
    if (live === undefined) return;
    live.presence = 'offline';
    live.statusMsg = undefined;
    this.#tell(user, live);
  }

  /** What others see of a local user, with the position at which it last changed; undefined where nothing is known. */
  view(user: string): { readonly position: Position; readonly content: JsonObject } | undefined {
    const live = this.#users.get(user);
    const stored = live === undefined ? this.#store.get(presences, [user]) : undefined;
    if (live === undefined && stored === undefined) return undefined;
    const { presence, statusMsg, lastActiveTs } = live ?? { ...stored!, presence: 'offline' as const };
    const agoMs = Math.max(0, this.#clock.now() - lastActiveTs);
    return {
      position: live?.position ?? 0,
      content: {
        presence,
        ...(lastActiveTs > 0 && { last_active_ago: agoMs }),
        ...(statusMsg !== undefined && { status_msg: statusMsg }),
        currently_active: presence === 'online' && agoMs < ACTIVE_MS,
      },
    };
  }

  /** Users whose presence is held in memory: those who were here since the start. */
  known(): Iterable<string> {
    return this.#users.keys();
  }

  /** Has the user looked at when they will have become idle or gone, unless something happens before. */
  #watch(live: Live): void {
    if (this.#closed || live.presence === 'offline') return;
    const nowMs = this.#clock.monotonicMs();
    const dueMs = Math.max(nowMs + LOOK_EVERY_MS, dueOf(live));
    if (dueMs === Number.POSITIVE_INFINITY || (this.#timer !== undefined && this.#dueMs <= dueMs)) return;
    this.#dueMs = dueMs;
    this.#timer?.cancel();
    this.#timer = this.#clock.after(dueMs - nowMs, () => {
      this.#timer = undefined;
      this.#look();
    });
  }

  #look(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const [user, live] of [...this.#users]) {
      if (live.presence === 'offline') continue;
      const isGone = live.syncing === 0 && nowMs - live.syncedMs >= OFFLINE_AFTER_MS;
      const isIdle = live.presence === 'online' && nowMs - live.activeMs >= IDLE_AFTER_MS;
      if (isGone || isIdle) {
        live.presence = isGone ? 'offline' : 'unavailable';
        this.#tell(user, live);
      } else {
        this.#watch(live);
      }
    }
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}

/** When the user will have become idle or gone if nothing happens; of the monotonic clock, in milliseconds. */
function dueOf({ presence, syncing, activeMs, syncedMs }: Live): number {
  const goneMs = syncing > 0 ? Number.POSITIVE_INFINITY : syncedMs + OFFLINE_AFTER_MS;
  return presence === 'online' ? Math.min(goneMs, activeMs + IDLE_AFTER_MS) : goneMs;
}

/** Sets the user's own presence and status message; M_INVALID_PARAM where the message is too long. */
export async function setPresence(
  users: Users,
  user: UserId,
  presence: PresenceName,
  statusMsg: string | undefined,
): Promise<void> {
  if (statusMsg !== undefined && Buffer.byteLength(statusMsg) > MAX_STATUS_BYTES) {
    throw new MatrixError('M_INVALID_PARAM', `A status message may have at most ${MAX_STATUS_BYTES} bytes`);
  }
  const state: PresenceState = {
    presence,
    lastActiveTs: users.clock.now(),
    ...(statusMsg !== undefined && { statusMsg }),
  };
  await users.store.commit((tx: Tx) => tx.put(presences, [user], state));
  users.presences.said(user, state);
}

/**
 * The presence of `target` as `viewer` may see it: their own, or that of someone they share a room with. M_FORBIDDEN
 * otherwise, M_NOT_FOUND where nothing is known.
 */
export async function getPresence(users: Users, viewer: UserId, target: UserId): Promise<JsonObject> {
  if (viewer !== target && !(await shareRoom(users, viewer, target))) {
    throw new MatrixError('M_FORBIDDEN', 'You share no room with this user');
  }
  const seen = users.presences.view(target);
  if (seen === undefined && users.store.has(userRows, [target]))
    return { presence: 'offline', currently_active: false };
  if (seen === undefined) throw new MatrixError('M_NOT_FOUND', 'Nothing is known of the presence of this user');
  return seen.content;
}

/** Whether a local user is joined to a room that `other` is joined to as well. */
export async function shareRoom(users: Users, user: UserId, other: UserId): Promise<boolean> {
  for await (const [[, room], row] of users.store.range(memberships, { prefix: [user], limit: MAX_ROOMS })) {
    if (row.membership === 'join' && users.store.get(members, [room, other])?.membership === 'join') return true;
  }
  return false;
}

/** Deletes what a deactivated account said of itself. */
export async function purgePresence(users: Users, user: UserId): Promise<void> {
  if (users.store.has(presences, [user])) await users.store.commit((tx) => tx.delete(presences, [user]));
  users.presences.forget(user);
}
