// Client-server API, Server administration; Account locking; Account suspension; Reporting content.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { C, inRoom, seg } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

const V1 = '/_matrix/client/v1/admin';
const absent = synapseDiffers('has no such endpoint');

test('an administrator suspends a user, who may still read and leave (T242)', absent, async () => {
  const [admin, alice] = [await hs.user('admin', { admin: true }), await hs.user('alice')];
  const room = await alice.createRoom();
  const path = `${V1}/suspend/${seg(alice.userId)}`;
  assert.deepEqual(await admin.ok('GET', path), { suspended: false });
  assert.deepEqual(await admin.ok('PUT', path, { suspended: true }), { suspended: true });
  assert.deepEqual(await admin.ok('GET', path), { suspended: true });
  await alice.sync();
  await alice.fails(403, 'M_USER_SUSPENDED', 'PUT', inRoom(room, 'state', 'm.room.name', ''), { name: 'x' });
  await alice.leave(room);
  await admin.ok('PUT', path, { suspended: false });
  await alice.createRoom();
});

test('a locked user is logged out softly until the lock is lifted (T242)', absent, async () => {
  const [admin, alice] = [await hs.user('admin', { admin: true }), await hs.user('alice')];
  const path = `${V1}/lock/${seg(alice.userId)}`;
  assert.deepEqual(await admin.ok('PUT', path, { locked: true }), { locked: true });
  const refusal = await alice.fails(401, 'M_USER_LOCKED', 'GET', `${C}/sync`);
  assert.equal(refusal['soft_logout'], true);
  await admin.ok('PUT', path, { locked: false });
  await alice.sync();
});

test('only administrators lock and suspend, and only others who are none (T251)', absent, async () => {
  const [admin, other] = [await hs.user('admin', { admin: true }), await hs.user('other', { admin: true })];
  const alice = await hs.user('alice');
  for (const [verb, what] of [
    ['lock', 'locked'],
    ['suspend', 'suspended'],
  ] as const) {
    const path = (user: string): string => `${V1}/${verb}/${seg(user)}`;
    const body = { [what]: true };
    await alice.fails(403, 'M_FORBIDDEN', 'PUT', path('@nobody:elsewhere.example'), body);
    await alice.fails(403, 'M_FORBIDDEN', 'GET', path(admin.userId));
    await admin.fails(403, 'M_FORBIDDEN', 'PUT', path(admin.userId), body);
    await admin.fails(403, 'M_FORBIDDEN', 'PUT', path(other.userId), body);
    await admin.fails(400, 'M_INVALID_PARAM', 'PUT', path('@nobody:elsewhere.example'), body);
    await admin.fails(404, 'M_NOT_FOUND', 'GET', path(`${alice.userId.replace(':', '-not:')}`));
    await admin.fails(400, ['M_BAD_JSON', 'M_MISSING_PARAM'], 'PUT', path(alice.userId), {});
  }
});

test('whois tells where a user was seen, to them and to administrators (T251)', async () => {
  const [admin, alice] = [await hs.user('admin', { admin: true }), await hs.user('alice')];
  const path = (user: string): string => `${C}/admin/whois/${seg(user)}`;
  for (const client of [admin, alice]) {
    const { user_id, devices } = await client.ok('GET', path(alice.userId));
    assert.equal(user_id, alice.userId);
    assert.ok(Object.keys(devices).length > 0);
  }
  await alice.fails(403, 'M_FORBIDDEN', 'GET', path(admin.userId));
});

test('events, rooms and users can be reported', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  const event = await alice.say(room, 'rude');
  await bob.ok('POST', inRoom(room, 'report', event), { reason: 'rude', score: -100 });
  await bob.ok('POST', inRoom(room, 'report'), { reason: 'rude' });
  await bob.ok('POST', `${C}/users/${seg(alice.userId)}/report`, { reason: 'rude' });
});

test('a report of what is not there, or where one is not, is refused or goes unheard (T271)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'private_chat' });
  const event = await alice.say(room, 'rude');
  for (const [client, path] of [
    [alice, inRoom(room, 'report', '$no')],
    [bob, inRoom(room, 'report', event)],
  ] as const) {
    const { status, body } = await client.request('POST', path, { reason: 'rude' });
    // Homeservers that conceal what exists "MAY return 200 responses regardless".
    assert.ok(status === 200 || (status === 404 && body['errcode'] === 'M_NOT_FOUND'), `${path}: ${status}`);
  }
});
