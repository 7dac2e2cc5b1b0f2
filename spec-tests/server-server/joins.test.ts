// Server-server API, Joining Rooms.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inTimeline } from '../support/client.js';
import { startOwnServer } from '../support/homeserver.js';
import { eventId, federating, type Pdu, Peer } from '../support/peer.js';

const hs = await startOwnServer(federating());
const peer = await Peer.start(hs);
test.after(async () => {
  await peer.stop();
  await hs.stop();
});

const makePath = (room: string, user: string, versions = 'ver=1&ver=11'): string =>
  `/_matrix/federation/v1/make_join/${encodeURIComponent(room)}/${encodeURIComponent(user)}?${versions}`;

async function refusal(method: string, path: string, content?: Pdu): Promise<[number, string]> {
  const { status, body } = await peer.request(method, path, content);
  return [status, body['errcode'] as string];
}

test('a user of another server joins, and everyone hears of it', async () => {
  const alice = await hs.user('alice');
  const roomId = await alice.createRoom({ preset: 'public_chat', name: 'Garden' });
  await alice.sync();
  const charlie = peer.user('charlie');
  const join = await peer.makeJoin(roomId, charlie);
  assert.deepEqual(join['content'], { membership: 'join' });
  const { status, body } = await peer.sendJoin(roomId, join);
  assert.equal(status, 200);
  const names = (body['state'] as Pdu[]).map((pdu) => pdu['type']);
  assert.ok(names.includes('m.room.name'));
  assert.ok(!(body['state'] as Pdu[]).some((pdu) => pdu['state_key'] === charlie), 'the state is that before the join');
  const chain = new Set((body['auth_chain'] as Pdu[]).map(eventId));
  for (const pdu of [join, ...(body['state'] as Pdu[])]) {
    for (const id of pdu['auth_events'] as string[]) assert.ok(chain.has(id), `${id} is in the auth chain`);
  }
  const seen = await alice.syncUntil(inTimeline(roomId, (e) => e.type === 'm.room.member' && e.state_key === charlie));
  assert.equal(seen.event_id, eventId(join));
  const again = await peer.sendJoin(roomId, join);
  assert.deepEqual([again.status, again.body['state']], [200, body['state']], 'the same request has the same answer');
});

test('version 1 of send_join answers in a list', async () => {
  const alice = await hs.user('alice');
  const roomId = await alice.createRoom({ preset: 'public_chat' });
  const join = await peer.makeJoin(roomId, peer.user('dora'));
  const path = `/_matrix/federation/v1/send_join/${encodeURIComponent(roomId)}/${encodeURIComponent(eventId(join))}`;
  const { status, body } = await peer.request('PUT', path, join);
  assert.equal(status, 200);
  assert.equal(body[0], 200);
  assert.ok(body[1].state.length > 3);
});

test('make_join says why it does not', async () => {
  const alice = await hs.user('alice');
  const open = await alice.createRoom({ preset: 'public_chat' });
  const closed = await alice.createRoom({ preset: 'private_chat' });
  const left = await alice.createRoom({ preset: 'public_chat' });
  await alice.leave(left);
  const charlie = peer.user('charlie');
  assert.deepEqual(await refusal('GET', makePath('!none:hs.test', charlie)), [404, 'M_NOT_FOUND']);
  assert.deepEqual(await refusal('GET', makePath(left, charlie)), [404, 'M_NOT_FOUND']);
  assert.deepEqual(await refusal('GET', makePath(closed, charlie)), [403, 'M_FORBIDDEN']);
  assert.deepEqual(await refusal('GET', makePath(open, '@someone:else.example')), [403, 'M_FORBIDDEN']);
  assert.deepEqual(await refusal('GET', makePath(open, charlie, 'ver=9')), [400, 'M_INCOMPATIBLE_ROOM_VERSION']);
  const { body } = await peer.request('GET', makePath(open, charlie, 'ver=9'));
  assert.equal(body['room_version'], '11');
});

