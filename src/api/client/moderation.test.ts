import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ENDPOINTS } from '#api/endpoints.js';
import { serveApi } from '#api/testing.js';
import type { UserId } from '#core/ids.js';
import { verifyJson } from '#core/signing.js';
import { setFlags } from '#users/accounts.js';

async function setUp(t: TestContext) {
  const api = await serveApi(t, ENDPOINTS);
  const [admin, alice] = [await api.register('admin'), await api.register('alice')];
  await setFlags(api.users, admin.user_id as UserId, { admin: true });
  return { api, admin, alice, as: { admin: admin.access_token, alice: alice.access_token } };
}

test('administrators lock and suspend accounts, and see whether they did', async (t) => {
  const { api, admin, alice, as } = await setUp(t);
  for (const [verb, what] of [
    ['suspend', 'suspended'],
    ['lock', 'locked'],
  ] as const) {
    const path = `/_matrix/client/v1/admin/${verb}/`;
    const put = (user: string, on: boolean, token = as.admin) =>
      api.call('PUT', path + user, { token, body: { [what]: on } });
    assert.deepEqual((await put(alice.user_id, true)).body, { [what]: true });
    assert.deepEqual((await api.call('GET', path + alice.user_id, { token: as.admin })).body, { [what]: true });
    const sent = await api.call('POST', 'createRoom', { token: as.alice, body: {} });
    assert.equal(sent.body.errcode, verb === 'lock' ? 'M_USER_LOCKED' : 'M_USER_SUSPENDED');
    assert.deepEqual((await put(alice.user_id, false)).body, { [what]: false });
    assert.equal((await api.call('POST', 'createRoom', { token: as.alice, body: {} })).status, 200);
    assert.equal((await put(admin.user_id, true, as.alice)).body.errcode, 'M_FORBIDDEN');
    assert.equal((await put(admin.user_id, true)).body.errcode, 'M_FORBIDDEN', 'oneself');
    assert.equal((await put('@x:elsewhere', true)).body.errcode, 'M_INVALID_PARAM');
    assert.equal((await put('@nobody:test', true)).body.errcode, 'M_NOT_FOUND');
  }
  const capabilities = async (token: string) => (await api.call('GET', 'capabilities', { token })).body.capabilities;
  assert.deepEqual((await capabilities(as.admin))['m.account_moderation'], { suspend: true, lock: true });
  assert.equal((await capabilities(as.alice))['m.account_moderation'], undefined);
});

test('whois: oneself, and everyone to administrators', async (t) => {
  const { api, admin, alice, as } = await setUp(t);
  const whois = (user: string, token: string) => api.call('GET', `admin/whois/${user}`, { token });
  const { body } = await whois(alice.user_id, as.admin);
  assert.equal(body.user_id, alice.user_id);
  assert.ok(Array.isArray(body.devices[alice.device_id].sessions[0].connections));
  assert.equal(
    (await whois(alice.user_id, as.alice)).body.devices[alice.device_id].sessions[0].connections[0].ip,
    '127.0.0.1',
  );
  assert.equal((await whois(admin.user_id, as.alice)).body.errcode, 'M_FORBIDDEN');
  assert.equal((await whois('@nobody:test', as.admin)).status, 404);
});

test('OpenID tokens say who a user is, for an hour, and nothing else', async (t) => {
  const { api, admin, alice, as } = await setUp(t);
  const request = (user: string) =>
    api.call('POST', `user/${user}/openid/request_token`, { token: as.alice, body: {} });
  const { body } = await request(alice.user_id);
  assert.deepEqual([body.token_type, body.matrix_server_name, body.expires_in], ['Bearer', 'test', 3600]);
  assert.equal((await request(admin.user_id)).status, 403);
  const info = (token: string) => api.call('GET', `/_matrix/federation/v1/openid/userinfo?access_token=${token}`);
  assert.deepEqual((await info(body.access_token)).body, { sub: alice.user_id });
  assert.equal((await info('nonsense')).body.errcode, 'M_UNKNOWN_TOKEN');
  assert.equal((await info(as.alice)).status, 401);
  assert.equal((await api.call('GET', 'account/whoami', { token: body.access_token })).status, 401);
  api.test.clock.advance(3_600_000);
  assert.equal((await info(body.access_token)).status, 401);
});

