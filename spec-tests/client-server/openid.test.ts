// Client-server API, OpenID; server-server API, OpenID and Publishing Keys.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { C, ofUser, query } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { ourChoice } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

const INFO = '/_matrix/federation/v1/openid/userinfo';

test('a token tells a service who the user is, and opens nothing else', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const token = await alice.ok('POST', ofUser(alice, 'openid', 'request_token'), {});
  assert.equal(token['token_type'], 'Bearer');
  assert.equal(token['matrix_server_name'], hs.serverName);
  const nobody = hs.anonymous();
  const { sub } = await nobody.ok('GET', INFO + query({ access_token: token['access_token'] }));
  assert.equal(sub, alice.userId);
  await nobody.fails(401, 'M_UNKNOWN_TOKEN', 'GET', INFO + query({ access_token: 'nonsense' }));
  await nobody.fails(401, 'M_UNKNOWN_TOKEN', 'GET', INFO + query({ access_token: alice.accessToken! }));
  await bob.fails(403, 'M_FORBIDDEN', 'POST', ofUser(alice, 'openid', 'request_token'), {});
  nobody.accessToken = token['access_token'];
  await nobody.fails(401, 'M_UNKNOWN_TOKEN', 'GET', `${C}/account/whoami`);
});

test('the server publishes its keys', async () => {
  const nobody = hs.anonymous();
  const keys = await nobody.ok('GET', '/_matrix/key/v2/server');
  assert.equal(keys['server_name'], hs.serverName);
  assert.ok(keys['valid_until_ts'] > Date.now());
  const ids = Object.keys(keys['verify_keys']);
  assert.deepEqual(Object.keys(keys['signatures'][hs.serverName]), ids);
});

test('a notary knows its own keys', ourChoice('some servers ask themselves by their name for that'), async () => {
  const nobody = hs.anonymous();
  const ids = Object.keys((await nobody.ok('GET', '/_matrix/key/v2/server'))['verify_keys']);
  const asked = await nobody.ok('POST', '/_matrix/key/v2/query', { server_keys: { [hs.serverName]: {} } });
  assert.deepEqual(Object.keys(asked['server_keys'][0].verify_keys), ids);
});

test('unknown paths and methods are told apart', async () => {
  const nobody = hs.anonymous();
  for (const path of ['federation/unknown', 'federation/v1/unknown', 'key/unknown', 'key/v2/unknown']) {
    await nobody.fails(404, 'M_UNRECOGNIZED', 'GET', `/_matrix/${path}`);
  }
  for (const path of ['federation/v1/version', 'key/v2/query', 'client/v3/login']) {
    await nobody.fails(405, 'M_UNRECOGNIZED', 'PUT', `/_matrix/${path}`);
  }
});
