// Client-server API, State events; Getting events for a room.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ClientEvent, inRoom, inTimeline } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';

const hs = await homeserver();
test.after(() => hs.stop());

test('state is set, read, replaced and read again', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  await alice.setState(room, 'm.room.topic', '', { topic: 'first' });
  await alice.setState(room, 'm.room.topic', '', { topic: 'second' });
  assert.equal((await alice.state(room, 'm.room.topic'))['topic'], 'second');
});

test('the state key may be left off the path, with and without a slash', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  for (const [i, end] of ['', '/'].entries()) {
    const path = inRoom(room, 'state', 'm.room.topic') + end;
    await alice.ok('PUT', path, { topic: `topic ${i}` });
    assert.equal((await alice.ok('GET', path))['topic'], `topic ${i}`);
  }
});

test('state keys with odd characters stay apart', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  const keys = ['a', 'a/b', 'a%2Fb', 'a b', 'ü', 'a\0b', '\u{10FFFF}', '🦊', '!', '__proto__', 'constructor'];
  for (const [n, key] of keys.entries()) await alice.setState(room, 'org.example.odd', key, { n });
  for (const [n, key] of keys.entries()) assert.deepEqual(await alice.state(room, 'org.example.odd', key), { n });
  await alice.fails(404, 'M_NOT_FOUND', 'GET', inRoom(room, 'state', 'org.example.odd', 'toString'));
  await alice.fails(404, 'M_NOT_FOUND', 'GET', inRoom(room, 'state', 'hasOwnProperty', ''));
});

test('the whole state holds one event for each type and key, with room id and sender', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom({ name: 'Everything' });
  const events = (await alice.ok('GET', inRoom(room, 'state'))) as unknown as ClientEvent[];
  const keys = events.map((e) => `${e.type}|${e.state_key}`);
  assert.equal(new Set(keys).size, keys.length);
  for (const key of ['m.room.create|', `m.room.member|${alice.userId}`, 'm.room.power_levels|', 'm.room.name|']) {
    assert.ok(keys.includes(key), key);
  }
  for (const event of events) assert.equal(event['room_id'], room);
});

test('format=event gives the event around the content', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom({ name: 'Form' });
  const event = await alice.ok('GET', `${inRoom(room, 'state', 'm.room.name', '')}?format=event`);
  assert.equal(event['type'], 'm.room.name');
  assert.equal(event['sender'], alice.userId);
  assert.equal(event['content'].name, 'Form');
  assert.equal((await alice.request('GET', `${inRoom(room, 'state', 'm.room.name', '')}?format=poem`)).status, 400);
});

test('a change of state carries what it replaced', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom({ topic: 'old' });
  await alice.sync();
  await alice.setState(room, 'm.room.topic', '', { topic: 'new' });
  const event = await alice.syncUntil(inTimeline(room, (e) => e.type === 'm.room.topic'));
  assert.equal(event['unsigned'].prev_content?.topic, 'old');
});

test('state that is not there is not found', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  await alice.fails(404, 'M_NOT_FOUND', 'GET', inRoom(room, 'state', 'm.room.topic', ''));
});

test('a stranger reads no state; one who left reads the state of the moment of leaving', async () => {
  const [alice, bob, carol] = await hs.users('alice', 'bob', 'carol');
  const room = await alice.createRoom({ preset: 'public_chat', topic: 'before' });
  await bob.join(room);
  await bob.leave(room);
  await alice.setState(room, 'm.room.topic', '', { topic: 'after' });
  assert.equal((await bob.state(room, 'm.room.topic'))['topic'], 'before');
  const all = (await bob.ok('GET', inRoom(room, 'state'))) as unknown as ClientEvent[];
  assert.equal(all.find((e) => e.type === 'm.room.topic')?.content['topic'], 'before');
  await carol.fails(403, 'M_FORBIDDEN', 'GET', inRoom(room, 'state', 'm.room.topic', ''));
  await carol.fails(403, 'M_FORBIDDEN', 'GET', inRoom(room, 'state'));
});

test('a member without power sets no state', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await bob.fails(403, 'M_FORBIDDEN', 'PUT', inRoom(room, 'state', 'm.room.topic', ''), { topic: 'mine' });
});

test('the canonical alias must point at the room', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom();
  const other = bob.userId.slice(1).split(':')[0]!;
  await bob.createRoom({ room_alias_name: other });
  const path = inRoom(room, 'state', 'm.room.canonical_alias', '');
  await alice.fails(400, 'M_BAD_ALIAS', 'PUT', path, { alias: `#nowhere:${hs.serverName}` });
  await alice.fails(400, 'M_BAD_ALIAS', 'PUT', path, { alias: `#${other}:${hs.serverName}` });
  await alice.fails(400, 'M_INVALID_PARAM', 'PUT', path, { alias: 'no alias' });
  await alice.fails(400, 'M_BAD_ALIAS', 'PUT', path, { alt_aliases: [`#nowhere:${hs.serverName}`] });
  await alice.ok('PUT', path, {});
});
