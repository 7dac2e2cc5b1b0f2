import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { accountEndpoints } from '#api/client/account.js';
import { deviceEndpoints } from '#api/client/devices.js';
import { loginEndpoints } from '#api/client/login.js';
import { registerEndpoints } from '#api/client/register.js';
import { passwordOf, serveApi, type TestApi } from '#api/testing.js';
import type { UserId } from '#core/ids.js';
import { addUser, findUser, setFlags } from '#users/accounts.js';

const endpoints = [...registerEndpoints, ...loginEndpoints, ...deviceEndpoints, ...accountEndpoints];
const alice = '@alice:test' as UserId;

const whoami = (api: TestApi, token: string) => api.call('GET', 'account/whoami', { token });
const password = (name: string, session?: string) => ({
  type: 'm.login.password',
  identifier: { type: 'm.id.user', user: name },
  password: passwordOf(name),
  session,
});

describe('login with a password', () => {
  test('takes user ids and localparts in any case, and keeps the device id', async (t) => {
    const api = await serveApi(t, endpoints);
    await api.register('alice');
    for (const name of ['alice', '@alice:test', 'ALICE', '@Alice:test']) {
      const answer = await api.call('POST', 'login', {
        body: { ...password('alice'), identifier: { type: 'm.id.user', user: name }, device_id: 'D' },
      });
      assert.equal(answer.status, 200, name);
      assert.equal(answer.body.user_id, alice);
      assert.equal(answer.body.device_id, 'D');
      assert.equal(answer.body.well_known['m.homeserver'].base_url, 'https://hs.test');
    }
    const old = await api.call('POST', 'login', {
      body: { type: 'm.login.password', user: 'alice', password: passwordOf('alice') },
    });
    assert.equal(old.status, 200);
  });

  test('answers alike to a wrong password and an unknown user (T229)', async (t) => {
    const api = await serveApi(t, endpoints);
    await api.register('alice');
    const wrong = await api.login('alice', { password: 'wrong' });
    assert.deepEqual([wrong.status, wrong.body.errcode], [403, 'M_FORBIDDEN']);
    for (const name of ['nobody', '@alice:elsewhere', '@:test', 'a b', '']) {
      const unknown = await api.login('alice', { identifier: { type: 'm.id.user', user: name } });
      assert.deepEqual(unknown, wrong, name);
    }
  });

  test('refuses unknown ways, and requests without what they need', async (t) => {
    const api = await serveApi(t, endpoints);
    const status = async (body: object) => (await api.call('POST', 'login', { body })).status;
    assert.equal(await status({ type: 'm.login.magic' }), 400);
    assert.equal(await status({ type: 'm.login.password', user: 'alice' }), 400);
    assert.equal(await status({ type: 'm.login.password', password: 'x' }), 400);
    assert.equal(await status({ type: 'm.login.token' }), 400);
    assert.equal(await status({}), 400);
  });

  test('slows down guessing at one account (T229)', async (t) => {
    const api = await serveApi(t, endpoints, { limitAttempts: true });
    await api.register('alice');
    const tries = await Promise.all(Array.from({ length: 12 }, () => api.login('alice', { password: 'wrong' })));
    assert.equal(tries.filter((answer) => answer.status === 429).length, 2);
    const limited = await api.login('alice');
    assert.equal(limited.body.errcode, 'M_LIMIT_EXCEEDED');
    api.test.clock.advance(limited.body.retry_after_ms);
    assert.equal((await api.login('alice')).status, 200);
  });

  test('slows down logins to one account, whether their password is right or not (T229)', async (t) => {
    const api = await serveApi(t, endpoints, { limitAttempts: true });
    for (const name of ['alice', 'bob']) await api.register(name);
    for (let n = 0; n < 20; n++) assert.equal((await api.login('alice', { device_id: 'D' })).status, 200);
    const limited = await api.login('alice');
    assert.deepEqual([limited.status, limited.body.errcode], [429, 'M_LIMIT_EXCEEDED']);
    assert.deepEqual(await api.login('alice', { password: 'wrong' }), limited, 'and does not tell which it was');
    assert.equal((await api.login('bob')).status, 200);
    api.test.clock.advance(limited.body.retry_after_ms);
    assert.equal((await api.login('alice')).status, 200);
  });

  test('revokes the tokens that the device had', async (t) => {
    const api = await serveApi(t, endpoints);
    const first = await api.register('alice');
    const second = (await api.login('alice', { device_id: first.device_id })).body;
    assert.equal((await whoami(api, first.access_token)).status, 401);
    assert.equal((await whoami(api, second.access_token)).status, 200);
  });
});

