import assert from 'node:assert/strict';
import { createHook } from 'node:async_hooks';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { collectAtRest, keepTick, thisProcess } from '#cli/rest.js';
import { SimulatedClock } from '#util/clock.js';

const STEP_MS = 500;

/** Runs through half seconds with these busy shares, requests in those that are busy; tells in which a collection began and ended. */
function collectedIn(shares: readonly number[]): [begun: number, ended: number | undefined][] {
  const clock = new SimulatedClock();
  const startMs = clock.monotonicMs();
  const step = (): number => (clock.monotonicMs() - startMs) / STEP_MS;
  const collected: [number, number | undefined][] = [];
  const rests: number[] = [];
  let looks = 0;
  let asked = 0;
  const following = collectAtRest(
    clock,
    {
      atRest: () => {
        assert.equal(collected.length, rests.length, 'what is let go of is so before it is collected');
        rests.push(step() - 1);
      },
      onLook: () => looks++,
    },
    {
      busyShare: () => {
        const since = shares.slice(asked, step());
        asked = step();
        return since.reduce((sum, share) => sum + share, 0) / Math.max(1, since.length);
      },
      collect: () => {
        if (collected.length < rests.length) collected.push([step() - 1, undefined]);
      },
      endCollecting: () => {
        collected.at(-1)![1] = step() - 1;
      },
    },
  );
  for (const share of shares) {
    if (share > 0) following.request();
    clock.advance(STEP_MS);
  }
  following.stop();
  const before = looks;
  assert.ok(before > 0);
  clock.advance(60_000);
  assert.equal(looks, before, 'it looks no more once it is stopped');
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
  const spread = Array.from({ length: 60 }, (_, i) => (i % 2 === 0 ? 0.19 : 0));
  // Each time 95 ms: the twenty-second makes two seconds.
  assert.deepEqual(collectedIn([0, 0, 0, 0, ...spread]), [
    [0, 1],
    [4 + 2 * 21 + 1, 4 + 2 * 22],
  ]);
});

test('while nothing happens it looks seldom, and half a second after a request', () => {
  const clock = new SimulatedClock();
  const looksAt: number[] = [];
  const steps: string[] = [];
  const following = collectAtRest(
    clock,
    { atRest: () => {} },
    {
      busyShare: () => {
        looksAt.push(clock.monotonicMs());
        return 0;
      },
      collect: () => steps.push('collect'),
      endCollecting: () => steps.push('end'),
    },
  );
  const first = 500;
  clock.advance(first);
  for (let ms = 0; ms < 70_000; ms += 100) {
    // Several at once, while it looks often anyway.
    if (ms === 40_000 || ms === 40_100) following.request();
    clock.advance(100);
  }
  following.stop();
  assert.deepEqual(
    looksAt.map((ms) => ms - first),
    // It collects twice, ends that, looks again, and dozes; at the request it counts what was before.
    [0, 250, 500, 1_000, 31_000, 40_000, 40_500],
  );
  assert.deepEqual(steps, ['collect', 'collect', 'end']);
});

test('one heavy request after a long rest is work', () => {
  // Over all of the rest before it, it would be hardly any.
  const quiet = new Array<number>(40).fill(0);
  assert.deepEqual(collectedIn([...quiet, 0.5, 0, 0]), [
    [0, 1],
    [41, 42],
  ]);
});

test('stopped amid a collection, it leaves V8 to itself', () => {
  const clock = new SimulatedClock();
  const steps: string[] = [];
  const following = collectAtRest(
    clock,
    { atRest: () => {} },
    {
      busyShare: () => 0,
      collect: () => steps.push('collect'),
      endCollecting: () => steps.push('end'),
    },
  );
  clock.advance(500);
  following.stop();
  assert.deepEqual(steps, ['collect', 'end']);
});

test('collecting is no work, however busy the loop is with it', () => {
  assert.deepEqual(collectedIn([0, 0.3, 0, 0]), [[0, 1]]);
});

test('what nothing holds any more is gone once garbage is collected, and half of the young space with it', {
  timeout: 5_000,
}, async (t) => {
  const young = (): number => getHeapSpaceStatistics().find((space) => space.space_name === 'new_space')!.space_size;
  // Both halves are in use once what is young has been looked through.
  let turns = 0;
  for (const fullBytes = 2 * young(); young() < fullBytes && turns < 10_000; turns++) new Array(1_000).fill(turns);
  // As a server's loop does, this one lives on.
  const awake = setInterval(() => {}, 1_000);
  t.after(() => clearInterval(awake));
  // A weak reference would hold on to its object in each turn that asks it.
  let registry: FinalizationRegistry<undefined> | undefined;
  const gone = new Promise<number>((resolve) => {
    registry = new FinalizationRegistry(() => resolve(young()));
    registry.register({}, undefined);
  });
  const before = young();
  const process = thisProcess();
  process.collect();
  const after = await gone;
  process.endCollecting();
  assert.ok(after <= before / 2, `${after} of ${before}`);
  assert.ok(registry !== undefined, 'it is held until here');
});

test('an object of process.nextTick outlives every collection', async () => {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  const ticks: WeakRef<object>[] = [];
  const hook = createHook({
    init(_id, type, _trigger, resource) {
      if (type === 'TickObject') ticks.push(new WeakRef(resource));
    },
  }).enable();
  keepTick();
  process.nextTick(() => {});
  hook.disable();
  await setImmediate();
  for (let pass = 0; pass < 2; pass++) collectGarbage();
  assert.deepEqual(
    ticks.map((tick) => tick.deref() !== undefined),
    [true, false],
  );
});
