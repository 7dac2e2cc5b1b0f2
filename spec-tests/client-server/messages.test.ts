// Client-server API, Getting events for a room: /messages.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ClientEvent, inRoom, query, texts } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';

const hs = await homeserver();
test.after(() => hs.stop());
const [alice, bob] = await hs.users('alice', 'bob');
const room = await alice.createRoom({ preset: 'public_chat' });
await bob.join(room);
const said = Array.from({ length: 12 }, (_, i) => `message ${i}`);
for (const text of said) await alice.say(room, text);

const onlyText = JSON.stringify({ types: ['m.room.message'] });

/** Every page from `from` until there is no more. */
async function pages(dir: 'b' | 'f', limit: number, from?: string): Promise<ClientEvent[]> {
  const events: ClientEvent[] = [];
  let at = from;
  for (let n = 0; n < 50; n++) {
    const page = await alice.messages(room, { dir, limit, ...(at === undefined ? {} : { from: at }) });
    events.push(...page['chunk']);
    if (page['end'] === undefined) return events;
    at = page['end'];
  }
  throw new Error('the pages never end');
}

test('pages backwards hold every event once, newest first', async () => {
  const events = await pages('b', 5);
  assert.equal(new Set(events.map((e) => e.event_id)).size, events.length);
  assert.deepEqual(texts(events), said.toReversed());
  assert.equal(events.at(-1)!.type, 'm.room.create');
});

test('pages forwards hold the same events in the other order', async () => {
  const forwards = await pages('f', 4);
  const backwards = await pages('b', 7);
  assert.deepEqual(
    forwards.map((e) => e.event_id),
    backwards.map((e) => e.event_id).toReversed(),
  );
});

test('prev_batch of a sync leads to what came before its timeline, without gap or overlap', async () => {
  const laptop = await alice.login();
  const body = await laptop.sync({ filter: '{"room":{"timeline":{"limit":3}}}' });
  const timeline = body['rooms'].join[room].timeline;
  assert.equal(timeline.limited, true);
  const page = await laptop.messages(room, { from: timeline.prev_batch, limit: 3 });
  assert.deepEqual(texts([...timeline.events].reverse().concat(page['chunk'])), said.toReversed().slice(0, 6));
});

test('to ends the page where it says', async () => {
  const newest = await alice.messages(room, { limit: 4 });
  const next = await alice.messages(room, { from: newest['end'], limit: 4 });
  const between = await alice.messages(room, { to: newest['end'], limit: 50 });
  assert.deepEqual(between['chunk'].map(idOf), newest['chunk'].map(idOf));
  assert.ok(!between['chunk'].map(idOf).includes(next['chunk'][0].event_id));
});
const idOf = (event: ClientEvent): string => event.event_id;

test('a filter by type, sender and url picks events, and paging still reaches the end', async () => {
  const page = await alice.messages(room, { filter: onlyText, limit: 100 });
  assert.deepEqual(texts(page['chunk']), said.toReversed());
  assert.equal(page['chunk'].length, said.length);
  const bobs = await alice.messages(room, { filter: JSON.stringify({ senders: [bob.userId] }), limit: 100 });
  assert.deepEqual(
    bobs['chunk'].map((e: ClientEvent) => e.type),
    ['m.room.member'],
  );
  const none = await alice.messages(room, { filter: JSON.stringify({ contains_url: true }), limit: 100 });
  assert.deepEqual(none['chunk'], []);
});

test('lazy loading brings the senders’ member events', async () => {
  const page = await alice.messages(room, { filter: '{"lazy_load_members":true}', limit: 2 });
  assert.deepEqual(
    page['state'].map((e: ClientEvent) => [e.type, e.state_key]),
    [['m.room.member', alice.userId]],
  );
});

for (const [what, parameters] of Object.entries({
  'a foreign from': { from: 'made-up' },
  'a from that no server could have given': { from: '9'.repeat(40) },
  'a foreign to': { to: 'made-up' },
  'an unknown direction': { dir: 'x' },
  'a limit that is no number': { limit: 'abc' },
  'a filter that is no JSON': { filter: '{bad' },
})) {
  test(`${what} is a bad request`, async () => {
    const answer = await alice.request('GET', inRoom(room, 'messages') + query({ dir: 'b', ...parameters }));
    assert.equal(answer.status, 400, JSON.stringify(answer.body));
  });
}

test('a huge limit is bounded or served, never an error (T43)', async () => {
  const page = await alice.messages(room, { limit: 1_000_000_000 });
  assert.ok(page['chunk'].length >= said.length);
});

test('who was never in the room reads nothing, and an unknown room looks the same', async () => {
  const mallory = await hs.user('mallory');
  const closed = await alice.createRoom();
  await mallory.fails(403, 'M_FORBIDDEN', 'GET', `${inRoom(closed, 'messages')}?dir=b`);
  await mallory.fails(403, 'M_FORBIDDEN', 'GET', `${inRoom(`!nowhere:${hs.serverName}`, 'messages')}?dir=b`);
});