test('a join that is not what it should be is refused, and nothing is kept of it', async () => {
  const alice = await hs.user('alice');
  const roomId = await alice.createRoom({ preset: 'public_chat' });
  const charlie = peer.user('charlie');
  const join = await peer.makeJoin(roomId, charlie);
  const resigned = (change: Pdu): Pdu => peer.signed({ ...join, ...change });
  const wrong: Record<string, Pdu> = {
    'another type': resigned({ type: 'm.room.name' }),
    'a leave': resigned({ content: { membership: 'leave' } }),
    'of another member': resigned({ state_key: peer.user('other') }),
    'of another server': resigned({ sender: alice.userId, state_key: alice.userId }),
    'of another room': resigned({ room_id: '!other:hs.test' }),
    'without parents': resigned({ prev_events: [] }),
    'with unknown parents': resigned({ prev_events: [`$${'a'.repeat(43)}`] }),
    'without a type': resigned({ type: 7 }),
    unsigned: { ...join, signatures: {} },
    'signed by another key': { ...join, signatures: { [peer.name]: { 'ed25519:peer': 'A'.repeat(86) } } },
  };
  for (const [what, event] of Object.entries(wrong)) {
    const { status, body } = await peer.sendJoin(roomId, event);
    assert.deepEqual([status, body['errcode']], [400, 'M_INVALID_PARAM'], `${what}: ${JSON.stringify(body)}`);
  }
  const path = `/_matrix/federation/v2/send_join/${encodeURIComponent(roomId)}/$${'b'.repeat(43)}`;
  assert.deepEqual(await refusal('PUT', path, join), [400, 'M_INVALID_PARAM']);
  const members = await alice.ok('GET', `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/members`);
  assert.equal((members['chunk'] as unknown[]).length, 1);
});

test('who is banned does not get in with a template from before (T97)', async () => {
  const alice = await hs.user('alice');
  const roomId = await alice.createRoom({ preset: 'public_chat' });
  const charlie = peer.user('charlie');
  const join = await peer.makeJoin(roomId, charlie);
  await alice.ban(roomId, charlie);
  assert.equal((await peer.sendJoin(roomId, join)).body['errcode'], 'M_FORBIDDEN');
  assert.equal(await alice.membership(roomId, charlie), 'ban');
  assert.deepEqual(await refusal('GET', makePath(roomId, charlie)), [403, 'M_FORBIDDEN']);
});

test('the access control list keeps a server out', async () => {
  const alice = await hs.user('alice');
  const roomId = await alice.createRoom({ preset: 'public_chat' });
  const charlie = peer.user('charlie');
  const join = await peer.makeJoin(roomId, charlie);
  await alice.setState(roomId, 'm.room.server_acl', '', { allow: ['*'], deny: ['LOCALHOST'] });
  assert.deepEqual(await refusal('GET', makePath(roomId, charlie)), [403, 'M_FORBIDDEN']);
  assert.equal((await peer.sendJoin(roomId, join)).status, 403);
});

test('a restricted room lets in whom this server can vouch for, and signs for it (T99)', async () => {
  const alice = await hs.user('alice');
  const lobby = await alice.createRoom({ preset: 'public_chat' });
  const rule = { join_rule: 'restricted', allow: [{ type: 'm.room_membership', room_id: lobby }] };
  const roomId = await alice.createRoom({
    preset: 'private_chat',
    initial_state: [{ type: 'm.room.join_rules', state_key: '', content: rule }],
  });
  const charlie = peer.user('charlie');
  assert.deepEqual(await refusal('GET', makePath(roomId, charlie)), [403, 'M_FORBIDDEN']);
  await peer.join(lobby, charlie);
  const join = await peer.makeJoin(roomId, charlie);
  assert.equal(join['content'].join_authorised_via_users_server, alice.userId);
  const stranger = peer.user('stranger');
  const forged = peer.signed({ ...join, sender: stranger, state_key: stranger });
  assert.equal((await peer.sendJoin(roomId, forged)).status, 403, 'nothing is signed for one who meets no condition');
  const { status, body } = await peer.sendJoin(roomId, join);
  assert.equal(status, 200, JSON.stringify(body));
  assert.deepEqual(Object.keys(body['event'].signatures).sort(), [hs.serverName, peer.name].sort());
  assert.equal(await alice.membership(roomId, charlie), 'join');

  const unknown = {
    join_rule: 'restricted',
    allow: [{ type: 'm.room_membership', room_id: '!elsewhere:far.example' }],
  };
  await alice.setState(roomId, 'm.room.join_rules', '', unknown);
  assert.deepEqual(await refusal('GET', makePath(roomId, stranger)), [400, 'M_UNABLE_TO_AUTHORISE_JOIN']);
});

test('nobody joins a room again by themselves that only others are left in', async () => {
  const alice = await hs.user('alice');
  const roomId = await alice.createRoom({ preset: 'public_chat' });
  await peer.join(roomId, peer.user('charlie'));
  await alice.leave(roomId);
  await alice.fails(404, 'M_NOT_FOUND', 'POST', `/_matrix/client/v3/join/${encodeURIComponent(roomId)}`, {});
});
