// Client-server API, Guest access.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { C, type Client, inRoom, seg } from '../support/client.js';
import { type Homeserver, homeserver, startOwnServer } from '../support/homeserver.js';
import { DeviceKeys } from '../support/signing.js';

// Guests are off by default with us, so this starts a server of its own, unless another homeserver is under test.
const hs: Homeserver =
  process.env['HS_IMPLEMENTATION'] === undefined ? await startOwnServer({ RUNNEL_GUESTS: 'true' }) : await homeserver();
test.after(() => hs.stop());

async function guest(): Promise<Client> {
  return hs.anonymous().with(await hs.anonymous().ok('POST', `${C}/register?kind=guest`, {}));
}

const open = {
  preset: 'public_chat',
  initial_state: [{ type: 'm.room.guest_access', content: { guest_access: 'can_join' } }],
};

test('a guest gets a session, and is told to be one', async () => {
  const who = await (await guest()).ok('GET', `${C}/account/whoami`);
  assert.equal(who['is_guest'], true);
});

test('a guest joins and talks where guests may, and nowhere else', async () => {
  const alice = await hs.user('alice');
  const visitor = await guest();
  const welcoming = await alice.createRoom(open);
  await visitor.join(welcoming);
  await visitor.say(welcoming, 'hello from outside');
  const closed = await alice.createRoom({ preset: 'public_chat' });
  const answer = await visitor.request('POST', `${C}/join/${seg(closed)}`, {});
  assert.equal(answer.status, 403);
});

test('guests leave when guest access ends (T250)', async () => {
  const alice = await hs.user('alice');
  const visitor = await guest();
  const room = await alice.createRoom(open);
  await visitor.join(room);
  await visitor.sync();
  await alice.setState(room, 'm.room.guest_access', '', { guest_access: 'forbidden' });
  await visitor.syncUntil((body) => body['rooms']?.leave?.[room]);
  assert.equal(await alice.membership(room, visitor.userId), 'leave');
});

test('what guests may not do, they may not do (T250)', async () => {
  const alice = await hs.user('alice');
  const visitor = await guest();
  const room = await alice.createRoom(open);
  await visitor.join(room);
  for (const [method, path, body] of [
    ['POST', `${C}/account/password`, { new_password: 'x' }],
    ['POST', `${C}/account/deactivate`, {}],
    ['POST', `${C}/createRoom`, {}],
    ['PUT', `${C}/directory/room/${seg(`#guest:${hs.serverName}`)}`, { room_id: room }],
    ['POST', `${C}/search`, { search_categories: {} }],
    ['GET', `${C}/pushrules/`, undefined],
  ] as const) {
    await visitor.fails(403, 'M_GUEST_ACCESS_FORBIDDEN', method, path, body);
  }
});

test('of their profile, guests change the name only (T250)', async () => {
  const visitor = await guest();
  const field = (name: string): string => `${C}/profile/${seg(visitor.userId)}/${name}`;
  await visitor.ok('PUT', field('displayname'), { displayname: 'A visitor' });
  assert.equal((await visitor.request('PUT', field('avatar_url'), { avatar_url: 'mxc://a/b' })).status, 403);
});

test('a guest who was never in a room reads it only where the world may', async () => {
  const alice = await hs.user('alice');
  const visitor = await guest();
  const room = await alice.createRoom({
    preset: 'public_chat',
    initial_state: [{ type: 'm.room.history_visibility', content: { history_visibility: 'world_readable' } }],
  });
  await alice.say(room, 'to the world');
  const page = await visitor.messages(room);
  assert.ok(JSON.stringify(page).includes('to the world'));
  const inner = await alice.createRoom({ preset: 'public_chat' });
  assert.equal((await visitor.request('GET', `${inRoom(inner, 'messages')}?dir=b`)).status, 403);
});

test('guests take part in encryption', async () => {
  const visitor = await guest();
  const alice = await hs.user('alice');
  const keys = new DeviceKeys(visitor);
  const one_time_keys = keys.oneTimeKeys(1);
  await visitor.ok('POST', `${C}/keys/upload`, { device_keys: keys.identity(), one_time_keys });
  const asked = { [visitor.userId]: { [visitor.deviceId]: 'signed_curve25519' } };
  const claimed = await alice.ok('POST', `${C}/keys/claim`, { one_time_keys: asked });
  assert.deepEqual(claimed['one_time_keys'][visitor.userId][visitor.deviceId], one_time_keys);
  await visitor.ok('POST', `${C}/keys/claim`, { one_time_keys: asked });
  const found = await visitor.ok('POST', `${C}/keys/query`, { device_keys: { [visitor.userId]: [] } });
  assert.ok(found['device_keys'][visitor.userId][visitor.deviceId]);
});
