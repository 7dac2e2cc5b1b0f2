import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { accountEndpoints } from '#api/client/account.js';
import { accountDataEndpoints } from '#api/client/account-data.js';
import { deviceEndpoints } from '#api/client/devices.js';
import { discoveryEndpoints } from '#api/client/discovery.js';
import { filterEndpoints } from '#api/client/filter.js';
import { loginEndpoints } from '#api/client/login.js';
import { presenceEndpoints } from '#api/client/presence.js';
import { profileEndpoints } from '#api/client/profile.js';
import { registerEndpoints } from '#api/client/register.js';
import { toDeviceEndpoints } from '#api/client/to-device.js';
import { passwordOf, serveApi, type TestApi } from '#api/testing.js';
import type { DeviceId, RoomId, UserId } from '#core/ids.js';
import { findRoom, memberOf } from '#rooms/rooms.js';
import type { Fact } from '#store/types.js';
import { listPushers, setPusher } from '#users/pushers.js';
import { acknowledgeInbox, readInbox } from '#users/to-device.js';

const endpoints = [
  ...registerEndpoints,
  ...loginEndpoints,
  ...accountEndpoints,
  ...deviceEndpoints,
  ...profileEndpoints,
  ...accountDataEndpoints,
  ...filterEndpoints,
  ...presenceEndpoints,
  ...toDeviceEndpoints,
  ...discoveryEndpoints,
];
const alice = '@alice:test';
const bob = '@bob:test';

function member(api: TestApi, room: RoomId, user: string) {
  const found = findRoom(api.users.store, room);
  return found && memberOf(api.users.store, found, user);
}

/** Facts in the log of some kinds, in order. */
async function facts(api: TestApi, ...kinds: Fact['kind'][]): Promise<Fact[]> {
  const entries = await api.users.store.log(0, api.users.store.tip, 10_000);
  return entries.map(({ fact }) => fact).filter(({ kind }) => kinds.includes(kind));
}

describe('profiles', () => {
  test('begin with the name of the account, and show changes in all rooms', async (t) => {
    const api = await serveApi(t, endpoints);
    const { access_token: token } = await api.register('alice');
    const room = await api.room(alice);
    assert.equal(member(api, room, alice)?.displayname, 'alice');
    const put = await api.call('PUT', `profile/${alice}/displayname`, { token, body: { displayname: 'Alice L.' } });
    assert.deepEqual([put.status, put.body], [200, {}]);
    assert.deepEqual((await api.call('GET', `profile/${alice}/displayname`)).body, { displayname: 'Alice L.' });
    assert.equal(member(api, room, alice)?.displayname, 'Alice L.');
    const avatar = { avatar_url: 'mxc://test/abc' };
    await api.call('PUT', `profile/${alice}/avatar_url`, { token, body: avatar });
    assert.equal(member(api, room, alice)?.avatarUrl, 'mxc://test/abc');
    assert.deepEqual((await api.call('GET', `profile/${alice}`)).body, { displayname: 'Alice L.', ...avatar });
    await api.call('DELETE', `profile/${alice}/displayname`, { token });
    assert.equal(member(api, room, alice)?.displayname, undefined);
    assert.equal((await api.call('GET', `profile/${alice}/displayname`)).status, 404);
  });

  test('have fields of any kind, within limits (T269)', async (t) => {
    const api = await serveApi(t, endpoints);
    const { access_token: token } = await api.register('alice');
    const put = async (key: string, value: unknown) => {
      const body = { [key]: value };
      const answer = await api.call('PUT', `profile/${alice}/${key}`, { token, body });
      return answer.status === 200 ? 200 : answer.body.errcode;
    };
    assert.equal(await put('org.example.job', { title: 'Cook', since: 1.5 }), 200);
    assert.equal(await put('org.example.none', null), 200);
    assert.equal(await put('m.tz', 'Europe/London'), 200);
    const got = await api.call('GET', `profile/${alice}/org.example.job`);
    assert.deepEqual(got.body, { 'org.example.job': { title: 'Cook', since: 1.5 } });
    assert.equal(await put('m.tz', 7), 'M_INVALID_PARAM');
    assert.equal(await put('displayname', 7), 'M_BAD_JSON');
    assert.equal(await put('displayname', 'x'.repeat(257)), 'M_INVALID_PARAM');
    assert.equal(await put('avatar_url', `mxc://${'x'.repeat(1000)}`), 'M_INVALID_PARAM');
    assert.equal(await put('Upper', 1), 'M_INVALID_PARAM');
    assert.equal(await put('__proto__', 1), 'M_INVALID_PARAM');
    assert.equal(await put(`a.${'x'.repeat(254)}`, 1), 'M_KEY_TOO_LARGE');
    assert.equal(await put('a.big', 'x'.repeat(65_536)), 'M_PROFILE_TOO_LARGE');
    const other = await api.call('PUT', `profile/${alice}/a.b`, { token, body: { 'a.c': 1 } });
    assert.equal(other.body.errcode, 'M_MISSING_PARAM');
    assert.equal((await api.call('DELETE', `profile/${alice}/org.example.job`, { token })).status, 200);
    assert.equal((await api.call('GET', `profile/${alice}/org.example.job`)).status, 404);
  });

  test('belong to their users, and unknown ones are not found', async (t) => {
    const api = await serveApi(t, endpoints);
    await api.register('alice');
    const { access_token: token } = await api.register('bob');
    const body = { displayname: 'x' };
    assert.equal((await api.call('PUT', `profile/${alice}/displayname`, { token, body })).status, 403);
    assert.equal((await api.call('DELETE', `profile/${alice}/displayname`, { token })).status, 403);
    assert.equal((await api.call('GET', 'profile/@nobody:test')).body.errcode, 'M_NOT_FOUND');
    assert.equal((await api.call('GET', 'profile/@nobody:test/displayname')).body.errcode, 'M_NOT_FOUND');
  });
});

