import type { Journal } from '#store/journal.js';
import { type AnyKeyspace, codeOf, type KeyValueDb } from '#store/kv.js';
import type { CommittedReader, EncodedKey } from '#store/read.js';
import { meta } from '#store/schema.js';
import { StoreError } from '#store/store-error.js';
import { type Absence, Transaction, type TransactionGround } from '#store/transaction.js';
import type { CommitListener, Fact, LogEntry, Position, Tx } from '#store/types.js';
import { Write } from '#store/write.js';
import { assert } from '#util/assert.js';
import type { Log } from '#util/log.js';

/** Positions reserved on disk at a time. After a restart the tip is the end of the last block. */
const BLOCK = 4096;
/** Rows that may wait for the disk; past it transactions are refused, so that a stuck disk can't eat the memory. */
const LARGEST_BACKLOG = 200_000;

/** Who waits for a transaction to be durable. */
interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: StoreError) => void;
}

/** Transactions that go to disk together, in order. */
class Group {
  readonly writes = new Map<string, Write>();
  readonly entries: LogEntry[] = [];
  /** Those of `entries` that have no row. */
  readonly ephemeral: LogEntry[] = [];
  readonly hooks: (() => void)[] = [];
  readonly absences: Absence[] = [];
  readonly waiting: Waiting[] = [];
  /** Where the tip goes once this group is durable. */
  upTo: Position = 0;

  get isEmpty(): boolean {
    return this.upTo === 0 && this.waiting.length === 0;
  }
}

export interface LaneOptions {
  readonly db: KeyValueDb;
  readonly reader: CommittedReader;
  readonly journal: Journal;
  /** End of the block of positions reserved on disk. */
  readonly reserved: Position;
  readonly log: Log;
  /** Called once, when a physical write failed; the lane refuses writes until `recovered`. */
  readonly onFailure: (error: StoreError) => void;
}

/**
 * The one commit lane. Transactions run synchronously and gather in a group; while one group is being written, the
 * next one gathers, so a disk sync is shared by all that wait for it. Reads of the lane see both groups.
 */
export class CommitLane {
  readonly #db: KeyValueDb;
  readonly #reader: CommittedReader;
  readonly #log: Log;
  readonly #onFailure: (error: StoreError) => void;
  readonly #listeners = new Set<CommitListener>();
  readonly #resetListeners = new Set<() => void>();
  readonly #ground: TransactionGround;
  #journal: Journal;
  #next: Position;
  #reserved: Position;
  #tip: Position;
  #gathering = new Group();
  #writing: Group | undefined;
  #scheduled = false;
  #inside = false;
  #state: 'open' | 'failed' | 'closing' = 'open';
  #settled: (() => void)[] = [];

  constructor(options: LaneOptions) {
    this.#db = options.db;
    this.#reader = options.reader;
    this.#journal = options.journal;
    this.#log = options.log;
    this.#onFailure = options.onFailure;
    this.#reserved = options.reserved;
    this.#tip = options.reserved;
    this.#next = options.reserved + 1;
    this.#ground = { read: (space, key) => this.read(space, key), takePosition: () => this.#next++ };
  }

  get tip(): Position {
    return this.#tip;
  }

  /** Why new transactions would be refused now, in words fit for anyone. */
  get problem(): string | undefined {
    return this.#refusal()?.message;
  }

