import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ENDPOINTS } from '#api/endpoints.js';
import { serveApi } from '#api/testing.js';

async function setUp(t: TestContext) {
  const api = await serveApi(t, ENDPOINTS);
  const [alice, bob] = [await api.register('alice'), await api.register('bob')];
  const room = await api.room(alice.user_id, bob.user_id);
  let txn = 0;
  const say = async (by: typeof alice, content: object = {}): Promise<string> => {
    const body = { msgtype: 'm.text', body: 'hi', ...content };
    const path = `rooms/${room}/send/m.room.message/${txn++}`;
    return (await api.call('PUT', path, { token: by.access_token, body })).body.event_id;
  };
  const get = async (id: string) =>
    (await api.call('GET', `rooms/${room}/event/${id}`, { token: alice.access_token })).body;
  /** The event once the background has redacted it; fails with the test's time limit otherwise. */
  const redacted = async (id: string) => {
    for (;;) {
      const event = await get(id);
      if (event.unsigned.redacted_because !== undefined) return event;
    }
  };
  return { api, alice, bob, room, say, get, redacted };
}
const relation = (rel_type: string, event_id: string) => ({ 'm.relates_to': { rel_type, event_id } });

test('a ban with the flag redacts what the user sent since they came in', { timeout: 30_000 }, async (t) => {
  const { api, alice, bob, room, say, get, redacted } = await setUp(t);
  const before = await say(bob);
  await api.call('POST', `rooms/${room}/leave`, { token: bob.access_token, body: {} });
  await api.call('POST', `rooms/${room}/join`, { token: bob.access_token, body: {} });
  const [mine, first, last] = [await say(alice), await say(bob), await say(bob)];
  const body = { user_id: bob.user_id, reason: 'spam', 'org.matrix.msc4293.redact_events': true };
  await api.call('POST', `rooms/${room}/ban`, { token: alice.access_token, body });
  const because = (await redacted(last)).unsigned.redacted_because;
  assert.equal(because.type, 'm.room.member');
  assert.equal(because.content.membership, 'ban');
  assert.equal(because.content.reason, 'spam');
  assert.deepEqual((await redacted(first)).content, {});
  assert.equal((await get(mine)).content.body, 'hi');
  assert.equal((await get(before)).content.body, 'hi', 'of an earlier stay');
});

test('the flag means nothing from who may not redact, or when leaving', async (t) => {
  const { api, alice, bob, room, say, get } = await setUp(t);
  const carol = await api.register('carol');
  await api.call('POST', `rooms/${room}/join`, { token: carol.access_token, body: {} });
  await api.call('PUT', `rooms/${room}/state/m.room.power_levels`, {
    token: alice.access_token,
    body: { users: { [carol.user_id]: 50 }, redact: 60 },
  });
  const message = await say(bob);
  const body = { user_id: bob.user_id, redact_events: true };
  assert.equal((await api.call('POST', `rooms/${room}/kick`, { token: carol.access_token, body })).status, 200);
  const own = await say(alice);
  await api.test.store.settle();
  assert.equal((await get(message)).content.body, 'hi');
  assert.equal((await get(own)).content.body, 'hi');
});

test('a redaction with relations redacts what relates, and what comes later', { timeout: 30_000 }, async (t) => {
  const { api, alice, bob, room, say, get, redacted } = await setUp(t);
  const root = await say(alice);
  const reply = await say(bob, relation('m.thread', root));
  const reference = await say(alice, relation('m.reference', root));
  const forged = await say(bob, { ...relation('m.replace', root), 'm.new_content': { msgtype: 'm.text', body: 'x' } });
  await api.call('PUT', `rooms/${room}/redact/${root}/1`, {
    token: alice.access_token,
    body: { reason: 'tidy', 'org.matrix.msc3912.with_relations': ['m.thread', 'm.replace'] },
  });
  assert.equal((await get(root)).unsigned.redacted_because.content.reason, 'tidy');
  const because = (await redacted(reply)).unsigned.redacted_because;
  assert.deepEqual([because.sender, because.content.reason], [alice.user_id, 'tidy']);
  const later = await say(bob, relation('m.thread', root));
  await redacted(later);
  assert.equal((await get(reference)).content.body, 'hi');
  assert.equal((await get(forged)).content.body, 'hi', 'no valid edit');
});
