// What keeps an account its owner's: SECURITY-CASES, part N.
import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { type Body, C, type Client, inRoom, ofUser, seg } from '../support/client.js';
import { homeserver, runnel, SHARED_SECRET, startOwnServer } from '../support/homeserver.js';
import { ourChoice } from '../support/known.js';
import { CrossSigning } from '../support/signing.js';

const hs = await homeserver();
test.after(() => hs.stop());

const WHOAMI = `${C}/account/whoami`;
const asUser = (user: string, password: string): Body => ({
  type: 'm.login.password',
  identifier: { type: 'm.id.user', user },
  password,
});
const localpart = (client: Client): string => client.userId.slice(1).split(':')[0]!;
const newName = (): string => `acc-${randomBytes(5).toString('hex')}`;

test('logins are limited by account, whatever the address, and by address, whatever the account (T229)', async (t) => {
  const ours = await startOwnServer({ RUNNEL_RATE_LIMITS: 'on', RUNNEL_TRUSTED_PROXIES: '127.0.0.1' });
  t.after(() => ours.stop());
  const [alice, bob] = [await ours.user('alice'), await ours.user('bob')];
  const from = (address: string, user: string, password: string) =>
    ours.anonymous().request('POST', `${C}/login`, asUser(user, password), { 'x-forwarded-for': address });
  const guesses = [];
  for (let i = 0; i < 12; i++) guesses.push(await from(`203.0.113.${i}`, alice.userId, 'a guess'));
  assert.equal(guesses[0]!.status, 403);
  const limited = guesses.at(-1)!;
  assert.deepEqual([limited.status, limited.body['errcode']], [429, 'M_LIMIT_EXCEEDED']);
  assert.ok(limited.body['retry_after_ms'] > 0);
  assert.ok(Number(limited.headers.get('retry-after')) >= 1);
  assert.equal((await from('203.0.113.200', bob.userId, bob.password)).status, 200, 'others log in');
  const names = [];
  for (let i = 0; i < 20; i++) names.push(await from('198.51.100.7', `@nobody${i}:localhost`, 'a guess'));
  assert.equal(names[0]!.status, 403);
  assert.equal(names.at(-1)!.status, 429);
  assert.equal((await from('198.51.100.8', bob.userId, bob.password)).status, 200, 'other addresses are free');
});

test('passwords that are too long are refused when they are set (T230)', async () => {
  const alice = await hs.user('alice');
  for (const password of ['é🦊'.repeat(1_700), 'x'.repeat(60_000)]) {
    const body = { username: newName(), password, auth: { type: 'm.login.dummy' } };
    assert.equal((await hs.anonymous().request('POST', `${C}/register`, body)).status, 400);
    const change = await alice.request('POST', `${C}/account/password`, { new_password: password });
    assert.ok([400, 401].includes(change.status));
    if (change.status === 400) continue;
    const auth = alice.passwordAuth(change.body['session']);
    const answer = await alice.request('POST', `${C}/account/password`, { new_password: password, auth });
    assert.equal(answer.status, 400);
  }
  await alice.login();
});

test('a NUL in a password is refused before anything is asked (T230)', ourChoice('others take it'), async () => {
  const alice = await hs.user('alice');
  const password = 'before\0after';
  await alice.fails(400, 'M_INVALID_PARAM', 'POST', `${C}/account/password`, { new_password: password });
  await hs.anonymous().fails(400, 'M_INVALID_PARAM', 'POST', `${C}/register`, { username: newName(), password });
  for (const odd of [password, 'é'.repeat(5_000)]) {
    await hs.anonymous().fails(400, 'M_INVALID_PARAM', 'POST', `${C}/login`, asUser(alice.userId, odd));
  }
});

