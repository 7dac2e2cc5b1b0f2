import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '#core/json-value.js';
import { toClientEvent } from '#rooms/client-form.js';
import { createRoom } from '#rooms/create.js';
import { shownTo, textOfState } from '#rooms/erasure.js';
import { findRoom } from '#rooms/rooms.js';
import { sendEvent } from '#rooms/send.js';
import { summaryOf } from '#rooms/summary.js';
import { go, openTestRooms, say, setState, user } from '#rooms/testing.js';
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

test('whoever is in the room since before the erasure goes on seeing what they could see', async () => {
  await using t = await openTestRooms();
  const roomId = await createRoom(t.rooms, { creator: alice, body: { preset: 'public_chat', name: 'Cinema' } });
  await go(t.rooms, roomId, bob, 'join');
  await t.store.commit((tx) => {
    tx.put(users, [alice], { createdTs: 0, deactivated: true, erased: true, erasedAt: tx.position() });
  });
  await go(t.rooms, roomId, carol, 'join');
  const { head } = findRoom(t.store, roomId)!;
  const nameFor = (viewer?: typeof alice) => textOfState(t.rooms, t.store, head.state, viewer, ['m.room.name', 'name']);
  assert.equal(nameFor(bob), 'Cinema', 'the name was set before bob came');
  assert.equal(nameFor(carol), undefined);
  assert.equal(summaryOf(t.rooms, findRoom(t.store, roomId)!).name, undefined);
  await go(t.rooms, roomId, bob, 'leave');
  await go(t.rooms, roomId, bob, 'join');
  assert.equal(nameFor(bob), undefined, 'who comes back is someone who comes later');
});

test('the reason of a redaction and the state that was replaced are hidden as well', async () => {
  await using t = await openTestRooms();
  const roomId = await createRoom(t.rooms, { creator: alice, body: { preset: 'public_chat' } });
  await go(t.rooms, roomId, bob, 'join');
  const target = await say(t.rooms, roomId, bob, 'x');
  const content = { redacts: target, reason: 'my words' };
  await sendEvent(t.rooms, { roomId, sender: alice, type: 'm.room.redaction', content });
  await setState(t.rooms, roomId, alice, 'm.room.topic', { topic: 'my words' });
  const replacing = await setState(t.rooms, roomId, alice, 'm.room.topic', { topic: 'more of them' });
  await t.store.commit((tx) => tx.put(users, [alice], { createdTs: 0, deactivated: true, erased: true }));
  await go(t.rooms, roomId, carol, 'join');
  for (const id of [target, replacing]) {
    const written = JSON.stringify(toClientEvent(t.rooms, t.rooms.events.byId(t.store, id)!, { viewer: carol }));
    assert.doesNotMatch(written, /words|more of/);
  }
});

test('erasure leaves newcomers the knowledge that a room is encrypted', async () => {
  await using t = await openTestRooms();
  const roomId = await createRoom(t.rooms, { creator: alice, body: { preset: 'public_chat' } });
  const algorithm = 'm.megolm.v1.aes-sha2';
  const id = await setState(t.rooms, roomId, alice, 'm.room.encryption', { algorithm, note: 'my words' });
  await t.store.commit((tx) => tx.put(users, [alice], { createdTs: 0, deactivated: true, erased: true }));
  await go(t.rooms, roomId, carol, 'join');
  assert.deepEqual(shownTo(t.rooms, t.store, t.rooms.events.byId(t.store, id)!, carol).content, { algorithm });
});