describe('tokens', () => {
  test('unknown ones are not soft logouts, expired ones are (T233)', async (t) => {
    const api = await serveApi(t, endpoints);
    await api.register('alice');
    const unknown = await whoami(api, 'nonsense');
    assert.deepEqual([unknown.status, unknown.body.errcode, unknown.body.soft_logout], [401, 'M_UNKNOWN_TOKEN', false]);
    const { body } = await api.login('alice', { refresh_token: true });
    assert.equal(body.expires_in_ms, 300_000);
    api.test.clock.advance(300_001);
    const expired = await whoami(api, body.access_token);
    assert.deepEqual([expired.status, expired.body.errcode, expired.body.soft_logout], [401, 'M_UNKNOWN_TOKEN', true]);
  });

  test('a refresh token lasts until the pair that it made is used (T235)', async (t) => {
    const api = await serveApi(t, endpoints);
    await api.register('alice');
    const { body: first } = await api.login('alice', { refresh_token: true });
    const refresh = (token: string) => api.call('POST', 'refresh', { body: { refresh_token: token } });
    const lost = (await refresh(first.refresh_token)).body;
    const second = (await refresh(first.refresh_token)).body;
    assert.equal((await whoami(api, first.access_token)).status, 200);
    assert.equal((await whoami(api, second.access_token)).status, 200);
    await api.users.store.settle();
    for (const token of [first.access_token, lost.access_token]) assert.equal((await whoami(api, token)).status, 401);
    assert.equal((await refresh(lost.refresh_token)).status, 401);
    assert.equal((await refresh(second.refresh_token)).status, 200);
  });

  test('refreshing again uses the pair, too', async (t) => {
    const api = await serveApi(t, endpoints);
    await api.register('alice');
    let { body: pair } = await api.login('alice', { refresh_token: true });
    for (let i = 0; i < 12; i++) {
      api.test.clock.advance(600_000);
      const next = await api.call('POST', 'refresh', { body: { refresh_token: pair.refresh_token } });
      assert.equal(next.status, 200);
      pair = next.body;
    }
    assert.equal((await whoami(api, pair.access_token)).status, 200);
  });

  test('a spent refresh token that is shown again ends the session (T235)', async (t) => {
    const api = await serveApi(t, endpoints);
    await api.register('alice');
    const { body: first } = await api.login('alice', { refresh_token: true });
    const { body: second } = await api.call('POST', 'refresh', { body: { refresh_token: first.refresh_token } });
    assert.equal((await whoami(api, second.access_token)).status, 200);
    const replayed = await api.call('POST', 'refresh', { body: { refresh_token: first.refresh_token } });
    assert.deepEqual([replayed.status, replayed.body.errcode], [401, 'M_UNKNOWN_TOKEN']);
    assert.equal((await whoami(api, second.access_token)).status, 401);
    assert.equal((await api.call('POST', 'refresh', { body: { refresh_token: second.refresh_token } })).status, 401);
  });

  test('a login token works once, for two minutes', async (t) => {
    const api = await serveApi(t, endpoints);
    const { access_token: token } = await api.register('alice');
    const path = '/_matrix/client/v1/login/get_token';
    const asked = await api.call('POST', path, { token, body: {} });
    assert.equal(asked.status, 401);
    const make = async () =>
      (await api.call('POST', path, { token, body: { auth: password('alice') } })).body.login_token;
    const once = await make();
    const use = (loginToken: string) =>
      api.call('POST', 'login', { body: { type: 'm.login.token', token: loginToken } });
    const answers = await Promise.all([use(once), use(once)]);
    assert.deepEqual(answers.map((answer) => answer.status).sort(), [200, 403]);
    const late = await make();
    api.test.clock.advance(120_001);
    assert.equal((await use(late)).status, 403);
  });

  test('logout ends one session, or all', async (t) => {
    const api = await serveApi(t, endpoints);
    const [first, second] = [await api.register('alice'), (await api.login('alice')).body];
    assert.equal((await api.call('POST', 'logout', { token: first.access_token })).status, 200);
    assert.equal((await whoami(api, first.access_token)).body.errcode, 'M_UNKNOWN_TOKEN');
    assert.equal((await whoami(api, second.access_token)).status, 200);
    const third = (await api.login('alice')).body;
    assert.equal((await api.call('POST', 'logout/all', { token: third.access_token })).status, 200);
    for (const session of [second, third]) assert.equal((await whoami(api, session.access_token)).status, 401);
    assert.equal((await api.login('alice')).status, 200);
  });
});

