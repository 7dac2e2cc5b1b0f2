// A user who had themselves erased: those who were not there are not shown their words, by whichever way they ask
// (client-server API, Account deactivation).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, type Client, inRoom, query, seg } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

const WORD = 'zebrafinch';

async function erase(user: Client): Promise<void> {
  await user.withPassword('POST', `${C}/account/deactivate`, { erase: true });
}

/** The specification's schema of a sync does not know events of this format: the answer is not held against it. */
async function inFederationFormat(who: Client): Promise<Body> {
  const filter = JSON.stringify({ event_format: 'federation', room: { timeline: { limit: 50 } } });
  const answer = await fetch(`${hs.url}${C}/sync${query({ filter })}`, {
    headers: { authorization: `Bearer ${who.accessToken}` },
  });
  return (await answer.json()) as Body;
}

/** A room in which alice, who is erased by now, said and set everything; bob was there, carol came later. */
async function erasedRoom(): Promise<{ room: string; root: string; bob: Client; carol: Client; dave: Client }> {
  const [alice, bob, carol, dave] = await hs.users('alice', 'bob', 'carol', 'dave');
  const room = await alice.createRoom({
    preset: 'public_chat',
    visibility: 'public',
    name: `${WORD} room`,
    topic: `${WORD} topic`,
    power_level_content_override: { users_default: 50 },
  });
  await bob.join(room);
  await dave.join(room);
  await dave.leave(room);
  const root = await alice.say(room, `${WORD} root`);
  const relate = (rel_type: string): Body => ({ 'm.relates_to': { rel_type, event_id: root } });
  await alice.send(room, 'm.room.message', { msgtype: 'm.text', body: `${WORD} reply`, ...relate('m.thread') });
  const edit = { msgtype: 'm.text', body: `${WORD} edited` };
  await alice.send(room, 'm.room.message', { ...edit, 'm.new_content': edit, ...relate('m.replace') });
  const bobs = await bob.say(room, 'from bob');
  await alice.redact(room, bobs, `${WORD} reason`);
  await alice.setState(room, 'org.example.replaced', '', { text: WORD });
  await bob.setState(room, 'org.example.replaced', '', { text: 'nothing' });
  await alice.setState(room, 'm.room.encryption', 'other', { algorithm: 'kept' });
  await erase(alice);
  await carol.join(room);
  return { room, root, bob, carol, dave };
}

test('nobody who came later is shown a word of an erased user', synapseDiffers('redacts messages only'), async () => {
  const { room, root, bob, carol } = await erasedRoom();
  const ways: Record<string, (who: Client) => Promise<Body>> = {
    'the content of state': (who) => who.ok('GET', inRoom(room, 'state', 'm.room.name', '')),
    'one piece of state': (who) => who.ok('GET', `${inRoom(room, 'state', 'm.room.topic', '')}?format=event`),
    'all state': (who) => who.ok('GET', inRoom(room, 'state')),
    'one event': (who) => who.ok('GET', inRoom(room, 'event', root)),
    messages: (who) => who.messages(room, { dir: 'b', limit: 100 }),
    context: (who) => who.ok('GET', `${inRoom(room, 'context', root)}?limit=50`),
    relations: (who) => who.ok('GET', `/_matrix/client/v1/rooms/${seg(room)}/relations/${seg(root)}`),
    threads: (who) => who.ok('GET', `/_matrix/client/v1/rooms/${seg(room)}/threads`),
    sync: (who) => who.sync({ full_state: 'true', filter: JSON.stringify({ room: { timeline: { limit: 50 } } }) }),
    'sync in the federation format': (who) => inFederationFormat(who),
    'sliding sync': (who) =>
      who.ok('POST', '/_matrix/client/unstable/org.matrix.simplified_msc3575/sync', {
        lists: { all: { ranges: [[0, 9]], timeline_limit: 50, required_state: [['*', '*']] } },
      }),
  };
  for (const [way, ask] of Object.entries(ways)) {
    const text = JSON.stringify(await ask(carol));
    assert.doesNotMatch(text, new RegExp(WORD), `${way} tells carol`);
    assert.match(JSON.stringify(await ask(bob)), new RegExp(WORD), `${way} still tells bob, who was there`);
  }
});

test('how the room works stays', async () => {
  const { room, carol } = await erasedRoom();
  assert.deepEqual(await carol.state(room, 'm.room.encryption', 'other'), { algorithm: 'kept' });
  assert.equal((await carol.state(room, 'm.room.join_rules'))['join_rule'], 'public');
});

test(
  'search finds an erased user’s words for those who were there only',
  synapseDiffers('redacts messages only'),
  async () => {
    const { room, bob, carol } = await erasedRoom();
    const search = async (who: Client): Promise<Body> =>
      (
        await who.ok('POST', `${C}/search`, {
          search_categories: {
            room_events: {
              search_term: WORD,
              keys: ['content.body', 'content.name', 'content.topic'],
              filter: { rooms: [room] },
              event_context: { include_profile: true },
            },
          },
        })
      )['search_categories'].room_events;
    const forCarol = await search(carol);
    assert.equal(forCarol['count'], 0);
    assert.deepEqual(forCarol['results'], []);
    assert.ok((await search(bob))['count'] > 0);
  },
);

test(
  'outside the room nobody is told its name in the words of an erased user',
  synapseDiffers('redacts messages only'),
  async () => {
    const { room, bob } = await erasedRoom();
    const stranger = await hs.user('stranger');
    const space = await bob.createRoom({ preset: 'public_chat', creation_content: { type: 'm.space' } });
    await bob.setState(space, 'm.space.child', room, { via: ['x'] });
    await bob.invite(room, stranger.userId);
    for (const path of [
      `/_matrix/client/v1/room_summary/${seg(room)}`,
      `/_matrix/client/v1/rooms/${seg(space)}/hierarchy`,
      `${C}/publicRooms${query({ limit: 100 })}`,
      `${C}/sync`,
    ]) {
      const answer = await stranger.ok('GET', path);
      assert.match(JSON.stringify(answer), new RegExp(room.slice(1)), `${path} shows the room`);
      assert.doesNotMatch(JSON.stringify(answer), new RegExp(WORD), path);
    }
  },
);

test(
  'what was told of a room before is hidden once its author is erased',
  synapseDiffers('redacts messages only'),
  async () => {
    const [alice, bob, stranger] = await hs.users('alice', 'bob', 'stranger');
    const levels = { invite: 0 };
    const name = `${WORD} room`;
    const room = await alice.createRoom({ preset: 'public_chat', name, power_level_content_override: levels });
    await bob.join(room);
    await bob.invite(room, stranger.userId);
    const summary = `/_matrix/client/v1/room_summary/${seg(room)}`;
    // Alice is gone from the room already: nothing happens there any more when she is erased.
    await alice.leave(room);
    assert.equal((await stranger.ok('GET', summary))['name'], `${WORD} room`);
    const before = await stranger.sync();
    assert.match(JSON.stringify(before['rooms'].invite[room]), new RegExp(WORD));
    await erase(alice);
    assert.equal((await stranger.ok('GET', summary))['name'], undefined);
    const later = await (await stranger.login()).sync();
    assert.doesNotMatch(JSON.stringify(later['rooms'].invite[room]), new RegExp(WORD));
  },
);

test('who left before is not shown what came after, nor who is erased', async () => {
  const { room, root, dave } = await erasedRoom();
  await dave.join(room);
  const event = await dave.event(room, root);
  assert.deepEqual(event.content, {});
  assert.equal(event['unsigned']?.['m.relations']?.['m.replace'], undefined);
});
