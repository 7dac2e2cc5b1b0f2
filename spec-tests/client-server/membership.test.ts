// Client-server API, Room membership: join, invite, leave, forget, kick, ban, unban.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, type ClientEvent, inRoom, seg } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';

/** The specification lets servers say that the state of the room forbids it, or only that it is forbidden. */
const NOT_NOW = ['M_FORBIDDEN', 'M_BAD_STATE'];
const hs = await homeserver();
test.after(() => hs.stop());

test('an invited user sees the invite with the room’s name, joins, and is in', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ name: 'Garden' });
  await alice.ok('POST', inRoom(room, 'invite'), { user_id: bob.userId, reason: 'come and see' });
  const stripped = await bob.syncUntil<ClientEvent[]>((body) => body['rooms']?.invite?.[room]?.invite_state.events);
  const invite = stripped.find((e) => e.type === 'm.room.member' && e.state_key === bob.userId);
  assert.equal(invite?.content['membership'], 'invite');
  assert.equal(invite?.content['reason'], 'come and see');
  assert.equal(invite?.sender, alice.userId);
  assert.equal(stripped.find((e) => e.type === 'm.room.name')?.content['name'], 'Garden');
  for (const event of stripped)
    assert.ok(!('origin_server_ts' in event) || event.type === 'm.room.member' || event.type === 'm.room.create');
  const answer = await bob.ok('POST', inRoom(room, 'join'), {});
  assert.equal(answer['room_id'], room);
  const body = await bob.sync();
  assert.ok(body['rooms'].join[room]);
  assert.equal(body['rooms'].invite?.[room], undefined);
  assert.deepEqual((await bob.ok('GET', `${C}/joined_rooms`))['joined_rooms'], [room]);
});

test('anyone joins a public room, by id or by alias, and twice is as good as once', async () => {
  const [alice, bob, carol] = await hs.users('alice', 'bob', 'carol');
  const localpart = alice.userId.slice(1).split(':')[0]!;
  const room = await alice.createRoom({ preset: 'public_chat', room_alias_name: localpart });
  await bob.join(room);
  await bob.join(room);
  await carol.join(`#${localpart}:${hs.serverName}`);
  const { joined } = await alice.ok('GET', inRoom(room, 'joined_members'));
  assert.deepEqual(Object.keys(joined).sort(), [alice.userId, bob.userId, carol.userId].sort());
  const { chunk } = await alice.messages(room, { limit: 100 });
  const joins = chunk.filter((e: ClientEvent) => e.type === 'm.room.member' && e.state_key === bob.userId);
  assert.equal(joins.length, 1, 'joining twice makes one event');
});

test('a private room is closed to who was not invited', async () => {
  const [alice, mallory] = await hs.users('alice', 'mallory');
  const room = await alice.createRoom();
  await mallory.fails(403, 'M_FORBIDDEN', 'POST', inRoom(room, 'join'), {});
  await mallory.fails(403, 'M_FORBIDDEN', 'POST', inRoom(room, 'invite'), { user_id: mallory.userId });
  assert.equal((await alice.request('GET', inRoom(room, 'state', 'm.room.member', mallory.userId))).status, 404);
});

test('joining a room or alias that does not exist fails', async () => {
  const alice = await hs.user('alice');
  await alice.fails(404, 'M_NOT_FOUND', 'POST', `${C}/join/${seg(`#no-such-alias:${hs.serverName}`)}`, {});
  const answer = await alice.request('POST', `${C}/join/${seg(`!no-such-room:${hs.serverName}`)}`, {});
  assert.ok([400, 403, 404].includes(answer.status), String(answer.status));
});

test('an invite can be turned down', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ invite: [bob.userId] });
  await bob.syncUntil((body) => body['rooms']?.invite?.[room]);
  await bob.leave(room);
  const body = await bob.sync();
  assert.ok(body['rooms'].leave?.[room], 'the room is in the leave section');
  await bob.fails(403, 'M_FORBIDDEN', 'POST', inRoom(room, 'join'), {});
});

test('inviting a member, or a banned user, fails', async () => {
  const [alice, bob, carol] = await hs.users('alice', 'bob', 'carol');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await alice.fails(403, 'M_FORBIDDEN', 'POST', inRoom(room, 'invite'), { user_id: bob.userId });
  await alice.ban(room, carol.userId);
  await alice.fails(403, NOT_NOW, 'POST', inRoom(room, 'invite'), { user_id: carol.userId });
});

