// Client-server API, Lazy-loading room members.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, type Client, type ClientEvent, inRoom, query } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';

const hs = await homeserver();
test.after(() => hs.stop());

const lazy = (timelineLimit = 10, more: Body = {}): { filter: string } => ({
  filter: JSON.stringify({ room: { timeline: { limit: timelineLimit }, state: { lazy_load_members: true, ...more } } }),
});
const members = (events: ClientEvent[]): string[] =>
  events.filter((e) => e.type === 'm.room.member').map((e) => e.state_key!);

async function busyRoom(): Promise<{ alice: Client; bob: Client; carol: Client; room: string }> {
  const [alice, bob, carol] = await hs.users('alice', 'bob', 'carol');
  const room = await alice.createRoom({ preset: 'public_chat', name: 'Named, so that it needs no heroes' });
  await bob.join(room);
  await carol.join(room);
  for (let i = 0; i < 3; i++) await bob.say(room, `bob ${i}`);
  return { alice, bob, carol, room };
}

test('a first sync brings the members who speak in the timeline, and oneself', async () => {
  const { alice, bob, carol, room } = await busyRoom();
  const joined = (await alice.sync(lazy(2)))['rooms'].join[room];
  assert.deepEqual(members(joined.state.events).sort(), [alice.userId, bob.userId].sort());
  assert.ok(!members(joined.state.events).includes(carol.userId));
});

test('a member who speaks for the first time comes along, and then no more', async () => {
  const { alice, carol, room } = await busyRoom();
  await alice.sync(lazy(2));
  await carol.say(room, 'my first words');
  assert.deepEqual(members((await alice.sync(lazy(2)))['rooms'].join[room].state.events), [carol.userId]);
  await carol.say(room, 'and more');
  assert.deepEqual(members((await alice.sync(lazy(2)))['rooms'].join[room].state?.events ?? []), []);
});

test('a room without a name brings the members that can name it', async () => {
  const [alice, bob, carol] = await hs.users('alice', 'bob', 'carol');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await carol.join(room);
  for (let i = 0; i < 3; i++) await alice.say(room, String(i));
  const joined = (await alice.sync(lazy(2)))['rooms'].join[room];
  assert.deepEqual(joined.summary['m.heroes'], [bob.userId, carol.userId]);
  assert.deepEqual(members(joined.state.events).sort(), [alice.userId, bob.userId, carol.userId].sort());
});

test('include_redundant_members brings them every time', async () => {
  const { alice, carol, room } = await busyRoom();
  const all = lazy(2, { include_redundant_members: true });
  await alice.sync(all);
  for (const text of ['one', 'two']) {
    await carol.say(room, text);
    assert.ok(members((await alice.sync(all))['rooms'].join[room].state.events).includes(carol.userId));
  }
});

test('context and messages bring the members of what they show', async () => {
  const { alice, bob, room } = await busyRoom();
  const filter = '{"lazy_load_members":true}';
  const page = await alice.messages(room, { filter, limit: 2 });
  assert.deepEqual(members(page['state']), [bob.userId]);
  const id = page['chunk'][0].event_id;
  const context = await alice.ok('GET', inRoom(room, 'context', id) + query({ filter, limit: 2 }));
  assert.deepEqual(members(context['state']), [bob.userId]);
});

test('state that is no membership is complete', async () => {
  const { alice, room } = await busyRoom();
  const { state } = (await alice.sync(lazy(1)))['rooms'].join[room];
  const types = state.events.map((e: ClientEvent) => e.type);
  for (const type of ['m.room.create', 'm.room.power_levels', 'm.room.join_rules'])
    assert.ok(types.includes(type), type);
});
