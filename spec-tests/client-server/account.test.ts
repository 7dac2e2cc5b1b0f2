// Client-server API, Account management: whoami, password, deactivation.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { C, inRoom, query, seg } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { ourChoice } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

const loginWith = (user: string, password: string) => ({
  type: 'm.login.password',
  identifier: { type: 'm.id.user', user },
  password,
});

test('whoami names the user and the device', async () => {
  const alice = await hs.user('alice');
  const who = await alice.ok('GET', `${C}/account/whoami`);
  assert.equal(who['user_id'], alice.userId);
  assert.equal(who['device_id'], alice.deviceId);
  assert.notEqual(who['is_guest'], true);
});

test('a changed password replaces the old one and ends the other sessions', async () => {
  const alice = await hs.user('alice');
  const laptop = await alice.login();
  await alice.withPassword('POST', `${C}/account/password`, { new_password: 'a fresh start' });
  await hs.anonymous().fails(403, 'M_FORBIDDEN', 'POST', `${C}/login`, loginWith(alice.userId, alice.password));
  await hs.anonymous().ok('POST', `${C}/login`, loginWith(alice.userId, 'a fresh start'));
  await laptop.fails(401, 'M_UNKNOWN_TOKEN', 'GET', `${C}/account/whoami`);
  await alice.ok('GET', `${C}/account/whoami`);
});

test('logout_devices: false keeps the other sessions', async () => {
  const alice = await hs.user('alice');
  const laptop = await alice.login();
  await alice.withPassword('POST', `${C}/account/password`, { new_password: 'another one', logout_devices: false });
  await laptop.ok('GET', `${C}/account/whoami`);
});

test('a deactivated user is logged out, out of every room, and cannot log in again; the name stays taken (T241)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await bob.createRoom({ preset: 'public_chat' });
  await alice.join(room);
  const invited = await bob.createRoom({ invite: [alice.userId] });
  await alice.withPassword('POST', `${C}/account/deactivate`, { erase: false });
  await alice.fails(401, 'M_UNKNOWN_TOKEN', 'GET', `${C}/account/whoami`);
  await bob.syncUntil((body) =>
    [body['rooms']?.join?.[room]?.timeline.events, body['rooms']?.join?.[room]?.state?.events]
      .flat()
      .some((e) => e?.type === 'm.room.member' && e.state_key === alice.userId && e.content.membership === 'leave'),
  );
  await bob.sync();
  assert.equal(await bob.membership(room, alice.userId), 'leave');
  assert.equal(await bob.membership(invited, alice.userId), 'leave');
  const answer = await hs.anonymous().request('POST', `${C}/login`, loginWith(alice.userId, alice.password));
  assert.equal(answer.status, 403);
  const username = alice.userId.slice(1).split(':')[0]!;
  await hs.anonymous().fails(400, 'M_USER_IN_USE', 'GET', `${C}/register/available${query({ username })}`);
});

test('the login of a deactivated user says so (T241)', ourChoice('M_FORBIDDEN is allowed too'), async () => {
  const alice = await hs.user('alice');
  await alice.withPassword('POST', `${C}/account/deactivate`);
  await hs.anonymous().fails(403, 'M_USER_DEACTIVATED', 'POST', `${C}/login`, loginWith(alice.userId, alice.password));
});

test('a profile is gone after deactivation with erasure', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  await alice.ok('PUT', `${C}/profile/${seg(alice.userId)}/displayname`, { displayname: 'Alice' });
  await alice.withPassword('POST', `${C}/account/deactivate`, { erase: true });
  const answer = await bob.request('GET', `${C}/profile/${seg(alice.userId)}`);
  assert.ok(answer.status === 404 || answer.body['displayname'] === undefined, JSON.stringify(answer.body));
});

test('third-party identifiers: an account of ours has none', async () => {
  const alice = await hs.user('alice');
  assert.deepEqual(await alice.ok('GET', `${C}/account/3pid`), { threepids: [] });
});

test('a deactivated user cannot be invited back to life by their room (T241)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  await alice.withPassword('POST', `${C}/account/deactivate`);
  const room = await bob.createRoom();
  await bob.request('POST', inRoom(room, 'invite'), { user_id: alice.userId });
  await alice.fails(401, 'M_UNKNOWN_TOKEN', 'POST', inRoom(room, 'join'), {});
});