  commit<T>(fn: (tx: Tx) => T): Promise<T> {
    const refusal = this.#refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    assert(!this.#inside, 'a transaction was started inside a transaction');
    const tx = new Transaction(this.#ground, this.#gathering.writes);
    let result: T;
    this.#inside = true;
    try {
      result = fn(tx);
      assert(!isThenable(result), 'a transaction must be synchronous');
    } catch (error) {
      // Positions it took stay unused: gaps mean nothing, and a number that leaked is never given out again.
      tx.undo();
      return Promise.reject(error);
    } finally {
      this.#inside = false;
      tx.end();
    }
    return new Promise((resolve, reject) => this.#enqueue(tx, { resolve: () => resolve(result), reject }));
  }

  ephemeral(fact: Fact): Position {
    assert(!this.#inside, 'an ephemeral fact inside a transaction would overtake it');
    const position = this.#next++;
    const entry = { position, fact };
    this.#gathering.entries.push(entry);
    this.#gathering.ephemeral.push(entry);
    this.#gathering.upTo = position;
    if (this.#state === 'open' && this.#idle() && position <= this.#reserved) {
      // Nothing is on its way: the tip can move at once.
      const group = this.#gathering;
      this.#gathering = new Group();
      this.#publish(group);
    } else {
      this.#schedule();
    }
    return position;
  }

  /** Point read that sees transactions on their way to the disk. */
  read(keyspace: AnyKeyspace, key: EncodedKey): unknown {
    const write = this.#gathering.writes.get(key.id) ?? this.#writing?.writes.get(key.id);
    return write === undefined ? this.#reader.getEncoded(keyspace, key) : write.value();
  }

  onCommitted(listener: CommitListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onReset(listener: () => void): () => void {
    this.#resetListeners.add(listener);
    return () => this.#resetListeners.delete(listener);
  }

  settle(): Promise<void> {
    if (this.#idle()) return Promise.resolve();
    return new Promise((resolve) => this.#settled.push(resolve));
  }

  /** Refuses new transactions and resolves once those accepted before are durable or refused. */
  async close(): Promise<void> {
    const wasOpen = this.#state === 'open';
    this.#state = 'closing';
    if (wasOpen) await this.settle();
  }

  /**
   * Takes up work after the database was opened again. `landed` are log entries past the tip that are on disk: their
   * write reached it although it failed. Their senders were refused, yet they are facts now, and listeners hear them.
   */
  recovered(journal: Journal, reserved: Position, landed: readonly LogEntry[]): void {
    if (this.#state !== 'failed') return;
    this.#journal = journal;
    this.#reserved = reserved;
    this.#state = 'open';
    this.#reset();
    this.#gathering.entries.push(...landed);
    this.#gathering.entries.sort((a, b) => a.position - b.position);
    this.#gathering.upTo = this.#next - 1;
    this.#schedule();
  }

  /** Drops what mirrors rows in memory. */
  #reset(): void {
    this.#reader.dropCaches();
    for (const listener of this.#resetListeners) this.#guarded(listener);
  }

  #refusal(): StoreError | undefined {
    if (this.#state === 'closing') return new StoreError('closed', 'the store is closed');
    if (this.#state === 'failed') {
      return new StoreError('write', 'the disk refused a write; the database is being reopened');
    }
    if (this.#gathering.writes.size > LARGEST_BACKLOG) {
      return new StoreError('write', 'too many writes are waiting for the disk');
    }
    return undefined;
  }

  #idle(): boolean {
    return this.#writing === undefined && !this.#scheduled;
  }

  #enqueue(tx: Transaction, waiting: Waiting): void {
    const group = this.#gathering;
    for (const entry of tx.entries) group.entries.push(entry);
    for (const hook of tx.hooks) group.hooks.push(hook);
    for (const absence of tx.absences) group.absences.push(absence);
    group.upTo = this.#next - 1;
    group.waiting.push(waiting);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#writing !== undefined || this.#state === 'failed') return;
    this.#scheduled = true;
    // After the callbacks of this turn of the loop: requests that came in together share the first write too.
    setImmediate(() => {
      this.#scheduled = false;
      void this.#flush();
    });
  }

  async #flush(): Promise<void> {
    const group = this.#gathering;
    this.#gathering = new Group();
    this.#writing = group;
    const reserve = group.upTo + BLOCK / 2 > this.#reserved ? group.upTo + BLOCK : undefined;
    if (group.writes.size > 0 || group.upTo > this.#reserved) {
      try {
        await this.#db.batch(this.#batch(group, reserve), { sync: true });
      } catch (error) {
        this.#fail(group, error);
        return;
      }
      if (reserve !== undefined) this.#reserved = reserve;
    }
    for (const { keyspace, id } of group.absences) this.#reader.absent(keyspace, id);
    for (const write of group.writes.values()) this.#reader.wrote(write);
    this.#writing = undefined;
    // Before listeners run: they may start transactions and must find the lane either idle or scheduled.
    if (!this.#gathering.isEmpty) this.#schedule();
    this.#publish(group);
    if (this.#idle()) this.#wakeSettled();
  }

  #batch(group: Group, reserve: Position | undefined): Write[] {
    const writes = [...group.writes.values()];
    if (reserve !== undefined) writes.push(Write.row(meta, ['positions'], reserve));
    this.#journal.append(writes);
    return writes;
  }

  /**
   * What is durable becomes known: mirrors first, then the tip, then listeners, then those who committed it. Where a listener
   * has woken somebody these wait for a turn: so a message is with those who wait for it when its sender hears of it.
   */
  #publish(group: Group): void {
    for (const hook of group.hooks) this.#guarded(hook);
    if (group.upTo > this.#tip) this.#tip = group.upTo;
    let isHeard = false;
    if (group.entries.length > 0) {
      for (const listener of this.#listeners) {
        this.#guarded(() => {
          if (listener(group.entries) === true) isHeard = true;
        });
      }
    }
    const tell = (): void => {
      for (const { resolve } of group.waiting) resolve();
    };
    if (isHeard) setImmediate(tell);
    else tell();
  }

  #fail(group: Group, cause: unknown): void {
    const error = new StoreError('write', `the disk refused a write (${codeOf(cause) ?? 'unknown cause'})`, { cause });
    const behind = this.#gathering;
    if (this.#state === 'open') this.#state = 'failed';
    this.#writing = undefined;
    this.#gathering = new Group();
    // Ephemeral facts have no rows to lose; they are told once the tip can move again.
    const kept = [...group.ephemeral, ...behind.ephemeral];
    this.#gathering.entries.push(...kept);
    this.#gathering.ephemeral.push(...kept);
    this.#reset();
    for (const { reject } of [...group.waiting, ...behind.waiting]) reject(error);
    this.#wakeSettled();
    this.#onFailure(error);
  }

  #wakeSettled(): void {
    const waiting = this.#settled;
    this.#settled = [];
    for (const resolve of waiting) resolve();
  }

  #guarded(fn: () => void): void {
    try {
      fn();
    } catch (error) {
      this.#log.error('A listener of the store failed.', { error });
    }
  }
}

function isThenable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
