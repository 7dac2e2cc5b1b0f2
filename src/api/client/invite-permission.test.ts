import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENDPOINTS } from '#api/endpoints.js';
import { serveApi } from '#api/testing.js';

test('invites: refused, hidden, and shown again', async (t) => {
  const api = await serveApi(t, ENDPOINTS);
  const alice = await api.register('alice');
  const bob = await api.register('bob');
  const set = (type: string, body: object) =>
    api.call('PUT', `user/${bob.user_id}/account_data/${type}`, { token: bob.access_token, body });
  const invite = async () => {
    const room = await api.room(alice.user_id);
    const body = { user_id: bob.user_id };
    const answer = await api.call('POST', `rooms/${room}/invite`, { token: alice.access_token, body });
    return { room, answer };
  };
  const invited = async () =>
    Object.keys((await api.call('GET', 'sync', { token: bob.access_token })).body.rooms?.invite ?? {});

  await set('m.invite_permission_config', { default_action: 'block' });
  const refused = (await invite()).answer;
  assert.deepEqual([refused.status, refused.body.errcode], [403, 'M_INVITE_BLOCKED']);
  await set('m.invite_permission_config', {});
  await set('org.matrix.msc4155.invite_permission_config', { ignored_users: [alice.user_id] });
  const { room, answer } = await invite();
  assert.equal(answer.status, 200);
  assert.deepEqual(await invited(), []);
  await set('org.matrix.msc4155.invite_permission_config', { blocked_servers: ['*'] });
  assert.equal((await invite()).answer.status, 403);
  assert.deepEqual(await invited(), [], 'pending ones are hidden too');
  await set('org.matrix.msc4155.invite_permission_config', { enabled: false, blocked_servers: ['*'] });
  assert.deepEqual(await invited(), [room]);
});