test('a kicked user is out, learns why, and may come back to a public room', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await bob.sync();
  await alice.ok('POST', inRoom(room, 'kick'), { user_id: bob.userId, reason: 'too loud' });
  const left = await bob.syncUntil<Body>((body) => body['rooms']?.leave?.[room]);
  const last = left['timeline'].events.at(-1);
  assert.deepEqual([last.sender, last.content.membership, last.content.reason], [alice.userId, 'leave', 'too loud']);
  await bob.fails(403, 'M_FORBIDDEN', 'PUT', inRoom(room, 'send', 'm.room.message', 't'), {
    msgtype: 'm.text',
    body: 'x',
  });
  await bob.join(room);
});

test('a kick takes back an invite', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ invite: [bob.userId] });
  await alice.kick(room, bob.userId);
  await bob.fails(403, 'M_FORBIDDEN', 'POST', inRoom(room, 'join'), {});
});

test('a user who is not in the room, or has left it, cannot be kicked', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await alice.fails(403, 'M_FORBIDDEN', 'POST', inRoom(room, 'kick'), { user_id: bob.userId });
  await bob.join(room);
  await bob.leave(room);
  await alice.fails(403, 'M_FORBIDDEN', 'POST', inRoom(room, 'kick'), { user_id: bob.userId });
});

test('a banned user stays out until unbanned', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await alice.ban(room, bob.userId);
  assert.equal(await alice.membership(room, bob.userId), 'ban');
  await bob.fails(403, NOT_NOW, 'POST', inRoom(room, 'join'), {});
  await bob.fails(403, NOT_NOW, 'POST', inRoom(room, 'leave'), {});
  await alice.unban(room, bob.userId);
  assert.equal(await alice.membership(room, bob.userId), 'leave');
  await bob.join(room);
});

test('someone who was never in the room can be banned ahead', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await alice.ban(room, bob.userId);
  await bob.fails(403, NOT_NOW, 'POST', inRoom(room, 'join'), {});
});

test('unbanning who is not banned fails', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await alice.fails(403, NOT_NOW, 'POST', inRoom(room, 'unban'), { user_id: bob.userId });
});

test('a member without power kicks, bans and unbans nobody', async () => {
  const [alice, bob, carol] = await hs.users('alice', 'bob', 'carol');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await carol.join(room);
  for (const action of ['kick', 'ban']) {
    await bob.fails(403, 'M_FORBIDDEN', 'POST', inRoom(room, action), { user_id: carol.userId });
  }
  await alice.ban(room, carol.userId);
  await bob.fails(403, 'M_FORBIDDEN', 'POST', inRoom(room, 'unban'), { user_id: carol.userId });
});

test('a room is forgotten after leaving, and not before (T280)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  const early = await bob.request('POST', inRoom(room, 'forget'), {});
  assert.equal(early.status, 400);
  await bob.leave(room);
  await bob.messages(room);
  await bob.ok('POST', inRoom(room, 'forget'), {});
  await bob.fails(403, 'M_FORBIDDEN', 'GET', `${inRoom(room, 'messages')}?dir=b`);
  await bob.fails(403, 'M_FORBIDDEN', 'GET', inRoom(room, 'state'));
  await bob.fails(403, 'M_FORBIDDEN', 'GET', inRoom(room, 'members'));
  const initial = await bob.ok('GET', `${C}/sync?filter=${seg('{"room":{"include_leave":true}}')}`);
  assert.equal(initial['rooms']?.leave?.[room], undefined);
  await bob.join(room);
  assert.equal(await bob.membership(room, bob.userId), 'join');
});

test('membership can be changed by the state event too, and follows the same rules', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom();
  await alice.setState(room, 'm.room.member', bob.userId, { membership: 'invite' });
  await bob.setState(room, 'm.room.member', bob.userId, { membership: 'join', displayname: 'Bob here' });
  const { joined } = await alice.ok('GET', inRoom(room, 'joined_members'));
  assert.equal(joined[bob.userId].display_name, 'Bob here');
  for (const membership of ['party', 5]) {
    const answer = await bob.request('PUT', inRoom(room, 'state', 'm.room.member', bob.userId), { membership });
    assert.ok([400, 403].includes(answer.status), `${membership}: ${answer.status}`);
  }
  assert.equal((await bob.request('PUT', inRoom(room, 'state', 'm.room.member', bob.userId), {})).status, 400);
  await bob.setState(room, 'm.room.member', bob.userId, { membership: 'leave' });
  assert.equal(await alice.membership(room, bob.userId), 'leave');
});

test('a reason given with join and leave is in the events', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.ok('POST', `${C}/join/${seg(room)}`, { reason: 'heard of it' });
  assert.equal((await alice.state(room, 'm.room.member', bob.userId))['reason'], 'heard of it');
  await bob.ok('POST', inRoom(room, 'leave'), { reason: 'tired' });
  assert.equal((await alice.state(room, 'm.room.member', bob.userId))['reason'], 'tired');
});
