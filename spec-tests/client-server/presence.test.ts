// Client-server API, Presence.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, type Client, seg } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';

const hs = await homeserver();
test.after(() => hs.stop());

const status = (client: Client): string => `${C}/presence/${seg(client.userId)}/status`;
const of =
  (client: Client, matches: (content: Body) => boolean = () => true) =>
  (body: Body): Body | undefined =>
    body['presence']?.events
      ?.filter((event: Body) => event['sender'] === client.userId)
      .map((event: Body) => event['content'])
      .find(matches);

test('people who share a room see each other come, with a message', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await alice.sync();
  await bob.ok('PUT', status(bob), { presence: 'online', status_msg: 'at the desk' });
  const content = await alice.syncUntil(of(bob, (c) => c['status_msg'] === 'at the desk'));
  assert.equal(content['presence'], 'online');
  const read = await alice.ok('GET', status(bob));
  assert.equal(read['presence'], 'online');
  assert.equal(read['status_msg'], 'at the desk');
});

test('who stays away with set_presence=offline is not shown as online', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await bob.ok('PUT', status(bob), { presence: 'offline' });
  await bob.sync({ set_presence: 'offline' });
  assert.notEqual((await alice.ok('GET', status(bob)))['presence'], 'online');
});

test('strangers do not see each other (T286)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  await alice.sync();
  await bob.ok('PUT', status(bob), { presence: 'online', status_msg: 'unseen' });
  await alice.fails(403, 'M_FORBIDDEN', 'GET', status(bob));
  await alice.ok('PUT', status(alice), { presence: 'online', status_msg: 'mine' });
  let seen: Body | undefined;
  await alice.syncUntil((body) => {
    seen ??= of(bob)(body);
    return of(alice, (c) => c['status_msg'] === 'mine')(body);
  });
  assert.equal(seen, undefined);
});

test('nobody sets another’s presence, and unknown states are refused', async () => {
  const [alice, mallory] = await hs.users('alice', 'mallory');
  await mallory.fails(403, 'M_FORBIDDEN', 'PUT', status(alice), { presence: 'online' });
  assert.equal((await alice.request('PUT', status(alice), { presence: 'asleep' })).status, 400);
  assert.equal((await alice.request('PUT', status(alice), {})).status, 400);
});
