// Client-server API, Login, Logout, Soft logout.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { C } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { ourChoice } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

test('the server offers login by password', async () => {
  const { flows } = await hs.anonymous().ok('GET', `${C}/login`);
  assert.ok(flows.some((flow: { type: string }) => flow.type === 'm.login.password'));
});

test('a user logs in by localpart, by user id, and in the old way without identifier', async () => {
  const alice = await hs.user('alice');
  const localpart = alice.userId.slice(1).split(':')[0]!;
  const byLocalpart = await alice.login({ identifier: { type: 'm.id.user', user: localpart } });
  const byUserId = await alice.login({ identifier: { type: 'm.id.user', user: alice.userId } });
  const theOldWay = await alice.login({ identifier: undefined, user: localpart });
  for (const session of [byLocalpart, byUserId, theOldWay]) {
    assert.equal((await session.ok('GET', `${C}/account/whoami`))['user_id'], alice.userId);
  }
  assert.equal(new Set([alice, byLocalpart, byUserId, theOldWay].map((c) => c.deviceId)).size, 4);
});

test('logging in again on a device ends the token it had', ourChoice('the server may do so, or not'), async () => {
  const alice = await hs.user('alice');
  const first = await alice.login({ device_id: 'LAPTOP' });
  const second = await alice.login({ device_id: 'LAPTOP' });
  assert.equal(second.deviceId, 'LAPTOP');
  const refused = await first.fails(401, 'M_UNKNOWN_TOKEN', 'GET', `${C}/account/whoami`);
  assert.notEqual(refused['soft_logout'], true);
  await second.ok('GET', `${C}/account/whoami`);
});

test('a wrong password and an unknown user are refused with the same words (T229)', async () => {
  const alice = await hs.user('alice');
  const attempt = (user: string) =>
    hs.anonymous().fails(403, 'M_FORBIDDEN', 'POST', `${C}/login`, {
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user },
      password: 'a guess',
    });
  assert.deepEqual(await attempt(alice.userId), await attempt(`@nobody-at-all:${hs.serverName}`));
});

test('an unknown way of logging in is refused', async () => {
  const answer = await hs.anonymous().request('POST', `${C}/login`, { type: 'm.login.telepathy' });
  assert.equal(answer.status, 400);
});

test('logout ends this session only, logout/all ends every one', async () => {
  const phone = await hs.user('alice');
  const laptop = await phone.login();
  const tablet = await phone.login();
  await tablet.ok('POST', `${C}/logout`, {});
  await tablet.fails(401, 'M_UNKNOWN_TOKEN', 'GET', `${C}/account/whoami`);
  const left = (await phone.ok('GET', `${C}/devices`))['devices'].map((d: { device_id: string }) => d.device_id);
  assert.deepEqual(left.sort(), [phone.deviceId, laptop.deviceId].sort());
  await phone.ok('POST', `${C}/logout/all`, {});
  for (const session of [phone, laptop]) {
    await session.fails(401, 'M_UNKNOWN_TOKEN', 'GET', `${C}/account/whoami`);
  }
});

test('a waiting sync ends when its session is logged out', async () => {
  const phone = await hs.user('alice');
  const laptop = await phone.login();
  await laptop.sync();
  const waiting = laptop.request('GET', `${C}/sync?timeout=30000&since=${laptop.since}`);
  await phone.ok('POST', `${C}/logout/all`, {});
  const began = performance.now();
  await waiting;
  assert.ok(performance.now() - began < 28_000);
  await laptop.fails(401, 'M_UNKNOWN_TOKEN', 'GET', `${C}/sync?since=${laptop.since}`);
});

test('a session hands another device a token to log in with, once, after the password', async () => {
  const phone = await hs.user('alice');
  const { flows } = await phone.ok('GET', `${C}/login`);
  const offered = flows.find((flow: { type: string }) => flow.type === 'm.login.token');
  assert.equal(offered?.get_login_token, true);
  const path = '/_matrix/client/v1/login/get_token';
  const { login_token: token, expires_in_ms: lifetime } = await phone.withPassword('POST', path);
  assert.ok(lifetime > 0);
  const session = await hs.anonymous().ok('POST', `${C}/login`, { type: 'm.login.token', token });
  assert.equal(session['user_id'], phone.userId);
  await hs.anonymous().fails(403, 'M_FORBIDDEN', 'POST', `${C}/login`, { type: 'm.login.token', token });
  await hs.anonymous().fails(403, 'M_FORBIDDEN', 'POST', `${C}/login`, { type: 'm.login.token', token: 'made-up' });
});
