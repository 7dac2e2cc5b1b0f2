import assert from 'node:assert/strict';
import { test } from 'node:test';
import { registerEndpoints } from '#api/client/register.js';
import { reportEndpoints } from '#api/client/report.js';
import { serveApi } from '#api/testing.js';
import { RoomId } from '#core/ids.js';
import { listReports } from '#users/reports.js';

test('events are reported by members only; rooms and users by anyone, known or not (T271)', async (t) => {
  const api = await serveApi(t, [...registerEndpoints, ...reportEndpoints]);
  const { access_token: alice } = await api.register('alice');
  const { access_token: bob } = await api.register('bob');
  const room = await api.room('@alice:test');
  const event = encodeURIComponent(RoomId.createEventId(room));
  const path = `rooms/${encodeURIComponent(room)}/report`;
  const post = async (token: string, target: string, reason?: unknown) =>
    (await api.call('POST', target, { token, body: { reason } })).status;
  assert.equal(await post(alice, `${path}/${event}`, 'spam'), 200);
  assert.equal(await post(alice, `${path}/${event}`), 200);
  assert.equal(await post(bob, `${path}/${event}`, 'spam'), 404);
  assert.equal(await post(alice, `${path}/$unknown`, 'spam'), 404);
  assert.equal(await post(alice, 'rooms/!unknown:test/report/$x', 'spam'), 404);
  assert.equal(await post(alice, `${path}/${event}`, 'x'.repeat(3_000)), 400);
  assert.equal(await post(bob, path, ''), 200);
  assert.equal(await post(bob, 'rooms/!unknown:test/report', 'x'), 200);
  assert.equal(await post(bob, 'users/@alice:test/report', 'x'), 200);
  assert.equal(await post(bob, 'users/@unknown:test/report', 'x'), 200);
  assert.equal(await post(bob, path), 400);
  const kept = await listReports(api.users, 0, 100);
  assert.equal(kept.length, 6);
  assert.deepEqual(kept[0]?.report, {
    room,
    event: RoomId.createEventId(room),
    reporter: '@alice:test',
    receivedTs: api.test.clock.now(),
    reason: 'spam',
  });
});
