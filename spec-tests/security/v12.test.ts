// Room version 12: SECURITY-CASES, part F.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, type ClientEvent, inRoom } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';

const hs = await homeserver();
test.after(() => hs.stop());

test('the room id is the hash of the create event, which every API shows with the room id (T114, T122)', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom({ room_version: '12' });
  assert.match(room, /^![A-Za-z0-9_-]{43}$/);
  const id = room.replace('!', '$');
  const views: ClientEvent[] = [
    await alice.event(room, id),
    ((await alice.ok('GET', inRoom(room, 'state'))) as unknown as ClientEvent[]).find(
      (e) => e.type === 'm.room.create',
    )!,
    (await alice.messages(room, { dir: 'f', limit: 1 }))['chunk'][0],
    (await alice.ok('GET', inRoom(room, 'context', id)))['event'],
    (await alice.ok('GET', `${inRoom(room, 'state', 'm.room.create', '')}?format=event`)) as ClientEvent,
  ];
  for (const event of views) {
    assert.equal(event.event_id, id);
    assert.equal(event['room_id'], room);
  }
});

test('two rooms made the same way are two rooms (T116)', async () => {
  const alice = await hs.user('alice');
  const rooms = await Promise.all(Array.from({ length: 8 }, () => alice.createRoom({ room_version: '12' })));
  assert.equal(new Set(rooms).size, 8);
});

for (const [what, additional_creators] of Object.entries({
  'a text': '@bob:localhost',
  'a list with a number': [5],
  'a name that is no user id': ['bob'],
  'a user id without a server': ['@bob'],
  'a name of more than 255 bytes': [`@${'b'.repeat(255)}:localhost`],
})) {
  test(`additional creators are not ${what} (T117)`, async () => {
    const alice = await hs.user('alice');
    const request = { room_version: '12', creation_content: { additional_creators } };
    const answer = await alice.request('POST', `${C}/createRoom`, request);
    assert.equal(answer.status, 400, JSON.stringify(answer.body));
  });
}

test('creators stand in no power levels (T118)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  for (const users of [{ [alice.userId]: 100 }, { [bob.userId]: 100 }]) {
    const answer = await alice.request('POST', `${C}/createRoom`, {
      room_version: '12',
      creation_content: { additional_creators: [bob.userId] },
      power_level_content_override: { users },
    });
    assert.equal(answer.status, 400, JSON.stringify(answer.body));
  }
  const room = await alice.createRoom({ room_version: '12', creation_content: { additional_creators: [bob.userId] } });
  const levels = await alice.state(room, 'm.room.power_levels');
  assert.equal(levels['users']?.[alice.userId], undefined);
  for (const user of [alice, bob]) {
    const answer = await alice.request('PUT', inRoom(room, 'state', 'm.room.power_levels', ''), {
      ...levels,
      users: { [user.userId]: 100 },
    });
    assert.ok([400, 403].includes(answer.status), String(answer.status));
  }
});

test('the highest level there is does not reach a creator (T119)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({
    room_version: '12',
    preset: 'public_chat',
    power_level_content_override: { users: { [bob.userId]: 9007199254740991 } },
  });
  await bob.join(room);
  for (const action of ['kick', 'ban']) {
    await bob.fails(403, 'M_FORBIDDEN', 'POST', inRoom(room, action), { user_id: alice.userId });
  }
  const levels: Body = await bob.state(room, 'm.room.power_levels');
  for (const users of [{ ...levels['users'], [alice.userId]: 0 }, { [bob.userId]: 2 ** 53 }]) {
    for (const client of [alice, bob]) {
      const answer = await client.request('PUT', inRoom(room, 'state', 'm.room.power_levels', ''), {
        ...levels,
        users,
      });
      assert.ok([400, 403].includes(answer.status), `${JSON.stringify(users)}: ${answer.status}`);
    }
  }
  assert.deepEqual(await bob.state(room, 'm.room.power_levels'), levels);
  await alice.ok('PUT', inRoom(room, 'state', 'm.room.power_levels', ''), { ...levels, users: {} });
  await alice.kick(room, bob.userId);
});

test('a tombstone needs more than an administrator has (T122)', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom({ room_version: '12' });
  const levels = await alice.state(room, 'm.room.power_levels');
  assert.equal(levels['events']['m.room.tombstone'], 150);
});

test('an upgrade takes creators out of the power levels, and leaves the others in (T118)', async () => {
  const [alice, bob, carol] = await hs.users('alice', 'bob', 'carol');
  const users = { [alice.userId]: 100, [bob.userId]: 90, [carol.userId]: 50 };
  const old = await alice.createRoom({ room_version: '11', power_level_content_override: { users } });
  const { replacement_room: room } = await alice.ok('POST', inRoom(old, 'upgrade'), {
    new_version: '12',
    additional_creators: [bob.userId],
  });
  assert.deepEqual((await alice.state(room, 'm.room.power_levels'))['users'], { [carol.userId]: 50 });
  assert.deepEqual((await alice.state(room, 'm.room.create'))['additional_creators'], [bob.userId]);
});

test('an additional creator has the power of a creator', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({
    room_version: '12',
    preset: 'public_chat',
    creation_content: { additional_creators: [bob.userId] },
  });
  await bob.join(room);
  await bob.setState(room, 'm.room.name', '', { name: 'Ours' });
  await bob.ok('POST', inRoom(room, 'upgrade'), { new_version: '12' });
});

test('a room id with a server is none of version 12’s (T125)', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom({ room_version: '12' });
  const answer = await alice.request('GET', inRoom(`${room}:${hs.serverName}`, 'state'));
  assert.equal(answer.status, 403);
});
