// Client-server API, Server side search.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, type Client, inRoom, ofUser, query } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

async function search(client: Client, criteria: Body, batch?: string): Promise<Body> {
  const path = `${C}/search${batch === undefined ? '' : query({ next_batch: batch })}`;
  const body = await client.ok('POST', path, { search_categories: { room_events: criteria } });
  return body['search_categories'].room_events;
}
const bodies = (found: Body): string[] => found['results'].map((entry: Body) => entry['result'].content.body);

test('a message is found by its words', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom({ preset: 'private_chat' });
  const event = await alice.say(room, 'hello, world');
  const found = await search(alice, { search_term: 'hello', keys: ['content.body'], filter: { rooms: [room] } });
  assert.equal(found['count'], 1);
  assert.equal(found['results'][0].result.event_id, event);
  assert.equal(found['results'][0].result.room_id, room);
  assert.equal(typeof found['results'][0].rank, 'number');
  assert.deepEqual(found['highlights'], ['hello']);
});

test('names and topics are found, where their keys are asked for', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom({ name: 'zebra crossing', topic: 'about a zebra' });
  await alice.say(room, 'a zebra');
  const keys = async (...asked: string[]) =>
    (await search(alice, { search_term: 'zebra', order_by: 'recent', keys: asked }))['results'].map(
      (entry: Body) => entry['result'].type,
    );
  assert.deepEqual(await keys('content.name'), ['m.room.name']);
  assert.deepEqual(await keys('content.topic'), ['m.room.topic']);
  const all = (await search(alice, { search_term: 'zebra' }))['results'];
  assert.deepEqual(all.map((entry: Body) => entry['result'].type).sort(), [
    'm.room.message',
    'm.room.name',
    'm.room.topic',
  ]);
});

test('results come with what was said around them', async () => {
  const alice = await hs.user('alice');
  await alice.ok('PUT', `${C}/profile/${encodeURIComponent(alice.userId)}/displayname`, { displayname: 'Alice' });
  const room = await alice.createRoom({ preset: 'private_chat' });
  for (let i = 1; i <= 7; i++) await alice.say(room, `Message number ${i}`);
  const found = await search(alice, {
    search_term: 'Message 4',
    order_by: 'recent',
    filter: { limit: 1, rooms: [room] },
    event_context: { before_limit: 2, after_limit: 2, include_profile: true },
  });
  assert.equal(found['count'], 1);
  const { context, result } = found['results'][0];
  assert.equal(result.content.body, 'Message number 4');
  const said = (events: Body[]) => events.map((event) => event['content'].body);
  assert.deepEqual(said(context.events_before), ['Message number 3', 'Message number 2']);
  assert.deepEqual(said(context.events_after), ['Message number 5', 'Message number 6']);
  assert.equal(context.profile_info[alice.userId].displayname, 'Alice');
  const before = await alice.messages(room, { from: context.start, limit: 1 });
  assert.deepEqual(said(before['chunk']), ['Message number 1']);
});

for (const [orderBy, mark] of [
  ['recent', {}],
  ['rank', synapseDiffers('gives the first page only')],
] as const) {
  test(`results ordered by ${orderBy} come in pages, without redacted events (T284)`, mark, async () => {
    const alice = await hs.user('alice');
    const room = await alice.createRoom({ preset: 'private_chat' });
    const said: string[] = [];
    for (let i = 0; i < 6; i++) said.push(await alice.say(room, `Message number ${i}`));
    await alice.redact(room, await alice.say(room, 'Message to go'));
    const criteria = { search_term: 'message', order_by: orderBy, filter: { limit: 3, rooms: [room] } };
    const seen: string[] = [];
    let batch: string | undefined;
    for (let page = 0; page < 3; page++) {
      const found = await search(alice, criteria, batch);
      // "An approximate count of the total number of results found."
      assert.ok(found['count'] === 6 || found['count'] === 7, String(found['count']));
      seen.push(...found['results'].map((entry: Body) => entry['result'].event_id));
      batch = found['next_batch'];
      if (batch === undefined) break;
    }
    assert.equal(batch, undefined);
    assert.deepEqual(seen, [...said].reverse());
  });
}

