import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeRow } from '#store/codec.js';
import { openStore } from '#store/db.js';
import { StateTrees } from '#store/state.js';
import type { StateRoot, Store, Tx } from '#store/types.js';
import { SystemClock } from '#util/clock.js';

/**
 * Prints what one state change costs in rooms of several sizes: bytes put, nodes written, median microseconds to compute, and
 * median microseconds to read one piece of state with a cold and a warm node cache.
 * Run: `npx tsc -b scripts && node build/scripts/bench/state.js`.
 */
const SIZES = [100, 1_000, 10_000, 100_000];
const CHANGES = 2_000;
const WARM_UP = 1_000;

/** A transaction that counts what goes through it. */
function counting(tx: Tx, puts: (() => number)[]): Tx {
  return {
    get: (keyspace, key) => tx.get(keyspace, key),
    has: (keyspace, key) => tx.has(keyspace, key),
    delete: (keyspace, key) => tx.delete(keyspace, key),
    absent: (keyspace, key) => tx.absent(keyspace, key),
    position: () => tx.position(),
    fact: (position, fact) => tx.fact(position, fact),
    retract: (position) => tx.retract(position),
    afterCommit: (fn) => tx.afterCommit(fn),
    put(keyspace, key, value) {
      // Counted later, outside the time taken.
      puts.push(() => encodeRow(keyspace, key, value).bytes.length);
      tx.put(keyspace, key, value);
    },
  };
}

async function fill(store: Store, trees: StateTrees, size: number): Promise<StateRoot> {
  let root: StateRoot = 0;
  for (let from = 0; from < size; from += 10_000) {
    root = await store.commit((tx) =>
      trees.apply(
        tx,
        root,
        Array.from({ length: Math.min(10_000, size - from) }, (_, i) => {
          return ['m.room.member', `@user${from + i}:example.org`, tx.position()] as const;
        }),
      ),
    );
  }
  return root;
}

/** The median, so that what else runs on the machine does not count. */
function medianUs(timesMs: readonly number[]): string {
  const middle = [...timesMs].sort((a, b) => a - b)[timesMs.length >> 1] ?? 0;
  return (middle * 1000).toFixed(1);
}

async function measure(store: Store, size: number): Promise<Record<string, string | number>> {
  const clock = new SystemClock();
  const trees = new StateTrees();
  let root = await fill(store, trees, size);
  const puts: (() => number)[] = [];
  const spentMs: number[] = [];
  const user = (i: number): string => `@user${(i * 7919) % size}:example.org`;
  for (let i = 0; i < WARM_UP + CHANGES; i++) {
    if (i === WARM_UP) {
      puts.length = 0;
      spentMs.length = 0;
    }
    await store.commit((tx) => {
      const counted = counting(tx, puts);
      const startMs = clock.monotonicMs();
      root = trees.set(counted, root, 'm.room.member', user(i), tx.position());
      spentMs.push(clock.monotonicMs() - startMs);
    });
  }
  const read = (reading: StateTrees): string => {
    const timesMs: number[] = [];
    for (let i = 0; i < CHANGES; i++) {
      const startMs = clock.monotonicMs();
      reading.get(store, root, 'm.room.member', user(i));
      timesMs.push(clock.monotonicMs() - startMs);
    }
    return medianUs(timesMs);
  };
  const cold = read(new StateTrees({ cacheBytes: 0 }));
  read(trees);
  return {
    members: size,
    'nodes/change': (puts.length / CHANGES).toFixed(2),
    'bytes/change': Math.round(puts.reduce((sum, bytes) => sum + bytes(), 0) / CHANGES),
    'µs/change': medianUs(spentMs),
    'µs/read cold': cold,
    'µs/read warm': read(trees),
  };
}

const directory = await mkdtemp(join(tmpdir(), 'runnel-bench-'));
try {
  const store = await openStore({ directory, clock: new SystemClock(), serverName: 'bench' });
  const rows = [];
  for (const size of SIZES) rows.push(await measure(store, size));
  console.table(rows);
  await store.close();
  let bytes = 0;
  for (const name of await readdir(join(directory, 'db'))) bytes += (await stat(join(directory, 'db', name))).size;
  console.log(`database: ${(bytes / 2 ** 20).toFixed(1)} MiB`);
} finally {
  await rm(directory, { recursive: true, force: true });
}
