import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventId } from '#core/ids.js';
import { openStore } from '#store/db.js';
import { oldTransactions, sentTransactionsTogether } from '#store/migration-2.js';
import { eventNums, meta, sentTransactions } from '#store/schema.js';
import { findSent, forgetSent, readRow, rememberSent, type SentTransaction } from '#store/sent-transactions.js';
import { openTestStore } from '#store/testing.js';
import type { Reader, Store, Tx } from '#store/types.js';

const alice = '@alice:test';
const txn = (id: string, more: Partial<SentTransaction> = {}): SentTransaction => ({
  user: alice,
  device: 'D',
  path: 'rooms/!r/send/m.room.message',
  id,
  ...more,
});

const sentEvent = (reader: Reader, transaction: SentTransaction) => findSent(reader, transaction).event;
const remember = (tx: Tx, transaction: SentTransaction, event: number) =>
  rememberSent(tx, findSent(tx, transaction), event);

/** The events of each row. */
async function rowsOf(store: Store): Promise<readonly (readonly number[])[]> {
  const rows = await store.list(sentTransactions, { limit: 10_000 });
  return rows.flatMap(([[, , bucket], row]) => {
    const read = readRow(bucket, row);
    assert.ok(read !== undefined);
    return 'events' in read ? [read.events] : [];
  });
}

test('a transaction is known by its user, device, path and id', async () => {
  await using opened = await openTestStore();
  const { store } = opened;
  await store.commit((tx) => {
    remember(tx, txn('1'), 281_474_976_710_000);
    remember(tx, txn('2'), 7);
    assert.equal(sentEvent(tx, txn('2')), 7, 'within its own transaction');
  });
  assert.equal(sentEvent(store, txn('1')), 281_474_976_710_000);
  assert.equal(sentEvent(store, txn('2')), 7);
  for (const other of [txn('3'), txn('1', { user: '@bob:test' }), txn('1', { device: '' }), txn('1', { path: 'x' })]) {
    assert.equal(sentEvent(store, other), undefined);
  }
  // No two of these may run together into one text.
  assert.equal(sentEvent(store, txn('', { path: `${txn('').path}1` })), undefined);
});

test('of ten thousand transactions of a device the last thousand are known, in 128 rows of at most 24', async () => {
  await using opened = await openTestStore();
  const { store } = opened;
  for (let i = 0; i < 10_000; i += 100) {
    await store.commit((tx) => {
      for (let n = i; n < i + 100; n++) remember(tx, txn(`m${n}`), n + 1);
    });
  }
  for (let n = 9_000; n < 10_000; n++) assert.equal(sentEvent(store, txn(`m${n}`)), n + 1);
  assert.equal(sentEvent(store, txn('m0')), undefined);
  const rows = await rowsOf(store);
  assert.equal(rows.length, 128);
  for (const row of rows) assert.equal(row.length, 24);
});

test('the oldest event is forgotten first, whatever the order in which they are told', async () => {
  await using opened = await openTestStore();
  const { store } = opened;
  const nums = Array.from({ length: 6_000 }, (_, n) => ((n * 7_919) % 6_000) + 1);
  await store.commit((tx) => {
    for (const num of nums) remember(tx, txn(`m${num}`), num);
  });
  for (let num = 5_000; num <= 6_000; num++) assert.equal(sentEvent(store, txn(`m${num}`)), num);
  for (const events of await rowsOf(store)) {
    const sorted = [...events].sort((a, b) => a - b);
    assert.deepEqual(events, sorted);
  }
});

test('a device that is gone leaves nothing behind', async () => {
  await using opened = await openTestStore();
  const { store } = opened;
  await store.commit((tx) => {
    for (let n = 1; n <= 1_000; n++) remember(tx, txn(`m${n}`), n);
    remember(tx, txn('1', { device: 'E' }), 1_001);
  });
  await store.commit((tx) => {
    forgetSent(tx, alice, 'D');
    forgetSent(tx, alice, 'unknown');
  });
  assert.equal(sentEvent(store, txn('m1000')), undefined);
  assert.equal(sentEvent(store, txn('1', { device: 'E' })), 1_001);
  assert.equal((await store.list(sentTransactions, { limit: 10 })).length, 2);
});

test('transactions of a database of format 1 are known after it was brought to format 2, also where that broke off', async () => {
  await using opened = await openTestStore({ migrations: [] });
  const { clock, directory } = opened;
  const { store } = opened;
  assert.equal(store.get(meta, ['format']), 1);
  await store.commit((tx) => {
    for (let n = 1; n <= 1_200; n++) {
      const { user, device, path, id } = txn(`m${n}`);
      tx.put(eventNums, [`$${n}` as EventId], n);
      tx.put(oldTransactions, [user, device, path, id], `$${n}` as EventId);
    }
    tx.put(oldTransactions, [alice, 'D', 'path', 'lost'], '$lost' as EventId);
  });
  let commits = 0;
  const breaking = new Proxy(store, {
    get(target, name) {
      if (name === 'commit' && commits++ === 1) throw new Error('power cut');
      const value = Reflect.get(target, name) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  await assert.rejects(
    sentTransactionsTogether.run({ store: breaking, cursor: undefined, save: () => assert.fail() }),
    /power cut/,
  );
  assert.equal((await store.list(oldTransactions, { limit: 2_000 })).length, 701);
  await store.close();
  const migrated = await openStore({ directory, clock, serverName: 'test' });
  try {
    assert.equal(migrated.get(meta, ['format']), 2);
    for (let n = 201; n <= 1_200; n++) assert.equal(sentEvent(migrated, txn(`m${n}`)), n);
    assert.equal(sentEvent(migrated, txn('lost', { path: 'path' })), undefined);
    assert.deepEqual(await migrated.list(oldTransactions, { limit: 1 }), []);
  } finally {
    await migrated.close();
  }
});
