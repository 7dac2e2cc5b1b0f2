import type { UserId } from '#core/ids.js';
import { type Membership, memberships } from '#store/schema.js';
import type { LogEntry, Position, RoomNum, Store } from '#store/types.js';
import { assert } from '#util/assert.js';

/** How many log entries are held in memory, so that a sync after a short absence reads none from disk. */
const RING_ENTRIES = 8_192;
/** How many users' views are held while nobody waits on them. */
const IDLE_VIEWS = 1_000;
/** Waiting requests that are answered in one turn of the event loop: an answer takes some 0.2 ms. */
const WOKEN_AT_ONCE = 16;

/**
 * What the server keeps in memory of a user who syncs: the rooms they are in, and the newest position at which
 * anything happened that concerns them. Derived from the store alone, and dropped at will.
 */
export class UserView {
  readonly user: UserId;
  readonly rooms = new Map<RoomNum, Membership>();
  /** Newest position that concerns this user; nothing did between the load and it. */
  lastChange: Position;
  readonly waiters = new Set<() => void>();
  readonly ready: Promise<void>;
  /** Rooms whose membership changed while the view was loading. */
  changedWhileLoading: Set<RoomNum> | undefined = new Set();

  constructor(user: UserId, tip: Position, load: (view: UserView) => Promise<void>) {
    this.user = user;
    // Before the load nothing is known: a sync from any older token must look.
    this.lastChange = tip;
    this.ready = load(this);
  }

  touch(position: Position): void {
    if (position > this.lastChange) this.lastChange = position;
  }

  wake(): void {
    for (const wake of this.waiters) wake();
  }
}

/** Views of the users who sync, kept up to date from the log. One a server. */
export class Views {
  readonly #store: Store;
  readonly #views = new Map<UserId, UserView>();
  /** Views of users joined to a room. */
  readonly #byRoom = new Map<RoomNum, Set<UserView>>();
  readonly #ring: LogEntry[] = [];
  /** All entries after this position are in the ring, ephemeral ones included. */
  #ringStart: Position;
  /** Those who wait for what has come, and have not been told yet. */
  readonly #toWake = new Set<() => void>();
  #isWaking = false;
  readonly #stop: () => void;

  constructor(store: Store) {
    this.#store = store;
    this.#ringStart = store.tip;
    this.#stop = store.onCommitted((entries) => this.#apply(entries));
  }

