import assert from 'node:assert/strict';
import test from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { SimulatedClock } from '#util/clock.js';
import { type Log, silentLog } from '#util/log.js';
import { Tasks } from '#util/tasks.js';

test('a task that fails is logged and started again, later each time', async () => {
  const clock = new SimulatedClock();
  const errors: unknown[] = [];
  const log: Log = { ...silentLog, error: (_, fields) => errors.push(fields?.['waitMs']) };
  const tasks = new Tasks(clock, log);
  let runs = 0;
  tasks.start(
    'flaky',
    async () => {
      if (++runs < 4) throw new Error('not yet');
    },
    { firstMs: 100, lastMs: 250 },
  );
  for (const waitMs of [100, 200, 250]) {
    await turn();
    const before = runs;
    clock.advance(waitMs - 1);
    await turn();
    assert.equal(runs, before);
    clock.advance(1);
    await turn();
    assert.equal(runs, before + 1);
  }
  assert.deepEqual(errors, [100, 200, 250]);
  assert.deepEqual(tasks.names, []);
});

test('wake ends the wait, settle waits for the busy, dispose stops all', async () => {
  const clock = new SimulatedClock();
  const tasks = new Tasks(clock, silentLog);
  let finish = (): void => {};
  let rounds = 0;
  const task = tasks.start('loop', async ({ signal, idle, busy }) => {
    while (!signal.aborted) {
      const done = busy();
      rounds++;
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      done();
      await idle(60_000);
    }
  });
  await turn();
  let isSettled = false;
  const settled = tasks.settle().then(() => {
    isSettled = true;
  });
  await turn();
  assert.equal(isSettled, false);
  finish();
  await settled;
  assert.equal(rounds, 1);
  task.wake();
  await turn();
  assert.equal(rounds, 2);
  finish();
  await turn();
  assert.equal(rounds, 2);
  await tasks.dispose();
  assert.deepEqual(tasks.names, []);
  tasks.start('late', async () => {
    rounds++;
  });
  await turn();
  assert.equal(rounds, 2);
});
