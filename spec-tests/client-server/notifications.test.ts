// Client-server API, Listing notifications.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, query } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';

const hs = await homeserver();
test.after(() => hs.stop());

const path = (parameters: Readonly<Record<string, string | number>> = {}): string =>
  `${C}/notifications${query(parameters)}`;
const told = (body: Body): [string, boolean][] =>
  body['notifications'].map((one: Body) => [one['event'].event_id, one['read']]);

test('notifications come newest first, with their room, whether read or not', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  const ids: string[] = [];
  for (const text of ['one', 'two', 'three']) ids.push(await alice.say(room, text));
  await bob.receipt(room, 'm.read', ids[0]!);
  const [one, two, three] = ids as [string, string, string];
  const all = await bob.ok('GET', path());
  assert.deepEqual(told(all), [
    [three, false],
    [two, false],
    [one, true],
  ]);
  const [newest] = all['notifications'];
  assert.equal(newest.room_id, room);
  assert.equal(typeof newest.ts, 'number');
  assert.ok(newest.actions.includes('notify'));
  assert.equal(newest.event.content.body, 'three');
  const first = await bob.ok('GET', path({ limit: 2 }));
  assert.equal(first['notifications'].length, 2);
  const second = await bob.ok('GET', path({ limit: 2, from: first['next_token'] }));
  assert.deepEqual(told(second), [[one, true]]);
  const end = second['next_token'];
  if (end !== undefined) assert.deepEqual(told(await bob.ok('GET', path({ from: end }))), []);
  assert.deepEqual(told(await alice.ok('GET', path())), []);
});

test('highlights can be asked for alone', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await alice.say(room, 'to nobody');
  const mention = await alice.send(room, 'm.room.message', {
    msgtype: 'm.text',
    body: 'to bob',
    'm.mentions': { user_ids: [bob.userId] },
  });
  assert.deepEqual(told(await bob.ok('GET', path({ only: 'highlight' }))), [[mention, false]]);
});

test('a token of elsewhere is refused', async () => {
  const alice = await hs.user('alice');
  await alice.fails(400, ['M_INVALID_PARAM', 'M_UNKNOWN'], 'GET', path({ from: 'nonsense' }));
  await hs.anonymous().fails(401, 'M_MISSING_TOKEN', 'GET', path());
});