describe('account data', () => {
  test('is kept globally and by room, with one place in the log each', async (t) => {
    const api = await serveApi(t, endpoints);
    const { access_token: token } = await api.register('alice');
    const room = await api.room(alice);
    const put = async (path: string, body: unknown) =>
      (await api.call('PUT', `user/${alice}/${path}`, { token, body })).status;
    const get = async (path: string) => (await api.call('GET', `user/${alice}/${path}`, { token })).body;
    assert.equal(await put('account_data/m.direct', { [bob]: [room] }), 200);
    assert.equal(await put('account_data/m.direct', { [bob]: [] }), 200);
    assert.equal(await put('account_data/m.direct', { [bob]: [] }), 200);
    assert.equal(await put(`rooms/${room}/account_data/org.example.note`, { text: 'hi' }), 200);
    assert.deepEqual(await get('account_data/m.direct'), { [bob]: [] });
    assert.deepEqual(await get(`rooms/${room}/account_data/org.example.note`), { text: 'hi' });
    assert.equal((await get('account_data/org.example.note')).errcode, 'M_NOT_FOUND');
    const logged = await facts(api, 'accountData');
    assert.deepEqual(
      logged.map((fact) => fact.kind === 'accountData' && [fact.type, fact.room !== undefined]),
      [
        ['m.direct', false],
        ['org.example.note', true],
      ],
    );
  });

  test('refuses what has endpoints of its own, what is too large, and what is not the caller’s (T252, T253)', async (t) => {
    const api = await serveApi(t, endpoints);
    const { access_token: token } = await api.register('alice');
    const room = await api.room(alice);
    for (const path of ['account_data/m.push_rules', `rooms/${room}/account_data/m.fully_read`]) {
      const answer = await api.call('PUT', `user/${alice}/${path}`, { token, body: {} });
      assert.deepEqual([answer.status, answer.body.errcode], [405, 'M_BAD_JSON'], path);
    }
    const big = { text: 'x'.repeat(300_000) };
    assert.equal((await api.call('PUT', `user/${alice}/account_data/a`, { token, body: big })).status, 413);
    assert.equal((await api.call('PUT', `user/${alice}/account_data/a`, { token, body: [] })).status, 400);
    assert.equal((await api.call('PUT', `user/${bob}/account_data/a`, { token, body: {} })).status, 403);
    assert.equal((await api.call('GET', `user/${bob}/account_data/a`, { token })).status, 403);
    const elsewhere = await api.call('PUT', `user/${alice}/rooms/!x:test/account_data/a`, { token, body: {} });
    assert.equal(elsewhere.status, 404);
  });

  test('gives the predefined push rules', async (t) => {
    const api = await serveApi(t, endpoints);
    const { access_token: token } = await api.register('alice');
    const { body } = await api.call('GET', `user/${alice}/account_data/m.push_rules`, { token });
    assert.equal(body.global.override[0].rule_id, '.m.rule.master');
  });

  test('tags rooms (T253)', async (t) => {
    const api = await serveApi(t, endpoints);
    const { access_token: token } = await api.register('alice');
    const room = await api.room(alice);
    const tags = `user/${alice}/rooms/${room}/tags`;
    assert.deepEqual((await api.call('GET', tags, { token })).body, { tags: {} });
    await Promise.all([
      api.call('PUT', `${tags}/m.favourite`, { token, body: { order: 0.5 } }),
      api.call('PUT', `${tags}/u.work`, { token, body: {} }),
      api.call('PUT', `${tags}/__proto__`, { token, body: {} }),
    ]);
    const { body } = await api.call('GET', tags, { token });
    assert.deepEqual(Object.keys(body.tags).sort(), ['__proto__', 'm.favourite', 'u.work']);
    assert.deepEqual(body.tags['m.favourite'], { order: 0.5 });
    assert.equal((await api.call('PUT', `${tags}/u.x`, { token, body: { order: 'high' } })).status, 400);
    assert.equal((await api.call('PUT', `${tags}/${'x'.repeat(256)}`, { token, body: {} })).status, 400);
    assert.equal((await api.call('DELETE', `${tags}/u.work`, { token })).status, 200);
    const left = await api.call('GET', `user/${alice}/rooms/${room}/account_data/m.tag`, { token });
    assert.equal(left.body.tags['u.work'], undefined);
  });
});

