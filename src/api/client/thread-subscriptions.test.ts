import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENDPOINTS } from '#api/endpoints.js';
import { serveApi } from '#api/testing.js';
import type { UserId } from '#core/ids.js';
import { subscriptionChanges } from '#users/thread-subscriptions.js';

const BASE = '/_matrix/client/unstable/io.element.msc4306';

test('thread subscriptions: by hand, by an event of the thread, and taken back', async (t) => {
  const api = await serveApi(t, ENDPOINTS);
  const alice = await api.register('alice');
  const bob = await api.register('bob');
  const room = await api.room(alice.user_id, bob.user_id);
  let txn = 0;
  const say = async (root?: string): Promise<string> => {
    const relation = root === undefined ? {} : { 'm.relates_to': { rel_type: 'm.thread', event_id: root } };
    const body = { msgtype: 'm.text', body: 'hi', ...relation };
    const path = `rooms/${room}/send/m.room.message/${txn++}`;
    return (await api.call('PUT', path, { token: alice.access_token, body })).body.event_id;
  };
  const root = await say();
  const path = `${BASE}/rooms/${room}/thread/${encodeURIComponent(root)}/subscription`;
  const call = (method: string, body?: unknown, at = path) => api.call(method, at, { token: bob.access_token, body });
  const bobsUnread = async (): Promise<number> => {
    const { body } = await api.call('GET', 'sync', { token: bob.access_token });
    return body.rooms.join[room].unread_notifications.notification_count;
  };
  const read = async (event: string) =>
    api.call('POST', `rooms/${room}/receipt/m.read/${event}`, { token: bob.access_token, body: {} });

  await read(await say(root));
  await say(root);
  assert.equal(await bobsUnread(), 1, 'whoever uses no thread subscriptions is told of every thread');

  assert.equal((await call('GET')).status, 404);
  assert.equal((await call('PUT', {}, path.replace(encodeURIComponent(root), '$none'))).status, 404);
  assert.equal((await call('DELETE')).status, 200, 'without a subscription');
  const inThread = await say(root);
  const wrong = await call('PUT', { automatic: root });
  assert.equal(wrong.status, 400);
  assert.equal(wrong.body.errcode, 'IO.ELEMENT.MSC4306.M_NOT_IN_THREAD');
  assert.equal((await call('PUT', { automatic: '$none' })).body.errcode, 'IO.ELEMENT.MSC4306.M_NOT_IN_THREAD');
  assert.equal((await call('PUT', { automatic: inThread })).status, 200);
  assert.deepEqual((await call('GET')).body, { automatic: true });
  await call('PUT', {});
  await call('PUT', { automatic: inThread });
  assert.deepEqual((await call('GET')).body, { automatic: false }, 'by hand outweighs by itself');

  await read(await say(root));
  const since = api.test.store.tip;
  await call('DELETE');
  assert.equal((await call('GET')).status, 404);
  const again = await call('PUT', { automatic: inThread });
  assert.equal(again.status, 409);
  assert.equal(again.body.errcode, 'IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION');
  const later = await say(root);
  assert.equal(await bobsUnread(), 0, 'unsubscribed threads are quiet');
  const changes = async () =>
    (await subscriptionChanges(api.test.store, bob.user_id as UserId, since, api.test.store.tip, 10)).changes.map(
      ({ roomId, root, state }) => ({ roomId, root, state }),
    );
  assert.deepEqual(await changes(), [{ roomId: room, root, state: 'unsubscribed' }]);
  assert.equal((await call('PUT', { automatic: later })).status, 200);
  assert.deepEqual(await changes(), [{ roomId: room, root, state: 'automatic' }]);
  await say(root);
  assert.equal(await bobsUnread(), 1);
});
