// Client-server API, Aggregations of child events: what an event carries of those that relate to it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, type Client, inRoom, ofUser, timeline } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

const relate = (client: Client, room: string, relType: string, event: string, more: Body = {}) =>
  client.send(room, 'm.room.message', {
    msgtype: 'm.text',
    body: 'x',
    'm.relates_to': { rel_type: relType, event_id: event },
    ...more,
  });
const edit = (client: Client, room: string, event: string) =>
  relate(client, room, 'm.replace', event, { 'm.new_content': { msgtype: 'm.text', body: 'y' } });
const bundle = async (client: Client, room: string, event: string): Promise<Body | undefined> =>
  (await client.event(room, event))['unsigned']?.['m.relations'];

async function story() {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  const root = await alice.say(room, 'findable root');
  return { alice, bob, room, root };
}

test('every endpoint that gives events bundles what relates to them', async () => {
  const { alice, bob, room, root } = await story();
  const reply = await relate(bob, room, 'm.thread', root);
  const reference = await relate(bob, room, 'm.reference', root);
  const edited = await edit(alice, room, root);
  const carries = (where: string, event: Body | undefined): void => {
    const relations = event?.['unsigned']?.['m.relations'];
    assert.equal(relations?.['m.thread']?.latest_event.event_id, reply, where);
    assert.equal(relations['m.thread'].count, 1, where);
    assert.equal(relations['m.replace'].event_id, edited, where);
    assert.deepEqual(relations['m.reference'], { chunk: [{ event_id: reference }] }, where);
  };
  const find = (events: Body[]): Body | undefined => events.find((event) => event['event_id'] === root);
  carries('event', await bob.event(room, root));
  carries('messages', find((await bob.messages(room))['chunk']));
  carries('context', (await bob.ok('GET', inRoom(room, 'context', root)))['event']);
  carries('context', find((await bob.ok('GET', inRoom(room, 'context', reply)))['events_before']));
  const criteria = { search_term: 'findable', filter: { rooms: [room] } };
  const search = await bob.ok('POST', `${C}/search`, { search_categories: { room_events: criteria } });
  carries('search', search['search_categories'].room_events.results[0]?.result);
  const filter = JSON.stringify({ room: { timeline: { limit: 5 } } });
  carries('sync', find(timeline(await (await bob.login()).sync({ filter }), room)));
});

test('an edit has new content (T267)', synapseDiffers('counts one without'), async () => {
  const { alice, bob, room, root } = await story();
  await relate(alice, room, 'm.replace', root);
  assert.equal((await bundle(bob, room, root))?.['m.replace'], undefined);
});

test('of the edits by the sender the newest counts (T267, T282)', async () => {
  const { alice, bob, room, root } = await story();
  await edit(bob, room, root);
  assert.equal((await bundle(bob, room, root))?.['m.replace'], undefined);
  await edit(alice, room, root);
  const second = await edit(alice, room, root);
  assert.equal((await bundle(bob, room, root))?.['m.replace'].event_id, second);
  await alice.redact(room, root);
  assert.equal((await bundle(bob, room, root))?.['m.replace'], undefined);
});

test('the thread tells who took part, and shrinks with a redaction (T255, T282)', async () => {
  const { alice, bob, room, root } = await story();
  const first = await relate(alice, room, 'm.thread', root);
  const second = await relate(alice, room, 'm.thread', root);
  assert.equal((await bundle(bob, room, root))?.['m.thread'].current_user_participated, false);
  assert.equal((await bundle(alice, room, root))?.['m.thread'].current_user_participated, true);
  await alice.redact(room, second);
  const thread = (await bundle(bob, room, root))?.['m.thread'];
  assert.deepEqual([thread.count, thread.latest_event.event_id], [1, first]);
});

test('ignored users are in no bundle (T282)', async () => {
  const { alice, bob, room, root } = await story();
  await relate(bob, room, 'm.thread', root);
  const mine = await relate(alice, room, 'm.thread', root);
  await relate(bob, room, 'm.thread', root);
  const ignored = { ignored_users: { [bob.userId]: {} } };
  await alice.ok('PUT', ofUser(alice, 'account_data', 'm.ignored_user_list'), ignored);
  const thread = (await bundle(alice, room, root))?.['m.thread'];
  assert.deepEqual([thread.count, thread.latest_event.event_id], [1, mine]);
});

test('what came after one left is in no bundle (T282)', synapseDiffers('bundles it'), async () => {
  const { alice, bob, room, root } = await story();
  const seen = await relate(alice, room, 'm.thread', root);
  await bob.leave(room);
  await relate(alice, room, 'm.thread', root);
  await edit(alice, room, root);
  const { chunk } = await bob.messages(room, { limit: 50 });
  const relations = chunk.find((event: Body) => event['event_id'] === root)?.unsigned?.['m.relations'];
  assert.equal(relations?.['m.thread']?.latest_event.event_id, seen);
  assert.equal(relations['m.replace'], undefined);
});

test('state events carry no bundle (T267)', async () => {
  const { alice, room } = await story();
  const topic = await alice.setState(room, 'm.room.topic', '', { topic: 'x' });
  await relate(alice, room, 'm.reference', topic);
  assert.equal(await bundle(alice, room, topic), undefined);
});
