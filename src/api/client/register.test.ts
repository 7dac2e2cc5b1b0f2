import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sharedSecretEndpoints } from '#api/admin/shared-secret.js';
import { loginEndpoints } from '#api/client/login.js';
import { registerEndpoints } from '#api/client/register.js';
import { serveApi, type TestApi } from '#api/testing.js';
import type { UserId } from '#core/ids.js';
import { addUser, findUser } from '#users/accounts.js';
import { createRegistrationToken, ensureFirstToken, listRegistrationTokens } from '#users/registration-tokens.js';
import { hmacSha1 } from '#util/digest.js';

const endpoints = [...registerEndpoints, ...loginEndpoints, ...sharedSecretEndpoints];
const dummy = { type: 'm.login.dummy' };

describe('POST /register', () => {
  test('gives the flows, then an account and a session', async (t) => {
    const api = await serveApi(t, endpoints);
    const asked = await api.call('POST', 'register', { body: {} });
    assert.equal(asked.status, 401);
    assert.deepEqual(asked.body.flows[0], { stages: ['m.login.dummy'] });
    assert.deepEqual(asked.body.params, {});
    const wanted = { username: 'alice', password: 'correct horse', device_id: 'PHONE' };
    const first = await api.call('POST', 'register', { body: wanted });
    const made = await api.call('POST', 'register', {
      body: { ...wanted, auth: { ...dummy, session: first.body.session } },
    });
    assert.equal(made.status, 200);
    assert.equal(made.body.user_id, '@alice:test');
    assert.equal(made.body.device_id, 'PHONE');
    const who = await api.call('GET', 'account/whoami', { token: made.body.access_token });
    assert.deepEqual(who.body, { user_id: '@alice:test', device_id: 'PHONE', is_guest: false });
  });

  test('binds the session to the body of the request (T237)', async (t) => {
    const api = await serveApi(t, endpoints);
    const first = await api.call('POST', 'register', { body: { username: 'alice', password: 'one' } });
    const other = { username: 'mallory', password: 'one', auth: { ...dummy, session: first.body.session } };
    const refused = await api.call('POST', 'register', { body: other });
    assert.equal(refused.status, 403);
    assert.equal(findUser(api.users.store, '@mallory:test' as UserId), undefined);
  });

  test('binds the session of a request that only asked for flows to the first that does more (T237)', async (t) => {
    const api = await serveApi(t, endpoints, { registration: 'token' });
    await createRegistrationToken(api.users, { token: 'many' });
    const { session } = (await api.call('POST', 'register', { body: { inhibit_login: true } })).body;
    const attempt = (username: string, token: string) =>
      api.call('POST', 'register', {
        body: { username, password: 'x', auth: { type: 'm.login.registration_token', token, session } },
      });
    assert.equal((await api.call('POST', 'register', { body: { auth: { session } } })).body.errcode, 'M_MISSING_PARAM');
    assert.equal((await attempt('alice', 'wrong')).status, 401);
    assert.equal((await attempt('alice', 'many')).status, 200);
    assert.equal((await attempt('alice2', 'many')).status, 401);
  });

  test('makes capitals small, and refuses names outside the grammar (T243, T297)', async (t) => {
    const api = await serveApi(t, endpoints);
    const upper = await api.call('POST', 'register', { body: { username: 'Alice', password: 'x', auth: dummy } });
    assert.equal(upper.body.user_id, '@alice:test');
    for (const username of ['a:b', 'a b', '_x', '123', '', '@a:test', 'a\0', '\u212Aelvin', 'é', 'x'.repeat(260)]) {
      const answer = await api.call('POST', 'register', { body: { username, password: 'x', auth: dummy } });
      assert.deepEqual([answer.status, answer.body.errcode], [400, 'M_INVALID_USERNAME'], JSON.stringify(username));
      const query = `register/available?username=${encodeURIComponent(username)}`;
      assert.equal((await api.call('GET', query)).body.errcode, 'M_INVALID_USERNAME', JSON.stringify(username));
    }
  });

  test('gives a name to one of two at once (T243)', async (t) => {
    const api = await serveApi(t, endpoints);
    const body = { username: 'alice', password: 'x', auth: dummy };
    const both = await Promise.all([1, 2].map(() => api.call('POST', 'register', { body })));
    assert.deepEqual(both.map((answer) => answer.status).sort(), [200, 400]);
    assert.equal(both.find((answer) => answer.status === 400)?.body.errcode, 'M_USER_IN_USE');
    const taken = await api.call('GET', 'register/available?username=ALICE');
    assert.equal(taken.body.errcode, 'M_USER_IN_USE');
    assert.deepEqual((await api.call('GET', 'register/available?username=bob')).body, { available: true });
  });

  test('refuses passwords that are too long or can not be used, before it hashes them (T230)', async (t) => {
    const api = await serveApi(t, endpoints);
    for (const password of ['x'.repeat(513), 'é'.repeat(257), 'a\0b', '']) {
      const answer = await api.call('POST', 'register', { body: { username: 'alice', password, auth: dummy } });
      assert.equal(answer.status, 400, JSON.stringify(password.slice(0, 9)));
    }
    assert.equal(findUser(api.users.store, '@alice:test' as UserId), undefined);
  });

  test('is closed where the operator says so', async (t) => {
    const api = await serveApi(t, endpoints, { registration: 'closed' });
    const answer = await api.call('POST', 'register', { body: { username: 'a', password: 'x', auth: dummy } });
    assert.deepEqual([answer.status, answer.body.errcode], [403, 'M_FORBIDDEN']);
    const guest = await api.call('POST', 'register?kind=guest', { body: {} });
    assert.equal(guest.status, 403);
  });

  test('makes guests where they are allowed', async (t) => {
    const api = await serveApi(t, endpoints, { guests: true });
    const made = await api.call('POST', 'register?kind=guest', { body: { device_id: 'MINE' } });
    assert.equal(made.status, 200);
    assert.notEqual(made.body.device_id, 'MINE');
    const who = await api.call('GET', 'account/whoami', { token: made.body.access_token });
    assert.equal(who.body.is_guest, true);
  });
});

