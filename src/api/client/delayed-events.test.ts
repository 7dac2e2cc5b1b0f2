import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ENDPOINTS } from '#api/endpoints.js';
import { serveApi } from '#api/testing.js';

const BASE = '/_matrix/client/unstable/org.matrix.msc4140';

async function setUp(t: TestContext) {
  const api = await serveApi(t, ENDPOINTS);
  const { user_id, access_token: token } = await api.register('alice');
  const room = await api.room(user_id);
  const schedule = (path: string, delayMs: number | string, body?: object) =>
    api.call('PUT', `rooms/${room}/${path}?org.matrix.msc4140.delay=${delayMs}`, { token, body });
  const listed = async (): Promise<{ content: object; delay_id: string }[]> =>
    (await api.call('GET', `${BASE}/delayed_events`, { token })).body.delayed_events;
  const act = (id: string, action: string) => api.call('POST', `${BASE}/delayed_events/${id}/${action}`, { body: {} });
  const state = (key: string) => api.call('GET', `rooms/${room}/state/org.example.x/${key}`, { token });
  /** Moves time on and waits until nothing that is due is left. */
  const advance = async (byMs: number): Promise<void> => {
    api.test.clock.advance(byMs);
    while ((await listed()).some((one) => dueTs(one) <= api.test.clock.now())) await api.test.store.settle();
  };
  return { api, user_id, token, room, schedule, listed, act, state, advance };
}

function dueTs(listed: object): number {
  const { scheduled_at, delay_ms } = listed as { scheduled_at: number; delay_ms: number };
  return scheduled_at + delay_ms;
}

test('delayed events are sent when they are due, in order, once', async (t) => {
  const { api, token, room, schedule, listed, advance } = await setUp(t);
  const ids: string[] = [];
  for (const [i, delay] of [900, 700, 800].entries()) {
    const answer = await schedule(`send/m.room.message/${i}`, delay, { msgtype: 'm.text', body: `${delay}` });
    assert.equal(answer.status, 200);
    ids.push(answer.body.delay_id);
  }
  assert.equal((await schedule('send/m.room.message/0', 900)).body.delay_id, ids[0], 'repeated');
  assert.deepEqual(
    (await listed()).map(({ content }) => content),
    [700, 800, 900].map((delay) => ({ msgtype: 'm.text', body: `${delay}` })),
  );
  await advance(699);
  assert.equal((await listed()).length, 3);
  await advance(301);
  assert.deepEqual(await listed(), []);
  const { chunk } = (await api.call('GET', `rooms/${room}/messages?dir=b&limit=3`, { token })).body;
  assert.deepEqual(
    chunk.map((event: { content: { body: string } }) => event.content.body),
    ['900', '800', '700'],
  );
  assert.equal(chunk[0].unsigned['org.matrix.msc4140.delay_id'], ids[0]);
  const { body: over } = await api.call('GET', `${BASE}/delayed_events/${ids[0]}`, { token });
  assert.equal(over.event_id, chunk[0].event_id);
  assert.equal(over.finalised_ts, api.test.clock.now());
  const bob = await api.register('bob');
  const { status } = await api.call('GET', `${BASE}/delayed_events/${ids[0]}`, { token: bob.access_token });
  assert.equal(status, 404, 'of another user');
});

test('delayed events: cancel, restart and send, by whoever knows the id', async (t) => {
  const { schedule, listed, act, state, advance } = await setUp(t);
  const id = async (key: string) => (await schedule(`state/org.example.x/${key}`, 1_000, { key })).body.delay_id;
  const [cancelled, restarted, sent] = [await id('a'), await id('b'), await id('c')];
  await advance(600);
  assert.equal((await act(cancelled, 'cancel')).status, 200);
  assert.equal((await act(restarted, 'restart')).status, 200);
  assert.equal((await act(sent, 'send')).status, 200);
  assert.deepEqual((await state('c')).body, { key: 'c' });
  await advance(600);
  assert.deepEqual(
    (await listed()).map(({ delay_id }) => delay_id),
    [restarted],
  );
  await advance(400);
  assert.deepEqual((await state('b')).body, { key: 'b' });
  assert.equal((await state('a')).status, 404);
  assert.equal((await act(cancelled, 'cancel')).status, 200, 'again');
  assert.equal((await act(cancelled, 'send')).status, 409);
  assert.equal((await act(sent, 'cancel')).status, 409);
  assert.equal((await act(sent, 'send')).status, 200);
  for (const action of ['cancel', 'restart', 'send']) assert.equal((await act('abc', action)).status, 404);
  assert.deepEqual((await act(sent, 'oops')).body.errcode, 'M_UNRECOGNIZED');
});

test('delayed events: bad delays, too many, and those that a room refuses (T270)', async (t) => {
  const { api, user_id, token, room, schedule, advance } = await setUp(t);
  const message = { msgtype: 'm.text', body: 'x' };
  assert.equal((await schedule('send/m.room.message/1', 0, message)).body.errcode, 'M_INVALID_PARAM');
  assert.equal((await schedule('send/m.room.message/1', 'soon', message)).body.errcode, 'M_INVALID_PARAM');
  assert.equal((await schedule('send/m.room.message/1', 86_400_001, message)).body.errcode, 'M_FORBIDDEN');
  const body = { delay_ms: 1_000, content: message, state_key: '' };
  const path = `${BASE}/rooms/${room}/delayed_event/m.room.create/t`;
  const refused = (await api.call('PUT', path, { token, body })).body.delay_id;
  await advance(1_000);
  const { error, event_id } = (await api.call('GET', `${BASE}/delayed_events/${refused}`, { token })).body;
  assert.equal(event_id, undefined);
  assert.equal(error.errcode, 'M_BAD_STATE');
  for (let i = 0; i < 100; i++) await schedule(`state/org.example.x/${i}`, 60_000, {});
  const tooMany = await schedule('state/org.example.x/more', 60_000, {});
  assert.deepEqual([tooMany.status, tooMany.body.errcode], [429, 'M_LIMIT_EXCEEDED']);
  assert.equal(tooMany.body.retry_after_ms, 60_000);
  await advance(60_000);
  assert.equal((await schedule('state/org.example.x/more', 60_000, {})).status, 200, user_id);
});

test('delayed events that are over are forgotten after a week', async (t) => {
  const { api, token, schedule, advance, listed } = await setUp(t);
  const { delay_id } = (await schedule('send/m.room.message/1', 1_000, { msgtype: 'm.text', body: 'x' })).body;
  await advance(2_000);
  assert.deepEqual(await listed(), []);
  const path = `${BASE}/delayed_events/${delay_id}`;
  await advance(7 * 24 * 60 * 60 * 1000 - 2_001);
  assert.equal((await api.call('GET', path, { token })).status, 200);
  await advance(3_000);
  for (let i = 0; i < 20; i++) await api.test.store.settle();
  assert.equal((await api.call('GET', path, { token })).status, 404);
});
