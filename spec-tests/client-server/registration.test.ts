// Client-server API, Account registration.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { C } from '../support/client.js';
import { homeserver, runnel, startOwnServer } from '../support/homeserver.js';
import { synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

const name = (): string => `new-${randomBytes(6).toString('hex')}`;
const dummy = { auth: { type: 'm.login.dummy' } };

test('a new user signs up and is logged in on a device', async () => {
  const username = name();
  const anonymous = hs.anonymous();
  const made = await anonymous.ok('POST', `${C}/register`, {
    username,
    password: 'correct horse battery',
    initial_device_display_name: 'Kitchen',
    ...dummy,
  });
  assert.equal(made['user_id'], `@${username}:${hs.serverName}`);
  const client = anonymous.with(made);
  const who = await client.ok('GET', `${C}/account/whoami`);
  assert.equal(who['user_id'], made['user_id']);
  assert.equal(who['device_id'], made['device_id']);
  const device = await client.ok('GET', `${C}/devices/${made['device_id']}`);
  assert.equal(device['display_name'], 'Kitchen');
});

test('without auth the server says which flows there are, and opens a session', async () => {
  const answer = await hs.anonymous().request('POST', `${C}/register`, { username: name(), password: 'pw-of-nobody' });
  assert.equal(answer.status, 401);
  assert.ok(answer.body['flows'].length > 0);
  assert.equal(typeof answer.body['session'], 'string');
});

test('the device id that the client asks for is used', async () => {
  const made = await hs
    .anonymous()
    .ok('POST', `${C}/register`, { username: name(), password: 'pw-of-device', device_id: 'MYPHONE', ...dummy });
  assert.equal(made['device_id'], 'MYPHONE');
});

test('inhibit_login makes an account without a session', async () => {
  const made = await hs
    .anonymous()
    .ok('POST', `${C}/register`, { username: name(), password: 'pw-of-later', inhibit_login: true, ...dummy });
  assert.equal(made['access_token'], undefined);
  assert.equal(made['device_id'], undefined);
});

test('a name that is left out is chosen by the server', async () => {
  const made = await hs.anonymous().ok('POST', `${C}/register`, { password: 'pw-of-nameless', ...dummy });
  assert.match(made['user_id'], new RegExp(`^@[a-z0-9._=/+-]+:${hs.serverName}$`));
});

test('a taken name is refused, before and during registration, and the account keeps its password (T243, T244)', async () => {
  const alice = await hs.user('alice');
  const username = alice.userId.slice(1).split(':')[0]!;
  await hs.anonymous().fails(400, 'M_USER_IN_USE', 'POST', `${C}/register`, {
    username,
    password: 'of somebody else',
    ...dummy,
  });
  await hs.anonymous().fails(400, 'M_USER_IN_USE', 'GET', `${C}/register/available?username=${username}`);
  await alice.login();
});

test('a free name is available', async () => {
  const answer = await hs.anonymous().ok('GET', `${C}/register/available?username=${name()}`);
  assert.equal(answer['available'], true);
});

test('of two parallel registrations of one name exactly one succeeds (T243)', async () => {
  const request = { username: name(), password: 'pw-of-two', ...dummy };
  const answers = await Promise.all([1, 2].map(() => hs.anonymous().request('POST', `${C}/register`, request)));
  assert.deepEqual(answers.map(({ status, body }) => (status === 200 ? 200 : body['errcode'])).sort(), [
    200,
    'M_USER_IN_USE',
  ]);
});

for (const [what, username] of [
  ['a colon', 'a:b'],
  ['a space', 'a b'],
  ['a NUL', 'a\0b'],
  ['a letter outside ASCII', 'аdmin'],
  ['an at sign', '@alice'],
  ['another server', '@x:other.example'],
  ['a zero-width space, outside ASCII', 'ad\u200bmin'],
] as const) {
  const known = what.includes('ASCII') ? synapseDiffers('answers M_UNKNOWN') : {};
  test(`a name with ${what} is no user id (T243, T297)`, known, async () => {
    await hs.anonymous().fails(400, 'M_INVALID_USERNAME', 'POST', `${C}/register`, {
      username,
      password: 'pw-of-invalid',
      ...dummy,
    });
    const path = `${C}/register/available?username=${encodeURIComponent(username)}`;
    await hs.anonymous().fails(400, 'M_INVALID_USERNAME', 'GET', path);
  });
}

test('a user id of more than 255 bytes is refused (T243)', async () => {
  const username = 'a'.repeat(256);
  await hs
    .anonymous()
    .fails(400, 'M_INVALID_USERNAME', 'POST', `${C}/register`, { username, password: 'pw-of-long', ...dummy });
});

test('with registration by token a new user needs one, and it counts its uses (T245)', async (t) => {
  const ours = await startOwnServer({ RUNNEL_REGISTRATION: 'token' });
  t.after(() => ours.stop());
  const { token } = await runnel(ours, 'token', 'create', '--uses', '1');
  const validity = `/_matrix/client/v1/register/m.login.registration_token/validity?token=`;
  assert.deepEqual(await ours.anonymous().ok('GET', validity + token), { valid: true });
  assert.deepEqual(await ours.anonymous().ok('GET', `${validity}unknown`), { valid: false });
  const request = (username: string) => ({ username, password: `pw-of-${username}` });

  const challenge = await ours.anonymous().request('POST', `${C}/register`, request('early'));
  assert.deepEqual(challenge.body['flows'], [{ stages: ['m.login.registration_token'] }]);
  const refused = await ours.anonymous().request('POST', `${C}/register`, {
    ...request('early'),
    auth: { type: 'm.login.dummy', session: challenge.body['session'] },
  });
  assert.equal(refused.status, 401, 'the dummy stage does not replace the token');

  const answers = await Promise.all(
    Array.from({ length: 10 }, async (_, i) => {
      const wish = request(`u${i}`);
      const begun = await ours.anonymous().request('POST', `${C}/register`, wish);
      const auth = { type: 'm.login.registration_token', token, session: begun.body['session'] };
      return ours.anonymous().request('POST', `${C}/register`, { ...wish, auth });
    }),
  );
  assert.equal(answers.filter(({ status }) => status === 200).length, 1);
  assert.deepEqual(
    answers.filter(({ status }) => status !== 200).map(({ status, body }) => `${status} ${body['errcode']}`),
    Array(9).fill('401 M_UNAUTHORIZED'),
  );
  assert.deepEqual(await ours.anonymous().ok('GET', validity + token), { valid: false });
});

test('where registration is closed nobody can register, and nobody learns whose name is taken', async (t) => {
  const ours = await startOwnServer({ RUNNEL_REGISTRATION: 'closed' });
  t.after(() => ours.stop());
  await ours
    .anonymous()
    .fails(403, 'M_FORBIDDEN', 'POST', `${C}/register`, { username: 'eve', password: 'pw-of-eve', ...dummy });
  await ours.anonymous().fails(403, 'M_FORBIDDEN', 'GET', `${C}/register/available?username=eve`);
});
