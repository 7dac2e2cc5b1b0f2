// Client-server API, Room upgrades.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { C, inRoom, ofUser, seg } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';

const hs = await homeserver();
test.after(() => hs.stop());

async function upgraded(client: Awaited<ReturnType<typeof hs.user>>, room: string, version: string): Promise<string> {
  return (await client.ok('POST', inRoom(room, 'upgrade'), { new_version: version }))['replacement_room'];
}

for (const [from, to] of [
  ['1', '10'],
  ['10', '11'],
  ['11', '12'],
  ['12', '12'],
] as const) {
  test(`an upgrade from ${from} to ${to} carries the room over and closes the old one (T259)`, async () => {
    const [alice, bob, carol, mallory] = await hs.users('alice', 'bob', 'carol', 'mallory');
    const localpart = `up-${randomBytes(4).toString('hex')}`;
    const room = await alice.createRoom({
      room_version: from,
      preset: 'public_chat',
      name: 'Old house',
      topic: 'Moving',
      room_alias_name: localpart,
      initial_state: [
        { type: 'm.room.avatar', content: { url: 'mxc://example.org/house' } },
        { type: 'm.room.history_visibility', content: { history_visibility: 'joined' } },
      ],
    });
    await Promise.all([bob.join(room), carol.join(room)]);
    await alice.ban(room, mallory.userId);
    const levels = await alice.state(room, 'm.room.power_levels');
    await alice.setState(room, 'm.room.power_levels', '', {
      ...levels,
      users: { ...(levels['users'] ?? {}), [bob.userId]: 50 },
    });
    const last = await alice.say(room, 'last words');
    assert.equal(typeof last, 'string');
    const next = await upgraded(alice, room, to);

    assert.equal((await bob.state(room, 'm.room.tombstone'))['replacement_room'], next);
    assert.notEqual(next, room);
    const create = await alice.state(next, 'm.room.create');
    assert.equal(create['room_version'], to);
    assert.equal(create['predecessor'].room_id, room);
    assert.equal((await alice.state(next, 'm.room.name'))['name'], 'Old house');
    assert.equal((await alice.state(next, 'm.room.topic'))['topic'], 'Moving');
    assert.equal((await alice.state(next, 'm.room.avatar'))['url'], 'mxc://example.org/house');
    assert.equal((await alice.state(next, 'm.room.history_visibility'))['history_visibility'], 'joined');
    assert.equal((await alice.state(next, 'm.room.power_levels'))['users'][bob.userId], 50);
    assert.equal(await alice.membership(next, mallory.userId), 'ban');
    const alias = `#${localpart}:${hs.serverName}`;
    assert.equal((await bob.ok('GET', `${C}/directory/room/${seg(alias)}`))['room_id'], next);
    await bob.join(next);
    await carol.fails(403, 'M_FORBIDDEN', 'PUT', inRoom(room, 'send', 'm.room.message', 't'), {
      msgtype: 'm.text',
      body: 'anyone?',
    });
    if (to === '12') {
      const users = (await alice.state(next, 'm.room.power_levels'))['users'];
      assert.equal(users[alice.userId], undefined, 'a creator of version 12 has no level');
    }
  });
}

test('who joins the new room finds their tags there', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await bob.ok('PUT', ofUser(bob, 'rooms', room, 'tags', 'u.work'), { order: 0.5 });
  const next = await upgraded(alice, room, '12');
  await bob.join(next);
  assert.deepEqual((await bob.ok('GET', ofUser(bob, 'rooms', next, 'tags')))['tags'], { 'u.work': { order: 0.5 } });
});

test('a member without power, and a stranger, cannot upgrade (T259)', async () => {
  const [alice, bob, mallory] = await hs.users('alice', 'bob', 'mallory');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  for (const client of [bob, mallory]) {
    await client.fails(403, 'M_FORBIDDEN', 'POST', inRoom(room, 'upgrade'), { new_version: '12' });
  }
  await alice.fails(404, 'M_NOT_FOUND', 'GET', inRoom(room, 'state', 'm.room.tombstone', ''));
  await bob.say(room, 'still here');
});

test('an unknown version is refused, and the room stays as it is (T259)', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  await alice.fails(400, 'M_UNSUPPORTED_ROOM_VERSION', 'POST', inRoom(room, 'upgrade'), { new_version: '99' });
  await alice.fails(404, 'M_NOT_FOUND', 'GET', inRoom(room, 'state', 'm.room.tombstone', ''));
  await alice.say(room, 'as before');
});

test('an upgrade to version 12 can name more creators', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ room_version: '11', preset: 'public_chat' });
  await bob.join(room);
  const body = { new_version: '12', additional_creators: [bob.userId] };
  const { replacement_room: next } = await alice.ok('POST', inRoom(room, 'upgrade'), body);
  assert.deepEqual((await alice.state(next, 'm.room.create'))['additional_creators'], [bob.userId]);
});
