// Client-server API, Relationships API: what relates to an event.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, type Client, query, seg } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

const relations = (room: string, event: string, ...rest: readonly string[]): string =>
  `/_matrix/client/v1/rooms/${[room, 'relations', event, ...rest].map(seg).join('/')}`;
const ids = (body: Body): string[] => body['chunk'].map((event: Body) => event['event_id']);

async function relate(
  client: Client,
  room: string,
  relType: string,
  event: string,
  more: Body = {},
  type = 'm.room.message',
) {
  const content = { msgtype: 'm.text', body: 'x', 'm.relates_to': { rel_type: relType, event_id: event }, ...more };
  return client.send(room, type, content);
}

test('relations are listed by relation type and event type', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom({ preset: 'public_chat' });
  const root = await alice.say(room, 'root');
  const reply = await relate(alice, room, 'm.thread', root);
  const dummy = await relate(alice, room, 'm.thread', root, {}, 'm.dummy');
  const edit = await relate(alice, room, 'm.replace', root, { 'm.new_content': { msgtype: 'm.text', body: 'y' } });
  assert.deepEqual(ids(await alice.ok('GET', relations(room, root))), [edit, dummy, reply]);
  assert.deepEqual(ids(await alice.ok('GET', relations(room, root, 'm.thread'))), [dummy, reply]);
  assert.deepEqual(ids(await alice.ok('GET', relations(room, root, 'm.thread', 'm.room.message'))), [reply]);
});

test('relations come in pages of both directions, also from a sync token', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom({ preset: 'public_chat' });
  const root = await alice.say(room, 'root');
  const replies: string[] = [];
  for (let i = 0; i < 4; i++) replies.push(await relate(alice, room, 'm.thread', root));
  const since = (await alice.sync())['next_batch'] as string;
  for (let i = 0; i < 4; i++) replies.push(await relate(alice, room, 'm.thread', root));
  const page = (parameters: Readonly<Record<string, string | number>>) =>
    alice.ok('GET', relations(room, root) + query({ limit: 3, ...parameters }));
  const back = await page({});
  assert.deepEqual(ids(back), [replies[7], replies[6], replies[5]]);
  assert.deepEqual(ids(await page({ from: back['next_batch'] })), [replies[4], replies[3], replies[2]]);
  const on = await page({ dir: 'f' });
  assert.deepEqual(ids(on), replies.slice(0, 3));
  assert.deepEqual(ids(await page({ dir: 'f', from: on['next_batch'] })), replies.slice(3, 6));
  const later = await page({ dir: 'f', from: since });
  assert.deepEqual(ids(later), replies.slice(4, 7));
  const last = await page({ dir: 'f', from: later['next_batch'] });
  assert.deepEqual(ids(last), replies.slice(7));
  assert.equal(last['next_batch'], undefined);
});

test('with recurse, what relates to what relates is listed too', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom({ preset: 'public_chat' });
  const root = await alice.say(room, 'root');
  const reply = await relate(alice, room, 'm.thread', root);
  const reaction = await alice.send(room, 'm.reaction', {
    'm.relates_to': { rel_type: 'm.annotation', event_id: reply, key: '👍' },
  });
  assert.deepEqual(ids(await alice.ok('GET', relations(room, root))), [reply]);
  const deep = await alice.ok('GET', relations(room, root) + query({ recurse: true }));
  assert.deepEqual(ids(deep), [reaction, reply]);
  assert.ok(deep['recursion_depth'] >= 2);
});

test('a redacted child is no relation any more (T255)', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom({ preset: 'public_chat' });
  const root = await alice.say(room, 'root');
  const reply = await relate(alice, room, 'm.thread', root);
  await alice.redact(room, reply);
  assert.deepEqual(ids(await alice.ok('GET', relations(room, root))), []);
});

test('relations of what one may not see are not told', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'private_chat' });
  const root = await alice.say(room, 'root');
  const answer = await bob.request('GET', relations(room, root));
  assert.ok(answer.status === 403 || answer.status === 404, String(answer.status));
  await alice.fails(400, ['M_INVALID_PARAM', 'M_UNKNOWN'], 'GET', relations(room, root) + query({ from: 'nonsense' }));
});

test('an event that is not there is not found', synapseDiffers('answers M_UNKNOWN'), async () => {
  const alice = await hs.user('alice');
  await alice.fails(404, 'M_NOT_FOUND', 'GET', relations(await alice.createRoom(), '$nothing'));
});
