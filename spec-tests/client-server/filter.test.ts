// Client-server API, Filtering.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, type ClientEvent, ofUser, query } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

test('a filter is stored and read back as it was given', async () => {
  const alice = await hs.user('alice');
  const filter = {
    room: { timeline: { limit: 5, types: ['m.room.message'] } },
    event_fields: ['content.body', 'type'],
  };
  const { filter_id: id } = await alice.ok('POST', ofUser(alice, 'filter'), filter);
  assert.ok(!id.startsWith('{'));
  assert.deepEqual(await alice.ok('GET', ofUser(alice, 'filter', id)), filter);
});

test('a filter of another user, or none, is not found', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const { filter_id: id } = await alice.ok('POST', ofUser(alice, 'filter'), { room: { rooms: [] } });
  assert.equal((await bob.request('GET', ofUser(alice, 'filter', id))).status, 403);
  await alice.fails(404, 'M_NOT_FOUND', 'GET', ofUser(alice, 'filter', '123456'));
  await bob.fails(403, 'M_FORBIDDEN', 'POST', ofUser(alice, 'filter'), {});
});

test('a stored filter does in sync what it does inline', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom({ name: 'Filtered' });
  await alice.say(room, 'one');
  await alice.say(room, 'two');
  const filter = { room: { timeline: { limit: 1 }, state: { types: ['m.room.name'] } }, presence: { types: [] } };
  const { filter_id: id } = await alice.ok('POST', ofUser(alice, 'filter'), filter);
  const strip = (body: Body): unknown => {
    const joined = body['rooms'].join[room];
    return [joined.state.events, joined.timeline.events].map((events: ClientEvent[]) => events.map((e) => e.event_id));
  };
  const [stored, inline] = await Promise.all([
    alice.ok('GET', `${C}/sync${query({ filter: id })}`),
    alice.ok('GET', `${C}/sync${query({ filter: JSON.stringify(filter) })}`),
  ]);
  assert.deepEqual(strip(stored), strip(inline));
  const { state, timeline } = stored['rooms'].join[room];
  assert.deepEqual(
    state.events.map((e: ClientEvent) => e.type),
    ['m.room.name'],
  );
  assert.deepEqual(
    timeline.events.map((e: ClientEvent) => e.content['body']),
    ['two'],
  );
  assert.equal(timeline.limited, true);
});

test('rooms, types with wildcards and senders pick what comes', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  const other = await alice.createRoom();
  await bob.join(room);
  await alice.send(room, 'org.example.one', {});
  await alice.send(room, 'org.example.two', {});
  await bob.send(room, 'org.example.three', {});
  const timeline = { types: ['org.example.*'], not_types: ['org.example.two'], not_senders: [bob.userId] };
  const body = await alice.sync({ filter: JSON.stringify({ room: { rooms: [room], timeline } }) });
  assert.equal(body['rooms'].join[other], undefined);
  assert.deepEqual(
    body['rooms'].join[room].timeline.events.map((e: ClientEvent) => e.type),
    ['org.example.one'],
  );
});

for (const [what, filter] of Object.entries({
  'a limit that is text': { room: { timeline: { limit: 'many' } } },
  'types that are no list': { room: { timeline: { types: 'm.room.message' } } },
  'a room that is no object': { room: 'x' },
  'senders that are no user ids': { room: { timeline: { senders: ['not_at_user_id'] } } },
  'rooms that are no room ids': { room: { timeline: { rooms: ['not_a_room_id'] } } },
  'an unknown event format': { event_format: 'poem' },
})) {
  test(`${what} is a bad filter`, /limit|object/.test(what) ? synapseDiffers('answers 500 for some') : {}, async () => {
    const alice = await hs.user('alice');
    assert.equal((await alice.request('POST', ofUser(alice, 'filter'), filter)).status, 400);
  });
}

test('an unknown filter id and a filter that is no JSON are bad requests', async () => {
  const alice = await hs.user('alice');
  for (const filter of ['987654', '{bad', 'constructor']) {
    const answer = await alice.request('GET', `${C}/sync${query({ filter })}`);
    assert.ok([400, 404].includes(answer.status), `${filter}: ${answer.status}`);
  }
});
