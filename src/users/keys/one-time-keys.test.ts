import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MatrixError } from '#core/errors.js';
import type { JsonValue } from '#core/json-value.js';
import { openStore } from '#store/db.js';
import { keyQueues, oneTimeKeyIds, oneTimeKeys } from '#store/schema.js';
import { FaultyDb, openTestStore } from '#store/testing.js';
import type { Store } from '#store/types.js';
import { addOneTimeKeys, claimKey, dropOneTimeKeys, keyCounts, setFallbackKeys } from '#users/keys/one-time-keys.js';

const A = 'signed_curve25519';
const ALICE = '@alice:test';

const key = (n: number): [string, JsonValue] => [`${A}:${n}`, { key: `key ${n}` }];
const keys = (from: number, to: number): [string, JsonValue][] =>
  Array.from({ length: to - from }, (_, i) => key(from + i));

const add = (store: Store, ...added: [string, JsonValue][]): Promise<void> =>
  store.commit((tx) => addOneTimeKeys(tx, ALICE, 'D', added));
const claim = (store: Store, algorithm = A): Promise<string | undefined> =>
  store.commit((tx) => claimKey(tx, ALICE, 'D', algorithm)?.id);
const left = (store: Store): number | undefined => keyCounts(store, ALICE, 'D').oneTime[A];

async function rowsOf(store: Store): Promise<number> {
  const spaces = [oneTimeKeys, oneTimeKeyIds, keyQueues] as const;
  let rows = 0;
  for (const space of spaces) {
    for await (const _ of store.range<[string], unknown>(space as never)) rows++;
  }
  return rows;
}

test('keys are claimed in the order of their upload, each algorithm by itself', async () => {
  await using test = await openTestStore();
  const { store } = test;
  await add(store, key(9), key(10));
  await add(store, key(1), ['other:z', 'Z']);
  assert.deepEqual(keyCounts(store, ALICE, 'D').oneTime, { [A]: 3, other: 1 });
  const order = [await claim(store), await claim(store), await claim(store), await claim(store)];
  assert.deepEqual(order, [`${A}:9`, `${A}:10`, `${A}:1`, undefined]);
  assert.equal(await claim(store, 'other'), 'other:z');
  assert.equal(await claim(store, 'constructor'), undefined);
});

test('an upload that holds another key under an id that waits leaves everything as it was (T262)', async () => {
  await using test = await openTestStore();
  const { store } = test;
  await add(store, key(1));
  await assert.rejects(
    add(store, key(2), [`${A}:1`, { key: 'another' }]),
    (error) => error instanceof MatrixError && error.status === 400,
  );
  assert.equal(left(store), 1);
  await add(store, key(1), key(2));
  assert.equal(left(store), 2);
});

test('a device may have a thousand keys waiting and no more (T262)', async () => {
  await using test = await openTestStore();
  const { store } = test;
  await add(store, ...keys(0, 1_000));
  await assert.rejects(add(store, key(1_000)), MatrixError);
  await add(store, ...keys(0, 1_000));
  await claim(store);
  await add(store, key(1_000));
  assert.equal(left(store), 1_000);
});

test('a claimed key that is uploaded again is not claimed again, within the last two hundred', async () => {
  await using test = await openTestStore();
  const { store } = test;
  await add(store, ...keys(0, 300));
  for (let n = 0; n < 300; n++) await claim(store);
  await add(store, key(299), key(100));
  assert.equal(left(store), 0);
  await add(store, key(99));
  assert.equal(left(store), 1, 'older ones are forgotten');
  await add(store, [`${A}:299`, { key: 'of a client that began anew' }]);
  assert.equal(await claim(store), `${A}:99`);
  assert.equal(await claim(store), `${A}:299`);
  assert.equal(await rowsOf(store), 1 + 200 + 199, 'of 302 claimed keys 200 are held, two under one id');
});

