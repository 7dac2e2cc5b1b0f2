// Tokens, passwords and names: SECURITY-CASES, part N.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { C, inRoom, seg } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { ourChoice } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

const CLOSED = [
  ['GET', `${C}/account/whoami`],
  ['GET', `${C}/sync`],
  ['POST', `${C}/createRoom`],
  ['GET', `${C}/devices`],
  ['GET', `${C}/joined_rooms`],
  ['GET', `${C}/pushrules/`],
  ['POST', `${C}/logout`],
  ['GET', inRoom('!x:localhost', 'state')],
  ['PUT', inRoom('!x:localhost', 'send', 'm.room.message', '1')],
] as const;

test('without a token, and with one of nobody, nothing opens (T233)', async () => {
  const nobody = hs.anonymous();
  nobody.accessToken = 'made-up';
  for (const [method, path] of CLOSED) {
    const body = method === 'GET' ? undefined : {};
    await hs.anonymous().fails(401, 'M_MISSING_TOKEN', method, path, body);
    const refused = await nobody.fails(401, 'M_UNKNOWN_TOKEN', method, path, body);
    assert.notEqual(refused['soft_logout'], true, path);
  }
});

test('odd tokens are unknown tokens (T233)', async () => {
  const alice = await hs.user('alice');
  for (const token of [
    `${alice.accessToken}x`,
    alice.accessToken!.slice(0, -1),
    'x'.repeat(5000),
    '__proto__',
    '%00',
  ]) {
    const other = hs.anonymous();
    other.accessToken = token;
    await other.fails(401, 'M_UNKNOWN_TOKEN', 'GET', `${C}/account/whoami`);
  }
});

test(
  'what needs no token works with a stale one too (T233)',
  ourChoice('the specification leaves it open'),
  async () => {
    const alice = await hs.user('alice');
    await alice.ok('POST', `${C}/logout`, {});
    await alice.ok('GET', '/_matrix/client/versions');
    await alice.ok('GET', `${C}/login`);
    await alice.ok('GET', `${C}/profile/${seg((await hs.user('bob')).userId)}`);
  },
);

test('a password is normalised or not, but the same way each time (T230)', async () => {
  const username = `pw-${randomBytes(5).toString('hex')}`;
  const password = 'Å\u212B ﬁ 🦊 pass';
  await hs.anonymous().ok('POST', `${C}/register`, { username, password, auth: { type: 'm.login.dummy' } });
  await hs.anonymous().ok('POST', `${C}/login`, {
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: username },
    password,
  });
});

test('a password of a megabyte is refused before any work (T230)', async () => {
  const alice = await hs.user('alice');
  const password = 'x'.repeat(1_000_000);
  const began = performance.now();
  const answer = await hs.anonymous().request('POST', `${C}/login`, {
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: alice.userId },
    password,
  });
  assert.ok([400, 403, 413].includes(answer.status), String(answer.status));
  assert.ok(performance.now() - began < 5_000);
});

test('fifty logins at once leave the server answering others (T231)', async () => {
  const alice = await hs.user('alice');
  const wrong = { type: 'm.login.password', identifier: { type: 'm.id.user', user: alice.userId }, password: 'no' };
  const logins = Array.from({ length: 50 }, () => hs.anonymous().request('POST', `${C}/login`, wrong));
  let answered = 0;
  let busy = true;
  const finished = Promise.all(logins).then(() => {
    busy = false;
  });
  while (busy) {
    await hs.anonymous().ok('GET', '/_matrix/client/versions');
    answered++;
  }
  await finished;
  assert.ok(answered > 1, `others were answered ${answered} times meanwhile`);
});

test('the flags of an administrator are not for the asking (T251)', async () => {
  const username = `adm-${randomBytes(5).toString('hex')}`;
  const made = await hs.anonymous().ok('POST', `${C}/register`, {
    username,
    password: 'pw-of-no-admin',
    admin: true,
    user_type: 'admin',
    auth: { type: 'm.login.dummy' },
  });
  const client = hs.anonymous().with(made);
  const answer = await client.request('GET', `/_synapse/admin/v1/users/${seg(made['user_id'])}/admin`);
  assert.ok([403, 404].includes(answer.status), String(answer.status));
});

test('the shared-secret registration takes each nonce once, and no wrong mac (T244)', async () => {
  const path = '/_synapse/admin/v1/register';
  const { nonce } = await hs.anonymous().ok('GET', path);
  const username = `mac-${randomBytes(5).toString('hex')}`;
  const answer = await hs
    .anonymous()
    .request('POST', path, { nonce, username, password: 'x'.repeat(10), admin: true, mac: '0'.repeat(40) });
  assert.equal(answer.status, 403);
  for (const mac of ['', 'zz', 'é'.repeat(40)]) {
    const odd = await hs.anonymous().request('POST', path, { nonce, username, password: 'x'.repeat(10), mac });
    assert.ok([400, 403].includes(odd.status), String(odd.status));
  }
});

test(
  'two tokens, in the header and in the query, are one rule: the header counts (T234)',
  ourChoice('open'),
  async () => {
    const [alice, bob] = await hs.users('alice', 'bob');
    const answer = await alice.request('GET', `${C}/account/whoami?access_token=${bob.accessToken}`);
    if (answer.status === 200) assert.equal(answer.body['user_id'], alice.userId);
    else assert.ok([400, 401].includes(answer.status));
  },
);
