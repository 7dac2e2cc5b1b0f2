// Client-server API, Room previews: GET room_summary.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { seg } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';

const hs = await homeserver();
test.after(() => hs.stop());

const summary = (room: string): string => `/_matrix/client/v1/room_summary/${seg(room)}`;

test('a summary says what the room is and what one is in it', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const alias = `summary-${randomBytes(5).toString('hex')}`;
  const room = await alice.createRoom({
    preset: 'public_chat',
    name: 'cheese',
    topic: 'tasty',
    room_alias_name: alias,
    room_version: '10',
  });
  const told = await bob.ok('GET', summary(room));
  assert.equal(told['room_id'], room);
  assert.equal(told['name'], 'cheese');
  assert.equal(told['topic'], 'tasty');
  assert.equal(told['join_rule'], 'public');
  assert.equal(told['num_joined_members'], 1);
  assert.equal(told['room_version'], '10');
  assert.equal(told['world_readable'], false);
  assert.equal(told['allowed_room_ids'], undefined);
  assert.equal(told['membership'], 'leave');
  assert.equal((await alice.ok('GET', summary(room)))['membership'], 'join');
  assert.equal((await bob.ok('GET', summary(`#${alias}:${hs.serverName}`)))['room_id'], room);
  const unstable = `/_matrix/client/unstable/im.nheko.summary/summary/${seg(room)}`;
  assert.equal((await bob.ok('GET', unstable))['room_id'], room);
});

test('a restricted room names the rooms that let one in', async () => {
  const alice = await hs.user('alice');
  const space = await alice.createRoom({ preset: 'public_chat', creation_content: { type: 'm.space' } });
  const room = await alice.createRoom({
    preset: 'public_chat',
    room_version: '8',
    initial_state: [
      {
        type: 'm.room.join_rules',
        state_key: '',
        content: { join_rule: 'restricted', allow: [{ type: 'm.room_membership', room_id: space }] },
      },
    ],
  });
  const told = await alice.ok('GET', summary(room));
  assert.equal(told['join_rule'], 'restricted');
  assert.deepEqual(told['allowed_room_ids'], [space]);
});

test('a room that one may not preview is answered like one that is not there (T277)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'private_chat', name: 'secret' });
  await bob.fails(404, 'M_NOT_FOUND', 'GET', summary(room));
  await bob.fails(404, 'M_NOT_FOUND', 'GET', summary(`#none:${hs.serverName}`));
  await alice.invite(room, bob.userId);
  assert.equal((await bob.ok('GET', summary(room)))['membership'], 'invite');
});

test('without an account, open rooms can be previewed and no others (T277)', async () => {
  const alice = await hs.user('alice');
  const open = await alice.createRoom({ preset: 'public_chat', name: 'open' });
  const closed = await alice.createRoom({ preset: 'private_chat' });
  const told = await hs.anonymous().ok('GET', summary(open));
  assert.equal(told['name'], 'open');
  assert.equal(told['membership'], undefined);
  await hs.anonymous().fails(404, 'M_NOT_FOUND', 'GET', summary(closed));
});
