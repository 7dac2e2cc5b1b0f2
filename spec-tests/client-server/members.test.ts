// Client-server API, Getting events for a room: /members, /joined_members, /joined_rooms.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { C, type Client, type ClientEvent, inRoom, query, seg } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

async function members(client: Client, room: string, parameters: Record<string, string> = {}): Promise<string[]> {
  const { chunk } = await client.ok('GET', inRoom(room, 'members') + query(parameters));
  return chunk.map((e: ClientEvent) => `${e.content['membership']} ${e.state_key}`).sort();
}

test('members are listed, all of them or by membership', async () => {
  const [alice, bob, carol, dave] = await hs.users('alice', 'bob', 'carol', 'dave');
  const room = await alice.createRoom({ preset: 'public_chat', invite: [carol.userId] });
  await bob.join(room);
  await alice.ban(room, dave.userId);
  const [a, b, c, d] = [`join ${alice.userId}`, `join ${bob.userId}`, `invite ${carol.userId}`, `ban ${dave.userId}`];
  assert.deepEqual(await members(alice, room), [a, b, c, d].sort());
  assert.deepEqual(await members(alice, room, { membership: 'join' }), [a, b].sort());
  assert.deepEqual(await members(alice, room, { not_membership: 'join' }), [c, d].sort());
});

test('at names the moment of which the members are asked (T276)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await alice.say(room, 'alone');
  const { next_batch: before } = await alice.sync();
  await bob.join(room);
  const now = await members(alice, room);
  assert.deepEqual(now, [`join ${alice.userId}`, `join ${bob.userId}`].sort());
  assert.deepEqual(await members(alice, room, { at: before }), [`join ${alice.userId}`]);
});

test('who left sees the members of that moment; a stranger sees none (T276)', async () => {
  const [alice, bob, carol] = await hs.users('alice', 'bob', 'carol');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await bob.leave(room);
  await carol.join(room);
  assert.deepEqual(await members(bob, room, { membership: 'join' }), [`join ${alice.userId}`]);
  await bob.fails(403, 'M_FORBIDDEN', 'GET', inRoom(room, 'joined_members'));
  const mallory = await hs.user('mallory');
  await mallory.fails(403, 'M_FORBIDDEN', 'GET', inRoom(room, 'members'));
  await mallory.fails(403, 'M_FORBIDDEN', 'GET', inRoom(room, 'joined_members'));
});

test('at shows nobody more than they may see: not what came after they left, and strangers nothing (T276)', async () => {
  const [alice, bob, carol, mallory] = await hs.users('alice', 'bob', 'carol', 'mallory');
  const room = await alice.createRoom({ preset: 'public_chat' });
  const { next_batch: empty } = await alice.sync();
  await bob.join(room);
  await bob.leave(room);
  await carol.join(room);
  const { next_batch: now } = await alice.sync();
  for (const at of [empty, now]) {
    await mallory.fails(403, 'M_FORBIDDEN', 'GET', inRoom(room, 'members') + query({ at }));
  }
  // The specification says what who left gets, not whether they may still name a moment.
  const left = await bob.request('GET', inRoom(room, 'members') + query({ at: now, membership: 'join' }));
  if (left.status === 200) {
    assert.deepEqual(
      left.body['chunk'].map((e: ClientEvent) => e.state_key),
      [alice.userId],
    );
  } else assert.deepEqual([left.status, left.body['errcode']], [403, 'M_FORBIDDEN']);
});

test('who forgot the room is not told who was there (T276)', synapseDiffers('tells, where at is given'), async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  const { next_batch: at } = await bob.sync();
  await bob.leave(room);
  await bob.ok('POST', inRoom(room, 'forget'), {});
  await bob.fails(403, 'M_FORBIDDEN', 'GET', inRoom(room, 'members'));
  await bob.fails(403, 'M_FORBIDDEN', 'GET', inRoom(room, 'members') + query({ at }));
});

test('who could not see what was said then is not told who was there then (T276)', async () => {
  const [alice, bob, carol] = await hs.users('alice', 'bob', 'carol');
  const room = await alice.createRoom({
    preset: 'public_chat',
    initial_state: [{ type: 'm.room.history_visibility', content: { history_visibility: 'joined' } }],
  });
  await carol.join(room);
  const { next_batch: before } = await alice.sync();
  await carol.leave(room);
  await bob.join(room);
  await bob.fails(403, 'M_FORBIDDEN', 'GET', inRoom(room, 'members') + query({ at: before }));
  assert.ok((await members(alice, room, { at: before })).includes(`join ${carol.userId}`));
});

test('joined members come with names and avatars', async () => {
  const alice = await hs.user('alice');
  await alice.ok('PUT', `${C}/profile/${seg(alice.userId)}/displayname`, { displayname: 'Alice' });
  await alice.ok('PUT', `${C}/profile/${seg(alice.userId)}/avatar_url`, { avatar_url: 'mxc://example.org/face' });
  const room = await alice.createRoom();
  assert.deepEqual((await alice.ok('GET', inRoom(room, 'joined_members')))['joined'], {
    [alice.userId]: { display_name: 'Alice', avatar_url: 'mxc://example.org/face' },
  });
});

test('joined_rooms lists the rooms one is in, and no others', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const [room, left] = [await alice.createRoom({ invite: [bob.userId] }), await alice.createRoom()];
  await alice.leave(left);
  assert.deepEqual((await alice.ok('GET', `${C}/joined_rooms`))['joined_rooms'], [room]);
  assert.deepEqual((await bob.ok('GET', `${C}/joined_rooms`))['joined_rooms'], []);
});
