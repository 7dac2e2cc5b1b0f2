import assert from 'node:assert/strict';
import test from 'node:test';
import { untyped } from '#store/kv.js';
import { CommittedReader } from '#store/read.js';
import { KEYSPACES, receipts, timeline } from '#store/schema.js';
import { FaultyDb, openTestStore } from '#store/testing.js';
import type { RangeOptions } from '#store/types.js';

/** LevelDB that counts the iterators opened on it. */
class CountingDb extends FaultyDb {
  iterators = 0;
  override iterator(options: Parameters<FaultyDb['iterator']>[0]): ReturnType<FaultyDb['iterator']> {
    this.iterators++;
    return super.iterator(options);
  }
}

/** An empty store over a `CountingDb`; closed and removed at the end of the scope. */
async function openCounted() {
  let db!: CountingDb;
  const opened = await openTestStore({
    dbIn: (directory) => {
      db = new CountingDb(directory);
      return db;
    },
  });
  return { ...opened, db, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() };
}

/** Repeatable choice: a linear congruential generator. */
function chooser(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test('ranges from memory give what the disk would', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    await using opened = await openCounted();
    const { store, db } = opened;
    const choose = chooser(seed);
    const orders = 4 * timeline.held!.rows;
    const user = (n: number): string => `@${'u'.repeat(n % 3)}${n}:test`;
    for (let step = 0; step < 60; step++) {
      const room = 254 + choose(4);
      const writing = store.commit((tx) => {
        for (let n = choose(20); n > 0; n--) {
          const order = choose(orders) - 20;
          if (choose(3) === 0) tx.delete(timeline, [room, order]);
          else tx.put(timeline, [room, order], choose(1_000));
          const key = [room, 'm.read', user(choose(250)), choose(2) === 0 ? '' : '$thread\0x'] as const;
          if (choose(4) === 0) tx.delete(receipts, [...key]);
          else tx.put(receipts, [...key], { eventId: '$e' as never, ts: 1, position: step, order: 1 });
        }
      });
      const bound = choose(orders) - 20;
      const spans: RangeOptions[] = [
        { prefix: [room], reverse: true, limit: 1 + choose(40) },
        { prefix: [room], lte: [bound], reverse: true },
        { prefix: [room], gt: [bound], reverse: true },
        { prefix: [room], gt: [bound], limit: 5 },
        { prefix: [room] },
      ];
      // Some are asked for while the write is on its way.
      if (choose(2) === 0) await writing;
      if (choose(8) === 0) store.shrinkCaches(choose(2) / 8);
      const early = spans.map((span) => store.list(timeline, { limit: 10_000, ...span }));
      await Promise.all([writing, ...early]);
      const disk = new CommittedReader(db);
      for (const span of spans) {
        const all = { limit: 10_000, ...span };
        const iterators = db.iterators;
        const held = await store.list(timeline, all);
        const cost = db.iterators - iterators;
        assert.ok(cost <= 1, 'never more than one iterator');
        assert.deepEqual(held, await disk.list(timeline, all), `seed ${seed}, step ${step}, ${JSON.stringify(span)}`);
      }
      for (const span of [
        { prefix: [room] },
        { prefix: [room, 'm.read'] },
        { prefix: [room, 'm.read', user(7)] },
        { prefix: [room], reverse: true },
      ]) {
        const all = { limit: 10_000, ...span };
        assert.deepEqual(await store.list(receipts, all), await disk.list(receipts, all), `seed ${seed}, step ${step}`);
      }
    }
  }
});

test('the newest rows of a prefix cost no iterator the second time', async () => {
  await using opened = await openCounted();
  const { store, db } = opened;
  const many = 3 * timeline.held!.rows;
  await store.commit((tx) => {
    for (let order = 1; order <= many; order++) tx.put(timeline, [1, order], order);
  });
  const newest = { prefix: [1], lte: [many + 10], reverse: true, limit: 10 };
  await store.list(timeline, newest);
  const before = db.iterators;
  await store.commit((tx) => tx.put(timeline, [1, many + 1], 7));
  const rows = await store.list(timeline, newest);
  assert.deepEqual(rows[0], [[1, many + 1], 7]);
  assert.equal(rows.length, 10);
  assert.equal(db.iterators, before);
});

test('what was let go of is read from the disk again, and what was met last is kept', async () => {
  await using opened = await openCounted();
  const { store, db } = opened;
  const rooms = 2_000;
  await store.commit((tx) => {
    for (let room = 1; room <= rooms; room++)
      for (let order = 1; order <= 20; order++) tx.put(timeline, [room, order], order);
  });
  const newestOf = (room: number) => store.list(timeline, { prefix: [room], reverse: true, limit: 10 });
  const costOf = async (room: number): Promise<number> => {
    const before = db.iterators;
    assert.equal((await newestOf(room)).length, 10);
    return db.iterators - before;
  };
  for (let room = 1; room <= rooms; room++) await newestOf(room);
  assert.deepEqual([await costOf(rooms - 400), await costOf(rooms)], [0, 0]);
  store.shrinkCaches(1 / 8);
  assert.deepEqual([await costOf(rooms - 399), await costOf(rooms)], [1, 0]);
});

test('rows that the disk refused are not given', async () => {
  await using opened = await openCounted();
  const { store, db } = opened;
  await store.commit((tx) => tx.put(timeline, [1, 1], 1));
  await store.list(timeline, { prefix: [1], reverse: true, limit: 5 });
  db.fault = new Error('full');
  await assert.rejects(store.commit((tx) => tx.put(timeline, [1, 2], 2)));
  assert.deepEqual(await store.list(timeline, { prefix: [1], reverse: true, limit: 5 }), [[[1, 1], 1]]);
});

test('what is held of ranges is bounded', () => {
  for (const { name, held } of KEYSPACES.map(untyped)) {
    if (held !== undefined) assert.ok(held.bytes <= 4 << 20 && held.rows <= 500, name);
  }
});
