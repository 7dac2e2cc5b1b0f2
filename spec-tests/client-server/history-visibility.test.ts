// Client-server API, Room history visibility: who may see what was said when.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { type Body, C, type Client, inRoom, query, seg, texts } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { ourChoice, synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

const VISIBILITIES = ['world_readable', 'shared', 'invited', 'joined'] as const;
/** What a user who was invited after the first message, and joined after the second, sees of the three. */
const SEEN = {
  world_readable: ['before the invite', 'before the join', 'together'],
  shared: ['before the invite', 'before the join', 'together'],
  invited: ['before the join', 'together'],
  joined: ['together'],
} as const;

/** Texts in order, by whichever way of reading. */
const WAYS: Readonly<Record<string, (client: Client, room: string) => Promise<string[]>>> = {
  messages: async (client, room) => texts((await client.messages(room, { limit: 100 }))['chunk']).toReversed(),
  'messages forwards': async (client, room) => texts((await client.messages(room, { limit: 100, dir: 'f' }))['chunk']),
  sync: async (client, room) => {
    const body = await client.ok(
      'GET',
      `/_matrix/client/v3/sync${query({ filter: '{"room":{"timeline":{"limit":100}}}' })}`,
    );
    return texts(body['rooms'].join[room].timeline.events);
  },
};

for (const visibility of VISIBILITIES) {
  test(`${visibility}: what came before the invite and before the join (T274)`, async () => {
    const [alice, bob] = await hs.users('alice', 'bob');
    const room = await alice.createRoom({
      initial_state: [{ type: 'm.room.history_visibility', content: { history_visibility: visibility } }],
    });
    const ids = new Map<string, string>();
    const say = async (text: string): Promise<void> => void ids.set(text, await alice.say(room, text));
    await say('before the invite');
    await alice.invite(room, bob.userId);
    await say('before the join');
    await bob.join(room);
    await say('together');
    for (const [way, read] of Object.entries(WAYS)) assert.deepEqual(await read(bob, room), SEEN[visibility], way);
    for (const [text, id] of ids) {
      const visible = (SEEN[visibility] as readonly string[]).includes(text);
      for (const what of ['event', 'context']) {
        const answer = await bob.request('GET', inRoom(room, what, id));
        assert.ok(
          visible ? answer.status === 200 : answer.status === 404 || (what === 'context' && answer.status === 403),
          `${what} ${text}: ${answer.status}`,
        );
      }
    }
  });

  test(`${visibility}: a stranger, an invitee, and who left (T274)`, async () => {
    const [alice, stranger, invitee, leaver] = await hs.users('alice', 'stranger', 'invitee', 'leaver');
    const room = await alice.createRoom({
      preset: 'public_chat',
      invite: [invitee.userId],
      initial_state: [{ type: 'm.room.history_visibility', content: { history_visibility: visibility } }],
    });
    await leaver.join(room);
    const during = await alice.say(room, 'during');
    await leaver.leave(room);
    const after = await alice.say(room, 'after');
    const status = async (client: Client, id: string): Promise<number> =>
      (await client.request('GET', inRoom(room, 'event', id))).status;
    const world = visibility === 'world_readable';
    assert.equal(await status(stranger, during), world ? 200 : 404);
    assert.equal(await status(leaver, during), 200);
    assert.equal(await status(leaver, after), world ? 200 : 404);
    assert.equal((await stranger.request('GET', `${inRoom(room, 'messages')}?dir=b`)).status, world ? 200 : 403);
    assert.equal((await stranger.request('GET', inRoom(room, 'state'))).status, world ? 200 : 403);
  });
}