test('the keys of the server are published with its signature', async (t) => {
  const { api } = await setUp(t);
  const { body } = await api.call('GET', '/_matrix/key/v2/server');
  const [[id, { key }]] = Object.entries(body.verify_keys) as [[string, { key: string }]];
  assert.ok(verifyJson(body, 'test', id, key));
  assert.ok(body.valid_until_ts > api.test.clock.now());
  assert.deepEqual((await api.call('GET', '/_matrix/key/v2/query/test')).body, { server_keys: [body] });
  const query = { server_keys: { test: {}, 'other.example': {} } };
  assert.deepEqual((await api.call('POST', '/_matrix/key/v2/query', { body: query })).body, { server_keys: [body] });
  assert.equal((await api.call('PUT', '/_matrix/key/v2/query')).status, 405);
  assert.equal((await api.call('PUT', '/_matrix/federation/v1/version')).status, 405);
  assert.equal((await api.call('GET', '/_matrix/federation/v1/unknown')).status, 404);
});

test('server notices: one room a user, whose invite can not be rejected', async (t) => {
  const { api, alice, as } = await setUp(t);
  const path = '/_synapse/admin/v1/send_server_notice';
  const body = { user_id: alice.user_id, content: { msgtype: 'm.text', body: 'hello' } };
  const send = (token: string, txn = '') => api.call(txn === '' ? 'POST' : 'PUT', path + txn, { token, body });
  const sync = async () => (await api.call('GET', 'sync', { token: as.alice })).body.rooms ?? {};
  assert.equal((await api.call('POST', path, { token: as.alice })).body.errcode, 'M_FORBIDDEN');
  await api.call('PUT', `user/${alice.user_id}/account_data/m.invite_permission_config`, {
    token: as.alice,
    body: { default_action: 'block' },
  });
  const { event_id } = (await send(as.admin)).body;
  const [[room, { invite_state }]] = Object.entries((await sync()).invite) as [
    [string, { invite_state: { events: { sender: string }[] } }],
  ];
  assert.equal(invite_state.events[0]!.sender, '@_server:test');
  const refused = await api.call('POST', `rooms/${room}/leave`, { token: as.alice, body: {} });
  assert.deepEqual([refused.status, refused.body.errcode], [403, 'M_CANNOT_LEAVE_SERVER_NOTICE_ROOM']);
  assert.equal((await api.call('POST', `rooms/${room}/join`, { token: as.alice, body: {} })).status, 200);
  const joined = (await sync()).join[room];
  assert.ok(joined.timeline.events.some((event: { event_id: string }) => event.event_id === event_id));
  assert.deepEqual(joined.account_data.events, [{ type: 'm.tag', content: { tags: { 'm.server_notice': {} } } }]);
  const said = await api.call('PUT', `rooms/${room}/send/m.room.message/1`, { token: as.alice, body: body.content });
  assert.equal(said.status, 403);
  assert.equal((await api.call('POST', `rooms/${room}/leave`, { token: as.alice, body: {} })).status, 200);
  await send(as.admin);
  assert.deepEqual(Object.keys((await sync()).invite), [room]);
  const first = await send(as.admin, '/1');
  assert.deepEqual((await send(as.admin, '/1')).body, first.body);
  assert.notDeepEqual((await send(as.admin, '/2')).body, first.body);
  const nobody = { ...body, user_id: '@nobody:test' };
  assert.equal((await api.call('POST', path, { token: as.admin, body: nobody })).status, 404);
});