describe('registration tokens', () => {
  const stage = (token: string, session?: string) => ({ type: 'm.login.registration_token', token, session });

  test('a token for one use makes one account, however many ask at once (T245)', async (t) => {
    const api = await serveApi(t, endpoints, { registration: 'token' });
    await createRegistrationToken(api.users, { token: 'once', usesAllowed: 1 });
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        api.call('POST', 'register', { body: { username: `user${i}x`, password: 'x', auth: stage('once') } }),
      ),
    );
    assert.equal(answers.filter((answer) => answer.status === 200).length, 1);
    assert.equal(answers.filter((answer) => answer.status === 401).length, 9);
    assert.deepEqual(
      (await listRegistrationTokens(api.users)).map(({ pending, completed }) => [pending, completed]),
      [[0, 1]],
    );
    const spent = '/_matrix/client/v1/register/m.login.registration_token/validity?token=once';
    assert.deepEqual((await api.call('GET', spent)).body, { valid: false });
  });

  test('an abandoned registration gives its use back (T237, T245)', async (t) => {
    const terms = { privacy: { version: '1', languages: { en: { name: 'Privacy', url: 'https://hs.test/privacy' } } } };
    const api = await serveApi(t, endpoints, { registration: 'token', terms });
    await createRegistrationToken(api.users, { token: 'once', usesAllowed: 1 });
    const begun = await api.call('POST', 'register', {
      body: { username: 'alice', password: 'x', auth: stage('once') },
    });
    assert.equal(begun.status, 401);
    assert.deepEqual(begun.body.completed, ['m.login.registration_token']);
    assert.equal(begun.body.params['m.login.terms'].policies.privacy.version, '1');
    const bob = { username: 'bob', password: 'x', auth: stage('once') };
    assert.equal((await api.call('POST', 'register', { body: bob })).body.errcode, 'M_UNAUTHORIZED');
    api.test.clock.advance(3 * 3_600_000);
    const again = await api.call('POST', 'register', { body: bob });
    assert.deepEqual(again.body.completed, ['m.login.registration_token']);
    const agree = { type: 'm.login.terms', session: again.body.session };
    assert.equal((await api.call('POST', 'register', { body: { ...bob, auth: agree } })).status, 200);
  });

  test('the first token makes an administrator, once', async (t) => {
    const api = await serveApi(t, endpoints, { registration: 'token' });
    const token = await ensureFirstToken(api.users);
    assert.ok(token);
    assert.equal(await ensureFirstToken(api.users), token);
    const made = await api.call('POST', 'register', { body: { username: 'root', password: 'x', auth: stage(token) } });
    assert.equal(made.status, 200);
    assert.equal(findUser(api.users.store, made.body.user_id)?.admin, true);
    assert.equal(await ensureFirstToken(api.users), undefined);
  });

  const firstBy: Record<string, (api: TestApi) => Promise<unknown>> = {
    'on the command line': (api) => addUser(api.users, { name: 'root', password: 'x', admin: true }),
    'by the shared secret': async (api) => {
      const { nonce } = (await api.call('GET', '/_synapse/admin/v1/register')).body;
      const mac = hmacSha1('shared', [nonce, 'root', 'x', 'admin'].join('\0'));
      const body = { nonce, username: 'root', password: 'x', admin: true, mac };
      assert.equal((await api.call('POST', '/_synapse/admin/v1/register', { body })).status, 200);
    },
    'with another token': async (api) => {
      const other = await createRegistrationToken(api.users);
      const body = { username: 'root', password: 'x', auth: stage(other) };
      assert.equal((await api.call('POST', 'register', { body })).status, 200);
    },
  };
  for (const [how, make] of Object.entries(firstBy)) {
    test(`the first token is worth nothing once the first account was made ${how}`, async (t) => {
      const api = await serveApi(t, endpoints, { registration: 'token', sharedSecret: 'shared' });
      const token = await ensureFirstToken(api.users);
      assert.ok(token);
      const late = { username: 'late', password: 'x' };
      await make(api);
      const answer = await api.call('POST', 'register', { body: { ...late, auth: stage(token) } });
      assert.equal(answer.status, 401);
      assert.equal(findUser(api.users.store, '@late:test' as UserId), undefined);
      assert.equal(await ensureFirstToken(api.users), undefined);
      assert.ok(!(await listRegistrationTokens(api.users)).some((row) => row.token === token));
    });
  }

  test('a guest does not end the first token', async (t) => {
    const api = await serveApi(t, endpoints, { registration: 'token', guests: true });
    const token = await ensureFirstToken(api.users);
    assert.equal((await api.call('POST', 'register?kind=guest', { body: {} })).status, 200);
    assert.equal(await ensureFirstToken(api.users), token);
  });
});

