// Client-server API, Restricted rooms; room versions 8 and later, with knocking from version 10 on.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, inRoom, seg } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

const restricted = (rooms: readonly string[], rule = 'restricted', version = '12'): Body => ({
  room_version: version,
  initial_state: [
    {
      type: 'm.room.join_rules',
      state_key: '',
      content: { join_rule: rule, allow: rooms.map((room_id) => ({ type: 'm.room_membership', room_id })) },
    },
  ],
});

for (const version of ['8', '9', '10', '11', '12']) {
  test(`members of the club join, others do not (version ${version})`, async () => {
    const [alice, bob] = await hs.users('alice', 'bob');
    const club = await alice.createRoom({ preset: 'public_chat' });
    const room = await alice.createRoom(restricted([club], 'restricted', version));
    await bob.fails(403, 'M_FORBIDDEN', 'POST', inRoom(room, 'join'), {});
    await bob.join(club);
    await bob.join(room);
    const member = await alice.state(room, 'm.room.member', bob.userId);
    assert.equal(member['join_authorised_via_users_server'], alice.userId);
    await bob.leave(room);
    await bob.leave(club);
    await bob.fails(403, 'M_FORBIDDEN', 'POST', inRoom(room, 'join'), {});
    await alice.invite(room, bob.userId);
    await bob.join(room);
  });
}

test('the banned stay out, club or not', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const club = await alice.createRoom({ preset: 'public_chat' });
  const room = await alice.createRoom(restricted([club]));
  await bob.join(club);
  await alice.ban(room, bob.userId);
  await bob.fails(403, ['M_FORBIDDEN', 'M_BAD_STATE'], 'POST', inRoom(room, 'join'), {});
});

test(
  'an allow list that is broken lets nobody in and breaks nothing',
  synapseDiffers('answers 404 M_UNKNOWN'),
  async () => {
    const [alice, bob] = await hs.users('alice', 'bob');
    const room = await alice.createRoom(restricted([]));
    for (const allow of [
      [],
      {},
      'x',
      [5, null, { type: 5 }, { type: 'm.room_membership' }, { type: 'm.room_membership', room_id: 1 }],
    ]) {
      const set = await alice.request('PUT', inRoom(room, 'state', 'm.room.join_rules', ''), {
        join_rule: 'restricted',
        allow,
      });
      assert.ok([200, 400].includes(set.status), `${JSON.stringify(allow)}: ${set.status}`);
      await bob.fails(403, 'M_FORBIDDEN', 'POST', inRoom(room, 'join'), {});
    }
  },
);

test('a user cannot name an authorising member themselves (T99)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const club = await alice.createRoom({ preset: 'public_chat' });
  const room = await alice.createRoom(restricted([club]));
  await bob.fails(403, 'M_FORBIDDEN', 'PUT', inRoom(room, 'state', 'm.room.member', bob.userId), {
    membership: 'join',
    join_authorised_via_users_server: alice.userId,
  });
});

test('knock_restricted: the club joins, others knock (T98, T99)', async () => {
  const [alice, bob, carol] = await hs.users('alice', 'bob', 'carol');
  const club = await alice.createRoom({ preset: 'public_chat' });
  const room = await alice.createRoom(restricted([club], 'knock_restricted', '10'));
  await bob.join(club);
  await bob.join(room);
  await carol.fails(403, 'M_FORBIDDEN', 'POST', inRoom(room, 'join'), {});
  await carol.knock(room);
  await alice.invite(room, carol.userId);
  await carol.join(room);
});

test(
  'where nobody in the room may invite, a restricted join cannot be granted (T99)',
  synapseDiffers('answers 404'),
  async () => {
    const [alice, bob] = await hs.users('alice', 'bob');
    const club = await alice.createRoom({ preset: 'public_chat' });
    const room = await alice.createRoom({
      ...restricted([club], 'restricted', '10'),
      power_level_content_override: { invite: 50 },
    });
    await bob.join(club);
    const carol = await hs.user('carol');
    await carol.join(club);
    await carol.join(room);
    await alice.leave(room);
    const answer = await bob.request('POST', `${C}/join/${seg(room)}`, {});
    assert.ok([400, 403].includes(answer.status), String(answer.status));
  },
);
