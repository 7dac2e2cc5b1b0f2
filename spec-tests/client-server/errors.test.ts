// Client-server API, API standards: errors, unknown endpoints, rate limits.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { C, inRoom } from '../support/client.js';
import { homeserver, startOwnServer } from '../support/homeserver.js';

const hs = await homeserver();
test.after(() => hs.stop());

test('an unknown path is not recognised, whatever the method (T35)', async () => {
  const alice = await hs.user('alice');
  for (const path of [`${C}/no/such/thing`, '/_matrix/client/v99/sync', '/_matrix/nothing', '/_matrix/client/v3']) {
    for (const method of ['GET', 'POST', 'PUT', 'DELETE']) {
      await alice.fails(404, 'M_UNRECOGNIZED', method, path, method === 'GET' ? undefined : {});
    }
  }
});

test('a known path with the wrong method is not allowed (T35)', async () => {
  const alice = await hs.user('alice');
  for (const [method, path] of [
    ['DELETE', `${C}/login`],
    ['PUT', `${C}/sync`],
    ['PATCH', `${C}/createRoom`],
    ['POST', `${C}/account/whoami`],
  ] as const) {
    await alice.fails(405, 'M_UNRECOGNIZED', method, path, {});
  }
});

test('the old r0 paths work', async () => {
  const alice = await hs.user('alice');
  assert.equal((await alice.ok('GET', '/_matrix/client/r0/account/whoami'))['user_id'], alice.userId);
  await alice.ok('GET', '/_matrix/client/r0/sync?timeout=0');
});

test('who sends too much is told how long to wait (T273)', async (t) => {
  const ours = await startOwnServer({ RUNNEL_RATE_LIMITS: 'on' });
  t.after(() => ours.stop());
  const alice = await ours.user('alice');
  const room = await alice.createRoom();
  const path = inRoom(room, 'typing', alice.userId);
  let last = await alice.request('PUT', path, { typing: false });
  for (let i = 0; i < 400 && last.status === 200; i++) {
    last = await alice.request('PUT', inRoom(room, 'send', 'm.room.message', `t${i}`), {
      msgtype: 'm.text',
      body: 'x',
    });
  }
  assert.equal(last.status, 429);
  assert.equal(last.body['errcode'], 'M_LIMIT_EXCEEDED');
  assert.ok(last.body['retry_after_ms'] > 0);
  assert.ok(Number(last.headers.get('retry-after')) >= 1);
  assert.equal(last.headers.get('access-control-allow-origin'), '*');
});

test('failed logins are limited by account and by address, and the owner is told so (T229)', async (t) => {
  const ours = await startOwnServer({ RUNNEL_RATE_LIMITS: 'on' });
  t.after(() => ours.stop());
  const alice = await ours.user('alice');
  const guess = { type: 'm.login.password', identifier: { type: 'm.id.user', user: alice.userId }, password: 'x' };
  const statuses: number[] = [];
  for (let i = 0; i < 12; i++) statuses.push((await ours.anonymous().request('POST', `${C}/login`, guess)).status);
  assert.equal(statuses[0], 403);
  assert.equal(statuses.at(-1), 429);
});
