// MSC4308: thread subscriptions that did not fit into a sliding sync are paged through backwards.
import { deepEqual, equal, notEqual, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, type Client, query, seg } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

const PAGES = '/_matrix/client/unstable/io.element.msc4308/thread_subscriptions';
const EXTENSION = 'io.element.msc4308.thread_subscriptions';
const at = (room: string, root: string): string =>
  `/_matrix/client/unstable/io.element.msc4306/rooms/${seg(room)}/thread/${seg(root)}/subscription`;
const slide = (client: Client, limit: number, pos?: string): Promise<Body> =>
  client.ok(
    'POST',
    `/_matrix/client/unstable/org.matrix.simplified_msc3575/sync${pos === undefined ? '' : query({ pos })}`,
    {
      extensions: { [EXTENSION]: { enabled: true, limit } },
    },
  );
const page = (client: Client, parameters: Readonly<Record<string, string | number>>): Promise<Body> =>
  client.ok('GET', PAGES + query({ dir: 'b', ...parameters }));
const roots = (body: Body, room: string): string[] => Object.keys(body['subscribed']?.[room] ?? {});

async function threads(client: Client, room: string, count: number): Promise<string[]> {
  const made: string[] = [];
  for (let n = 0; n < count; n++) {
    const root = await client.say(room, `root ${n}`);
    await client.ok('PUT', at(room, root), {});
    made.push(root);
  }
  return made;
}

test('what a sliding sync had no place for is had page by page, newest first, and each once', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  const old = await threads(alice, room, 1);
  const { pos } = await slide(alice, 10);
  const [first, second, third, fourth] = await threads(alice, room, 4);
  await alice.ok('DELETE', at(room, second!));
  const news = (await slide(alice, 2, pos))['extensions'][EXTENSION];
  deepEqual(Object.keys(news['unsubscribed'][room]), [second]);
  deepEqual(roots(news, room), [fourth]);
  const next = await page(alice, { from: news['prev_batch'], to: pos, limit: 1 });
  deepEqual(roots(next, room), [third]);
  const last = await page(alice, { from: next['end'], to: pos, limit: 10 });
  deepEqual(roots(last, room), [first]);
  equal(last['end'], undefined);
  const everything = await page(alice, {});
  deepEqual(roots(everything, room).sort(), [...old, first, third, fourth].sort());
  ok(Number.isSafeInteger(everything['unsubscribed'][room][second!].bump_stamp));
});

test('where all fits, nothing is said to be left', synapseDiffers('names a page that is empty'), async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  await threads(alice, room, 2);
  const { extensions } = await slide(alice, 2);
  equal(roots(extensions[EXTENSION], room).length, 2);
  equal(extensions[EXTENSION].prev_batch, undefined);
  equal((await page(alice, { limit: 2 }))['end'], undefined);
  notEqual((await page(alice, { limit: 1 }))['end'], undefined);
});

test('pages go backwards, from tokens of this server, and are of one user', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  await threads(alice, await alice.createRoom(), 1);
  deepEqual(await page(bob, {}), {});
  for (const wrong of [{}, { dir: 'f' }, { dir: 'b', limit: 0 }, { dir: 'b', from: 'x' }, { dir: 'b', to: 'x_y' }]) {
    const { status } = await alice.request('GET', PAGES + query(wrong as Record<string, string>));
    equal(status, 400, JSON.stringify(wrong));
  }
  await hs.anonymous().fails(401, 'M_MISSING_TOKEN', 'GET', `${PAGES}?dir=b`);
});
