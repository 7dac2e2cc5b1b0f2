// Client-server API, Syncing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, type ClientEvent, inTimeline, query, saying, seg, texts, timeline } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

const limit = (n: number): { filter: string } => ({ filter: JSON.stringify({ room: { timeline: { limit: n } } }) });
const keys = (events: ClientEvent[]): string[] => events.map((e) => `${e.type}|${e.state_key}`);

test('the first sync holds the rooms, and the next one only what is new', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  await alice.say(room, 'one');
  assert.ok(texts(timeline(await alice.sync(), room)).includes('one'));
  const quiet = await alice.sync();
  assert.equal(quiet['rooms']?.join?.[room], undefined);
  await alice.say(room, 'two');
  assert.deepEqual(texts(timeline(await alice.sync(), room)), ['two']);
});

test('a waiting sync answers when something comes, long before its timeout', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await bob.sync();
  await bob.sync();
  const began = performance.now();
  const waiting = bob.syncUntil(saying(room, 'ping'), { timeout: '30000' });
  await alice.say(room, 'ping');
  await waiting;
  assert.ok(performance.now() - began < 20_000);
});

test('with nothing new a sync answers after its timeout, with a place to go on from', async () => {
  const alice = await hs.user('alice');
  await alice.sync({ set_presence: 'offline' });
  await alice.sync({ set_presence: 'offline' });
  const body = await alice.sync({ timeout: '200', set_presence: 'offline' });
  assert.equal(typeof body['next_batch'], 'string');
  assert.deepEqual(Object.keys(body['rooms']?.join ?? {}), []);
});

test('the same since gives the same events again', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  const { next_batch: since } = await alice.sync();
  await alice.say(room, 'again');
  for (let i = 0; i < 2; i++) {
    assert.deepEqual(texts(timeline(await alice.ok('GET', `${C}/sync${query({ since })}`), room)), ['again']);
  }
});

test(
  'state in the room section is that before the timeline',
  synapseDiffers('leaves out state that the timeline replaces'),
  async () => {
    const alice = await hs.user('alice');
    const room = await alice.createRoom({ name: 'First' });
    await alice.setState(room, 'm.room.name', '', { name: 'Second' });
    await alice.say(room, 'x');
    const body = await alice.sync(limit(2));
    const joined = body['rooms'].join[room];
    assert.deepEqual(
      joined.timeline.events.map((e: ClientEvent) => e.type),
      ['m.room.name', 'm.room.message'],
    );
    const name = joined.state.events.find((e: ClientEvent) => e.type === 'm.room.name');
    assert.equal(name.content.name, 'First');
    assert.equal(new Set(keys(joined.state.events)).size, joined.state.events.length);
  },
);

test(
  'use_state_after gives the state after the timeline instead',
  synapseDiffers('knows it by its unstable name only'),
  async () => {
    const alice = await hs.user('alice');
    const room = await alice.createRoom({ name: 'First' });
    await alice.setState(room, 'm.room.name', '', { name: 'Second' });
    const body = await alice.sync({ use_state_after: 'true', ...limit(1) });
    const joined = body['rooms'].join[room];
    assert.equal(joined.state, undefined);
    const after = joined.state_after.events.find((e: ClientEvent) => e.type === 'm.room.name');
    assert.equal(after.content.name, 'Second');
  },
);

test('a client that asks for the state after the timeline by its unstable name gets it by that name', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom({ name: 'First' });
  await alice.setState(room, 'm.room.name', '', { name: 'Second' });
  const body = await alice.sync({ 'org.matrix.msc4222.use_state_after': 'true', ...limit(1) });
  const joined = body['rooms'].join[room];
  assert.equal(joined.state, undefined);
  assert.equal(joined.state_after, undefined);
  const { events } = joined['org.matrix.msc4222.state_after'];
  assert.equal(events.find((e: ClientEvent) => e.type === 'm.room.name').content.name, 'Second');
});

test('a gap is named limited, and its state changes come along', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat', name: 'Before' });
  await bob.join(room);
  await bob.sync();
  await alice.setState(room, 'm.room.name', '', { name: 'After' });
  for (let i = 0; i < 5; i++) await alice.say(room, String(i));
  const joined = (await bob.sync(limit(2)))['rooms'].join[room];
  assert.equal(joined.timeline.limited, true);
  assert.deepEqual(texts(joined.timeline.events), ['3', '4']);
  assert.equal(joined.state.events.find((e: ClientEvent) => e.type === 'm.room.name').content.name, 'After');
  const gap = await bob.messages(room, { from: joined.timeline.prev_batch, limit: 4 });
  assert.deepEqual(texts(gap['chunk']), ['2', '1', '0']);
});

test('full_state gives every room with its state, even with nothing new', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom({ name: 'Full' });
  await alice.sync();
  const joined = (await alice.sync({ full_state: 'true' }))['rooms'].join[room];
  assert.ok(keys(joined.state.events).includes('m.room.create|'));
  assert.ok(keys(joined.state.events).includes('m.room.name|'));
});

test('a room that was joined comes whole, though the others knew it longer', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat', name: 'Long there' });
  for (let i = 0; i < 4; i++) await alice.say(room, String(i));
  await bob.sync();
  await bob.join(room);
  const joined = (await bob.sync(limit(2)))['rooms'].join[room];
  assert.equal(joined.timeline.limited, true);
  assert.ok(keys(joined.state.events).includes('m.room.name|'));
  assert.ok(keys([...joined.state.events, ...joined.timeline.events]).includes(`m.room.member|${bob.userId}`));
});