test('nothing is left of a device that goes', async () => {
  await using test = await openTestStore();
  const { store } = test;
  await add(store, ...keys(0, 250), ['other:z', 'Z']);
  for (let n = 0; n < 220; n++) await claim(store);
  await store.commit((tx) => setFallbackKeys(tx, ALICE, 'D', [[`${A}:f`, { key: 'f' }]]));
  await store.commit((tx) => addOneTimeKeys(tx, ALICE, 'E', [key(1)]));
  await store.commit((tx) => dropOneTimeKeys(tx, ALICE, 'D'));
  assert.equal(await claim(store), undefined);
  assert.equal(await rowsOf(store), 3, 'another device has its own');
});

test('the fallback key is given when the others are gone, again and again, and is then used', async () => {
  await using test = await openTestStore();
  const { store } = test;
  const unused = (): readonly string[] => keyCounts(store, ALICE, 'D').unusedFallback;
  await store.commit((tx) => setFallbackKeys(tx, ALICE, 'D', [[`${A}:f`, { key: 'f' }]]));
  await add(store, key(1));
  assert.deepEqual(unused(), [A]);
  assert.equal(await claim(store), `${A}:1`);
  assert.deepEqual(unused(), [A]);
  assert.equal(await claim(store), `${A}:f`);
  assert.equal(await claim(store), `${A}:f`);
  assert.deepEqual(unused(), []);
  // The same key again is used still; another one is not.
  await store.commit((tx) => setFallbackKeys(tx, ALICE, 'D', [[`${A}:f`, { key: 'f' }]]));
  assert.deepEqual(unused(), []);
  await store.commit((tx) => setFallbackKeys(tx, ALICE, 'D', [[`${A}:g`, { key: 'g' }]]));
  assert.deepEqual(unused(), [A]);
});

test('ten thousand concurrent claims give no key twice (T262)', async () => {
  await using test = await openTestStore();
  const { store } = test;
  const claims: Promise<string | undefined>[] = [];
  for (let round = 0; round < 10; round++) {
    await add(store, ...keys(round * 1_000, (round + 1) * 1_000));
    for (let n = 0; n < 1_000; n++) claims.push(claim(store));
  }
  const ids = await Promise.all(claims);
  assert.equal(new Set(ids).size, 10_000);
  assert.ok(!ids.includes(undefined));
});

test('a claim is answered only once the key is gone from the disk (T262)', async () => {
  let db: FaultyDb | undefined;
  await using test = await openTestStore({
    dbIn: (directory) => {
      db = new FaultyDb(directory);
      return db;
    },
  });
  await add(test.store, key(1), key(2));
  db!.hold();
  let answered = false;
  const claimed = claim(test.store).then((id) => {
    answered = true;
    return id;
  });
  // Others never see a key that is on its way out, nor is it given to them.
  const next = claim(test.store);
  await new Promise(setImmediate);
  assert.equal(answered, false);
  db!.release();
  assert.deepEqual([await claimed, await next], [`${A}:1`, `${A}:2`]);
  await test.store.close();
  const reopened = await openStore({ directory: test.directory, clock: test.clock, serverName: 'test' });
  try {
    assert.equal(left(reopened), 0);
    await reopened.commit((tx) => addOneTimeKeys(tx, ALICE, 'D', [key(1)]));
    assert.equal(left(reopened), 0, 'still remembered');
  } finally {
    await reopened.close();
  }
});

test('handing out keys tells the device once, wherever it was', async () => {
  await using test = await openTestStore();
  const { store } = test;
  await add(store, ...keys(0, 5));
  for (let n = 0; n < 5; n++) await claim(store);
  const entries = await store.log(0, store.tip, 100);
  const counts = entries.filter(({ fact }) => fact.kind === 'keyCounts');
  assert.deepEqual(
    counts.map(({ position }) => position),
    [keyCounts(store, ALICE, 'D').position],
  );
});
