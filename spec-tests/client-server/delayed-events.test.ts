// MSC4140, delayed events.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, type Client, inRoom, inTimeline, query, seg } from '../support/client.js';
import { homeserver, startOwnServer } from '../support/homeserver.js';
import { ourChoice, synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

const BASE = '/_matrix/client/unstable/org.matrix.msc4140';
const TYPE = 'org.example.beacon';

/** Schedules by the parameter that clients of today send; one test has the endpoint that took its place in the proposal. */
const schedule = async (client: Client, room: string, key: string, delayMs: number): Promise<string> => {
  const path = inRoom(room, 'state', TYPE, key) + query({ 'org.matrix.msc4140.delay': delayMs });
  return (await client.ok('PUT', path, { key }))['delay_id'] as string;
};
const scheduled = async (client: Client): Promise<Body[]> =>
  (await client.ok('GET', `${BASE}/delayed_events`))['delayed_events'];
const sent = async (client: Client, room: string, key: string): Promise<Body> =>
  (await client.syncUntil(inTimeline(room, (event) => event.type === TYPE && event.state_key === key))).content;

test('a delayed event comes when it is due, and not before', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom();
  await alice.sync();
  const later = await schedule(alice, room, 'later', 60_000);
  assert.equal((await scheduled(alice))[0]!['delay_id'], later);
  assert.deepEqual(await scheduled(bob), []);
  await alice.ok('POST', `${BASE}/delayed_events/${later}/cancel`, {});
  const before = Date.now();
  await schedule(alice, room, 'due', 300);
  assert.deepEqual(await sent(alice, room, 'due'), { key: 'due' });
  assert.ok(Date.now() - before >= 300);
  await alice.fails(404, 'M_NOT_FOUND', 'GET', inRoom(room, 'state', TYPE, 'later'));
  assert.deepEqual(await scheduled(alice), []);
});

test('a delayed event has an endpoint of its own', synapseDiffers('knows the parameter only'), async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  await alice.sync();
  const path = `${BASE}/rooms/${seg(room)}/delayed_event/${TYPE}/1`;
  const body = { delay_ms: 100, state_key: 'own', content: { key: 'own' } };
  const { delay_id } = await alice.ok('PUT', path, body);
  assert.equal((await alice.ok('PUT', path, body))['delay_id'], delay_id);
  assert.deepEqual(await sent(alice, room, 'own'), { key: 'own' });
});

test('whoever knows the delay id cancels, restarts or sends, without an account (T270)', async () => {
  const alice = await hs.user('alice');
  const nobody = hs.anonymous();
  const room = await alice.createRoom();
  await alice.sync();
  const [cancelled, now] = [await schedule(alice, room, 'never', 60_000), await schedule(alice, room, 'now', 60_000)];
  await nobody.ok('POST', `${BASE}/delayed_events/${cancelled}/cancel`, {});
  await nobody.ok('POST', `${BASE}/delayed_events/${now}/restart`, {});
  await nobody.ok('POST', `${BASE}/delayed_events/${now}`, { action: 'send' });
  assert.deepEqual(await sent(alice, room, 'now'), { key: 'now' });
  assert.deepEqual(await scheduled(alice), []);
  await nobody.fails(404, 'M_NOT_FOUND', 'POST', `${BASE}/delayed_events/abc/send`, {});
  await nobody.fails(404, 'M_UNRECOGNIZED', 'POST', `${BASE}/delayed_events/abc/oops`, {});
  await nobody.fails(401, 'M_MISSING_TOKEN', 'GET', `${BASE}/delayed_events`);
});

test('delayed events outlive the process', ourChoice('a server that the test starts and kills'), async (t) => {
  const server = await startOwnServer();
  t.after(() => server.stop());
  const alice = await server.user('alice');
  const room = await alice.createRoom();
  await alice.sync();
  await schedule(alice, room, 'first', 400);
  await schedule(alice, room, 'later', 600_000);
  await server.own!.end('SIGKILL');
  await server.own!.start();
  assert.deepEqual(await sent(alice, room, 'first'), { key: 'first' });
  assert.deepEqual(
    (await scheduled(alice)).map((event) => event['state_key']),
    ['later'],
  );
});
