// Client-server API, Mutual rooms.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { query } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { ourChoice } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

const mutual = (user: string, more: Readonly<Record<string, string>> = {}): string =>
  `/_matrix/client/v1/mutual_rooms${query({ user_id: user, ...more })}`;

test('rooms that both are joined to are listed', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const rooms = [await alice.createRoom({ preset: 'public_chat' }), await alice.createRoom({ preset: 'public_chat' })];
  for (const room of rooms) await bob.join(room);
  const left = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(left);
  await bob.leave(left);
  await alice.createRoom({ invite: [bob.userId] });
  const told = await bob.ok('GET', mutual(alice.userId));
  assert.deepEqual(told['joined'].sort(), rooms.sort());
  assert.equal(told['count'], 2);
  assert.equal(told['next_batch'], undefined);
});

test('the path of MSC2666 leads there too', ourChoice('for clients older than the specification'), async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  const unstable = `/_matrix/client/unstable/uk.half-shot.msc2666/user/mutual_rooms${query({ user_id: alice.userId })}`;
  assert.deepEqual((await bob.ok('GET', unstable))['joined'], [room]);
});

test('a user that nobody knows shares no room', async () => {
  const alice = await hs.user('alice');
  const told = await alice.ok('GET', mutual(`@nobody-at-all:${hs.serverName}`));
  assert.deepEqual([told['joined'], told['count']], [[], 0]);
});

test('oneself, no user id and a wrong token are refused', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  await alice.fails(400, 'M_INVALID_PARAM', 'GET', mutual(alice.userId));
  await alice.fails(400, 'M_INVALID_PARAM', 'GET', mutual('alice'));
  await alice.fails(400, 'M_MISSING_PARAM', 'GET', '/_matrix/client/v1/mutual_rooms');
  await alice.fails(400, 'M_INVALID_PARAM', 'GET', mutual(bob.userId, { from: 'nonsense' }));
});
