import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '#core/json-value.js';
import { toClientEvent } from '#rooms/client-form.js';
import { createRoom } from '#rooms/create.js';
import { go, openTestRooms, say, user } from '#rooms/testing.js';
import { users } from '#store/schema.js';

const [alice, bob, carol] = [user('alice'), user('bob'), user('carol')];

test('what an erased user said stays with those who were there, and is empty for who joins later', async () => {
  await using t = await openTestRooms();
  const roomId = await createRoom(t.rooms, { creator: alice, body: { preset: 'public_chat' } });
  await go(t.rooms, roomId, bob, 'join');
  const id = await say(t.rooms, roomId, alice, 'remember me not');
  await t.store.commit((tx) => tx.put(users, [alice], { createdTs: 0, deactivated: true, erased: true }));
  await go(t.rooms, roomId, carol, 'join');
  const stored = t.rooms.events.byId(t.store, id)!;
  const content = (viewer?: typeof alice): JsonObject =>
    toClientEvent(t.rooms, stored, viewer === undefined ? {} : { viewer })['content'] as JsonObject;
  assert.equal(content(bob)['body'], 'remember me not');
  assert.deepEqual(content(carol), {});
  assert.deepEqual(content(), {}, 'nor is it shown to anyone who looks in');
});
