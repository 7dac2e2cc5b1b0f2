// Client-server API, Typing notifications.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, inRoom, saying } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';

const hs = await homeserver();
test.after(() => hs.stop());

/** Who types in the room by a sync answer; undefined where it does not say. */
const typing =
  (room: string) =>
  (body: Body): string[] | undefined =>
    body['rooms']?.join?.[room]?.ephemeral?.events?.find((e: Body) => e['type'] === 'm.typing')?.content.user_ids;

test('others see who types, and who stops', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await alice.sync();
  await bob.setTyping(room, true);
  assert.deepEqual(await alice.syncUntil(typing(room)), [bob.userId]);
  await bob.setTyping(room, false);
  assert.deepEqual(await alice.syncUntil(typing(room)), []);
});

test('typing ends by itself', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await alice.sync();
  await bob.ok('PUT', inRoom(room, 'typing', bob.userId), { typing: true, timeout: 300 });
  assert.deepEqual(await alice.syncUntil(typing(room)), [bob.userId]);
  assert.deepEqual(await alice.syncUntil(typing(room)), []);
});

test('who sends a message has stopped typing, or not, but who leaves has', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await alice.sync();
  await bob.setTyping(room, true);
  assert.deepEqual(await alice.syncUntil(typing(room)), [bob.userId]);
  await bob.leave(room);
  assert.deepEqual(await alice.syncUntil(typing(room)), []);
});

test('nobody types for someone else, or in a room they are not in (T254)', async () => {
  const [alice, bob, mallory] = await hs.users('alice', 'bob', 'mallory');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  const body = { typing: true, timeout: 1000 };
  const answer = await bob.request('PUT', inRoom(room, 'typing', alice.userId), body);
  assert.equal(answer.body['errcode'], 'M_FORBIDDEN');
  assert.ok([400, 403].includes(answer.status), 'the specification names no status');
  await mallory.fails(403, 'M_FORBIDDEN', 'PUT', inRoom(room, 'typing', mallory.userId), body);
});

test('typing is not shown to who is not in the room, or has left (T286)', async () => {
  const [alice, bob, carol] = await hs.users('alice', 'bob', 'carol');
  const [room, other] = [await alice.createRoom({ preset: 'public_chat' }), await alice.createRoom()];
  await Promise.all([bob.join(room), carol.join(room)]);
  await carol.sync();
  await carol.leave(room);
  await alice.invite(other, carol.userId);
  await bob.setTyping(room, true);
  await alice.setTyping(other, true);
  await carol.sync();
  await carol.join(other);
  await alice.say(other, 'here we are');
  let seen: string[] | undefined;
  await carol.syncUntil((body) => {
    seen ??= typing(room)(body);
    return saying(other, 'here we are')(body);
  });
  assert.equal(seen, undefined);
});
