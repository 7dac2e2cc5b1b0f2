import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fitsAlready, outputSize, standardSize } from '#media/thumbnail-size.js';

const scale = (width: number, height: number) => ({ width, height, method: 'scale' }) as const;
const crop = (width: number, height: number) => ({ width, height, method: 'crop' }) as const;

test('the standard size is never below what was asked for', () => {
  assert.deepEqual(standardSize(scale(320, 240)), scale(320, 240));
  assert.deepEqual(standardSize(scale(321, 10)), scale(640, 480));
  assert.deepEqual(standardSize(crop(96, 96)), crop(96, 96));
  assert.deepEqual(standardSize(crop(97, 20)), crop(128, 32));
  assert.equal(standardSize(scale(1601, 10)), undefined);
  assert.equal(standardSize(crop(10, 5000)), undefined);
});

test('whatever is asked for, few sizes are made (T215)', () => {
  const made = new Set<string>();
  for (let side = 1; side <= 3000; side++) {
    for (const wanted of [scale(side, side), scale(side, 1), scale(1, side)])
      made.add(JSON.stringify(standardSize(wanted)));
  }
  assert.ok(made.size <= 7, `${made.size}`);
});

test('scaling keeps the shape, cropping fills the size, and nothing grows (T215)', () => {
  assert.deepEqual(outputSize({ width: 1000, height: 500 }, scale(320, 240)), { width: 320, height: 160 });
  assert.deepEqual(outputSize({ width: 1000, height: 500 }, crop(96, 96)), { width: 96, height: 96 });
  assert.deepEqual(outputSize({ width: 2000, height: 20 }, crop(32, 32)), { width: 32, height: 20 });
  assert.deepEqual(outputSize({ width: 10_000, height: 1 }, scale(32, 32)), { width: 32, height: 1 });
  assert.equal(fitsAlready({ width: 32, height: 32 }, crop(32, 32)), true);
  assert.equal(fitsAlready({ width: 33, height: 1 }, scale(32, 32)), false);
});
