// Secrets in logs, links made from what a request says, and ways in that are not offered: SECURITY-CASES 46, 234, 246, 249.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { request } from 'node:http';
import { test } from 'node:test';
import { type Body, C, inRoom, query } from '../support/client.js';
import { startOwnServer } from '../support/homeserver.js';

const hs = await startOwnServer({ RUNNEL_LOG: 'trace', RUNNEL_PUBLIC_URL: 'https://matrix.hs.test' });
test.after(() => hs.stop());

/** A request with a Host of our choosing, which `fetch` does not allow. */
function withHost(method: string, path: string, host: string, body?: Body): Promise<string> {
  return new Promise((done, fail) => {
    const headers = { host, 'x-forwarded-host': host, 'x-forwarded-proto': 'http', forwarded: `host=${host}` };
    const outgoing = request(`${hs.url}${path}`, { method, headers }, (answer) => {
      let text = JSON.stringify(answer.headers);
      answer.on('data', (chunk) => (text += chunk));
      answer.once('end', () => done(text));
    });
    outgoing.once('error', fail);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

test('a forged Host comes back nowhere (T45, T46)', async () => {
  const alice = await hs.user('alice');
  const login = { type: 'm.login.password', identifier: { type: 'm.id.user', user: alice.userId } };
  for (const [method, path, body] of [
    ['GET', '/', undefined],
    ['GET', '/.well-known/matrix/client', undefined],
    ['GET', '/.well-known/matrix/server', undefined],
    ['GET', '/.well-known/matrix/support', undefined],
    ['GET', `${C}/login`, undefined],
    ['POST', `${C}/login`, { ...login, password: alice.password }],
    ['POST', `${C}/register`, {}],
    ['GET', `${C}/nowhere`, undefined],
  ] as const) {
    const answer = await withHost(method, path, 'evil.test', body);
    assert.doesNotMatch(answer, /evil\.test/, path);
    if (path === '/.well-known/matrix/client') assert.match(answer, /https:\/\/matrix\.hs\.test/);
  }
});

test('a token in the query is in no log, and the header goes before it (T234)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const tokens = { alice: String(alice.accessToken), bob: String(bob.accessToken) };
  const ask = (path: string, headers: Record<string, string> = {}) => fetch(hs.url + path, { headers });
  const who = `${C}/account/whoami`;
  const secret = 'quite-a-client-secret';
  for (const parameter of ['access_token', 'access%5Ftoken', 'access_toke%6E', 'client_secret']) {
    const value = parameter === 'client_secret' ? secret : tokens.alice;
    for (const path of [who, `${C}/nowhere`, `${C}/profile/%zz`, inRoom('!x', 'messages')]) {
      const answer = await ask(`${path}?${parameter}=${value}`, {
        referer: `http://x/?access_token=${tokens.alice}`,
      });
      assert.ok(answer.status < 500);
      assert.doesNotMatch(await answer.text(), new RegExp(value));
    }
  }
  const both = await ask(who + query({ access_token: tokens.bob }), {
    authorization: `Bearer ${tokens.alice}`,
  });
  assert.equal(((await both.json()) as Body)['user_id'], alice.userId);
  const stale = await ask(who + query({ access_token: tokens.bob }), { authorization: 'Bearer stale' });
  assert.equal(stale.status, 401, 'a wrong header is not mended by the query');
  assert.match(hs.own!.output, /account\/whoami/, 'requests are logged at this level');
  for (const hidden of [tokens.alice, tokens.bob, alice.password, secret]) {
    assert.equal(hs.own!.output.includes(hidden), false, 'the log holds a secret');
  }
});

test('no way leads over an email address or a telephone number (T246)', async () => {
  const alice = await hs.user('alice');
  const creds = { sid: '1', client_secret: 'abc', id_server: 'evil.test' };
  for (const type of ['m.login.email.identity', 'm.login.msisdn']) {
    const { body } = await alice.request('POST', `${C}/account/password`, { new_password: 'taken over' });
    assert.deepEqual(body['flows'], [{ stages: ['m.login.password'] }]);
    const auth = { type, session: body['session'], threepid_creds: creds, threepidCreds: creds };
    await alice.request('POST', `${C}/account/password`, { new_password: 'taken over', auth }).then(({ status }) => {
      assert.equal(status, 401);
    });
  }
  await (await alice.login()).ok('GET', `${C}/account/whoami`);
  // What is asked for an address does not say whether it is anybody's.
  for (const path of ['account/password/email', 'account/password/msisdn', 'account/3pid/email', 'register/email']) {
    const answers = await Promise.all(
      [`${alice.userId}`, 'nobody@hs.test', 'x'.repeat(600), '\0'].map(async (email) => {
        const { status, body } = await alice.request('POST', `${C}/${path}/requestToken`, {
          email,
          client_secret: 'not [allowed]',
          send_attempt: 1,
        });
        return [status, body['errcode']];
      }),
    );
    for (const answer of answers) assert.deepEqual(answer, [404, 'M_UNRECOGNIZED'], path);
  }
});

test('a signed web token opens nothing, however it is signed (T249)', async () => {
  const alice = await hs.user('alice');
  const part = (value: Body): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = { sub: alice.userId.slice(1).split(':')[0], iss: 'hs', aud: 'hs', exp: 4_102_444_800 };
  const signed = (alg: string, key: string): string => {
    const head = `${part({ alg, typ: 'JWT' })}.${part(claims)}`;
    return `${head}.${createHmac('sha256', key).update(head).digest('base64url')}`;
  };
  const tokens = [`${part({ alg: 'none' })}.${part(claims)}.`, signed('HS256', ''), signed('RS256', 'public key')];
  const { flows } = await hs.anonymous().ok('GET', `${C}/login`);
  assert.ok(!flows.some(({ type }: { type: string }) => /jwt/i.test(type)));
  for (const token of tokens) {
    for (const type of ['org.matrix.login.jwt', 'm.login.jwt', 'm.login.token', 'm.login.sso', 'm.login.cas']) {
      const { status, body } = await hs.anonymous().request('POST', `${C}/login`, { type, token });
      assert.ok(status === 400 || status === 403, `${type}: ${status}`);
      assert.equal(body['access_token'], undefined);
    }
    await hs
      .anonymous()
      .with({ user_id: alice.userId, access_token: token })
      .fails(401, 'M_UNKNOWN_TOKEN', 'GET', `${C}/account/whoami`);
  }
});
