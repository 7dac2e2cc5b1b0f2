// Client-server API, Getting events for a room: /context and /event.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ClientEvent, inRoom, query, texts } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());
const alice = await hs.user('alice');
const room = await alice.createRoom({ name: 'Middle' });
const ids: string[] = [];
for (let i = 0; i < 9; i++) ids.push(await alice.say(room, String(i)));

test('an event comes with what was said around it', async () => {
  const body = await alice.ok('GET', inRoom(room, 'context', ids[4]!) + query({ limit: 4 }));
  assert.equal(body['event'].event_id, ids[4]);
  assert.deepEqual(texts(body['events_before']), ['3', '2']);
  assert.deepEqual(texts(body['events_after']), ['5', '6']);
  assert.ok(body['state'].some((e: ClientEvent) => e.type === 'm.room.name'));
});

test('start and end lead on in both directions', async () => {
  const body = await alice.ok('GET', inRoom(room, 'context', ids[4]!) + query({ limit: 2 }));
  const older = await alice.messages(room, { dir: 'b', from: body['start'], limit: 2 });
  assert.deepEqual(texts(older['chunk']), ['2', '1']);
  const newer = await alice.messages(room, { dir: 'f', from: body['end'], limit: 2 });
  assert.deepEqual(texts(newer['chunk']), ['6', '7']);
});

test('limit 0 gives the event alone', async () => {
  const body = await alice.ok('GET', inRoom(room, 'context', ids[4]!) + query({ limit: 0 }));
  assert.equal(body['event'].event_id, ids[4]);
  assert.deepEqual([body['events_before'] ?? [], body['events_after'] ?? []], [[], []]);
});

test('a filter is honoured around the event', async () => {
  const filter = JSON.stringify({ types: ['m.room.name'] });
  const body = await alice.ok('GET', inRoom(room, 'context', ids[2]!) + query({ limit: 100, filter }));
  assert.deepEqual(
    body['events_before'].map((e: ClientEvent) => e.type),
    ['m.room.name'],
  );
  assert.deepEqual(body['events_after'], []);
});

test(
  'an unknown event, an event of another room, and one that may not be seen are not found',
  synapseDiffers('answers M_UNKNOWN for an event of another room'),
  async () => {
    const mallory = await hs.user('mallory');
    const other = await alice.createRoom();
    for (const [client, where, id] of [
      [alice, room, '$unknown'],
      [alice, other, ids[0]!],
    ] as const) {
      await client.fails(404, 'M_NOT_FOUND', 'GET', inRoom(where, 'event', id));
      await client.fails(404, 'M_NOT_FOUND', 'GET', inRoom(where, 'context', id));
    }
    await mallory.fails(404, 'M_NOT_FOUND', 'GET', inRoom(room, 'event', ids[0]!));
    const answer = await mallory.request('GET', inRoom(room, 'context', ids[0]!));
    assert.ok([403, 404].includes(answer.status));
  },
);
