// Client-server API, Server Notices, sent as Synapse's admin API sends them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inRoom } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';

const hs = await homeserver();
test.after(() => hs.stop());

const PATH = '/_synapse/admin/v1/send_server_notice';

test('a notice reaches its user in one room, whose invite can not be rejected', async () => {
  const [admin, alice] = [await hs.user('admin', { admin: true }), await hs.user('alice')];
  const body = { user_id: alice.userId, content: { msgtype: 'm.text', body: 'maintenance at nine' } };
  await alice.fails(403, 'M_FORBIDDEN', 'POST', PATH);
  const { event_id } = await admin.ok('POST', PATH, body);
  const room = Object.keys((await alice.sync())['rooms'].invite)[0]!;
  await alice.fails(403, 'M_CANNOT_LEAVE_SERVER_NOTICE_ROOM', 'POST', inRoom(room, 'leave'), {});
  await alice.join(room);
  assert.equal((await alice.event(room, event_id)).content['body'], 'maintenance at nine');
  const tags = (await alice.ok('GET', `/_matrix/client/v3/user/${alice.userId}/rooms/${room}/tags`))['tags'];
  assert.ok('m.server_notice' in tags);
  await alice.leave(room);
  await admin.ok('POST', PATH, body);
  assert.deepEqual(Object.keys((await alice.sync())['rooms'].invite), [room]);
  const first = await admin.ok('PUT', `${PATH}/txn`, body);
  assert.deepEqual(await admin.ok('PUT', `${PATH}/txn`, body), first);
});
