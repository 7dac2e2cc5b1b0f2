import assert from 'node:assert/strict';
import { test } from 'node:test';
import { httpDate, isoTime } from '#util/date.js';

const TIMES = [
  0, 999, 1_000, 951_782_399_999, 951_782_400_000, 1_764_497_103_007, 4_102_444_799_999, 253_402_300_799_999,
];

test('dates are written as JavaScript writes them', () => {
  for (const ms of TIMES) {
    assert.equal(isoTime(ms), new Date(ms).toISOString());
    assert.equal(httpDate(ms), new Date(ms).toUTCString());
    assert.equal(httpDate(ms), new Date(ms).toUTCString(), 'and the same again');
  }
});
