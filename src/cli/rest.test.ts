import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collectAtRest, thisProcess } from '#cli/rest.js';
import { SimulatedClock } from '#util/clock.js';

/** Runs through ticks with these busy shares; tells after which of them garbage was collected. */
function collectedAfter(shares: readonly number[], heapBytes = 1e6): number[] {
  const clock = new SimulatedClock();
  const collected: number[] = [];
  let ticks = 0;
  const stop = collectAtRest(clock, {
    busyShare: () => shares[ticks++] ?? 0,
    heapBytes: () => heapBytes,
    collect: () => collected.push(ticks - 1),
  });
  for (const _ of shares) clock.advance(500);
  stop();
  clock.advance(5_000);
  assert.equal(ticks, shares.length, 'it looks no more once it is stopped');
  return collected;
}

test('garbage is collected once when work is followed by rest', () => {
  assert.deepEqual(collectedAfter([0.9, 0.3, 0.01, 0, 0, 0.5, 0.1, 0, 0]), [2, 7]);
});

test('starting is work', () => {
  assert.deepEqual(collectedAfter([0.1, 0, 0]), [1]);
});

test('a few requests every now and then are no work', () => {
  assert.deepEqual(collectedAfter([0, 0.1, 0, 0.15, 0, 0.05, 0]), [0]);
});

test('a heap that would hold the event loop for long is left to V8', () => {
  assert.deepEqual(collectedAfter([0.9, 0, 0], 100e6), []);
});

test('what nothing holds any more is gone once garbage is collected', async () => {
  const held = ((): WeakRef<object> => new WeakRef({}))();
  // A weak reference holds on to its object until the turn that made it is over.
  await new Promise((resolve) => setImmediate(resolve));
  thisProcess().collect();
  assert.equal(held.deref(), undefined);
});