test('what opens something can not be guessed, and is never twice the same (T232, T237)', async () => {
  const alice = await hs.user('alice');
  const given: string[] = [];
  for (let n = 0; n < 8; n++) {
    const login = { ...asUser(alice.userId, alice.password), refresh_token: true };
    const session = await hs.anonymous().ok('POST', `${C}/login`, login);
    const asked = await alice.request('DELETE', `${C}/devices/${session['device_id']}`, {});
    const { nonce } = await hs.anonymous().ok('GET', '/_synapse/admin/v1/register');
    const { access_token: openid } = await alice.ok('POST', ofUser(alice, 'openid', 'request_token'), {});
    given.push(session['access_token'], session['refresh_token'], asked.body['session'], nonce, openid);
  }
  assert.equal(new Set(given).size, given.length);
  for (const secret of given) {
    assert.ok(secret.length >= 20, secret);
    assert.ok(new Set(secret).size >= 9, `${secret} is of few letters`);
    // Counters and clocks would give the same again and again.
    const middle = secret.slice(-18, -8);
    assert.equal(given.filter((other) => other.includes(middle)).length, 1, middle);
  }
});

test('a crash between a refresh and the first use of what it gave leaves a way in (T235)', async (t) => {
  const ours = await startOwnServer();
  t.after(() => ours.stop());
  const alice = await ours.user('alice');
  const login = { ...asUser(alice.userId, alice.password), refresh_token: true };
  const session = await ours.anonymous().ok('POST', `${C}/login`, login);
  const renew = (token: unknown): Promise<Body> =>
    ours.anonymous().ok('POST', `${C}/refresh`, { refresh_token: token });
  const as = (pair: Body): Client => ours.anonymous().with({ ...session, ...pair });
  const crash = async (): Promise<void> => {
    await ours.own!.end('SIGKILL');
    await ours.own!.start();
  };
  const lost = await renew(session['refresh_token']);
  await crash();
  await as({}).ok('GET', WHOAMI);
  const next = await renew(session['refresh_token']);
  await as(next).ok('GET', WHOAMI);
  // That the pair is in use may be written after the answer; what is acknowledged later is on disk no sooner.
  await as(next).createRoom();
  await crash();
  await as(next).ok('GET', WHOAMI);
  for (const old of [{}, lost]) await as(old).fails(401, 'M_UNKNOWN_TOKEN', 'GET', WHOAMI);
  await as(await renew(next['refresh_token'])).ok('GET', WHOAMI);
});

test('what only the owner may do is done for no dummy and no made-up password (T238)', async () => {
  const alice = await hs.user('alice');
  const laptop = await alice.login();
  const cross = new CrossSigning(alice.userId);
  await alice.ok('POST', `${C}/keys/device_signing/upload`, cross.upload());
  const requests: readonly (readonly [method: string, path: string, body: Body])[] = [
    ['POST', `${C}/account/deactivate`, {}],
    ['POST', '/_matrix/client/v1/login/get_token', {}],
    ['POST', `${C}/account/password`, { new_password: 'of the thief' }],
    ['DELETE', `${C}/devices/${laptop.deviceId}`, {}],
    ['POST', `${C}/delete_devices`, { devices: [laptop.deviceId] }],
    ['POST', `${C}/keys/device_signing/upload`, new CrossSigning(alice.userId).upload()],
  ];
  for (const [method, path, body] of requests) {
    const asked = await alice.request(method, path, body);
    assert.equal(asked.status, 401, path);
    assert.ok(asked.body['flows'].length > 0);
    assert.ok(!JSON.stringify(asked.body['flows']).includes('m.login.dummy'), path);
    const { session } = asked.body;
    const right = alice.passwordAuth(session);
    for (const auth of [
      { session },
      { type: 'm.login.dummy', session },
      { type: 'm.login.password', session },
      ...['', '*', 'null', 'undefined', '!', 'password', alice.userId].map((password) => ({ ...right, password })),
      { ...right, password: null },
      { ...right, password: true },
    ]) {
      const answer = await alice.request(method, path, { ...body, auth });
      assert.ok([400, 401, 403].includes(answer.status), `${path} ${JSON.stringify(auth)}: ${answer.status}`);
    }
  }
  await laptop.ok('GET', WHOAMI);
  await alice.login();
  const found = await alice.ok('POST', `${C}/keys/query`, { device_keys: { [alice.userId]: [] } });
  assert.deepEqual(found['master_keys'][alice.userId], cross.masterKey());
});