test('a left room is told once, ends with the leaving, and then it is silent (T278)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await bob.sync();
  await alice.say(room, 'before');
  await bob.leave(room);
  await alice.say(room, 'behind your back');
  const body = await bob.sync();
  const left = body['rooms'].leave[room];
  assert.deepEqual(texts(left.timeline.events), ['before']);
  assert.equal(left.timeline.events.at(-1).content.membership, 'leave');
  assert.equal(body['rooms'].join?.[room], undefined);
  await alice.say(room, 'and again');
  assert.equal((await bob.sync())['rooms']?.leave?.[room], undefined);
});

test('left rooms are in a first sync only where the filter asks', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  await alice.leave(room);
  assert.equal((await alice.ok('GET', `${C}/sync`))['rooms']?.leave?.[room], undefined);
  const asked = await alice.ok('GET', `${C}/sync${query({ filter: '{"room":{"include_leave":true}}' })}`);
  assert.ok(asked['rooms'].leave[room]);
});

test('the summary names heroes and counts', async () => {
  const [alice, bob, carol] = await hs.users('alice', 'bob', 'carol');
  const room = await alice.createRoom({ preset: 'public_chat', invite: [carol.userId] });
  await bob.join(room);
  const lazy = { filter: '{"room":{"state":{"lazy_load_members":true}}}' };
  const { summary } = (await alice.sync(lazy))['rooms'].join[room];
  assert.equal(summary['m.joined_member_count'], 2);
  assert.equal(summary['m.invited_member_count'], 1);
  assert.deepEqual(summary['m.heroes'].toSorted(), [bob.userId, carol.userId].sort());
});

test('messages to a device arrive once they are asked for, and are gone when the next sync says so', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const send = (txn: string, n: number): Promise<Body> =>
    alice.ok('PUT', `${C}/sendToDevice/org.example.note/${txn}`, { messages: { [bob.userId]: { '*': { n } } } });
  await bob.sync();
  await send('t1', 1);
  await send('t1', 1);
  await send('t2', 2);
  const since = bob.since!;
  const body = await bob.sync();
  assert.deepEqual(
    body['to_device'].events.map((e: Body) => [e['sender'], e['type'], e['content'].n]),
    [
      [alice.userId, 'org.example.note', 1],
      [alice.userId, 'org.example.note', 2],
    ],
  );
  const repeated = await bob.ok('GET', `${C}/sync${query({ since })}`);
  assert.equal(repeated['to_device'].events.length, 2, 'the answer could have been lost');
  assert.equal((await bob.sync())['to_device']?.events?.length ?? 0, 0);
});

test('one-time key counts are always there', async () => {
  const body = await (await hs.user('alice')).sync();
  assert.equal(body['device_one_time_keys_count'].signed_curve25519 ?? 0, 0);
});

for (const [what, since] of Object.entries({
  'of nobody': 'made-up',
  'that is negative': '-1',
  'that is larger than anything': '9'.repeat(30),
  'with a fraction': '1.5',
})) {
  test(`a since ${what} is an error, never someone's place`, async () => {
    const alice = await hs.user('alice');
    const answer = await alice.request('GET', `${C}/sync${query({ since })}`);
    assert.equal(answer.status, 400, JSON.stringify(answer.body));
  });
}

test('sync needs a token', async () => {
  await hs.anonymous().fails(401, 'M_MISSING_TOKEN', 'GET', `${C}/sync`);
});

test('what happens between two syncs of a busy room comes once, in order', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await bob.sync();
  const sending = (async () => {
    for (let i = 0; i < 20; i++) await alice.say(room, String(i));
  })();
  const seen: string[] = [];
  await bob.syncUntil((body) => {
    seen.push(...texts(timeline(body, room)));
    return seen.length >= 20;
  }, limit(50));
  await sending;
  assert.deepEqual(
    seen,
    Array.from({ length: 20 }, (_, i) => String(i)),
  );
});

test('an edit, a reaction and a reply in a thread are bundled with the event they belong to', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  const root = await alice.say(room, 'orginal');
  const edit = await alice.send(room, 'm.room.message', {
    msgtype: 'm.text',
    body: '* original',
    'm.new_content': { msgtype: 'm.text', body: 'original' },
    'm.relates_to': { rel_type: 'm.replace', event_id: root },
  });
  const reply = await alice.send(room, 'm.room.message', {
    msgtype: 'm.text',
    body: 'reply',
    'm.relates_to': { rel_type: 'm.thread', event_id: root },
  });
  const relations = (await alice.event(room, root))['unsigned']['m.relations'];
  assert.equal(relations['m.replace'].event_id, edit);
  assert.equal(relations['m.thread'].latest_event.event_id, reply);
  assert.equal(relations['m.thread'].count, 1);
  assert.equal(relations['m.thread'].current_user_participated, true);
});

test('several devices of a user each have their own place', async () => {
  const phone = await hs.user('alice');
  const laptop = await phone.login();
  const room = await phone.createRoom();
  await Promise.all([phone.sync(), laptop.sync()]);
  await phone.say(room, 'both');
  for (const device of [phone, laptop]) await device.syncUntil(saying(room, 'both'));
  await laptop.say(room, 'back');
  await phone.syncUntil(inTimeline(room, (e) => e.content['body'] === 'back'));
});

test('the initial events of the room survive unusual paths', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  const body = await alice.ok('GET', `${C}/sync?filter=${seg('{}')}&full_state=false&timeout=0&unknown=1`);
  assert.ok(body['rooms'].join[room]);
});
