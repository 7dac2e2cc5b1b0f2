// Client-server API, Finding events by timestamp.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { query, seg } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';

const hs = await homeserver();
test.after(() => hs.stop());
const alice = await hs.user('alice');
const room = await alice.createRoom();
const first = await alice.say(room, 'first');
const last = await alice.say(room, 'last');
const path = (parameters: Record<string, string | number>): string =>
  `/_matrix/client/v1/rooms/${seg(room)}/timestamp_to_event${query(parameters)}`;

test('forwards from the event’s own time it is found, and backwards too', async () => {
  const { origin_server_ts: ts } = await alice.event(room, first);
  for (const dir of ['f', 'b']) {
    const found = await alice.ok('GET', path({ ts, dir }));
    assert.equal(found['origin_server_ts'], ts);
  }
  const { origin_server_ts: lastTs } = await alice.event(room, last);
  const newest = await alice.ok('GET', path({ ts: lastTs + 100_000_000, dir: 'b' }));
  assert.equal(newest['event_id'], last);
});

test('from the beginning of time the room’s creation is found', async () => {
  const found = await alice.ok('GET', path({ ts: 0, dir: 'f' }));
  assert.equal((await alice.event(room, found['event_id'])).type, 'm.room.create');
});

test('before the first and after the last event there is none', async () => {
  await alice.fails(404, 'M_NOT_FOUND', 'GET', path({ ts: 1, dir: 'b' }));
  await alice.fails(404, 'M_NOT_FOUND', 'GET', path({ ts: 9_000_000_000_000, dir: 'f' }));
});

test('missing and bad parameters are a bad request', async () => {
  for (const parameters of [{ dir: 'f' }, { ts: 'noon', dir: 'f' }, { ts: 1, dir: 'x' }]) {
    assert.equal((await alice.request('GET', path(parameters as Record<string, string>))).status, 400);
  }
});

test('a stranger finds nothing', async () => {
  const mallory = await hs.user('mallory');
  const answer = await mallory.request('GET', path({ ts: 0, dir: 'f' }));
  assert.ok([403, 404].includes(answer.status), String(answer.status));
});
