import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atOnce } from '#util/at-once.js';

test('results come in the order of the items, and no more run at a time than asked for', async () => {
  let running = 0;
  let most = 0;
  const results = await atOnce([3, 1, 2, 0, 5], 2, async (turns) => {
    most = Math.max(most, ++running);
    for (let i = 0; i < turns; i++) await Promise.resolve();
    running--;
    return turns * 10;
  });
  assert.deepEqual(results, [30, 10, 20, 0, 50]);
  assert.equal(most, 2);
  assert.deepEqual(await atOnce([], 4, async () => 1), []);
});

test('an error ends the rest, after what had begun', async () => {
  const ended: number[] = [];
  const work = async (item: number): Promise<void> => {
    await Promise.resolve();
    if (item === 1) throw new Error('one');
    await Promise.resolve();
    ended.push(item);
  };
  await assert.rejects(atOnce([0, 1, 2, 3], 2, work), /one/);
  assert.deepEqual(ended, [0], 'what ran beside it ended, and nothing was begun after it');
});
