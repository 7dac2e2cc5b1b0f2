// Client-server API, Spaces: GET hierarchy.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, type Client, query, seg } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

const hierarchy = (room: string, parameters: Readonly<Record<string, string | number | boolean>> = {}): string =>
  `/_matrix/client/v1/rooms/${seg(room)}/hierarchy${query(parameters)}`;
const names = (body: Body): string[] => body['rooms'].map((room: Body) => room['name']);

const make = (client: Client, name: string, more: Body = {}) =>
  client.createRoom({ preset: 'public_chat', name, ...more });
const makeSpace = (client: Client, name: string, more: Body = {}) =>
  make(client, name, { creation_content: { type: 'm.space' }, ...more });
const link = (client: Client, space: string, child: string, more: Body = {}) =>
  client.setState(space, 'm.space.child', child, { via: [hs.serverName], ...more });

test('a space is walked depth first, in pages', async () => {
  const alice = await hs.user('alice');
  const root = await makeSpace(alice, 'root');
  const [r1, inner, r2] = [
    await make(alice, 'r1'),
    await makeSpace(alice, 'inner', { topic: 'within' }),
    await make(alice, 'r2'),
  ];
  const [r3, r4] = [await make(alice, 'r3'), await make(alice, 'r4')];
  await link(alice, root, r1, { suggested: true });
  await link(alice, root, inner);
  await link(alice, root, r2, { suggested: true });
  await link(alice, r2, r4);
  await link(alice, inner, r3);
  const whole = await alice.ok('GET', hierarchy(root));
  assert.deepEqual(names(whole), ['root', 'r1', 'inner', 'r3', 'r2']);
  const [top, , sub, , plain] = whole['rooms'];
  assert.deepEqual(
    top.children_state.map((event: Body) => [event['type'], event['state_key'], event['sender']]),
    [r1, inner, r2].map((id) => ['m.space.child', id, alice.userId]),
  );
  assert.equal(typeof top.children_state[0].origin_server_ts, 'number');
  assert.equal(sub.room_type, 'm.space');
  assert.equal(sub.topic, 'within');
  assert.deepEqual(plain.children_state, []);
  assert.deepEqual(names(await alice.ok('GET', hierarchy(root, { max_depth: 1 }))), ['root', 'r1', 'inner', 'r2']);
  const suggested = await alice.ok('GET', hierarchy(root, { suggested_only: true }));
  assert.deepEqual(names(suggested), ['root', 'r1', 'r2']);
  assert.equal(suggested['rooms'][0].children_state.length, 2);
  const first = await alice.ok('GET', hierarchy(root, { limit: 3 }));
  assert.deepEqual(names(first), ['root', 'r1', 'inner']);
  const second = await alice.ok('GET', hierarchy(root, { from: first['next_batch'] }));
  assert.deepEqual(names(second), ['r3', 'r2']);
  assert.equal(second['next_batch'], undefined);
  await alice.setState(root, 'm.space.child', inner, {});
  assert.deepEqual(names(await alice.ok('GET', hierarchy(root))), ['root', 'r1', 'r2']);
});

test('rooms that one could not enter are left out, and what lies below them (T277)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const root = await makeSpace(alice, 'root');
  const secret = await makeSpace(alice, 'secret', { preset: 'private_chat' });
  const below = await make(alice, 'below');
  await link(alice, root, secret);
  await link(alice, secret, below);
  const restricted = await make(alice, 'restricted', {
    initial_state: [
      {
        type: 'm.room.join_rules',
        state_key: '',
        content: { join_rule: 'restricted', allow: [{ type: 'm.room_membership', room_id: root }] },
      },
    ],
  });
  await link(alice, root, restricted);
  assert.deepEqual(names(await bob.ok('GET', hierarchy(root))), ['root']);
  await bob.join(root);
  const joined = await bob.ok('GET', hierarchy(root));
  assert.deepEqual(names(joined), ['root', 'restricted']);
  assert.deepEqual(joined['rooms'][1].allowed_room_ids, [root]);
  await alice.invite(secret, bob.userId);
  assert.deepEqual(names(await bob.ok('GET', hierarchy(root))), ['root', 'secret', 'below', 'restricted']);
});

test('cycles end', async () => {
  const alice = await hs.user('alice');
  const [a, b] = [await makeSpace(alice, 'a'), await makeSpace(alice, 'b')];
  await link(alice, a, b);
  await link(alice, b, a);
  await link(alice, a, a);
  assert.deepEqual(names(await alice.ok('GET', hierarchy(a))), ['a', 'b']);
});

test('unknown and closed spaces are refused alike, and so are wrong parameters (T277)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const secret = await makeSpace(alice, 'secret', { preset: 'private_chat' });
  for (const room of [secret, `!nothing:${hs.serverName}`]) await bob.fails(403, 'M_FORBIDDEN', 'GET', hierarchy(room));
  for (const wrong of [{ max_depth: -1 }, { from: 'nonsense' }]) {
    const answer = await alice.request('GET', hierarchy(secret, wrong as Record<string, string>));
    assert.equal(answer.status, 400, JSON.stringify(wrong));
  }
  const page = await makeSpace(alice, 'page');
  await link(alice, page, await make(alice, 'x'));
  const first = await alice.ok('GET', hierarchy(page, { limit: 1 }));
  const changed = hierarchy(page, { from: first['next_batch'], suggested_only: true });
  await alice.fails(400, 'M_INVALID_PARAM', 'GET', changed);
});

test('a page has room for one at least', synapseDiffers('takes a limit of 0'), async () => {
  const alice = await hs.user('alice');
  await alice.fails(400, 'M_INVALID_PARAM', 'GET', hierarchy(await makeSpace(alice, 'space'), { limit: 0 }));
});