  /** Ends following the log and wakes everyone who waits. */
  close(): void {
    this.#stop();
    for (const view of this.#views.values()) view.wake();
  }

  /** Forgets everything derived: the store dropped writes that views may have seen. */
  reset(): void {
    for (const view of this.#views.values()) view.wake();
    this.#views.clear();
    this.#byRoom.clear();
    this.#ring.length = 0;
    this.#ringStart = this.#store.tip;
  }

  /** The view of `user`, loaded. */
  async get(user: UserId): Promise<UserView> {
    let view = this.#views.get(user);
    if (view === undefined) {
      view = new UserView(user, this.#store.tip, (v) => this.#load(v));
      this.#evict();
    } else {
      this.#views.delete(user);
    }
    this.#views.set(user, view);
    try {
      await view.ready;
    } catch (error) {
      if (this.#views.get(user) === view) this.#views.delete(user);
      throw error;
    }
    return view;
  }

  /**
   * Log entries with `after` < position ≤ `upTo`, ephemeral ones included where they are still in memory, or undefined
   * when there are more than `limit` of them: the caller then looks at each room instead.
   */
  async entries(after: Position, upTo: Position, limit: number): Promise<readonly LogEntry[] | undefined> {
    if (after >= this.#ringStart) {
      let first = this.#ring.length;
      while (first > 0 && this.#ring[first - 1]!.position > after) first--;
      const found = this.#ring.slice(first).filter((entry) => entry.position <= upTo);
      return found.length > limit ? undefined : found;
    }
    const found = await this.#store.log(after, upTo, limit + 1);
    return found.length > limit ? undefined : found;
  }

  /** Resolves true once something after `position` concerns the view, false when `signal` aborts or time is up. */
  wait(view: UserView, position: Position, signal: AbortSignal): Promise<boolean> {
    if (view.lastChange > position) return Promise.resolve(true);
    if (signal.aborted) return Promise.resolve(false);
    return new Promise((resolve) => {
      const done = (): void => {
        view.waiters.delete(done);
        signal.removeEventListener('abort', done);
        resolve(view.lastChange > position);
      };
      view.waiters.add(done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  async #load(view: UserView): Promise<void> {
    for await (const [[, room], membership] of this.#store.range(memberships, { prefix: [view.user] })) {
      this.#setRoom(view, room, membership);
    }
    const missed = view.changedWhileLoading;
    view.changedWhileLoading = undefined;
    for (const room of missed ?? []) this.#setRoom(view, room, this.#store.get(memberships, [view.user, room]));
    view.touch(this.#store.tip);
    view.wake();
  }

  #setRoom(view: UserView, room: RoomNum, membership: Membership | undefined): void {
    if (membership === undefined) view.rooms.delete(room);
    else view.rooms.set(room, membership);
    let joined = this.#byRoom.get(room);
    if (membership?.membership === 'join') {
      if (joined === undefined) {
        joined = new Set();
        this.#byRoom.set(room, joined);
      }
      joined.add(view);
    } else if (joined?.delete(view) && joined.size === 0) this.#byRoom.delete(room);
  }

  #evict(): void {
    if (this.#views.size < IDLE_VIEWS) return;
    for (const [user, view] of this.#views) {
      if (view.waiters.size > 0 || view.changedWhileLoading !== undefined) continue;
      this.#views.delete(user);
      for (const room of view.rooms.keys()) {
        const joined = this.#byRoom.get(room);
        if (joined?.delete(view) && joined.size === 0) this.#byRoom.delete(room);
      }
      if (this.#views.size < IDLE_VIEWS) return;
    }
  }

  /** Gives whether somebody waited for what came. */
  #apply(entries: readonly LogEntry[]): boolean {
    for (const entry of entries) {
      const last = this.#ring.at(-1);
      assert(last === undefined || entry.position >= last.position, 'log entries arrive in order');
      this.#ring.push(entry);
    }
    if (this.#ring.length > RING_ENTRIES) {
      const dropped = this.#ring.splice(0, this.#ring.length - RING_ENTRIES / 2);
      this.#ringStart = dropped.at(-1)?.position ?? this.#ringStart;
    }
    // Memberships first: an event that brings a user into a room concerns them already.
    for (const { fact, position } of entries) {
      if (fact.kind !== 'membership') continue;
      const view = this.#views.get(fact.user as UserId);
      if (view === undefined) continue;
      if (view.changedWhileLoading !== undefined) view.changedWhileLoading.add(fact.room);
      else this.#setRoom(view, fact.room, this.#store.get(memberships, [view.user, fact.room]));
      this.#touch(view, position);
    }
    for (const { fact, position } of entries) {
      switch (fact.kind) {
        case 'event':
        case 'typing':
          this.#touchRoom(fact.room, position);
          break;
        case 'receipt':
          if (fact.private) this.#touch(this.#views.get(fact.user as UserId), position);
          else this.#touchRoom(fact.room, position);
          break;
        case 'accountData':
        case 'unread':
        case 'toDevice':
        case 'keyCounts':
        case 'threadSubscription':
          this.#touch(this.#views.get(fact.user as UserId), position);
          break;
        case 'presence':
        case 'deviceList':
        case 'profile':
          // Who shares a room with the user is asked when the answer is built; waking for nothing costs little.
          for (const view of this.#views.values()) this.#touch(view, position);
          break;
        case 'membership':
          break;
      }
    }
    const isHeard = this.#toWake.size > 0;
    if (!this.#isWaking) this.#wakeSome();
    return isHeard;
  }

  #touch(view: UserView | undefined, position: Position): void {
    if (view === undefined) return;
    view.touch(position);
    for (const wake of view.waiters) this.#toWake.add(wake);
  }

  /** Wakes the first of those who are to be told, and leaves the others to later turns: they answer before anything else runs. */
  #wakeSome(): void {
    let woken = 0;
    for (const wake of this.#toWake) {
      if (woken++ === WOKEN_AT_ONCE) break;
      this.#toWake.delete(wake);
      wake();
    }
    this.#isWaking = this.#toWake.size > 0;
    if (this.#isWaking) setImmediate(() => this.#wakeSome());
  }

  #touchRoom(room: RoomNum, position: Position): void {
    const joined = this.#byRoom.get(room);
    if (joined !== undefined) for (const view of joined) this.#touch(view, position);
  }
}
