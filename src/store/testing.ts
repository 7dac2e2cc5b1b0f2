import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { levelIn, openStore, type StoreOptions } from '#store/db.js';
import type { BatchRow, IteratorOptions, KeyValueDb } from '#store/kv.js';
import type { Store } from '#store/types.js';
import { SimulatedClock } from '#util/clock.js';

export interface TestStore extends AsyncDisposable {
  readonly store: Store;
  /** The data directory; give it to `openStore` after `store.close()` to test a restart. */
  readonly directory: string;
  readonly clock: SimulatedClock;
}

/**
 * An empty store of the server `test` in a temporary directory, for tests:
 * `await using test = await openTestStore(); const { store } = test;` closes it and removes the directory at the end.
 */
export async function openTestStore(
  options: Partial<StoreOptions> & { readonly dbIn?: (directory: string) => KeyValueDb } = {},
): Promise<TestStore> {
  const directory = await mkdtemp(join(tmpdir(), 'runnel-test-'));
  const clock = new SimulatedClock();
  const { dbIn, ...rest } = options;
  const db = dbIn?.(directory);
  const store = await openStore({ directory, clock, serverName: 'test', ...(db === undefined ? {} : { db }), ...rest });
  return {
    store,
    directory,
    clock,
    async [Symbol.asyncDispose]() {
      await store.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** LevelDB that tells of each point read whether it found something. */
export function watchReads(directory: string, onRead: (isFound: boolean) => void): KeyValueDb {
  return new Proxy(levelIn(directory), {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (typeof value !== 'function') return value;
      return (...given: unknown[]): unknown => {
        const result: unknown = value.apply(target, given);
        if (name === 'getSync') onRead(result !== undefined);
        return result;
      };
    },
  });
}

/** LevelDB whose writes can be held back, and fail, as a full or broken disk makes them. */
export class FaultyDb implements KeyValueDb {
  /** What writes reject with while it is set. */
  fault: Error | undefined;
  /** What opening rejects with while it is set. */
  openFault: Error | undefined;
  /** Whether a failing write reaches the disk nevertheless, as when only the sync failed. */
  faultAfterWrite = false;
  /** Physical writes that were begun. */
  writes = 0;
  #held: (() => void)[] | undefined;
  readonly #level: KeyValueDb;

  constructor(directory: string) {
    this.#level = levelIn(directory);
  }
  get status(): string {
    return this.#level.status;
  }
  /** From now on writes wait for `release`. */
  hold(): void {
    this.#held ??= [];
  }
  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const go of held) go();
  }
  async open(options?: { createIfMissing?: boolean }): Promise<void> {
    if (this.openFault !== undefined) throw this.openFault;
    await this.#level.open(options);
  }
  close(): Promise<void> {
    return this.#level.close();
  }
  getSync(key: Buffer): Buffer | undefined {
    return this.#level.getSync(key);
  }
  async batch(rows: readonly BatchRow[], options: { sync: boolean }): Promise<void> {
    this.writes++;
    await new Promise<void>((go) => {
      if (this.#held === undefined) go();
      else this.#held.push(go);
    });
    const { fault } = this;
    if (fault === undefined || this.faultAfterWrite) await this.#level.batch(rows, options);
    if (fault !== undefined) throw fault;
  }
  iterator(options: IteratorOptions): ReturnType<KeyValueDb['iterator']> {
    return this.#level.iterator(options);
  }
}
