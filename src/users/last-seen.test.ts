import assert from 'node:assert/strict';
import { test } from 'node:test';
import { levelIn } from '#store/db.js';
import type { KeyValueDb } from '#store/kv.js';
import { devices } from '#store/schema.js';
import { openTestStore } from '#store/testing.js';
import { LastSeen } from '#users/last-seen.js';

const USER = '@user:test';
const MANY = 450;
const nameOf = (i: number): string => `D${i}`;

test('devices seen are written at the end of the minute, a few hundred at a time, and known until then', async () => {
  const batches: number[] = [];
  const counting = (directory: string): KeyValueDb => {
    const db = levelIn(directory);
    const batch: KeyValueDb['batch'] = (rows, options) => {
      batches.push(rows.length);
      return db.batch(rows, options);
    };
    return new Proxy(db, { get: (target, name) => (name === 'batch' ? batch : Reflect.get(target, name)) });
  };
  await using opened = await openTestStore({ dbIn: counting });
  const { store, clock } = opened;
  await store.commit((tx) => {
    for (let i = 0; i < MANY; i++) tx.put(devices, [USER, nameOf(i)], { createdTs: 1 });
  });
  const lastSeen = new LastSeen(store, clock);
  for (let i = 0; i < MANY; i++) lastSeen.note(USER, nameOf(i), '192.0.2.1', 'client');
  const seenMs = clock.now();
  batches.length = 0;
  clock.advance(59_999);
  assert.deepEqual(batches, []);
  clock.advance(1);
  // While the first are being written, one of them is seen again.
  for (let i = 0; i < 5; i++) await undefined;
  lastSeen.note(USER, nameOf(0), '192.0.2.2', 'client');
  for (let i = 0; i < MANY; i++) {
    const isKnown = (): boolean =>
      lastSeen.pending(USER, nameOf(i)) !== undefined ||
      store.get(devices, [USER, nameOf(i)])?.lastSeenTs !== undefined;
    assert.ok(isKnown());
    if (i % 100 === 0) await store.settle();
    assert.ok(isKnown());
  }
  await lastSeen.close();
  // Beside the devices a batch has the journal's row, and at times the end of a block of positions.
  assert.ok(batches.length >= 3 && Math.max(...batches) <= 202, `${batches}`);
  for (let i = 0; i < MANY; i++) {
    assert.equal(lastSeen.pending(USER, nameOf(i)), undefined);
    const row = store.get(devices, [USER, nameOf(i)]);
    assert.equal(row?.lastSeenIp, i === 0 ? '192.0.2.2' : '192.0.2.1');
    assert.equal(row?.lastSeenTs, i === 0 ? clock.now() : seenMs);
  }
});
