import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENDPOINTS } from '#api/endpoints.js';
import { serveApi } from '#api/testing.js';

test('members of an upgraded room find their tags and push rules in the new one', async (t) => {
  const api = await serveApi(t, ENDPOINTS);
  const { access_token: alice } = await api.register('alice');
  const { access_token: bob, user_id: bobId } = await api.register('bob');
  const { access_token: carol, user_id: carolId } = await api.register('carol');
  const { body } = await api.call('POST', 'createRoom', {
    token: alice,
    body: { preset: 'public_chat', room_version: '11' },
  });
  const old = encodeURIComponent(body.room_id);
  await api.call('POST', `join/${old}`, { token: bob, body: {} });
  const mute = { actions: ['dont_notify'] };
  for (const token of [alice, bob, carol]) await api.call('PUT', `pushrules/global/room/${old}`, { token, body: mute });
  await api.call('PUT', `user/${bobId}/rooms/${old}/tags/m.favourite`, { token: bob, body: { order: 0.5 } });

  const refused = await api.call('POST', `rooms/${old}/upgrade`, { token: bob, body: { new_version: '12' } });
  assert.deepEqual([refused.status, refused.body.errcode], [403, 'M_FORBIDDEN']);
  const unknown = await api.call('POST', `rooms/${old}/upgrade`, { token: alice, body: { new_version: 'x' } });
  assert.deepEqual([unknown.status, unknown.body.errcode], [400, 'M_UNSUPPORTED_ROOM_VERSION']);
  const done = await api.call('POST', `rooms/${old}/upgrade`, { token: alice, body: { new_version: '12' } });
  const to = encodeURIComponent(done.body.replacement_room);
  const since = (await api.call('GET', 'sync', { token: bob })).body.next_batch;
  for (const token of [bob, carol]) assert.equal((await api.call('POST', `join/${to}`, { token })).status, 200);

  const rule = async (token: string) => (await api.call('GET', `pushrules/global/room/${to}`, { token })).status;
  assert.deepEqual([await rule(alice), await rule(bob)], [200, 200]);
  assert.equal(await rule(carol), 404, `${carolId} was never in the old room`);
  const tags = await api.call('GET', `user/${bobId}/rooms/${to}/tags`, { token: bob });
  assert.deepEqual(tags.body, { tags: { 'm.favourite': { order: 0.5 } } });
  const told = (await api.call('GET', `sync?since=${since}`, { token: bob })).body;
  assert.ok(told.account_data.events.some((event: { type: string }) => event.type === 'm.push_rules'));
});
