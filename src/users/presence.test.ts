import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { UserId } from '#core/ids.js';
import { openTestStore } from '#store/testing.js';
import { Presences } from '#users/presence.js';
import type { Clock } from '#util/clock.js';

const ALICE = '@alice:test' as UserId;
const BOB = '@bob:test' as UserId;
const SECOND = 1_000;

test('who syncs no more is offline after half a minute, who does nothing is idle after five', async () => {
  await using opened = await openTestStore();
  const { store, clock } = opened;
  const startMs = clock.now();
  const presences = new Presences(store, clock);
  const told: [seconds: number, user: string, presence: unknown][] = [];
  const stop = store.onCommitted((entries) => {
    for (const { fact } of entries) {
      if (fact.kind !== 'presence') continue;
      told.push([(clock.now() - startMs) / SECOND, fact.user, presences.view(fact.user)?.content['presence']]);
    }
  });
  // Alice's client asks for her to be online, then goes on in the background, poll after poll.
  presences.syncing(ALICE, 'online')();
  for (let second = 0; second < 480; second += 30) {
    const end = presences.syncing(ALICE, 'unavailable');
    // Bob's asks every second for a while, and is gone.
    for (let i = 0; i < 29; i++) {
      if (second + i < 60) presences.syncing(BOB, 'unavailable')();
      clock.advance(SECOND);
    }
    end();
    clock.advance(SECOND);
  }
  assert.deepEqual(
    told.map(([, user, presence]) => [user, presence]),
    [
      [ALICE, 'online'],
      [BOB, 'unavailable'],
      [ALICE, 'unavailable'],
      [BOB, 'offline'],
    ],
  );
  const [, , idle, gone] = told.map(([seconds]) => seconds);
  // The online wish of a client that is gone counts for half a minute.
  assert.ok(idle! >= 30 && idle! <= 60, `${idle}`);
  assert.ok(gone! >= 88 && gone! <= 100, `${gone}`);
  clock.advance(40 * SECOND);
  assert.deepEqual(told.at(-1)?.slice(1), [ALICE, 'offline']);
  stop();
  presences.close();
});

test('who is online and does nothing for five minutes is idle', async () => {
  await using opened = await openTestStore();
  const { store, clock } = opened;
  const presences = new Presences(store, clock);
  const end = presences.syncing(ALICE, 'online');
  const presence = (): unknown => presences.view(ALICE)?.content['presence'];
  clock.advance(299 * SECOND);
  assert.equal(presence(), 'online');
  clock.advance(11 * SECOND);
  assert.equal(presence(), 'unavailable');
  presences.active(ALICE);
  assert.equal(presence(), 'online');
  end();
  presences.close();
});

test('clients that wait make nobody look, but when one of them may have gone', async () => {
  await using opened = await openTestStore();
  const { store, clock } = opened;
  let looks = 0;
  const counting = Object.assign(Object.create(clock) as Clock, {
    after: (ms: number, fn: () => void) =>
      clock.after(ms, () => {
        looks += 1;
        fn();
      }),
    monotonicMs: () => clock.monotonicMs(),
    now: () => clock.now(),
  });
  const presences = new Presences(store, counting);
  for (let poll = 0; poll < 10; poll++) {
    const ends = [ALICE, BOB].map((user) => presences.syncing(user, 'online'));
    clock.advance(30 * SECOND);
    for (const end of ends) end();
  }
  assert.ok(looks <= 11, `${looks}`);
  presences.close();
});