test('nobody logs in to an account that has no password (T238)', ourChoice('such a user is ours'), async () => {
  const admin = await hs.user('admin', { admin: true });
  const notice = { user_id: admin.userId, content: { msgtype: 'm.text', body: 'hello' } };
  await admin.ok('POST', '/_synapse/admin/v1/send_server_notice', notice);
  const invites = Object.values((await admin.sync())['rooms'].invite) as Body[];
  const events = invites.flatMap(({ invite_state: state }) => state.events as Body[]);
  const notices = events.find((event) => event['state_key'] === admin.userId)?.['sender'] as string;
  assert.match(notices, /^@/);
  for (const password of ['', '*', 'null', 'undefined', 'x']) {
    const { status } = await hs.anonymous().request('POST', `${C}/login`, asUser(notices, password));
    assert.ok([400, 403].includes(status), `${JSON.stringify(password)}: ${status}`);
  }
});

test('of a deactivated account only its aliases and its name stay, and a new password brings nothing back (T241)', async (t) => {
  const ours = await startOwnServer();
  t.after(() => ours.stop());
  const [alice, bob] = await ours.users('alice', 'bob');
  const [tablet, room] = [await alice.login(), await bob.createRoom({ preset: 'public_chat' })];
  await alice.join(room);
  const alias = `#${newName()}:${ours.serverName}`;
  await alice.ok('PUT', `${C}/directory/room/${seg(alias)}`, { room_id: room });
  await alice.ok('POST', `${C}/pushers/set`, {
    ...{ kind: 'http', app_id: 'app', pushkey: 'key', app_display_name: 'App', device_display_name: 'Phone' },
    ...{ lang: 'en', data: { url: 'https://push.example.org/_matrix/push/v1/notify' } },
  });
  const backup = { algorithm: 'm.megolm_backup.v1.curve25519-aes-sha2', auth_data: { public_key: 'abc' } };
  await alice.ok('POST', `${C}/room_keys/version`, backup);
  const login = { ...asUser(alice.userId, alice.password), refresh_token: true };
  const refreshable = await ours.anonymous().ok('POST', `${C}/login`, login);
  await alice.withPassword('POST', `${C}/account/deactivate`, { erase: true });

  for (const session of [alice, tablet, ours.anonymous().with(refreshable)]) {
    await session.fails(401, 'M_UNKNOWN_TOKEN', 'GET', WHOAMI);
  }
  const refresh = { refresh_token: refreshable['refresh_token'] };
  await ours.anonymous().fails(401, 'M_UNKNOWN_TOKEN', 'POST', `${C}/refresh`, refresh);
  assert.equal((await bob.ok('GET', `${C}/directory/room/${seg(alias)}`))['room_id'], room);
  await assert.rejects(runnel(ours, 'user', 'password', alice.userId), /deactivated/);
  for (const password of [alice.password, 'anything']) {
    const answer = await ours.anonymous().request('POST', `${C}/login`, asUser(alice.userId, password));
    assert.deepEqual([answer.status, answer.body['errcode']], [403, 'M_USER_DEACTIVATED']);
  }
  await ours.own!.end('SIGTERM');
  const { problems } = await runnel(ours, 'check');
  assert.deepEqual(problems, [], 'and no row of it is left over');
  await ours.own!.start();
  const body = { username: localpart(alice), password: 'x', auth: { type: 'm.login.dummy' } };
  await ours.anonymous().fails(400, 'M_USER_IN_USE', 'POST', `${C}/register`, body);
});

