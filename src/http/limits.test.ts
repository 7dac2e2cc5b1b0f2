import assert from 'node:assert/strict';
import test from 'node:test';
import type { MatrixError } from '#core/errors.js';
import { createLimits, FIGURES } from '#http/limits.js';
import { SimulatedClock } from '#util/clock.js';

const figures = { ...FIGURES, send: { perSecond: 2, burst: 3 } };

test('past the burst a request is refused, with the time after which it passes (T273)', () => {
  const clock = new SimulatedClock();
  const limits = createLimits({ clock, mode: 'on', figures });
  for (let n = 0; n < 3; n++) limits.spend('send', '@alice:hs.test');
  assert.throws(
    () => limits.spend('send', '@alice:hs.test'),
    (error: MatrixError) => {
      assert.equal(error.errcode, 'M_LIMIT_EXCEEDED');
      assert.equal(error.status, 429);
      assert.equal(error.extra['retry_after_ms'], 500);
      return true;
    },
  );
  assert.equal(limits.allows('send', '@alice:hs.test'), false);
  clock.advance(499);
  assert.throws(() => limits.spend('send', '@alice:hs.test'));
  clock.advance(1);
  limits.spend('send', '@alice:hs.test');
});

test('classes, accounts and addresses have buckets of their own (T229, T273)', () => {
  const limits = createLimits({ clock: new SimulatedClock(), mode: 'on', figures });
  for (let n = 0; n < 3; n++) limits.spend('send', '2001:db8::1');
  assert.equal(limits.allows('send', '2001:db8::2'), false, 'the same /64');
  assert.equal(limits.allows('send', '2001:db8:0:1::1'), true);
  assert.equal(limits.allows('send', '@alice:hs.test'), true);
  assert.equal(limits.allows('join', '2001:db8::1'), true);
});

test('buckets are bounded, and addresses can not push accounts out', () => {
  const limits = createLimits({ clock: new SimulatedClock(), mode: 'on', figures, mostBuckets: 10 });
  for (let n = 0; n < 3; n++) limits.spend('send', '@alice:hs.test');
  for (let n = 0; n < 1000; n++) limits.spend('send', `10.0.${n >> 8}.${n & 255}`);
  assert.equal(limits.allows('send', '@alice:hs.test'), false);
});

test('T310: a clock that jumps back changes nothing', () => {
  const clock = new SimulatedClock();
  const limits = createLimits({ clock: Object.assign(clock, { now: () => 0 }), mode: 'on', figures });
  for (let n = 0; n < 3; n++) limits.spend('send', '@alice:hs.test');
  assert.equal(limits.allows('send', '@alice:hs.test'), false);
});

test('switched off, nothing is limited', () => {
  const limits = createLimits({ clock: new SimulatedClock(), mode: 'off' });
  for (let n = 0; n < 1000; n++) limits.spend('login', '192.0.2.1');
  assert.equal(limits.allows('login', '192.0.2.1'), true);
});
