import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OptimizeUnderLoad, STARTING_MS } from '#cli/compilers.js';
import { SimulatedClock } from '#util/clock.js';

/** A process that is busy as `share` says; tells at which look what was allowed. */
function simulated() {
  const clock = new SimulatedClock();
  const state = { share: 0, looks: 0, allowed: [] as boolean[] };
  const optimizing = new OptimizeUnderLoad(clock, {
    busyShare: () => {
      state.looks++;
      return state.share;
    },
    allow: (isAllowed) => state.allowed.push(isAllowed),
  });
  return { clock, state, optimizing };
}

test('V8 optimizes under load, and not while messages come one by one', () => {
  const { clock, state, optimizing } = simulated();
  clock.advance(STARTING_MS);
  optimizing.look();
  assert.deepEqual(state.allowed, [false], 'from the start on there is none');
  state.share = 0.3;
  optimizing.look();
  assert.deepEqual(state.allowed, [false]);
  state.share = 0.5;
  optimizing.look();
  optimizing.look();
  assert.deepEqual(state.allowed, [false, true]);
  state.share = 0.1;
  optimizing.look();
  assert.deepEqual(state.allowed, [false, true, false]);
});

test('nothing is optimized while the server starts, however busy it is', () => {
  const { clock, state, optimizing } = simulated();
  state.share = 1;
  optimizing.look();
  clock.advance(STARTING_MS - 1);
  optimizing.look();
  assert.deepEqual(state.allowed, []);
  clock.advance(1);
  optimizing.look();
  assert.deepEqual(state.allowed, [true]);
});

test('a burst of requests is noticed within 64 of them, and few requests cause no look', () => {
  const { clock, state, optimizing } = simulated();
  clock.advance(STARTING_MS);
  for (let i = 0; i < 31; i++) optimizing.request();
  assert.equal(state.looks, 0);
  // The first look is at the rest before it too.
  optimizing.request();
  state.share = 0.9;
  for (let i = 0; i < 32; i++) optimizing.request();
  assert.equal(state.looks, 2);
  assert.deepEqual(state.allowed, [false, true]);
});