test('filters are stored once by content', async (t) => {
  const api = await serveApi(t, endpoints);
  const { access_token: token } = await api.register('alice');
  const path = `user/${alice}/filter`;
  const filter = { room: { timeline: { limit: 7 } } };
  const { filter_id: id } = (await api.call('POST', path, { token, body: filter })).body;
  assert.equal((await api.call('POST', path, { token, body: filter })).body.filter_id, id);
  assert.deepEqual((await api.call('GET', `${path}/${id}`, { token })).body, filter);
  assert.equal((await api.call('GET', `${path}/other`, { token })).status, 404);
  assert.equal((await api.call('POST', path, { token, body: { room: 1 } })).status, 400);
  assert.equal((await api.call('GET', `user/${bob}/filter/${id}`, { token })).status, 403);
});

describe('presence', () => {
  test('is seen by those who share a room', async (t) => {
    const api = await serveApi(t, endpoints);
    const { access_token: token } = await api.register('alice');
    const { access_token: bobs } = await api.register('bob');
    const body = { presence: 'unavailable', status_msg: 'At lunch' };
    assert.equal((await api.call('PUT', `presence/${alice}/status`, { token, body })).status, 200);
    assert.equal((await api.call('PUT', `presence/${alice}/status`, { token: bobs, body })).status, 403);
    assert.equal((await api.call('GET', `presence/${alice}/status`, { token: bobs })).status, 403);
    assert.equal((await api.call('GET', 'presence/@nobody:test/status', { token: bobs })).status, 403);
    await api.room(alice, bob);
    api.test.clock.advance(5_000);
    const seen = await api.call('GET', `presence/${alice}/status`, { token: bobs });
    assert.deepEqual(seen.body, { ...body, last_active_ago: 5_000, currently_active: false });
    assert.deepEqual((await api.call('GET', `presence/${bob}/status`, { token: bobs })).body.presence, 'offline');
    const wrong = await api.call('PUT', `presence/${alice}/status`, { token, body: { presence: 'asleep' } });
    assert.equal(wrong.status, 400);
  });

  test('follows syncs: online, idle after five minutes, offline half a minute after the last', async (t) => {
    const api = await serveApi(t, endpoints);
    await api.register('alice');
    const { presences } = api.users;
    const now = () => presences.view(alice)?.content['presence'];
    const end = presences.syncing(alice, 'online');
    assert.equal(now(), 'online');
    api.test.clock.advance(310_000);
    assert.equal(now(), 'unavailable');
    presences.active(alice);
    assert.equal(now(), 'online');
    end();
    api.test.clock.advance(20_000);
    assert.equal(now(), 'online');
    api.test.clock.advance(20_000);
    assert.equal(now(), 'offline');
  });
});

test('of several devices the most present one counts', async (t) => {
  const api = await serveApi(t, endpoints);
  await api.register('alice');
  const { presences } = api.users;
  const now = () => presences.view(alice)?.content['presence'];
  const phone = presences.syncing(alice, 'online');
  const laptop = presences.syncing(alice, 'unavailable');
  assert.equal(now(), 'online');
  phone();
  laptop();
  api.test.clock.advance(5_000);
  presences.syncing(alice, 'unavailable')();
  assert.equal(now(), 'online');
  api.test.clock.advance(26_000);
  presences.syncing(alice, 'unavailable')();
  assert.equal(now(), 'unavailable');
});

