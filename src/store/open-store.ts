import type { CommitLane } from '#store/commit.js';
import type { Journal } from '#store/journal.js';
import type { KeyPart, Keyspace } from '#store/keyspace.js';
import { innermost, type KeyValueDb, untyped } from '#store/kv.js';
import { type CommittedReader, EncodedKey } from '#store/read.js';
import { log } from '#store/schema.js';
import type { StoreError } from '#store/store-error.js';
import type {
  CommitListener,
  Fact,
  LogEntry,
  Position,
  RangeOptions,
  Reader,
  ScannedRow,
  Store,
  Tx,
} from '#store/types.js';
import type { Clock } from '#util/clock.js';
import type { Log } from '#util/log.js';

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 10_000;

export interface OpenStoreParts {
  readonly db: KeyValueDb;
  readonly reader: CommittedReader;
  readonly log: Log;
  readonly clock: Clock;
  readonly lane: (onFailure: (error: StoreError) => void) => CommitLane;
  /** Closes and opens the database. */
  readonly reopen: () => Promise<{ journal: Journal; reserved: Position }>;
  /** Rejects while the disk takes no writes. */
  readonly probe: () => Promise<void>;
}

/** The store while it is open: reads, the commit lane, and the task that reopens the database after a fault. */
export class OpenStore implements Store {
  readonly latest: Reader;
  readonly #parts: OpenStoreParts;
  readonly #lane: CommitLane;
  readonly #stop = new AbortController();
  #reopening: Promise<void> | undefined;
  #removing: Promise<void> | undefined;

  constructor(parts: OpenStoreParts) {
    this.#parts = parts;
    this.#lane = parts.lane((error) => this.#recover(error));
    const latestGet = <K extends readonly KeyPart[], V>(keyspace: Keyspace<K, V>, key: K): V | undefined =>
      this.#lane.read(untyped(keyspace), new EncodedKey(untyped(keyspace), key)) as V | undefined;
    this.latest = { get: latestGet, has: (keyspace, key) => latestGet(keyspace, key) !== undefined };
  }

  get tip(): Position {
    return this.#lane.tip;
  }
  get problem(): string | undefined {
    return this.#lane.problem;
  }
  get<K extends readonly KeyPart[], V>(keyspace: Keyspace<K, V>, key: K): V | undefined {
    return this.#parts.reader.get(keyspace, key);
  }
  has<K extends readonly KeyPart[], V>(keyspace: Keyspace<K, V>, key: K): boolean {
    return this.#parts.reader.has(keyspace, key);
  }
  commit<T>(fn: (tx: Tx) => T): Promise<T> {
    return this.#lane.commit(fn);
  }
  ephemeral(fact: Fact): Position {
    return this.#lane.ephemeral(fact);
  }
  range<K extends readonly KeyPart[], V>(keyspace: Keyspace<K, V>, options?: RangeOptions): AsyncIterable<[K, V]> {
    return this.#parts.reader.range(keyspace, options);
  }
  list<K extends readonly KeyPart[], V>(
    keyspace: Keyspace<K, V>,
    options: RangeOptions & { readonly limit: number },
  ): Promise<[K, V][]> {
    return this.#parts.reader.list(keyspace, options);
  }
  scan(): AsyncIterable<ScannedRow> {
    return this.#parts.reader.scan();
  }
  async log(after: Position, upTo: Position, limit: number): Promise<LogEntry[]> {
    const last = Math.min(upTo, this.tip);
    if (after >= last) return [];
    const rows = await this.#parts.reader.list(log, { gt: [after], lte: [last], limit });
    return rows.map(([[position], fact]) => ({ position, fact }));
  }
  onCommitted(listener: CommitListener): () => void {
    return this.#lane.onCommitted(listener);
  }
  onReset(listener: () => void): () => void {
    return this.#lane.onReset(listener);
  }
  revision<K extends readonly KeyPart[], V>(keyspace: Keyspace<K, V>): number {
    return this.#parts.reader.revision(keyspace);
  }
  settle(): Promise<void> {
    return this.#lane.settle();
  }

  shrinkCaches(share: number): void {
    this.#parts.reader.shrinkCaches(share);
  }

  removeUnused(): Promise<void> {
    this.#removing ??= this.#removeUnused().finally(() => {
      this.#removing = undefined;
    });
    return this.#removing;
  }

  async #removeUnused(): Promise<void> {
    if (this.problem !== undefined || this.#stop.signal.aborted) return;
    try {
      await this.#parts.db.removeUnused?.();
    } catch (error) {
      // Where the disk takes no writes the next commit finds out, and sees to it.
      this.#parts.log.warn('Tables that are no longer used could not be removed.', { error, cause: innermost(error) });
    }
  }

  async close(): Promise<void> {
    await this.#lane.close();
    this.#stop.abort();
    await this.#reopening;
    await this.#removing;
    await this.#parts.db.close();
  }

  #recover(error: StoreError): void {
    this.#parts.log.error('The disk refused a write; writes are refused until it works again.', {
      error,
      cause: innermost(error),
    });
    this.#reopening = this.#reopenUntilItWorks();
  }

  /** LevelDB's log may end in a torn record and takes no more writes, so only closing and opening helps. */
  async #reopenUntilItWorks(): Promise<void> {
    const { clock, log: logger, reader } = this.#parts;
    const { signal } = this.#stop;
    for (let waitMs = FIRST_RETRY_MS; !signal.aborted; waitMs = Math.min(waitMs * 2, LAST_RETRY_MS)) {
      await clock.sleep(waitMs, signal);
      if (signal.aborted) return;
      try {
        await this.#parts.probe();
        const { journal, reserved } = await this.#parts.reopen();
        const landed: LogEntry[] = [];
        for await (const [[position], fact] of reader.range(log, { gt: [this.tip] })) landed.push({ position, fact });
        this.#lane.recovered(journal, reserved, landed);
        logger.info('The disk takes writes again.');
        return;
      } catch (error) {
        logger.warn('The database can not be written yet.', { error, cause: innermost(error) });
      }
    }
  }
}