describe('interactive authentication', () => {
  test('is bound to the request that it was begun for, and to the user (T237)', async (t) => {
    const api = await serveApi(t, endpoints);
    const { access_token: token } = await api.register('alice');
    const { access_token: other } = await api.register('bob');
    for (const device of ['A', 'B']) await api.login('alice', { device_id: device });
    const begun = await api.call('DELETE', 'devices/A', { token, body: {} });
    assert.equal(begun.status, 401);
    assert.deepEqual(begun.body.flows, [{ stages: ['m.login.password'] }]);
    const auth = password('alice', begun.body.session);
    assert.equal((await api.call('DELETE', 'devices/B', { token, body: { auth } })).status, 403);
    assert.equal((await api.call('DELETE', 'devices/A', { token, body: { auth, more: 1 } })).status, 403);
    const bobs = password('bob', begun.body.session);
    assert.equal((await api.call('DELETE', 'devices/A', { token: other, body: { auth: bobs } })).status, 403);
    assert.equal((await api.call('DELETE', 'devices/A', { token, body: { auth: bobs } })).status, 403);
    assert.equal((await api.call('DELETE', 'devices/A', { token, body: { auth } })).status, 200);
    assert.equal((await api.call('GET', 'devices/A', { token })).status, 404);
    assert.equal((await api.call('GET', 'devices/B', { token })).status, 200);
    const again = await api.call('DELETE', 'devices/A', { token, body: { auth } });
    assert.equal(again.status, 401, 'a session is used up');
  });

  test('takes no stage but the password, and no empty one (T237, T238)', async (t) => {
    const api = await serveApi(t, endpoints);
    const { access_token: token } = await api.register('alice');
    await api.login('alice', { device_id: 'A' });
    const attempt = async (auth: object) => {
      const answer = await api.call('DELETE', 'devices/A', { token, body: { auth } });
      assert.equal(answer.status, 401);
      assert.ok(answer.body.flows);
      assert.ok(answer.body.session);
      return answer.body.errcode;
    };
    assert.equal(await attempt({}), undefined);
    assert.equal(await attempt({ type: 'm.login.dummy' }), 'M_UNRECOGNIZED');
    assert.equal(await attempt({ ...password('alice'), password: '' }), 'M_MISSING_PARAM');
    assert.equal(await attempt({ ...password('alice'), password: 'wrong' }), 'M_FORBIDDEN');
    assert.equal(await attempt({ ...password('alice'), session: 'made up' }), 'M_UNKNOWN');
    assert.equal((await api.call('GET', 'devices/A', { token })).status, 200);
  });

  test('expires (T237)', async (t) => {
    const api = await serveApi(t, endpoints);
    const { access_token: token } = await api.register('alice');
    const begun = await api.call('DELETE', 'devices/A', { token, body: {} });
    api.test.clock.advance(3_600_001);
    const late = await api.call('DELETE', 'devices/A', {
      token,
      body: { auth: password('alice', begun.body.session) },
    });
    assert.deepEqual([late.status, late.body.errcode], [401, 'M_UNKNOWN']);
  });
});

describe('devices', () => {
  test('beyond as many as a user may have, the longest unused goes, and what is in use stays', async (t) => {
    const api = await serveApi(t, endpoints, { maxDevices: 3 });
    const { access_token: first, device_id: oldest } = await api.register('alice');
    const login = async (device?: string): Promise<string> => {
      api.test.clock.advance(60_000);
      return (await api.login('alice', device === undefined ? {} : { device_id: device })).body.access_token;
    };
    const second = await login('SECOND');
    const third = await login('THIRD');
    api.test.clock.advance(60_000);
    // The oldest device is still used, the second never was after its login.
    await whoami(api, first);
    assert.equal((await whoami(api, await login('THIRD'))).status, 200, 'no new device, nothing to make room for');
    const fourth = await login();
    assert.equal((await whoami(api, fourth)).status, 200);
    assert.equal((await whoami(api, second)).status, 401);
    const { devices } = (await api.call('GET', 'devices', { token: first })).body;
    assert.equal(devices.length, 3);
    assert.ok(devices.some(({ device_id: id }: { device_id: string }) => id === oldest));
    assert.equal((await whoami(api, third)).status, 401, 'a login anew ends the tokens of its device');
  });

  test('are listed, renamed and deleted with their sessions', async (t) => {
    const api = await serveApi(t, endpoints);
    const { access_token: token, device_id: own } = await api.register('alice');
    const gone = (await api.login('alice', { device_id: 'A', initial_device_display_name: 'Phone' })).body;
    await api.login('alice', { device_id: 'B' });
    const listed = (await api.call('GET', 'devices', { token })).body.devices;
    assert.deepEqual(listed.map((device: { device_id: string }) => device.device_id).sort(), ['A', 'B', own].sort());
    const seen = (await api.call('GET', `devices/${own}`, { token })).body;
    assert.equal(seen.last_seen_ip, '127.0.0.1');
    assert.equal(seen.last_seen_ts, api.test.clock.now());
    assert.equal((await api.call('PUT', 'devices/A', { token, body: { display_name: 'Old phone' } })).status, 200);
    assert.equal((await api.call('GET', 'devices/A', { token })).body.display_name, 'Old phone');
    assert.equal((await api.call('PUT', 'devices/C', { token, body: { display_name: 'x' } })).status, 404);
    const long = await api.call('PUT', 'devices/A', { token, body: { display_name: 'x'.repeat(101) } });
    assert.equal(long.status, 400);
    const body = { devices: ['A', 'B', 'unknown'], auth: password('alice') };
    assert.equal((await api.call('POST', 'delete_devices', { token, body })).status, 200);
    assert.equal((await whoami(api, gone.access_token)).status, 401);
    assert.equal((await api.call('GET', 'devices', { token })).body.devices.length, 1);
  });
});

