// Server-server API, Retrieving events and Backfilling: who may read what of a room.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startOwnServer } from '../support/homeserver.js';
import { eventId, federating, type Pdu, Peer } from '../support/peer.js';

const hs = await startOwnServer(federating());
const peer = await Peer.start(hs);
test.after(async () => {
  await peer.stop();
  await hs.stop();
});

const F = '/_matrix/federation/v1';
const e = encodeURIComponent;

test('a server that is in the room reads its events and state; others read nothing', async (t) => {
  const stranger = await Peer.start(hs);
  t.after(() => stranger.stop());
  const alice = await hs.user('alice');
  const roomId = await alice.createRoom({ preset: 'public_chat' });
  const first = await alice.say(roomId, 'first');
  const named = await alice.setState(roomId, 'm.room.name', '', { name: 'Garden' });
  const last = await alice.say(roomId, 'last');
  await peer.join(roomId, peer.user('charlie'));

  const single = await peer.ok('GET', `${F}/event/${e(first)}`);
  assert.deepEqual([single['origin'], single['pdus'].map(eventId)], [hs.serverName, [first]]);
  const state = await peer.ok('GET', `${F}/state/${e(roomId)}?event_id=${e(last)}`);
  const ids = await peer.ok('GET', `${F}/state_ids/${e(roomId)}?event_id=${e(last)}`);
  assert.deepEqual(new Set(state['pdus'].map(eventId)), new Set(ids['pdu_ids']));
  assert.deepEqual(new Set(state['auth_chain'].map(eventId)), new Set(ids['auth_chain_ids']));
  assert.ok(ids['pdu_ids'].includes(named));
  const before = await peer.ok('GET', `${F}/state_ids/${e(roomId)}?event_id=${e(named)}`);
  assert.ok(!before['pdu_ids'].includes(named), 'the state is that before the event');
  const auth = await peer.ok('GET', `${F}/event_auth/${e(roomId)}/${e(last)}`);
  const types = (auth['auth_chain'] as Pdu[]).map((pdu) => pdu['type']).sort();
  assert.deepEqual(types, ['m.room.create', 'm.room.member', 'm.room.power_levels']);
  const back = await peer.ok('GET', `${F}/backfill/${e(roomId)}?v=${e(last)}&limit=3`);
  assert.deepEqual((back['pdus'] as Pdu[]).map(eventId), [last, named, first]);
  const content = { earliest_events: [first], latest_events: [last], limit: 10, min_depth: 0 };
  const missing = await peer.ok('POST', `${F}/get_missing_events/${e(roomId)}`, content);
  assert.deepEqual((missing['events'] as Pdu[]).map(eventId), [named]);

  const paths = [
    `${F}/state/${e(roomId)}?event_id=${e(last)}`,
    `${F}/state_ids/${e(roomId)}?event_id=${e(last)}`,
    `${F}/event_auth/${e(roomId)}/${e(last)}`,
    `${F}/event/${e(last)}`,
    `${F}/backfill/${e(roomId)}?v=${e(last)}&limit=3`,
  ];
  for (const path of paths) {
    const { status, body } = await stranger.request('GET', path);
    assert.deepEqual([status, body['errcode']], [403, 'M_FORBIDDEN'], path);
  }
  assert.equal((await stranger.request('POST', `${F}/get_missing_events/${e(roomId)}`, content)).status, 403);
  await alice.setState(roomId, 'm.room.server_acl', '', { allow: ['*'], deny: ['localhost'] });
  for (const path of paths) assert.equal((await peer.request('GET', path)).status, 403, path);
});

test('events leave signed, whichever way they go and whatever was taken away from them', async () => {
  const alice = await hs.user('alice');
  const roomId = await alice.createRoom({ preset: 'public_chat' });
  await alice.setState(roomId, 'm.room.history_visibility', '', { history_visibility: 'joined' });
  const hidden = await alice.say(roomId, 'among ourselves');
  await peer.join(roomId, peer.user('charlie'));
  const regretted = await alice.say(roomId, 'what I should not have said');
  const kept = await alice.say(roomId, 'what I may say');
  const redaction = await alice.redact(roomId, regretted);
  const last = await alice.say(roomId, 'last');
  await peer.untilSent(last);
  const sent = peer.received.flatMap((txn) => txn['pdus'] as Pdu[]).filter((pdu) => pdu['room_id'] === roomId);
  assert.deepEqual(sent.map(eventId), [regretted, kept, redaction, last]);
  await peer.assertSigned(sent);
  const back = (await peer.ok('GET', `${F}/backfill/${e(roomId)}?v=${e(last)}&limit=10`))['pdus'] as Pdu[];
  const byId = new Map(back.map((pdu) => [eventId(pdu), pdu]));
  assert.deepEqual([byId.get(hidden)?.['content'], byId.get(regretted)?.['content']], [{}, {}]);
  await peer.assertSigned(back);
  await peer.assertSigned((await peer.ok('GET', `${F}/event/${e(kept)}`))['pdus']);
  await peer.assertSigned((await peer.ok('GET', `${F}/event/${e(regretted)}`))['pdus']);
});