describe('sendToDevice', () => {
  async function two(api: TestApi) {
    const { access_token: token } = await api.register('alice');
    const { device_id: device } = await api.register('bob');
    await api.login('bob', { device_id: 'SECOND' });
    const inbox = async (id: string) =>
      (await readInbox(api.users, bob as UserId, id, 0, api.users.store.tip, 100)).map(({ event }) => event);
    const send = (txn: string, messages: unknown, type = 'm.room_key') =>
      api.call('PUT', `sendToDevice/${type}/${txn}`, { token, body: { messages } });
    return { device, inbox, send };
  }

  test('puts messages into inboxes, once a transaction, from the caller (T265)', async (t) => {
    const api = await serveApi(t, endpoints);
    const { device, inbox, send } = await two(api);
    const message = { sender: '@mallory:test', key: 1 };
    await Promise.all([send('1', { [bob]: { [device]: message } }), send('1', { [bob]: { [device]: message } })]);
    assert.deepEqual(await inbox(device), [{ type: 'm.room_key', sender: alice, content: message }]);
    await send('2', { [bob]: { '*': { key: 2 }, NONE: { key: 3 } }, '@nobody:test': { '*': {} } });
    assert.equal((await inbox(device)).length, 2);
    assert.equal((await inbox('SECOND')).length, 1);
    await send('2', { [bob]: { '*': { key: 4 } } }, 'm.other');
    assert.equal((await inbox('SECOND')).length, 2);
    assert.deepEqual(await inbox('NONE'), []);
  });

  test('what is acknowledged goes, from the log as well', async (t) => {
    const api = await serveApi(t, endpoints);
    const { inbox, send } = await two(api);
    await send('1', { [bob]: { SECOND: { n: 1 } } });
    const { tip } = api.users.store;
    await send('2', { [bob]: { SECOND: { n: 2 } } });
    await acknowledgeInbox(api.users, bob as UserId, 'SECOND', tip);
    assert.deepEqual(
      (await inbox('SECOND')).map(({ content }) => content),
      [{ n: 2 }],
    );
    assert.equal((await facts(api, 'toDevice')).length, 1);
  });

  test('refuses what is malformed or too large (T265)', async (t) => {
    const api = await serveApi(t, endpoints);
    const { send } = await two(api);
    assert.equal((await send('1', { bob: { '*': {} } })).body.errcode, 'M_BAD_JSON');
    assert.equal((await send('2', { [bob]: [] })).body.errcode, 'M_BAD_JSON');
    assert.equal((await send('3', { [bob]: { '*': 'x' } })).body.errcode, 'M_BAD_JSON');
    assert.equal((await send('4', { [bob]: { '*': { x: 'x'.repeat(70_000) } } })).status, 413);
    assert.equal((await send('5', { [bob]: { '*': { x: 'x'.repeat(5 << 20) } } })).status, 413);
  });
});

test('a deactivated account leaves its rooms and keeps no data (T241)', async (t) => {
  const api = await serveApi(t, endpoints);
  const { access_token: token, device_id } = await api.register('alice');
  const room = await api.room(bob, alice);
  await api.call('PUT', `user/${alice}/account_data/a`, { token, body: { x: 1 } });
  await setPusher(api.users, alice as UserId, device_id as DeviceId, {
    ...{ appId: 'app', pushkey: 'key', appDisplayName: 'App', deviceDisplayName: 'Phone', lang: 'en' },
    ...{ data: { url: 'https://push.test/_matrix/push/v1/notify' }, enabled: true, noBadge: false, append: false },
  });
  const auth = { type: 'm.login.password', user: 'alice', password: passwordOf('alice') };
  const ended = await api.call('POST', 'account/deactivate', { token, body: { auth, erase: true } });
  assert.equal(ended.status, 200);
  await Promise.all(api.users.running.values());
  assert.equal(member(api, room, alice)?.membership, 'leave');
  assert.deepEqual(await facts(api, 'accountData'), []);
  assert.deepEqual(listPushers(api.users.store, alice as UserId), []);
  assert.deepEqual((await api.call('GET', `profile/${alice}`)).body, {});
});

test('versions, capabilities and well-known files', async (t) => {
  const api = await serveApi(t, endpoints);
  const { access_token: token } = await api.register('alice');
  const { body: versions } = await api.call('GET', '/_matrix/client/versions');
  assert.ok(versions.versions.includes('v1.1'));
  const { body } = await api.call('GET', 'capabilities', { token });
  assert.equal(body.capabilities['m.room_versions'].default, '12');
  assert.equal(body.capabilities['m.room_versions'].available['1'], 'stable');
  const client = await api.call('GET', '/.well-known/matrix/client');
  assert.deepEqual(client.body, { 'm.homeserver': { base_url: 'https://hs.test' } });
  assert.equal((await api.call('GET', '/.well-known/matrix/server')).status, 404);
  assert.equal((await api.call('GET', '/.well-known/matrix/support')).status, 404);
});
