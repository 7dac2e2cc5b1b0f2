import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSyncFilter } from '#core/filter.js';
import type { UserId } from '#core/ids.js';
import { stringifyJson } from '#core/json-text.js';
import { type JsonObject, JsonText, type JsonValue } from '#core/json-value.js';
import { createRoom } from '#rooms/create.js';
import { openTestRooms, say } from '#rooms/testing.js';
import { HeldAnswers } from '#sync/held-answers.js';
import { openSync } from '#sync/open.js';
import { sync } from '#sync/sync.js';
import { DEFAULT_USERS_OPTIONS, openUsers } from '#users/users.js';
import { SimulatedClock } from '#util/clock.js';
import { seededRandom } from '#util/random.js';

const alice = '@alice:test' as UserId;

function answer(letters: number): JsonObject {
  const room = new JsonText(Buffer.from(JSON.stringify({ body: 'é'.repeat(letters) })));
  return { next_batch: '7', rooms: { join: { '!r:x': room as unknown as JsonValue } } };
}

test('large answers are kept as they are, compressed or not, and small ones are not', async () => {
  const held = new HeldAnswers(new SimulatedClock());
  for (const letters of [50_000, 500_000]) {
    const body = answer(letters);
    await held.keep('k', body, 7);
    const found = await held.find('k', 7);
    assert.ok(found !== undefined);
    assert.equal(stringifyJson(found), stringifyJson(body));
  }
  await held.keep('small', answer(100), 7);
  assert.equal(await held.find('small', 7), undefined);
  held.close();
});

test('an answer holds while nothing new concerns the user, and not for long', async () => {
  const clock = new SimulatedClock();
  const held = new HeldAnswers(clock);
  await held.keep('k', answer(50_000), 7);
  assert.equal(await held.find('k', 8), undefined);
  assert.ok(await held.find('k', 7));
  clock.advance(30_000);
  assert.equal(await held.find('k', 7), undefined);
  held.close();
});

test('a large answer is given again while it is being compressed', async () => {
  const held = new HeldAnswers(new SimulatedClock());
  const kept = held.keep('k', answer(500_000), 7);
  const again = held.keep('k', answer(500_001), 8);
  assert.equal(stringifyJson((await held.find('k', 8)) ?? {}), stringifyJson(answer(500_001)));
  await Promise.all([kept, again]);
  assert.equal(stringifyJson((await held.find('k', 8)) ?? {}), stringifyJson(answer(500_001)));
  held.close();
});

test('the end of one answer is not that of those that came later', async () => {
  const clock = new SimulatedClock();
  const held = new HeldAnswers(clock);
  await held.keep('one', answer(50_000), 7);
  clock.advance(20_000);
  await held.keep('two', answer(50_000), 7);
  clock.advance(15_000);
  assert.equal(await held.find('one', 7), undefined);
  assert.ok(await held.find('two', 7));
  await held.keep('two', answer(50_000), 8);
  clock.advance(15_000);
  assert.ok(await held.find('two', 8), 'nor is that of what it took the place of');
  clock.advance(15_000);
  assert.equal(await held.find('two', 8), undefined);
  held.close();
});

test('an initial sync that is asked for again is given again until something happens', async () => {
  await using t = await openTestRooms();
  const { store, clock } = t;
  const users = openUsers({
    store,
    clock,
    random: seededRandom('users'),
    serverName: t.rooms.serverName,
    rooms: { leave: async () => {}, showProfile: async () => {} },
    options: DEFAULT_USERS_OPTIONS,
    onTaskError: (error) => assert.fail(String(error)),
  });
  const layer = openSync(t.rooms, users);
  const room = await createRoom(t.rooms, { creator: alice, body: { preset: 'private_chat' } });
  const initial = async (repeatKey: string) => {
    const body = await sync(layer, {
      viewer: { user: alice, device: 'D', pair: `${alice} D` },
      since: undefined,
      filter: parseSyncFilter({}),
      fullState: false,
      useStateAfter: false,
      asText: true,
      repeatKey,
      timeoutMs: 0,
      signal: new AbortController().signal,
    });
    const read = JSON.parse(stringifyJson(body));
    const last = read.rooms.join[room].timeline.events.at(-1);
    return { next: read.next_batch, body: last.content.body.slice(0, 5), age: last.unsigned.age };
  };

  await say(t.rooms, room, alice, `first ${'x'.repeat(40_000)}`);
  const first = await initial('a');
  clock.advance(5_000);
  assert.deepEqual(await initial('a'), first, 'the very same, its ages too');
  assert.equal((await initial('b')).age, first.age + 5_000, 'in other words it is another request');
  await say(t.rooms, room, alice, `other ${'x'.repeat(40_000)}`);
  assert.equal((await initial('a')).body, 'other');
  layer.close();
});
