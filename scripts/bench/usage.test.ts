import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Usage } from './usage.js';

/** Seconds of processor time of this process so far. */
function used(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

test('processor time is counted from where the count began, and finer than in ticks', () => {
  const before = used();
  const count = new Usage(process.pid).countCpu();
  const begun = used();
  while (used() < begun + 0.005);
  const least = used() - begun;
  const counted = count();
  const most = used() - before;
  // The system tells either with a little delay.
  assert.ok(counted > 0.8 * least && counted < 1.2 * most, `${least} to ${most} s were used, ${counted} s counted`);
});

test('of a process that is not there, there is nothing to count', () => {
  assert.throws(() => new Usage(2 ** 22 + 1).countCpu(), /no processor time/);
});