test('groups by room can be followed by themselves', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const rooms = [await alice.createRoom({ preset: 'public_chat' }), await alice.createRoom({ preset: 'public_chat' })];
  await bob.join(rooms[0]!);
  const said: string[] = [];
  for (const client of [alice, bob, alice]) said.push(await client.say(rooms[0]!, 'walrus'));
  const other = await alice.say(rooms[1]!, 'walrus');
  const criteria = {
    search_term: 'walrus',
    order_by: 'recent',
    filter: { limit: 2, rooms },
    groupings: { group_by: [{ key: 'room_id' }] },
  };
  const byRoom = (await search(alice, criteria))['groups'].room_id;
  assert.deepEqual(byRoom[rooms[1]!].results, [other]);
  assert.deepEqual(byRoom[rooms[0]!].results, [said[2]]);
  const more = await search(alice, criteria, byRoom[rooms[0]!].next_batch);
  assert.deepEqual(
    more['results'].map((entry: Body) => entry['result'].event_id),
    [said[1], said[0]],
  );
});

for (const [orderBy, mark] of [
  ['recent', synapseDiffers('leaves the groups out')],
  ['rank', {}],
] as const) {
  test(`results ordered by ${orderBy} are grouped by sender`, mark, async () => {
    const [alice, bob] = await hs.users('alice', 'bob');
    const room = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(room);
    const said: string[] = [];
    for (const client of [alice, bob, alice]) said.push(await client.say(room, 'heron'));
    const found = await search(alice, {
      search_term: 'heron',
      order_by: orderBy,
      filter: { rooms: [room] },
      groupings: { group_by: [{ key: 'sender' }] },
    });
    const { sender } = found['groups'];
    assert.deepEqual(sender[alice.userId].results.sort(), [said[0], said[2]].sort());
    assert.deepEqual(sender[bob.userId].results, [said[1]]);
  });
}

test('the state of the rooms comes along where asked for', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom({ name: 'with state' });
  await alice.say(room, 'okapi');
  const found = await search(alice, { search_term: 'okapi', include_state: true });
  assert.ok(found['state'][room].some((event: Body) => event['content'].name === 'with state'));
});

test('a room and the one that it replaced are searched together', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom({ preset: 'private_chat', room_version: '8' });
  await alice.say(room, 'Message before upgrade');
  const upgraded = await alice.ok('POST', inRoom(room, 'upgrade'), { new_version: '9' });
  const next = upgraded['replacement_room'] as string;
  await alice.say(next, 'Message after upgrade');
  const both = { search_term: 'upgrade', keys: ['content.body'], order_by: 'recent' };
  const expected = ['Message after upgrade', 'Message before upgrade'];
  assert.deepEqual(bodies(await search(alice, { ...both, filter: { rooms: [room, next] } })), expected);
  assert.deepEqual(bodies(await search(alice, { ...both, filter: { rooms: [next] } })), expected);
});

test('what one may not see, and what ignored users said, is not found (T274, T283)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await alice.say(room, 'lemur');
  assert.equal((await search(bob, { search_term: 'lemur' }))['count'], 0);
  await bob.join(room);
  await bob.say(room, 'lemur of bob');
  assert.equal((await search(bob, { search_term: 'lemur' }))['count'], 2);
  const ignored = { ignored_users: { [bob.userId]: {} } };
  await alice.ok('PUT', ofUser(alice, 'account_data', 'm.ignored_user_list'), ignored);
  assert.deepEqual(bodies(await search(alice, { search_term: 'lemur' })), ['lemur']);
});

test('a search in no category finds nothing', synapseDiffers('wants room_events'), async () => {
  const alice = await hs.user('alice');
  assert.deepEqual(await alice.ok('POST', `${C}/search`, { search_categories: {} }), { search_categories: {} });
});

test('a search without a word finds nothing; without a term, or from a foreign token, it is refused', async () => {
  const alice = await hs.user('alice');
  const nothing = { search_categories: { room_events: { search_term: '…' } } };
  const wordless = await alice.request('POST', `${C}/search`, nothing);
  // A term without a word finds nothing, or is "part of the request" that "was invalid".
  if (wordless.status !== 400) assert.equal(wordless.body['search_categories'].room_events.count, 0);
  const wrong = [{}, { search_categories: { room_events: {} } }];
  for (const body of wrong) {
    const answer = await alice.request('POST', `${C}/search`, body);
    assert.equal(answer.status, 400, JSON.stringify(body));
  }
  const body = { search_categories: { room_events: { search_term: 'x' } } };
  const foreign = `${C}/search${query({ next_batch: 'nonsense' })}`;
  await alice.fails(400, ['M_INVALID_PARAM', 'M_UNKNOWN'], 'POST', foreign, body);
});

test('criteria of another shape are refused', synapseDiffers('takes some'), async () => {
  const alice = await hs.user('alice');
  for (const more of [{ order_by: 'size' }, { filter: { limit: 'x' } }, { keys: ['content.secret'] }]) {
    const body = { search_categories: { room_events: { search_term: 'x', ...more } } };
    assert.equal((await alice.request('POST', `${C}/search`, body)).status, 400, JSON.stringify(more));
  }
});
