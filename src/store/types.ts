import type { KeyPart, Keyspace } from '#store/keyspace.js';

/** A place in this server's one log: a positive safe integer, never used twice, in order of commit. */
export type Position = number;
/** Number of an event here: the position at which it was stored. */
export type EventNum = number;
/** Number of a room here. */
export type RoomNum = number;
/** A snapshot of room state: the number of the root node of a persistent tree. 0 is the empty state. */
export type StateRoot = number;
/**
 * Place of an event in its room's timeline. For events that arrive live it equals their position; events fetched from
 * before (backfill) get orders below the oldest one known, possibly negative.
 */
export type Order = number;

/** Point reads, synchronous (LevelDB answers in about a microsecond from its caches). */
export interface Reader {
  get<K extends readonly KeyPart[], V>(keyspace: Keyspace<K, V>, key: K): V | undefined;
  has<K extends readonly KeyPart[], V>(keyspace: Keyspace<K, V>, key: K): boolean;
}

/** Bounds of a range. `prefix` fixes the first parts of the key; the bounds then apply to the parts that follow. */
export interface RangeOptions {
  readonly prefix?: readonly KeyPart[];
  readonly gt?: readonly KeyPart[];
  readonly gte?: readonly KeyPart[];
  readonly lt?: readonly KeyPart[];
  readonly lte?: readonly KeyPart[];
  readonly reverse?: boolean;
  /** Largest number of rows. */
  readonly limit?: number;
}

/**
 * A transaction is one synchronous function: it reads the latest state (its own writes and those of transactions that
 * are still on their way to the disk included), decides, and puts. If it throws, nothing happens. Because nothing else
 * runs meanwhile, a check and the write that depends on it can not be torn apart: no locks.
 */
export interface Tx extends Reader {
  put<K extends readonly KeyPart[], V>(keyspace: Keyspace<K, V>, key: K, value: V): void;
  delete<K extends readonly KeyPart[], V>(keyspace: Keyspace<K, V>, key: K): void;
  /**
   * Tells readers that there is no such row, which the caller knows without looking, so that they need not look either: what is
   * not there is the dearest to look for. Heeded in keyspaces that are cached, until such a row is put.
   */
  absent<K extends readonly KeyPart[], V>(keyspace: Keyspace<K, V>, key: K): void;
  /** Takes the next position of the log. */
  position(): Position;
  /** Appends a row to the log at a position that this transaction took, and remembers it for `Store.onCommitted`. */
  fact(position: Position, fact: Fact): void;
  /** Takes back the log row at `position`: a newer fact has replaced it. */
  retract(position: Position): void;
  /** Runs `fn` once the write is on disk and before the tip moves past it: for caches that mirror durable state. */
  afterCommit(fn: () => void): void;
}

/** See `Store.onCommitted`. */
export type CommitListener = (entries: readonly LogEntry[]) => unknown;

/**
 * What happened, as small as can be: the rest is read from the keyspace that the kind names.
 * `room` is the room's number. Every kind that a sync stream or an outbound cursor follows is here.
 */
export type Fact =
  /**
   * `state`: the room's current state once this event was taken in. `relay`: this server tells the others of it, although
   * its sender is elsewhere.
   */
  | { readonly kind: 'event'; readonly room: RoomNum; readonly state?: StateRoot; readonly relay?: true }
  /**
   * A row of `memberships` changed: every change of a local user's membership, by an event (at a position after the
   * event's own), by an invite or knock held as stripped state, or by forgetting the room.
   */
  | { readonly kind: 'membership'; readonly room: RoomNum; readonly user: string }
  | { readonly kind: 'receipt'; readonly room: RoomNum; readonly user: string; readonly private?: true }
  | { readonly kind: 'typing'; readonly room: RoomNum }
  | { readonly kind: 'accountData'; readonly user: string; readonly room?: RoomNum; readonly type: string }
  | { readonly kind: 'presence'; readonly user: string }
  | { readonly kind: 'toDevice'; readonly user: string; readonly device: string }
  /** `only`: a change that this user alone may see, such as a signature of theirs on somebody's key. */
  | { readonly kind: 'deviceList'; readonly user: string; readonly only?: string }
  /** One-time or fallback keys of a device changed: its counts must be sent. */
  | { readonly kind: 'keyCounts'; readonly user: string; readonly device: string }
  /** Unread counts of a user in a room changed without an event there (a receipt moved, a push rule changed). */
  | { readonly kind: 'unread'; readonly user: string; readonly room: RoomNum }
  | { readonly kind: 'profile'; readonly user: string }
  | { readonly kind: 'threadSubscription'; readonly user: string };

