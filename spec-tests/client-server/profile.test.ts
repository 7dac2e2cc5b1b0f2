// Client-server API, Profiles, custom fields included.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { C, type Client, inTimeline, seg } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

const field = (client: Client, name: string): string => `${C}/profile/${seg(client.userId)}/${seg(name)}`;

test('name and avatar are set and read by anyone', async () => {
  const alice = await hs.user('alice');
  await alice.ok('PUT', field(alice, 'displayname'), { displayname: 'Alice 🦊' });
  await alice.ok('PUT', field(alice, 'avatar_url'), { avatar_url: 'mxc://example.org/fox' });
  const profile = await hs.anonymous().ok('GET', `${C}/profile/${seg(alice.userId)}`);
  assert.equal(profile['displayname'], 'Alice 🦊');
  assert.equal(profile['avatar_url'], 'mxc://example.org/fox');
  assert.deepEqual(await alice.ok('GET', field(alice, 'displayname')), { displayname: 'Alice 🦊' });
});

test('a new name goes to the rooms one is in', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await alice.sync();
  await bob.ok('PUT', field(bob, 'displayname'), { displayname: 'Bobby' });
  const event = await alice.syncUntil(
    inTimeline(room, (e) => e.type === 'm.room.member' && e.state_key === bob.userId),
  );
  assert.equal(event.content['displayname'], 'Bobby');
  assert.equal(event.content['membership'], 'join');
});

test('a field of one’s own is set, read, changed and deleted', async () => {
  const alice = await hs.user('alice');
  const path = field(alice, 'org.example.colour');
  await alice.ok('PUT', path, { 'org.example.colour': { hue: 120 } });
  assert.deepEqual(await alice.ok('GET', path), { 'org.example.colour': { hue: 120 } });
  assert.deepEqual((await alice.ok('GET', `${C}/profile/${seg(alice.userId)}`))['org.example.colour'], { hue: 120 });
  await alice.ok('DELETE', path);
  await alice.fails(404, 'M_NOT_FOUND', 'GET', path);
});

test('a profile of nobody is not found', synapseDiffers('answers M_UNKNOWN'), async () => {
  await hs.anonymous().fails(404, 'M_NOT_FOUND', 'GET', `${C}/profile/${seg(`@nobody-at-all:${hs.serverName}`)}`);
});

test('nobody changes another’s profile', synapseDiffers('answers 400'), async () => {
  const [alice, mallory] = await hs.users('alice', 'mallory');
  const answer = await mallory.request('PUT', field(alice, 'displayname'), { displayname: 'Fool' });
  assert.equal(answer.status, 403);
  assert.equal((await mallory.request('DELETE', field(alice, 'displayname'))).status, 403);
});

test('fields that are too long are refused (T269)', async () => {
  const alice = await hs.user('alice');
  for (const [name, value] of [
    ['displayname', 'x'.repeat(257)],
    ['avatar_url', `mxc://example.org/${'x'.repeat(1000)}`],
  ] as const) {
    assert.equal((await alice.request('PUT', field(alice, name), { [name]: value })).status, 400, name);
  }
  const long = `org.example.${'x'.repeat(250)}`;
  await alice.fails(400, 'M_KEY_TOO_LARGE', 'PUT', field(alice, long), { [long]: 1 });
  const big = 'org.example.big';
  await alice.fails(400, 'M_PROFILE_TOO_LARGE', 'PUT', field(alice, big), { [big]: 'x'.repeat(65_000 + 1000) });
});

test('a body without the field it should set is a bad request', async () => {
  const alice = await hs.user('alice');
  const answer = await alice.request('PUT', field(alice, 'org.example.colour'), { other: 1 });
  assert.equal(answer.status, 400);
});
