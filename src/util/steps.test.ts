import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drive, driveInTurns, mapSteps } from '#util/steps.js';

test('a computation in steps gives the same at once and in turns, and others run in between', async () => {
  const items = Array.from({ length: 50 }, (_, n) => n);
  const squares = items.map((n) => n * n);
  assert.deepEqual(drive(mapSteps(items, (n) => n * n)), squares);
  const order: string[] = [];
  let running = true;
  const other = (): void => {
    order.push('other');
    if (running) setImmediate(other);
  };
  setImmediate(other);
  const done = driveInTurns(
    mapSteps(items, (n) => {
      order.push('step');
      return n * n;
    }),
    10,
  );
  assert.deepEqual(await done, squares);
  running = false;
  const longest = Math.max(
    ...order
      .join(' ')
      .split('other')
      .map((run) => run.split('step').length - 1),
  );
  assert.deepEqual([longest, order.filter((who) => who === 'other').length >= 4], [10, true]);
});

test('an error in a step ends it all', async () => {
  const broken = () =>
    mapSteps([1, 2], (n) => {
      if (n === 2) throw new Error('two');
    });
  assert.throws(() => drive(broken()), /two/);
  await assert.rejects(driveInTurns(broken(), 1), /two/);
});