test(
  'a suspended account shows, says, joins and uploads nothing, and may leave (T242)',
  ourChoice('MSC4323'),
  async () => {
    const [admin, alice] = [await hs.user('admin', { admin: true }), await hs.user('alice')];
    const bob = await hs.user('bob');
    const [room, other] = [await alice.createRoom(), await bob.createRoom({ preset: 'public_chat' })];
    await bob.ok('POST', inRoom(other, 'invite'), { user_id: alice.userId });
    await admin.ok('PUT', `/_matrix/client/v1/admin/suspend/${seg(alice.userId)}`, { suspended: true });
    for (const [method, path, body] of [
      ['PUT', inRoom(room, 'send', 'm.room.message', '1'), { msgtype: 'm.text', body: 'x' }],
      ['PUT', inRoom(room, 'state', 'm.room.topic', ''), { topic: 'x' }],
      ['PUT', inRoom(room, 'state', 'm.room.member', alice.userId), { membership: 'join', displayname: 'x' }],
      ['POST', inRoom(room, 'invite'), { user_id: bob.userId }],
      ['POST', inRoom(other, 'join'), {}],
      ['POST', `${C}/join/${seg(other)}`, {}],
      ['POST', `${C}/knock/${seg(other)}`, {}],
      ['POST', `${C}/createRoom`, {}],
      ['PUT', `${C}/profile/${seg(alice.userId)}/displayname`, { displayname: 'x' }],
      ['PUT', `${C}/profile/${seg(alice.userId)}/avatar_url`, { avatar_url: 'mxc://a/b' }],
      ['POST', '/_matrix/media/v3/upload', {}],
    ] as const) {
      await alice.fails(403, 'M_USER_SUSPENDED', method, path, body);
    }
    await alice.login();
    await alice.sync();
    await alice.leave(other);
    await alice.leave(room);
  },
);

test('the shared secret makes no account twice, and takes none over (T244)', async () => {
  const path = '/_synapse/admin/v1/register';
  const alice = await hs.user('alice');
  const username = localpart(alice);
  const signed = async (password: string): Promise<Body> => {
    const { nonce } = await hs.anonymous().ok('GET', path);
    const words = [nonce, username, password, 'notadmin'].join('\0');
    const mac = createHmac('sha1', SHARED_SECRET).update(words).digest('hex');
    return { nonce, username, password, admin: false, mac };
  };
  await hs.anonymous().fails(400, 'M_USER_IN_USE', 'POST', path, await signed('of somebody else'));
  await alice.login();
  // The mac is over what is asked for, so nothing of it can be exchanged.
  for (const change of [{ username: `${username}x` }, { password: 'another' }, { admin: true }]) {
    const answer = await hs.anonymous().request('POST', path, { ...(await signed('of somebody else')), ...change });
    assert.equal(answer.status, 403, JSON.stringify(change));
  }
  // The ways in of older servers, which asked for less, are not there.
  for (const old of ['/_matrix/client/api/v1/register', '/_matrix/client/v2_alpha/register']) {
    const body = { type: 'm.login.dummy', user: 'old', username: 'old', password: 'long enough' };
    assert.equal((await hs.anonymous().request('POST', old, body)).status, 404, old);
  }
});

test('what one says of oneself makes nobody an administrator (T251)', async () => {
  const alice = await hs.user('alice');
  for (const [path, body] of [
    [ofUser(alice, 'account_data', 'admin'), { admin: true }],
    [ofUser(alice, 'account_data', 'm.admin'), { admin: 1 }],
    [`${C}/profile/${seg(alice.userId)}/admin`, { admin: true }],
    [`${C}/profile/${seg(alice.userId)}/displayname`, { displayname: 'admin', admin: true }],
  ] as const) {
    await alice.request('PUT', path, body);
  }
  const room = await alice.createRoom({ room_alias_name: `admins-${newName()}`, name: 'Admin Room' });
  await alice.say(room, `!admin users make-user-admin ${alice.userId}`);
  await alice.say(room, `\\!admin make-user-admin ${alice.userId}`);
  const answer = await alice.request('POST', '/_synapse/admin/v1/send_server_notice', {
    user_id: alice.userId,
    content: { msgtype: 'm.text', body: 'x' },
  });
  assert.equal(answer.status, 403);
});
