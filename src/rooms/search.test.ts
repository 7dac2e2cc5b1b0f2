import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRoomEventFilter } from '#core/filter.js';
import type { RoomId, UserId } from '#core/ids.js';
import type { JsonValue } from '#core/json-value.js';
import { createRoom } from '#rooms/create.js';
import { redactEvent } from '#rooms/redact.js';
import type { Rooms } from '#rooms/rooms.js';
import { type SearchQuery, searchEvents } from '#rooms/search.js';
import { go, openTestRooms, say, setState, user } from '#rooms/testing.js';
import { accountData, postings } from '#store/schema.js';

const alice = user('alice');
const bob = user('bob');

function room(rooms: Rooms, more: object = {}, creator: UserId = alice): Promise<RoomId> {
  return createRoom(rooms, { creator, body: { preset: 'public_chat', ...more } });
}

interface More extends Partial<Omit<SearchQuery, 'filter'>> {
  readonly filter?: JsonValue;
}

async function found(rooms: Rooms, viewer: UserId, term: string, { filter = {}, ...more }: More = {}) {
  const { hits } = await searchEvents(rooms, viewer, {
    term,
    types: new Set(['m.room.message', 'm.room.name', 'm.room.topic']),
    orderBy: 'recent',
    ...more,
    filter: parseRoomEventFilter(filter),
  });
  return hits.map(({ event: { pdu } }) => pdu.content['body'] ?? pdu.content['name'] ?? pdu.content['topic']);
}

test('all words must be there, whatever their case; quoted ones side by side', async () => {
  await using t = await openTestRooms();
  const { rooms } = t;
  const id = await room(rooms);
  for (const text of ['Hello, World', 'hello there', 'world of hello', '東京タワー', '京東']) {
    await say(rooms, id, alice, text);
  }
  assert.deepEqual(await found(rooms, alice, 'hello'), ['world of hello', 'hello there', 'Hello, World']);
  assert.deepEqual(await found(rooms, alice, 'WORLD hello'), ['world of hello', 'Hello, World']);
  assert.deepEqual(await found(rooms, alice, '"hello world"'), ['Hello, World']);
  assert.deepEqual(await found(rooms, alice, '東京'), ['東京タワー']);
  assert.deepEqual(await found(rooms, alice, 'hell'), []);
  assert.deepEqual(await found(rooms, alice, '…'), []);
});

test('names and topics are found as well, where they are asked for', async () => {
  await using t = await openTestRooms();
  const { rooms } = t;
  const id = await room(rooms, { name: 'the word', topic: 'a word' });
  await say(rooms, id, alice, 'my word');
  assert.deepEqual(await found(rooms, alice, 'word'), ['my word', 'a word', 'the word']);
  assert.deepEqual(await found(rooms, alice, 'word', { types: new Set(['m.room.name']) }), ['the word']);
});

test('a short text about the word ranks before a long one', async () => {
  await using t = await openTestRooms();
  const { rooms } = t;
  const id = await room(rooms);
  const long = `cat ${'and a dog '.repeat(20)}`;
  for (const text of ['cat cat', long, 'a cat and a dog']) await say(rooms, id, alice, text);
  assert.deepEqual(await found(rooms, alice, 'cat', { orderBy: 'rank' }), ['cat cat', 'a cat and a dog', long]);
});

test('redacted text leaves the index with the redaction (T255, T284)', async () => {
  await using t = await openTestRooms();
  const { rooms } = t;
  const id = await room(rooms);
  const before = await rooms.store.list(postings, { limit: 100 });
  const said = await say(rooms, id, alice, 'secret words, secret');
  assert.deepEqual(await found(rooms, alice, 'secret'), ['secret words, secret']);
  await redactEvent(rooms, { roomId: id, sender: alice, eventId: said });
  assert.deepEqual(await found(rooms, alice, 'secret'), []);
  assert.deepEqual(await rooms.store.list(postings, { limit: 100 }), before);
});

test('only what the viewer may see is found (T274)', async () => {
  await using t = await openTestRooms();
  const { rooms } = t;
  const id = await room(rooms);
  const elsewhere = await room(rooms);
  await say(rooms, elsewhere, alice, 'word elsewhere');
  await go(rooms, id, bob, 'join');
  await say(rooms, id, alice, 'word while there');
  await go(rooms, id, bob, 'leave');
  await say(rooms, id, alice, 'word after');
  assert.deepEqual(await found(rooms, bob, 'word'), ['word while there']);
});

test('ignored users and encrypted rooms are left out (T283)', async () => {
  await using t = await openTestRooms();
  const { rooms } = t;
  const id = await room(rooms);
  await go(rooms, id, bob, 'join');
  await say(rooms, id, bob, 'word of bob');
  await say(rooms, id, alice, 'word of alice');
  await rooms.store.commit((tx) =>
    tx.put(accountData, [alice, '', 'm.ignored_user_list'], {
      content: { ignored_users: { [bob]: {} } },
      position: tx.position(),
    }),
  );
  assert.deepEqual(await found(rooms, alice, 'word'), ['word of alice']);
  await setState(rooms, id, alice, 'm.room.encryption', { algorithm: 'm.megolm.v1.aes-sha2' });
  assert.deepEqual(await found(rooms, alice, 'word'), []);
});

test('a filter bounds the search; a room that was upgraded is searched with its successor', async () => {
  await using t = await openTestRooms();
  const { rooms } = t;
  const old = await room(rooms, { room_version: '11' });
  const next = await room(rooms, { room_version: '11', creation_content: { predecessor: { room_id: old } } });
  const other = await room(rooms);
  for (const [id, text] of [
    [old, 'old word'],
    [next, 'next word'],
    [other, 'other word'],
  ] as const) {
    await say(rooms, id, alice, text);
  }
  assert.deepEqual(await found(rooms, alice, 'word'), ['other word', 'next word', 'old word']);
  assert.deepEqual(await found(rooms, alice, 'word', { filter: { rooms: [next] } }), ['next word', 'old word']);
  assert.deepEqual(await found(rooms, alice, 'word', { filter: { not_rooms: [next] } }), ['other word', 'old word']);
  assert.deepEqual(await found(rooms, alice, 'word', { filter: { senders: [bob] } }), []);
});

test('a rare word is found among many common ones', async () => {
  await using t = await openTestRooms();
  const { rooms } = t;
  const id = await room(rooms);
  await say(rooms, id, alice, 'common rare');
  const texts = Array.from({ length: 300 }, (_, i) => `common ${i}`);
  await Promise.all(texts.map((text) => say(rooms, id, alice, text)));
  assert.deepEqual(await found(rooms, alice, 'common rare'), ['common rare']);
  assert.equal((await found(rooms, alice, 'common')).length, 301);
});

test('where more was said than one search looks at, a busy room does not hide what is newer in a quiet one', async () => {
  await using t = await openTestRooms();
  const { rooms } = t;
  const [quiet, busy] = [await room(rooms), await room(rooms)];
  for (let i = 0; i < 30; i++) await say(rooms, busy, alice, `word ${i}`);
  await say(rooms, quiet, alice, 'quiet word');
  for (let i = 30; i < 60; i++) await say(rooms, busy, alice, `word ${i}`);
  const newest = await found(rooms, alice, 'word', { mostMatches: 40 });
  const expected = [...Array.from({ length: 30 }, (_, i) => `word ${59 - i}`), 'quiet word'];
  assert.deepEqual(newest.slice(0, 31), expected);
  assert.equal(newest.length, 40);
});
