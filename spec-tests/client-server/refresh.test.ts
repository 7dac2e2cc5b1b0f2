// Client-server API, Refreshing access tokens.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, type Client } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { ourChoice } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

async function refreshable(alice: Client): Promise<Body> {
  return hs.anonymous().ok('POST', `${C}/login`, {
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: alice.userId },
    password: alice.password,
    refresh_token: true,
  });
}

test('a client that can refresh gets a refresh token, and others get none', async () => {
  const alice = await hs.user('alice');
  const session = await refreshable(alice);
  assert.equal(typeof session['refresh_token'], 'string');
  assert.ok(session['expires_in_ms'] > 0);
  const plain = await hs.anonymous().ok('POST', `${C}/login`, {
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: alice.userId },
    password: alice.password,
  });
  assert.equal(plain['refresh_token'], undefined);
});

test('a refresh yields a new pair on the same device, and the old refresh token ends with the first use of the new (T235)', async () => {
  const session = await refreshable(await hs.user('alice'));
  const next = await hs.anonymous().ok('POST', `${C}/refresh`, { refresh_token: session['refresh_token'] });
  assert.notEqual(next['access_token'], session['access_token']);
  const renewed = hs.anonymous().with({ ...session, ...next });
  assert.equal((await renewed.ok('GET', `${C}/account/whoami`))['device_id'], session['device_id']);
  const replay = await hs.anonymous().request('POST', `${C}/refresh`, { refresh_token: session['refresh_token'] });
  assert.ok([401, 403].includes(replay.status), `an old refresh token is of no use: ${replay.status}`);
});

test('a refresh whose answer was lost can be made again (T235)', async () => {
  const session = await refreshable(await hs.user('alice'));
  const request = { refresh_token: session['refresh_token'] };
  await hs.anonymous().ok('POST', `${C}/refresh`, request);
  const again = await hs.anonymous().ok('POST', `${C}/refresh`, request);
  await hs
    .anonymous()
    .with({ ...session, ...again })
    .ok('GET', `${C}/account/whoami`);
});

test('of parallel refreshes one chain lives on (T235)', async () => {
  const session = await refreshable(await hs.user('alice'));
  const request = { refresh_token: session['refresh_token'] };
  const answers = await Promise.all([1, 2, 3].map(() => hs.anonymous().request('POST', `${C}/refresh`, request)));
  const clients = answers
    .filter(({ status }) => status === 200)
    .map(({ body }) => hs.anonymous().with({ ...session, ...body }));
  const use = () => Promise.all(clients.map((client) => client.request('GET', `${C}/account/whoami`)));
  await use();
  const alive = await use();
  assert.equal(alive.filter(({ status }) => status === 200).length, 1);
});

test('an unknown refresh token is refused', async () => {
  await hs.anonymous().fails(401, 'M_UNKNOWN_TOKEN', 'POST', `${C}/refresh`, { refresh_token: 'made-up' });
});

test('a refresh token ends with logout', async () => {
  const session = await refreshable(await hs.user('alice'));
  await hs.anonymous().with(session).ok('POST', `${C}/logout`, {});
  const answer = await hs.anonymous().request('POST', `${C}/refresh`, { refresh_token: session['refresh_token'] });
  assert.ok([401, 403].includes(answer.status));
});

test(
  'a replayed refresh token ends the session of whoever uses it (T235)',
  ourChoice('theft is answered by ending all'),
  async () => {
    const session = await refreshable(await hs.user('alice'));
    const next = await hs.anonymous().ok('POST', `${C}/refresh`, { refresh_token: session['refresh_token'] });
    const renewed = hs.anonymous().with({ ...session, ...next });
    await renewed.ok('GET', `${C}/account/whoami`);
    await hs
      .anonymous()
      .fails(401, 'M_UNKNOWN_TOKEN', 'POST', `${C}/refresh`, { refresh_token: session['refresh_token'] });
    await renewed.fails(401, 'M_UNKNOWN_TOKEN', 'GET', `${C}/account/whoami`);
  },
);
