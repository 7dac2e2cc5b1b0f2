// Client-server API, Listing rooms: the public room directory.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { type Body, C, type Client, query, seg } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

const word = (): string => `w${randomBytes(6).toString('hex')}`;
const search = async (client: Client, body: Body): Promise<Body> => client.ok('POST', `${C}/publicRooms`, body);
const byWord = (client: Client, term: string, more: Body = {}): Promise<Body> =>
  search(client, { filter: { generic_search_term: term }, ...more });
const shown = (room: string): string => `${C}/directory/list/room/${seg(room)}`;

test('a published room is found with what describes it', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const term = word();
  const room = await alice.createRoom({
    visibility: 'public',
    name: `Room of ${term}`,
    topic: 'Everything',
    room_alias_name: term,
    initial_state: [
      { type: 'm.room.history_visibility', content: { history_visibility: 'world_readable' } },
      { type: 'm.room.guest_access', content: { guest_access: 'can_join' } },
    ],
  });
  await bob.join(room);
  const { chunk } = await byWord(bob, term);
  assert.equal(chunk.length, 1);
  const [found] = chunk;
  assert.equal(found.room_id, room);
  assert.equal(found.name, `Room of ${term}`);
  assert.equal(found.topic, 'Everything');
  assert.equal(found.num_joined_members, 2);
  assert.equal(found.world_readable, true);
  assert.equal(found.guest_can_join, true);
  assert.equal(found.canonical_alias, `#${term}:${hs.serverName}`);
  assert.equal(found.join_rule, 'public');
  const everything = await hs.anonymous().ok('GET', `${C}/publicRooms?limit=1000`);
  assert.ok(everything['chunk'].some((entry: Body) => entry['room_id'] === room));
});

test('the search looks at name, topic and alias, whatever the case, and for nothing else', async () => {
  const alice = await hs.user('alice');
  const [name, topic, alias] = [word(), word(), word()];
  const room = await alice.createRoom({ visibility: 'public', name, topic, room_alias_name: alias });
  for (const term of [name, topic, alias, name.toUpperCase()]) {
    assert.deepEqual(
      (await byWord(alice, term))['chunk'].map((e: Body) => e['room_id']),
      [room],
      term,
    );
  }
  assert.deepEqual((await byWord(alice, `${name}x`))['chunk'], []);
  assert.deepEqual((await byWord(alice, `${name.slice(0, 4)}.*`))['chunk'], []);
});

test('the biggest room comes first, and pages go there and back', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const term = word();
  const rooms: string[] = [];
  for (let i = 0; i < 5; i++) rooms.push(await alice.createRoom({ visibility: 'public', name: `${term} ${i}` }));
  await bob.join(rooms[3]!);
  const ids = (page: Body): string[] => page['chunk'].map((e: Body) => e['room_id']);
  const first = await byWord(alice, term, { limit: 2 });
  assert.equal(ids(first)[0], rooms[3]);
  assert.equal(first['prev_batch'], undefined);
  const second = await byWord(alice, term, { limit: 2, since: first['next_batch'] });
  const third = await byWord(alice, term, { limit: 2, since: second['next_batch'] });
  assert.equal(third['next_batch'], undefined);
  assert.deepEqual([first, second, third].flatMap(ids).sort(), rooms.toSorted());
  const back = await byWord(alice, term, { limit: 2, since: second['prev_batch'] });
  assert.deepEqual(ids(back), ids(first));
});

test('room types are told apart', async () => {
  const alice = await hs.user('alice');
  const term = word();
  const room = await alice.createRoom({ visibility: 'public', name: `${term} room` });
  const space = await alice.createRoom({
    visibility: 'public',
    name: `${term} space`,
    creation_content: { type: 'm.space' },
  });
  const of = async (types: (string | null)[]): Promise<string[]> =>
    (await search(alice, { filter: { generic_search_term: term, room_types: types } }))['chunk'].map(
      (e: Body) => e['room_id'],
    );
  assert.deepEqual(await of(['m.space']), [space]);
  assert.deepEqual(await of([null]), [room]);
  assert.deepEqual((await of(['m.space', null])).sort(), [room, space].sort());
});

test('a room is taken off the list and put on again by who may change its alias (T257)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const term = word();
  const room = await alice.createRoom({ visibility: 'public', name: term });
  assert.deepEqual(await hs.anonymous().ok('GET', shown(room)), { visibility: 'public' });
  await bob.join(room);
  await bob.fails(403, 'M_FORBIDDEN', 'PUT', shown(room), { visibility: 'private' });
  await alice.ok('PUT', shown(room), { visibility: 'private' });
  assert.deepEqual((await byWord(alice, term))['chunk'], []);
  await alice.ok('PUT', shown(room), { visibility: 'public' });
  assert.equal((await byWord(alice, term))['chunk'].length, 1);
});

test('an unknown room is not found in the directory (T257)', synapseDiffers('answers 400 M_UNKNOWN'), async () => {
  const alice = await hs.user('alice');
  const unknown = shown(`!nowhere:${hs.serverName}`);
  await alice.fails(404, 'M_NOT_FOUND', 'GET', unknown);
  await alice.fails(404, 'M_NOT_FOUND', 'PUT', unknown, { visibility: 'public' });
});

test('knocking rooms say so', async () => {
  const alice = await hs.user('alice');
  const term = word();
  await alice.createRoom({
    visibility: 'public',
    name: term,
    initial_state: [{ type: 'm.room.join_rules', content: { join_rule: 'knock' } }],
  });
  assert.equal((await byWord(alice, term))['chunk'][0].join_rule, 'knock');
});

test('foreign page tokens and bad limits are bad requests or bounded', synapseDiffers('answers 500'), async () => {
  const alice = await hs.user('alice');
  assert.equal((await alice.request('GET', `${C}/publicRooms${query({ since: 'made-up' })}`)).status, 400);
  assert.equal((await alice.request('GET', `${C}/publicRooms${query({ limit: 'abc' })}`)).status, 400);
});
