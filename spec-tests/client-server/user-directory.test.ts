// Client-server API, User directory.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, type Client, seg } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { ourChoice, synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

const search = (client: Client, term: string, more: Body = {}) =>
  client.ok('POST', `${C}/user_directory/search`, { search_term: term, ...more });
const ids = (body: Body): string[] => body['results'].map((user: Body) => user['user_id']);
const setName = (client: Client, displayname: string) =>
  client.ok('PUT', `${C}/profile/${seg(client.userId)}/displayname`, { displayname });

test('a user in a public room is found by name and id, never by what they call themselves in a room (T285)', async () => {
  const [alice, bob, eve] = await hs.users('alice', 'bob', 'eve');
  const unique = alice.userId.slice(1).split(':')[0]!;
  await setName(alice, `Cooper ${unique}`);
  await alice.createRoom({ visibility: 'public', preset: 'public_chat' });
  const secret = await bob.createRoom({ invite: [alice.userId] });
  await alice.join(secret);
  await alice.setState(secret, 'm.room.member', alice.userId, {
    membership: 'join',
    displayname: `Freddy ${unique.slice(-5)}`,
  });
  for (const searcher of [bob, eve]) {
    const [found, ...others] = (await search(searcher, `cooper ${unique}`))['results'];
    assert.deepEqual(
      [found.user_id, found.display_name, found.avatar_url ?? '', others],
      [alice.userId, `Cooper ${unique}`, '', []],
    );
    assert.deepEqual(ids(await search(searcher, `@${unique.toUpperCase()}`)), [alice.userId]);
    assert.deepEqual(ids(await search(searcher, `Freddy ${unique.slice(-5)}`)), []);
  }
});

test('oneself is not found', ourChoice('the specification leaves open who is searched for'), async () => {
  const alice = await hs.user('alice');
  await alice.createRoom({ visibility: 'public', preset: 'public_chat' });
  assert.deepEqual(ids(await search(alice, alice.userId.slice(1).split(':')[0]!)), []);
});

test('who shares no room and is in no public one is not found (T285)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const unique = alice.userId.slice(1).split(':')[0]!;
  const room = await alice.createRoom({ preset: 'private_chat' });
  assert.deepEqual(ids(await search(bob, unique)), []);
  await alice.invite(room, bob.userId);
  await bob.join(room);
  assert.deepEqual(ids(await search(bob, unique)), [alice.userId]);
});

test('the limit holds, and says so', async () => {
  const [one, two, searcher] = await hs.users('pair', 'pair', 'searcher');
  const mark = `mark${searcher.userId.slice(-20, -12).replace(/\W/g, '')}`;
  for (const client of [one, two]) {
    await setName(client, mark);
    await client.createRoom({ preset: 'public_chat' });
  }
  const all = await search(searcher, mark);
  assert.deepEqual([ids(all).length, all['limited']], [2, false]);
  const first = await search(searcher, mark, { limit: 1 });
  assert.deepEqual([ids(first).length, first['limited']], [1, true]);
});

test('a wrong request is refused', synapseDiffers('answers 500'), async () => {
  const alice = await hs.user('alice');
  for (const body of [{}, { search_term: 1 }, { search_term: 'x', limit: 'many' }]) {
    assert.equal((await alice.request('POST', `${C}/user_directory/search`, body)).status, 400);
  }
  const term = { search_term: 'x' };
  await hs.anonymous().fails(401, 'M_MISSING_TOKEN', 'POST', `${C}/user_directory/search`, term);
});
