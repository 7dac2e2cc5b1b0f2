import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pushRuleEndpoints } from '#api/client/push-rules.js';
import { registerEndpoints } from '#api/client/register.js';
import { serveApi } from '#api/testing.js';
import type { RoomId, UserId } from '#core/ids.js';
import { findAccountData, setAccountData, setTag } from '#users/account-data.js';
import { ruleset } from '#users/push-rules.js';
import { carryOver } from '#users/room-upgrade.js';

const endpoints = [...registerEndpoints, ...pushRuleEndpoints];
const alice = '@alice:test' as UserId;

test('push rules are read, added, placed, changed and removed', async (t) => {
  const api = await serveApi(t, endpoints);
  const { access_token: token } = await api.register('alice');
  const call = (method: string, path: string, body?: unknown) =>
    api.call(method, `pushrules/${path}`, { token, ...(body !== undefined && { body }) });
  const all = await call('GET', '');
  assert.equal(all.body.global.override[0].rule_id, '.m.rule.master');
  assert.deepEqual((await call('GET', 'global/')).body, all.body.global);
  assert.deepEqual((await api.call('GET', 'pushrules', { token })).body, all.body);

  assert.equal((await call('PUT', 'global/content/cake', { pattern: 'cake', actions: ['notify'] })).status, 200);
  assert.equal((await call('PUT', 'global/content/tea?after=cake', { pattern: 'tea', actions: [] })).status, 200);
  const content = ruleset(api.users.store, alice).content.map((rule) => rule.rule_id);
  assert.deepEqual(content.slice(0, 2), ['cake', 'tea']);
  assert.equal((await call('GET', 'global/content/cake')).body.pattern, 'cake');

  assert.equal((await call('PUT', 'global/content/cake/enabled', { enabled: false })).status, 200);
  assert.deepEqual((await call('GET', 'global/content/cake/enabled')).body, { enabled: false });
  const actions = ['notify', { set_tweak: 'highlight' }];
  assert.equal((await call('PUT', 'global/override/.m.rule.tombstone/actions', { actions })).status, 200);
  assert.deepEqual((await call('GET', 'global/override/.m.rule.tombstone/actions')).body, { actions });

  assert.equal((await call('DELETE', 'global/content/cake')).status, 200);
  assert.equal((await call('GET', 'global/content/cake')).body.errcode, 'M_NOT_FOUND');
  assert.equal((await call('DELETE', 'global/override/.m.rule.master')).status, 404);
  assert.equal((await call('PUT', 'global/sideways/x', { actions: [] })).status, 400);
  assert.equal((await call('PUT', 'global/content/x?before=none', { pattern: 'x', actions: [] })).status, 400);
  assert.equal((await call('PUT', 'global/content/tea/actions', { actions: 'loud' })).status, 400);
});

test('an upgraded room keeps its tags, rules and place among the direct chats', async (t) => {
  const api = await serveApi(t, endpoints);
  const { access_token: token } = await api.register('alice');
  const { users } = api;
  const [from, to] = [await api.room(alice), await api.room(alice)];
  await setTag(users, alice, from, 'm.favourite', { order: 0.1 });
  await setAccountData(users, alice, '', 'm.direct', { '@bob:test': [from] });
  await api.call('PUT', `pushrules/global/room/${encodeURIComponent(from)}`, { token, body: { actions: [] } });
  await users.store.commit((tx) => carryOver(tx, alice, from, to));
  const content = (room: RoomId | '', type: string) => findAccountData(users.store, alice, room, type)?.content;
  assert.deepEqual(content(to, 'm.tag'), { tags: { 'm.favourite': { order: 0.1 } } });
  assert.deepEqual(content('', 'm.direct'), { '@bob:test': [from, to] });
  assert.ok(ruleset(users.store, alice).room.some((rule) => rule.rule_id === to));
});
