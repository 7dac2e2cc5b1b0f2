// Client-server API, Room tagging.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, ofUser } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

test('a room is tagged, the tags come by sync, and go again', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  await alice.sync();
  const tag = ofUser(alice, 'rooms', room, 'tags', 'm.favourite');
  await alice.ok('PUT', tag, { order: 0.25 });
  const tags = await alice.syncUntil<Body>(
    (body) => body['rooms']?.join?.[room]?.account_data?.events?.find((e: Body) => e['type'] === 'm.tag')?.content.tags,
  );
  assert.deepEqual(tags, { 'm.favourite': { order: 0.25 } });
  assert.deepEqual((await alice.ok('GET', ofUser(alice, 'rooms', room, 'tags')))['tags'], tags);
  await alice.ok('DELETE', tag);
  assert.deepEqual((await alice.ok('GET', ofUser(alice, 'rooms', room, 'tags')))['tags'], {});
});

test('tags of a room without any are none', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  assert.deepEqual((await alice.ok('GET', ofUser(alice, 'rooms', room, 'tags')))['tags'], {});
});

test('tags are private to their user (T252, T286)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await alice.ok('PUT', ofUser(alice, 'rooms', room, 'tags', 'u.mine'), {});
  await bob.fails(403, 'M_FORBIDDEN', 'GET', ofUser(alice, 'rooms', room, 'tags'));
  await bob.fails(403, 'M_FORBIDDEN', 'PUT', ofUser(alice, 'rooms', room, 'tags', 'u.his'), {});
  assert.ok(!JSON.stringify(await bob.sync()).includes('u.mine'));
});

test('names that mean something to JavaScript are tags like others', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  for (const name of ['__proto__', 'constructor', 'toString']) {
    await alice.ok('PUT', ofUser(alice, 'rooms', room, 'tags', name), { order: 0.5 });
  }
  const { tags } = await alice.ok('GET', ofUser(alice, 'rooms', room, 'tags'));
  assert.deepEqual(Object.keys(tags).sort(), ['__proto__', 'constructor', 'toString']);
});

test('an order that is no number is a bad request', synapseDiffers('takes any order'), async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  const answer = await alice.request('PUT', ofUser(alice, 'rooms', room, 'tags', 'u.x'), { order: 'first' });
  assert.equal(answer.status, 400);
});
