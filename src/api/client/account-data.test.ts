import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENDPOINTS } from '#api/endpoints.js';
import { serveApi } from '#api/testing.js';

test('deleted account data is told of as empty, then gone', async (t) => {
  const api = await serveApi(t, ENDPOINTS);
  const { user_id, access_token: token } = await api.register('alice');
  const room = await api.room(user_id);
  for (const place of [`user/${user_id}`, `user/${user_id}/rooms/${room}`]) {
    const path = `${place}/account_data/org.example.x`;
    const eventsOf = ({ body }: { body: { account_data?: object; rooms?: { join?: object } } }): object[] => {
      const section = place.includes('rooms') ? (body.rooms?.join as Record<string, object>)?.[room] : body;
      const events = (section as { account_data?: { events: { type: string }[] } })?.account_data?.events ?? [];
      return events.filter(({ type }) => type === 'org.example.x');
    };
    for (const method of ['DELETE', 'PUT']) {
      await api.call('PUT', path, { token, body: { set: true } });
      const { body } = await api.call('GET', 'sync', { token });
      const at = method === 'PUT' ? path : `/_matrix/client/unstable/org.matrix.msc3391/${path}`;
      const answer = await api.call(method, at, { token, ...(method === 'PUT' && { body: {} }) });
      assert.equal(answer.status, 200);
      assert.equal((await api.call('GET', path, { token })).status, 404);
      const after = await api.call('GET', `sync?since=${body.next_batch}`, { token });
      assert.deepEqual(eventsOf(after), [{ type: 'org.example.x', content: {} }]);
      assert.deepEqual(eventsOf(await api.call('GET', 'sync', { token })), []);
    }
  }
  const reserved = `/_matrix/client/unstable/org.matrix.msc3391/user/${user_id}/account_data/m.push_rules`;
  assert.equal((await api.call('DELETE', reserved, { token })).status, 405);
});

test('the notification settings of a device go with it', async (t) => {
  const api = await serveApi(t, ENDPOINTS);
  const { user_id, access_token: token } = await api.register('alice');
  const other = (await api.login('alice')).body;
  const types = ['m', 'org.matrix.msc3890'].map((prefix) => `${prefix}.local_notification_settings.`);
  const path = (type: string): string => `user/${user_id}/account_data/${type}`;
  for (const type of types) {
    await api.call('PUT', path(type + other.device_id), { token, body: { is_silenced: true } });
    await api.call('PUT', path(`${type}KEPT`), { token, body: { is_silenced: true } });
  }
  await api.call('POST', 'logout', { token: other.access_token });
  for (const type of types) {
    const gone = await api.call('GET', path(type + other.device_id), { token });
    assert.deepEqual([gone.status, gone.body.errcode], [404, 'M_NOT_FOUND']);
    assert.equal((await api.call('GET', path(`${type}KEPT`), { token })).status, 200);
  }
});
