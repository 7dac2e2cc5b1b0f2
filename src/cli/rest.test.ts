import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { collectAtRest, thisProcess } from '#cli/rest.js';
import { SimulatedClock } from '#util/clock.js';

/** Runs through ticks with these busy shares; tells in which of them a collection began and ended. */
function collectedIn(shares: readonly number[]): [begun: number, ended: number | undefined][] {
  const clock = new SimulatedClock();
  const collected: [number, number | undefined][] = [];
  let ticks = 0;
  const rests: number[] = [];
  const atRest = (): void => {
    assert.equal(collected.length, rests.length, 'what is let go of is so before it is collected');
    rests.push(ticks - 1);
  };
  let looks = 0;
  const stop = collectAtRest(
    clock,
    { atRest, onLook: () => looks++ },
    {
      busyShare: () => shares[ticks++] ?? 0,
      beginCollecting: () => collected.push([ticks - 1, undefined]),
      endCollecting: () => {
        collected.at(-1)![1] = ticks - 1;
      },
    },
  );
  while (ticks < shares.length) clock.advance(500);
  stop();
  clock.advance(5_000);
  assert.equal(ticks, shares.length, 'it looks no more once it is stopped');
  assert.equal(looks, ticks);
  assert.deepEqual(
    rests,
    collected.map(([begun]) => begun),
  );
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
  const spread = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? 0.19 : 0));
  // In two seconds 380 ms, then, each time in the second after a rest, 190 ms: the tenth makes two seconds.
  assert.deepEqual(collectedIn([0, 0, 0, 0, ...spread]), [
    [0, 1],
    [4 + 2 * 9 + 1, 4 + 2 * 10],
  ]);
});

test('while nothing happens it looks seldom, and often again once something does', () => {
  const clock = new SimulatedClock();
  const looksAt: number[] = [];
  const shares = [0, 0, 0, 0, 0, 0.1, 0.1, 0];
  const stop = collectAtRest(
    clock,
    { atRest: () => {} },
    {
      busyShare: () => shares[looksAt.push(clock.monotonicMs()) - 1] ?? 0,
      beginCollecting: () => {},
      endCollecting: () => {},
    },
  );
  while (looksAt.length < shares.length) clock.advance(500);
  stop();
  const first = looksAt[0]!;
  assert.deepEqual(
    looksAt.map((ms) => ms - first),
    [0, 500, 1_500, 3_500, 5_500, 7_500, 8_000, 8_500],
  );
});

test('stopped amid a collection, it leaves V8 to itself', () => {
  const clock = new SimulatedClock();
  const steps: string[] = [];
  const stop = collectAtRest(
    clock,
    { atRest: () => {} },
    {
      busyShare: () => 0,
      beginCollecting: () => steps.push('begin'),
      endCollecting: () => steps.push('end'),
    },
  );
  clock.advance(500);
  stop();
  assert.deepEqual(steps, ['begin', 'end']);
});

test('collecting is no work, however busy the loop is with it', () => {
  assert.deepEqual(collectedIn([0, 0.3, 0, 0]), [[0, 1]]);
});

test('what nothing holds any more is gone once garbage is collected', { timeout: 5_000 }, async (t) => {
  const megabytes = (count: number): unknown[] =>
    Array.from({ length: 16 * count }, () => new Array<number>(8_192).fill(0.5));
  // V8 looks through no less than 8 MB, some of which have to have become old since it last did.
  const kept = megabytes(20);
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (options?: { type: 'minor' }) => void;
  collect();
  kept.push(...megabytes(4));
  for (const _ of ['seen once', 'old']) collect({ type: 'minor' });
  // As a server's loop does, this one lives on.
  const awake = setInterval(() => {}, 1_000);
  t.after(() => clearInterval(awake));
  // A weak reference would hold on to its object in each turn that asks it.
  let registry: FinalizationRegistry<undefined> | undefined;
  const gone = new Promise<void>((resolve) => {
    registry = new FinalizationRegistry(() => resolve());
    registry.register({}, undefined);
  });
  const process = thisProcess();
  process.beginCollecting();
  await gone;
  process.endCollecting();
  assert.ok(kept.length > 0 && registry !== undefined, 'both are held until here');
});