test('events of other rooms are not read by way of one’s own', async () => {
  const alice = await hs.user('alice');
  const mine = await alice.createRoom({ preset: 'public_chat' });
  const other = await alice.createRoom({ preset: 'private_chat' });
  const secret = await alice.say(other, 'secret');
  await peer.join(mine, peer.user('charlie'));
  for (const path of [`state/${e(mine)}?event_id=${e(secret)}`, `event_auth/${e(mine)}/${e(secret)}`]) {
    assert.equal((await peer.request('GET', `${F}/${path}`)).status, 404);
  }
  assert.equal((await peer.request('GET', `${F}/event/${e(secret)}`)).status, 403);
  assert.deepEqual((await peer.ok('GET', `${F}/backfill/${e(mine)}?v=${e(secret)}&limit=5`))['pdus'], []);
  const content = { earliest_events: [], latest_events: [secret], limit: 10 };
  assert.deepEqual(await peer.ok('POST', `${F}/get_missing_events/${e(mine)}`, content), { events: [] });
});

test('what was said before a server came is redacted where history is for members', async () => {
  const alice = await hs.user('alice');
  const roomId = await alice.createRoom({ preset: 'public_chat' });
  await alice.setState(roomId, 'm.room.history_visibility', '', { history_visibility: 'joined' });
  const hidden = await alice.say(roomId, 'among ourselves');
  await peer.join(roomId, peer.user('charlie'));
  const shown = await alice.say(roomId, 'for all');
  const back = await peer.ok('GET', `${F}/backfill/${e(roomId)}?v=${e(shown)}&limit=10`);
  const byId = new Map((back['pdus'] as Pdu[]).map((pdu) => [eventId(pdu), pdu]));
  assert.equal(byId.get(shown)?.['content'].body, 'for all');
  assert.deepEqual(byId.get(hidden)?.['content'], {});
  assert.equal((await peer.request('GET', `${F}/event/${e(hidden)}`)).status, 404);
});

test('no request makes more of an answer than it may', async () => {
  const alice = await hs.user('alice');
  const roomId = await alice.createRoom({ preset: 'public_chat' });
  let last = '';
  for (let n = 0; n < 25; n++) last = await alice.say(roomId, String(n));
  await peer.join(roomId, peer.user('charlie'));
  const content = { earliest_events: [], latest_events: [last], limit: 1_000_000, min_depth: 0 };
  const { events } = await peer.ok('POST', `${F}/get_missing_events/${e(roomId)}`, content);
  assert.equal((events as Pdu[]).length, 20);
  const depths = (events as Pdu[]).map((pdu) => pdu['depth'] as number);
  assert.deepEqual(
    depths,
    depths.toSorted((a, b) => a - b),
  );
  assert.equal((await peer.request('GET', `${F}/backfill/${e(roomId)}?v=${e(last)}`)).status, 400);
  assert.equal((await peer.request('GET', `${F}/state/${e(roomId)}`)).status, 400);
});

test('a profile is told to servers that ask for it', async () => {
  const alice = await hs.user('alice');
  await alice.ok('PUT', `/_matrix/client/v3/profile/${e(alice.userId)}/displayname`, { displayname: 'Alice' });
  const path = `${F}/query/profile?user_id=${e(alice.userId)}`;
  assert.equal((await peer.ok('GET', path))['displayname'], 'Alice');
  assert.deepEqual(await peer.ok('GET', `${path}&field=displayname`), { displayname: 'Alice' });
  assert.equal((await peer.request('GET', `${F}/query/profile?user_id=@none:hs.test`)).status, 404);
  assert.equal((await peer.request('GET', `${F}/query/profile?user_id=@x:elsewhere.example`)).status, 400);
});
