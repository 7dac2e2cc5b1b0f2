// MSC4306, thread subscriptions.
import { deepEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { type Client, seg } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';

const hs = await homeserver();
test.after(() => hs.stop());

const at = (room: string, root: string): string =>
  `/_matrix/client/unstable/io.element.msc4306/rooms/${seg(room)}/thread/${seg(root)}/subscription`;
const reply = (client: Client, room: string, root: string): Promise<string> =>
  client.send(room, 'm.room.message', {
    msgtype: 'm.text',
    body: 'reply',
    'm.relates_to': { rel_type: 'm.thread', event_id: root },
  });

test('a user subscribes to a thread and unsubscribes', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  const root = await alice.say(room, 'root');
  await alice.fails(404, 'M_NOT_FOUND', 'GET', at(room, root));
  await alice.ok('PUT', at(room, root), {});
  deepEqual(await alice.ok('GET', at(room, root)), { automatic: false });
  await alice.ok('DELETE', at(room, root));
  await alice.ok('DELETE', at(room, root));
  await alice.fails(404, 'M_NOT_FOUND', 'GET', at(room, root));
});

test('an automatic subscription needs a newer event of the thread', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  const [root, other] = [await alice.say(room, 'root'), await alice.say(room, 'other')];
  for (const automatic of [root, await reply(alice, room, other)]) {
    await alice.fails(400, 'IO.ELEMENT.MSC4306.M_NOT_IN_THREAD', 'PUT', at(room, root), { automatic });
  }
  const first = await reply(alice, room, root);
  await alice.ok('PUT', at(room, root), { automatic: first });
  deepEqual(await alice.ok('GET', at(room, root)), { automatic: true });
  await alice.ok('DELETE', at(room, root));
  await alice.fails(409, 'IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION', 'PUT', at(room, root), {
    automatic: first,
  });
  await alice.ok('PUT', at(room, root), { automatic: await reply(alice, room, root) });
});

test('threads of a room that the user is not in are not there', async () => {
  const [alice, mallory] = await hs.users('alice', 'mallory');
  const room = await alice.createRoom();
  const root = await alice.say(room, 'root');
  for (const method of ['GET', 'PUT', 'DELETE']) {
    await mallory.fails(404, 'M_NOT_FOUND', method, at(room, root), method === 'PUT' ? {} : undefined);
    await alice.fails(404, 'M_NOT_FOUND', method, at(room, '$no'), method === 'PUT' ? {} : undefined);
  }
});