describe('/_synapse/admin/v1/register', () => {
  const path = '/_synapse/admin/v1/register';
  const body = (nonce: string, mac?: string) => ({
    nonce,
    username: 'Boss',
    password: 'pässword',
    admin: true,
    mac: mac ?? hmacSha1('shared', [nonce, 'Boss', 'pässword', 'admin'].join('\0')),
  });

  test('makes accounts for whoever knows the secret (T244)', async (t) => {
    const api = await serveApi(t, endpoints, { registration: 'closed', sharedSecret: 'shared' });
    const { nonce } = (await api.call('GET', path)).body;
    const made = await api.call('POST', path, { body: body(nonce) });
    assert.equal(made.status, 200);
    assert.equal(made.body.user_id, '@boss:test');
    assert.equal(findUser(api.users.store, made.body.user_id)?.admin, true);
    const replayed = await api.call('POST', path, { body: body(nonce) });
    assert.equal(replayed.status, 400);
  });

  test('uses up the nonce of a wrong attempt, and ends nonces after a minute (T244)', async (t) => {
    const api = await serveApi(t, endpoints, { sharedSecret: 'shared' });
    const { nonce } = (await api.call('GET', path)).body;
    assert.equal((await api.call('POST', path, { body: body(nonce, 'ab'.repeat(20)) })).status, 403);
    assert.equal((await api.call('POST', path, { body: body(nonce) })).status, 400);
    const late = (await api.call('GET', path)).body.nonce;
    api.test.clock.advance(61_000);
    assert.equal((await api.call('POST', path, { body: body(late) })).status, 400);
  });

  test('is off without a secret (T232, T244)', async (t) => {
    const api = await serveApi(t, endpoints);
    assert.equal((await api.call('GET', path)).status, 400);
    assert.equal((await api.call('POST', path, { body: body('x') })).status, 400);
  });
});
