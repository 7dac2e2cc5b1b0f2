import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collectAtRest, thisProcess } from '#cli/rest.js';
import { SimulatedClock } from '#util/clock.js';

/** Runs through ticks with these busy shares; tells in which of them a collection began and ended. */
function collectedIn(shares: readonly number[]): [begun: number, ended: number | undefined][] {
  const clock = new SimulatedClock();
  const collected: [number, number | undefined][] = [];
  let ticks = 0;
  const stop = collectAtRest(clock, {
    busyShare: () => shares[ticks++] ?? 0,
    beginCollecting: () => collected.push([ticks - 1, undefined]),
    endCollecting: () => {
      collected.at(-1)![1] = ticks - 1;
    },
  });
  for (const _ of shares) clock.advance(500);
  stop();
  clock.advance(5_000);
  assert.equal(ticks, shares.length, 'it looks no more once it is stopped');
  return collected;
}

test('garbage is collected once when work is followed by rest', () => {
  assert.deepEqual(collectedIn([0.9, 0.3, 0.01, 0, 0, 0.5, 0.1, 0, 0, 0]), [
    [2, 3],
    [7, 8],
  ]);
});

test('starting is work', () => {
  assert.deepEqual(collectedIn([0.1, 0, 0]), [[1, 2]]);
});

test('a few requests every now and then are no work', () => {
  assert.deepEqual(collectedIn([0, 0, 0.1, 0, 0.15, 0, 0.05, 0]), [[0, 1]]);
});

test('many of them are', () => {
  const spread = Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? 0.19 : 0));
  // 95 ms each: the twenty-second makes two seconds.
  assert.deepEqual(collectedIn([0, 0, ...spread]), [
    [0, 1],
    [2 + 2 * 21 + 1, 2 + 2 * 22],
  ]);
});

test('collecting is no work, however busy the loop is with it', () => {
  assert.deepEqual(collectedIn([0, 0.3, 0, 0]), [[0, 1]]);
});

test('what nothing holds any more is gone once garbage is collected', { timeout: 30_000 }, async () => {
  // Weak references are looked at only when the whole heap is. One holds on to its object until the turn that made it is over.
  const held = ((): WeakRef<object> => new WeakRef({}))();
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  await turn();
  const process = thisProcess();
  process.beginCollecting();
  while (held.deref() !== undefined) await turn();
  process.endCollecting();
});
