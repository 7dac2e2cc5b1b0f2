import assert from 'node:assert/strict';
import test from 'node:test';
import { LaneFullError, Lanes } from '#util/lanes.js';

function gate(): { open: () => void; passed: Promise<void> } {
  let open = (): void => {};
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, passed };
}

test('jobs of one key run in order, one at a time; other keys do not wait', async () => {
  const lanes = new Lanes<string>({ waiting: 10 });
  const first = gate();
  const said: string[] = [];
  const job = (name: string, until?: Promise<void>) => async () => {
    said.push(`${name} starts`);
    await until;
    said.push(`${name} ends`);
    return name;
  };
  const a = lanes.run('x', job('a', first.passed));
  const b = lanes.run('x', job('b'));
  assert.equal(await lanes.run('y', job('c')), 'c');
  assert.deepEqual(said, ['a starts', 'c starts', 'c ends']);
  first.open();
  assert.deepEqual(await Promise.all([a, b]), ['a', 'b']);
  assert.deepEqual(said.slice(3), ['a ends', 'b starts', 'b ends']);
});

test('a failing job rejects for its caller alone, and the lane goes on', async () => {
  const lanes = new Lanes<string>({ waiting: 10 });
  const failed = lanes.run('x', () => Promise.reject(new Error('broken')));
  const thrown = lanes.run('x', () => {
    throw new Error('thrown');
  });
  const next = lanes.run('x', async () => 5);
  await assert.rejects(failed, /broken/);
  await assert.rejects(thrown, /thrown/);
  assert.equal(await next, 5);
});

test('a full lane refuses, and an empty one is forgotten', async () => {
  const lanes = new Lanes<string>({ waiting: 1 });
  const first = gate();
  const running = lanes.run('x', () => first.passed);
  const waiting = lanes.run('x', async () => {});
  await assert.rejects(
    lanes.run('x', async () => {}),
    LaneFullError,
  );
  first.open();
  await Promise.all([running, waiting]);
  await lanes.settle();
  assert.equal(lanes.size, 0);
  await lanes.run('x', async () => {});
});