/** A fact with its place. */
export interface LogEntry {
  readonly position: Position;
  readonly fact: Fact;
}

/** A row as `Store.scan` finds it. */
export interface ScannedRow {
  readonly keyspace: Keyspace<readonly KeyPart[], unknown> | undefined;
  readonly parts: readonly KeyPart[];
  readonly value: unknown;
  /** What is wrong with the row by itself. */
  readonly problem: string | undefined;
}

export interface Store extends Reader {
  /** Reads of committed rows only; `latest` sees transactions that are still on their way to the disk as well. */
  readonly latest: Reader;
  /** The newest position whose facts, and all before, are durable. Sync tokens are tips. */
  readonly tip: Position;
  /**
   * Runs a transaction and resolves with its result once it is durable (`sync: true`, shared with whatever else waits)
   * and the tip has moved past it. Rejects with what `fn` threw, or with a `StoreError` when the disk refused.
   */
  commit<T>(fn: (tx: Tx) => T): Promise<T>;
  /**
   * Takes a position for facts that may be lost (typing, presence pings): no row, no disk write. The tip moves in order.
   */
  ephemeral(fact: Fact): Position;
  /** Committed rows of a range, in key order, in bounded chunks. Close over `for await`; breaking out frees the iterator. */
  range<K extends readonly KeyPart[], V>(keyspace: Keyspace<K, V>, options?: RangeOptions): AsyncIterable<[K, V]>;
  /** As `range`, gathered; `limit` is required so that nothing is unbounded. */
  list<K extends readonly KeyPart[], V>(
    keyspace: Keyspace<K, V>,
    options: RangeOptions & { readonly limit: number },
  ): Promise<[K, V][]>;
  /**
   * Every row on disk in order of key, damaged ones with what is wrong: unreadable key, unknown keyspace, failed check,
   * undecodable value, or a row that a point read does not find. For checks.
   */
  scan(): AsyncIterable<ScannedRow>;
  /** Log entries with `after` < position ≤ `upTo`, durable kinds only, at most `limit`. */
  log(after: Position, upTo: Position, limit: number): Promise<LogEntry[]>;
  /**
   * Calls `listener` after each commit (and each ephemeral fact), once the tip has moved, with the entries it brought.
   * Returns the function that ends it. Listeners must not throw and must not block. Where one has woken somebody who waited for
   * news it gives true: whoever committed is then told a turn of the event loop later, when the news is out.
   */
  onCommitted(listener: CommitListener): () => void;
  /**
   * Calls `listener` when transactions on their way were refused by the disk, and again when the database was reopened
   * after that (a refused write may have reached the disk all the same), so that caches which mirror rows drop what they
   * hold. Returns the function that ends it.
   */
  onReset(listener: () => void): () => void;
  /**
   * Grows with each committed write to a row of the keyspace, and when what is held in memory is dropped. While it stays the same
   * so does everything that follows from the keyspace's rows.
   */
  revision<K extends readonly KeyPart[], V>(keyspace: Keyspace<K, V>): number;
  /** Why writes are refused at the moment, in words fit for anyone; undefined while they are taken. */
  readonly problem: string | undefined;
  /** Keeps of the rows held in memory the newest, up to this share of what may be held. They are on disk. */
  shrinkCaches(share: number): void;
  /**
   * Gives back the disk and the memory of tables that nothing reads any more. LevelDB does so itself, but only when it next
   * writes a table, which on a small server may take days. Never rejects; for when there is little else to do.
   */
  removeUnused(): Promise<void>;
  /** Resolves when nothing is waiting to be written. */
  settle(): Promise<void>;
  close(): Promise<void>;
}
