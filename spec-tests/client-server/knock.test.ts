// Client-server API, Knocking on rooms; room versions 7 and later.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, type ClientEvent, inRoom, seg } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { synapseDiffers } from '../support/known.js';

const NOT_NOW = ['M_FORBIDDEN', 'M_BAD_STATE'];
const hs = await homeserver();
test.after(() => hs.stop());

const joinRule = (rule: string, version = '12'): Body => ({
  name: 'The door',
  room_version: version,
  initial_state: [{ type: 'm.room.join_rules', state_key: '', content: { join_rule: rule } }],
});

for (const version of ['7', '10', '12']) {
  test(`a knock is seen by the room and answered by an invite (version ${version})`, async () => {
    const [alice, bob] = await hs.users('alice', 'bob');
    const room = await alice.createRoom(joinRule('knock', version));
    await bob.fails(403, 'M_FORBIDDEN', 'POST', inRoom(room, 'join'), {});
    await bob.sync();
    const answer = await bob.ok('POST', `${C}/knock/${seg(room)}`, { reason: 'it is me' });
    assert.equal(answer['room_id'], room);
    const state = await bob.syncUntil<ClientEvent[]>((body) => body['rooms']?.knock?.[room]?.knock_state.events);
    assert.equal(state.find((e) => e.type === 'm.room.name')?.content['name'], 'The door');
    const own = state.find((e) => e.type === 'm.room.member' && e.state_key === bob.userId);
    assert.equal(own?.content['membership'], 'knock');
    const seen = await alice.state(room, 'm.room.member', bob.userId);
    assert.deepEqual([seen['membership'], seen['reason']], ['knock', 'it is me']);
    await alice.invite(room, bob.userId);
    await bob.syncUntil((body) => body['rooms']?.invite?.[room]);
    await bob.join(room);
  });
}

test('a knock is taken back by leaving, and refused by a kick', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom(joinRule('knock'));
  await bob.knock(room);
  await bob.leave(room);
  assert.equal(await alice.membership(room, bob.userId), 'leave');
  await bob.knock(room);
  await alice.kick(room, bob.userId);
  assert.equal(await alice.membership(room, bob.userId), 'leave');
});

test('nobody knocks on a room that takes none (T98)', synapseDiffers('answers 500 in version 6'), async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  for (const body of [joinRule('invite'), joinRule('public'), joinRule('knock', '6')]) {
    await bob.fails(403, 'M_FORBIDDEN', 'POST', `${C}/knock/${seg(await alice.createRoom(body))}`, {});
  }
});

test('the invited, the joined and the banned do not knock (T98)', async () => {
  const [alice, bob, carol] = await hs.users('alice', 'bob', 'carol');
  const room = await alice.createRoom({ ...joinRule('knock'), invite: [bob.userId] });
  const knock = (client: typeof bob) => client.fails(403, NOT_NOW, 'POST', `${C}/knock/${seg(room)}`, {});
  await knock(bob);
  await bob.join(room);
  await knock(bob);
  await alice.ban(room, carol.userId);
  await knock(carol);
});

test('knocking on what does not exist', async () => {
  const bob = await hs.user('bob');
  await bob.fails(404, 'M_NOT_FOUND', 'POST', `${C}/knock/${seg(`#nowhere:${hs.serverName}`)}`, {});
});

test('who knocks sees nothing of the room', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom(joinRule('knock'));
  const eventId = await alice.say(room, 'in private');
  await bob.knock(room);
  await bob.fails(403, 'M_FORBIDDEN', 'GET', `${inRoom(room, 'messages')}?dir=b`);
  await bob.fails(404, 'M_NOT_FOUND', 'GET', inRoom(room, 'event', eventId));
  await bob.fails(403, 'M_FORBIDDEN', 'GET', inRoom(room, 'state'));
});
