import assert from 'node:assert/strict';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { test } from 'node:test';
import { Passwords } from '#users/passwords.js';

test('a password matches its hash, in any Unicode form of it (T229, T230)', async () => {
  const passwords = new Passwords();
  const hash = await passwords.hash('pa\u0301ss');
  assert.match(hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  assert.equal(await passwords.verify(hash, 'p\u00e1ss'), true);
  assert.equal(await passwords.verify(hash, 'pass'), false);
  assert.equal(await passwords.verify(undefined, 'the password of nobody'), false);
});

test('what can not be a password is refused before hashing (T230)', async () => {
  const passwords = new Passwords();
  await assert.rejects(passwords.hash('x'.repeat(513)), { errcode: 'M_INVALID_PARAM' });
  await assert.rejects(passwords.hash('\u20ac'.repeat(171)), { errcode: 'M_INVALID_PARAM' });
  await assert.rejects(passwords.hash('a\0b'), { errcode: 'M_INVALID_PARAM' });
  await assert.rejects(passwords.hash('\ud800'), { errcode: 'M_INVALID_PARAM' });
  await assert.rejects(passwords.hash(''), { errcode: 'M_WEAK_PASSWORD' });
});

test('an unknown user costs the time of a known one (T229)', async () => {
  const passwords = new Passwords();
  const hash = await passwords.hash('secret');
  // The shortest of several, taken in turns: other work on the machine only ever adds.
  const shortest = { known: Number.POSITIVE_INFINITY, unknown: Number.POSITIVE_INFINITY };
  for (let n = 0; n < 10; n++) {
    for (const who of ['known', 'unknown'] as const) {
      const began = performance.now();
      assert.equal(await passwords.verify(who === 'known' ? hash : undefined, 'a guess'), false);
      shortest[who] = Math.min(shortest[who], performance.now() - began);
    }
  }
  const ratio = shortest.unknown / shortest.known;
  assert.ok(ratio > 0.3 && ratio < 3, JSON.stringify(shortest));
});

test('many logins at once leave the event loop free, and too many are refused (T231)', async () => {
  const passwords = new Passwords();
  const hash = await passwords.hash('secret');
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  const results = await Promise.allSettled(Array.from({ length: 140 }, () => passwords.verify(hash, 'secret')));
  delay.disable();
  const refused = results.filter((result) => result.status === 'rejected');
  assert.equal(refused.length, 10);
  for (const { reason } of refused) assert.equal(reason.errcode, 'M_LIMIT_EXCEEDED');
  assert.ok(delay.percentile(90) < 100e6, `the loop was held up for ${delay.percentile(90) / 1e6} ms`);
  assert.equal(await passwords.verify(hash, 'secret'), true);
});
