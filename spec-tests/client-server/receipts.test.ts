// Client-server API, Receipts; Fully read markers; Private read receipts; Threaded read receipts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, inRoom, ofUser, saying } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';

const hs = await homeserver();
test.after(() => hs.stop());

/** The receipts in a room by a sync answer: `{event: {type: {user: data}}}`, over all events of type m.receipt. */
const receipts =
  (room: string) =>
  (body: Body): Body | undefined =>
    body['rooms']?.join?.[room]?.ephemeral?.events?.find((e: Body) => e['type'] === 'm.receipt')?.content;

async function pair(): Promise<{
  alice: Awaited<ReturnType<typeof hs.user>>;
  bob: Awaited<ReturnType<typeof hs.user>>;
  room: string;
}> {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  return { alice, bob, room };
}

test('a public receipt reaches the others with its time', async () => {
  const { alice, bob, room } = await pair();
  const eventId = await alice.say(room, 'read this');
  await alice.sync();
  await bob.receipt(room, 'm.read', eventId);
  const content = await alice.syncUntil(receipts(room));
  assert.equal(typeof content[eventId]['m.read'][bob.userId].ts, 'number');
});

test('a private receipt reaches its user’s devices and nobody else (T286)', async () => {
  const { alice, bob, room } = await pair();
  const laptop = await bob.login();
  const eventId = await alice.say(room, 'read this');
  await Promise.all([alice.sync(), laptop.sync()]);
  await bob.receipt(room, 'm.read.private', eventId);
  const own = await laptop.syncUntil(receipts(room));
  assert.ok(own[eventId]['m.read.private'][bob.userId]);
  await bob.say(room, 'a sign');
  let seen: Body | undefined;
  await alice.syncUntil((body) => {
    seen ??= receipts(room)(body);
    return saying(room, 'a sign')(body);
  });
  assert.equal(JSON.stringify(seen ?? {}).includes('m.read.private'), false);
  const initial = await (await alice.login()).sync();
  assert.equal(JSON.stringify(initial['rooms'].join[room].ephemeral).includes('m.read.private'), false);
});

test('a newer receipt takes the place of the older one', async () => {
  const { alice, bob, room } = await pair();
  const [first, second] = [await alice.say(room, 'one'), await alice.say(room, 'two')];
  await bob.receipt(room, 'm.read', first);
  await bob.receipt(room, 'm.read', second);
  const content = receipts(room)(await alice.sync());
  assert.deepEqual(Object.keys(content!), [second]);
});

test('receipts of the main timeline and of threads stand side by side', async () => {
  const { alice, bob, room } = await pair();
  const root = await alice.say(room, 'root');
  const reply = await alice.send(room, 'm.room.message', {
    msgtype: 'm.text',
    body: 'in the thread',
    'm.relates_to': { rel_type: 'm.thread', event_id: root },
  });
  await bob.receipt(room, 'm.read', reply, { thread_id: root });
  await bob.receipt(room, 'm.read', root, { thread_id: 'main' });
  const content = receipts(room)(await alice.sync());
  assert.equal(content![reply]['m.read'][bob.userId].thread_id, root);
  assert.equal(content![root]['m.read'][bob.userId].thread_id, 'main');
});

test('read markers set the fully read place and both receipts in one request', async () => {
  const { alice, bob, room } = await pair();
  const eventId = await alice.say(room, 'marked');
  await alice.sync();
  await bob.sync();
  await bob.ok('POST', inRoom(room, 'read_markers'), { 'm.fully_read': eventId, 'm.read': eventId });
  const body = await bob.syncUntil((b) => b['rooms']?.join?.[room]?.account_data?.events?.length > 0 && b);
  const marker = body['rooms'].join[room].account_data.events.find((e: Body) => e['type'] === 'm.fully_read');
  assert.deepEqual(marker.content, { event_id: eventId });
  assert.ok((await alice.syncUntil(receipts(room)))[eventId]['m.read'][bob.userId]);
  assert.deepEqual(await bob.ok('GET', ofUser(bob, 'rooms', room, 'account_data', 'm.fully_read')), {
    event_id: eventId,
  });
});

test('the receipt endpoint sets the fully read place too', async () => {
  const { alice, bob, room } = await pair();
  const eventId = await alice.say(room, 'marked');
  await bob.receipt(room, 'm.fully_read', eventId);
  assert.deepEqual(await bob.ok('GET', ofUser(bob, 'rooms', room, 'account_data', 'm.fully_read')), {
    event_id: eventId,
  });
});

test('unknown types, odd thread ids and rooms of others are refused', async () => {
  const { alice, bob, room } = await pair();
  const mallory = await hs.user('mallory');
  const eventId = await alice.say(room, 'x');
  assert.equal((await bob.request('POST', inRoom(room, 'receipt', 'm.seen', eventId), {})).status, 400);
  for (const thread_id of ['', 5]) {
    const answer = await bob.request('POST', inRoom(room, 'receipt', 'm.read', eventId), { thread_id });
    assert.equal(answer.status, 400, JSON.stringify(thread_id));
  }
  assert.equal(
    (await bob.request('POST', inRoom(room, 'receipt', 'm.fully_read', eventId), { thread_id: 'main' })).status,
    400,
  );
  const answer = await mallory.request('POST', inRoom(room, 'receipt', 'm.read', eventId), {});
  assert.equal(answer.status, 403);
});