describe('accounts', () => {
  test('a new password ends the other sessions, unless it is told not to', async (t) => {
    const api = await serveApi(t, endpoints);
    const { access_token: token } = await api.register('alice');
    const other = (await api.login('alice')).body.access_token;
    const change = (body: object) => api.call('POST', 'account/password', { token, body });
    assert.equal(
      (await change({ new_password: 'second', auth: { ...password('alice'), password: 'no' } })).status,
      401,
    );
    assert.equal((await change({ new_password: 'second', auth: password('alice') })).status, 200);
    assert.equal((await whoami(api, token)).status, 200);
    assert.equal((await whoami(api, other)).status, 401);
    assert.equal((await api.login('alice')).status, 403);
    const kept = (await api.login('alice', { password: 'second' })).body.access_token;
    const auth = { ...password('alice'), password: 'second' };
    assert.equal((await change({ new_password: 'third', logout_devices: false, auth })).status, 200);
    assert.equal((await whoami(api, kept)).status, 200);
  });

  test('deactivation ends every way in, for good (T241)', async (t) => {
    const api = await serveApi(t, endpoints);
    const { access_token: token } = await api.register('alice');
    const { body: refreshable } = await api.login('alice', { refresh_token: true });
    const login = await api.call('POST', '/_matrix/client/v1/login/get_token', {
      token,
      body: { auth: password('alice') },
    });
    const body = { auth: password('alice'), erase: true };
    const ended = await api.call('POST', 'account/deactivate', { token, body });
    assert.deepEqual([ended.status, ended.body], [200, { id_server_unbind_result: 'success' }]);
    assert.equal((await whoami(api, token)).status, 401);
    const again = await api.login('alice');
    assert.deepEqual([again.status, again.body.errcode], [403, 'M_USER_DEACTIVATED']);
    const byToken = { type: 'm.login.token', token: login.body.login_token };
    assert.equal((await api.call('POST', 'login', { body: byToken })).body.errcode, 'M_USER_DEACTIVATED');
    const refreshed = await api.call('POST', 'refresh', { body: { refresh_token: refreshable.refresh_token } });
    assert.equal(refreshed.status, 401);
    assert.equal(findUser(api.users.store, alice)?.erased, true);
    const name = { username: 'alice', password: 'x', auth: { type: 'm.login.dummy' } };
    assert.equal((await api.call('POST', 'register', { body: name })).body.errcode, 'M_USER_IN_USE');
  });

  test('a locked account may only log out (T242)', async (t) => {
    const api = await serveApi(t, endpoints);
    const { access_token: token } = await api.register('alice');
    await setFlags(api.users, alice, { locked: true });
    const locked = await whoami(api, token);
    assert.deepEqual([locked.status, locked.body.errcode, locked.body.soft_logout], [401, 'M_USER_LOCKED', true]);
    assert.equal((await api.login('alice')).body.errcode, 'M_USER_LOCKED');
    assert.equal((await api.call('POST', 'logout', { token })).status, 200);
    await setFlags(api.users, alice, { locked: false });
    assert.equal((await api.login('alice')).status, 200);
  });

  test('the command line adds users that can log in', async (t) => {
    const api = await serveApi(t, endpoints, { registration: 'closed' });
    assert.equal(await addUser(api.users, { name: 'alice', password: passwordOf('alice'), admin: true }), alice);
    assert.equal((await api.login('alice')).status, 200);
    await assert.rejects(addUser(api.users, { name: 'alice', password: 'x' }), { errcode: 'M_USER_IN_USE' });
  });
});