for (const visibility of VISIBILITIES) {
  test(`${visibility}: by no other way more is seen than by paging (T274)`, async () => {
    const [alice, bob] = await hs.users('alice', 'bob');
    const room = await alice.createRoom({
      initial_state: [{ type: 'm.room.history_visibility', content: { history_visibility: visibility } }],
    });
    const word = `quokka${randomBytes(4).toString('hex')}`;
    const ids = new Map<string, string>();
    const say = async (text: string, more: Body = {}): Promise<void> => {
      const content = { msgtype: 'm.text', body: `${word} ${text}`, ...more };
      ids.set(text, await alice.send(room, 'm.room.message', content));
    };
    await say('before the invite');
    const root = ids.get('before the invite')!;
    await alice.invite(room, bob.userId);
    await say('before the join', { 'm.relates_to': { rel_type: 'm.thread', event_id: root } });
    await bob.join(room);
    await say('together', { 'm.relates_to': { rel_type: 'm.thread', event_id: root } });
    const seen: readonly string[] = SEEN[visibility];
    const roomPath = `/_matrix/client/v1/rooms/${seg(room)}`;
    const shows = (body: unknown): string[] => {
      const json = JSON.stringify(body);
      return [...ids.keys()].filter((text) => json.includes(`${word} ${text}`));
    };
    const search = { search_categories: { room_events: { search_term: word } } };
    assert.deepEqual(shows(await bob.ok('POST', `${C}/search`, search)), seen, 'search');
    const relations = await bob.request('GET', `${roomPath}/relations/${seg(root)}`);
    if (seen.includes('before the invite')) assert.equal(relations.status, 200);
    for (const [where, answer] of [
      ['relations', relations],
      ['threads', await bob.request('GET', `${roomPath}/threads`)],
      ['notifications', await bob.request('GET', `${C}/notifications`)],
      ['initialSync', await bob.request('GET', inRoom(room, 'initialSync'))],
      ['sync', await bob.request('GET', `${C}/sync`)],
    ] as const) {
      for (const text of shows(answer.body)) assert.ok(seen.includes(text), `${where}: ${text}`);
    }
  });

  test(
    `${visibility}: a time leads to an event that one may see (T274)`,
    ourChoice('the specification asks for the closest event'),
    async () => {
      const [alice, bob] = await hs.users('alice', 'bob');
      const room = await alice.createRoom({
        initial_state: [{ type: 'm.room.history_visibility', content: { history_visibility: visibility } }],
      });
      const early = await alice.say(room, 'before the invite');
      await alice.invite(room, bob.userId);
      await bob.join(room);
      const { origin_server_ts: sent } = await alice.event(room, early);
      for (const ts of [0, sent]) {
        const path = `/_matrix/client/v1/rooms/${seg(room)}/timestamp_to_event${query({ ts, dir: 'f' })}`;
        await bob.event(room, (await bob.ok('GET', path))['event_id']);
      }
    },
  );
}

test(
  'the relations of what one may not see are not found (T274)',
  synapseDiffers('answers 403 where the event is there'),
  async () => {
    const [alice, bob] = await hs.users('alice', 'bob');
    const room = await alice.createRoom({
      preset: 'public_chat',
      initial_state: [{ type: 'm.room.history_visibility', content: { history_visibility: 'joined' } }],
    });
    const root = await alice.say(room, 'before he joins');
    await bob.join(room);
    await bob.fails(404, 'M_NOT_FOUND', 'GET', `/_matrix/client/v1/rooms/${seg(room)}/relations/${seg(root)}`);
  },
);

test('a change of visibility counts for what is said from then on (T275)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await alice.say(room, 'open');
  await alice.setState(room, 'm.room.history_visibility', '', { history_visibility: 'joined' });
  await alice.say(room, 'closed');
  await alice.setState(room, 'm.room.history_visibility', '', { history_visibility: 'shared' });
  await alice.say(room, 'open again');
  await bob.join(room);
  assert.deepEqual(await WAYS['messages']!(bob, room), ['open', 'open again']);
});

test('an unknown visibility counts as shared (T275)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  for (const history_visibility of [null, 5, {}, [], '__proto__', 'sideways']) {
    const path = inRoom(room, 'state', 'm.room.history_visibility', '');
    const set = await alice.request('PUT', path, { history_visibility });
    assert.ok([200, 400].includes(set.status), `${JSON.stringify(history_visibility)}: ${set.status}`);
  }
  await alice.say(room, 'hello');
  await bob.join(room);
  assert.deepEqual(await WAYS['messages']!(bob, room), ['hello']);
});

test('the old name of a room is not told to who may not see it (T287)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({
    name: 'Secret name',
    initial_state: [{ type: 'm.room.history_visibility', content: { history_visibility: 'joined' } }],
  });
  await alice.invite(room, bob.userId);
  await alice.setState(room, 'm.room.name', '', { name: 'Public name' });
  await bob.join(room);
  await alice.say(room, 'hello');
  const page = JSON.stringify(await bob.messages(room, { limit: 100 }));
  assert.equal(page.includes('Secret name'), false);
});

test('a thread and the relations of an event are hidden with it (T274)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({
    preset: 'public_chat',
    initial_state: [{ type: 'm.room.history_visibility', content: { history_visibility: 'joined' } }],
  });
  const root = await alice.say(room, 'root');
  await alice.send(room, 'm.room.message', {
    msgtype: 'm.text',
    body: 'hidden reply',
    'm.relates_to': { rel_type: 'm.thread', event_id: root },
  });
  await bob.join(room);
  const relations = await bob.request('GET', `/_matrix/client/v1/rooms/${seg(room)}/relations/${seg(root)}`);
  assert.equal(JSON.stringify(relations.body).includes('hidden reply'), false);
});
