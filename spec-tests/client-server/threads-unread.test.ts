// Client-server API, Receiving notifications: unread counts, by room and by thread.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, type Client, saying } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { follow } from '../support/threads.js';

const hs = await homeserver();
test.after(() => hs.stop());

const counts = (section: Body | undefined): [number, number] => [
  section?.['notification_count'] ?? 0,
  section?.['highlight_count'] ?? 0,
];
const byThread = { filter: JSON.stringify({ room: { timeline: { unread_thread_notifications: true } } }) };
/** The room's section of a fresh first sync. */
async function section(client: Client, room: string, query = {}): Promise<Body> {
  client.since = undefined;
  return (await client.sync(query))['rooms'].join[room];
}

async function pair(): Promise<{ alice: Client; bob: Client; room: string }> {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await bob.say(room, 'i am here');
  return { alice, bob, room };
}
const inThread = (root: string, body: string): Body => ({
  msgtype: 'm.text',
  body,
  'm.relates_to': { rel_type: 'm.thread', event_id: root },
});

test('messages of others count until they are read; one’s own do not', async () => {
  const { alice, bob, room } = await pair();
  await alice.say(room, 'one');
  const two = await alice.say(room, 'two');
  await alice.say(room, 'three');
  assert.deepEqual(counts((await section(bob, room))['unread_notifications']), [3, 0]);
  await bob.receipt(room, 'm.read', two);
  assert.deepEqual(counts((await section(bob, room))['unread_notifications']), [1, 0]);
  await bob.say(room, 'answer');
  assert.deepEqual(counts((await section(bob, room))['unread_notifications']), [1, 0]);
});

test('a mention is a highlight, a notice is nothing', async () => {
  const { alice, bob, room } = await pair();
  await alice.send(room, 'm.room.message', {
    msgtype: 'm.text',
    body: 'hey you',
    'm.mentions': { user_ids: [bob.userId] },
  });
  await alice.send(room, 'm.room.message', { msgtype: 'm.notice', body: 'beep' });
  assert.deepEqual(counts((await section(bob, room))['unread_notifications']), [1, 1]);
});

test('a private receipt clears the counts too, without anyone noticing', async () => {
  const { alice, bob, room } = await pair();
  const last = await alice.say(room, 'one');
  await bob.receipt(room, 'm.read.private', last);
  assert.deepEqual(counts((await section(bob, room))['unread_notifications']), [0, 0]);
});

test('an incremental sync tells of counts that fell', async () => {
  const { alice, bob, room } = await pair();
  const last = await alice.say(room, 'one');
  await bob.syncUntil(saying(room, 'one'));
  await bob.receipt(room, 'm.read', last);
  const cleared = await bob.syncUntil<Body>((body) => body['rooms']?.join?.[room]?.unread_notifications);
  assert.deepEqual(counts(cleared), [0, 0]);
});

test('threads are counted apart where the filter asks, and together where not', async () => {
  const { alice, bob, room } = await pair();
  const root = await alice.say(room, 'root');
  await follow(bob, room, root);
  await alice.send(room, 'm.room.message', inThread(root, 'a'));
  const last = await alice.send(room, 'm.room.message', inThread(root, 'b'));
  assert.deepEqual(counts((await section(bob, room))['unread_notifications']), [3, 0]);
  const apart = await section(bob, room, byThread);
  assert.deepEqual(counts(apart['unread_notifications']), [1, 0]);
  assert.deepEqual(counts(apart['unread_thread_notifications'][root]), [2, 0]);
  await bob.receipt(room, 'm.read', last, { thread_id: root });
  const after = await section(bob, room, byThread);
  assert.deepEqual(counts(after['unread_thread_notifications']?.[root]), [0, 0]);
  assert.deepEqual(counts(after['unread_notifications']), [1, 0]);
  await bob.receipt(room, 'm.read', root, { thread_id: 'main' });
  assert.deepEqual(counts((await section(bob, room, byThread))['unread_notifications']), [0, 0]);
});

test('a receipt without thread reads everything up to it', async () => {
  const { alice, bob, room } = await pair();
  const root = await alice.say(room, 'root');
  const last = await alice.send(room, 'm.room.message', inThread(root, 'a'));
  await bob.receipt(room, 'm.read', last);
  const section_ = await section(bob, room, byThread);
  assert.deepEqual(counts(section_['unread_notifications']), [0, 0]);
  assert.deepEqual(counts(section_['unread_thread_notifications']?.[root]), [0, 0]);
});
