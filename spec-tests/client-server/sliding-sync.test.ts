// Simplified sliding sync (MSC4186) under its stable name and its unstable one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, type Client, query } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { ourChoice } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

const STABLE = '/_matrix/client/v4/sync';
const UNSTABLE = '/_matrix/client/unstable/org.matrix.simplified_msc3575/sync';
/** One request of each name for all rooms, with where the client is and how long it would wait. */
const ways: Readonly<Record<string, (client: Client, pos?: string, timeout?: number) => Promise<Body>>> = {
  stable: (client, pos, timeout = 0) =>
    client.ok('POST', STABLE, {
      conn_id: 'main',
      timeout,
      lists: { all: { range: [0, 19], timeline_limit: 5, required_state: { include: [{ type: 'm.room.name' }] } } },
      ...(pos === undefined ? {} : { pos }),
    }),
  unstable: (client, pos, timeout = 0) =>
    client.ok('POST', UNSTABLE + query({ timeout, ...(pos === undefined ? {} : { pos }) }), {
      conn_id: 'main',
      lists: { all: { ranges: [[0, 19]], timeline_limit: 5, required_state: [['m.room.name', '']] } },
    }),
};
const bodies = (room: Body): string[] =>
  (room['timeline'] ?? room['expanded_timeline'] ?? []).flatMap(({ content }: Body) => content['body'] ?? []);

for (const [name, slide] of Object.entries(ways)) {
  test(`${name}: rooms come with what is said in them, then only what is new`, ourChoice('v4 is new'), async () => {
    const [alice, bob] = await hs.users('alice', 'bob');
    const room = await alice.createRoom({ name: 'Here', invite: [bob.userId] });
    await bob.join(room);
    await alice.say(room, 'one');
    const first = await slide(bob);
    assert.equal(first['rooms'][room].name, 'Here');
    assert.ok(bodies(first['rooms'][room]).includes('one'));
    const waiting = slide(bob, first['pos'], 20_000);
    await alice.say(room, 'two');
    const second = await waiting;
    assert.deepEqual(bodies(second['rooms'][room]), ['two']);
    assert.notEqual(second['pos'], first['pos']);
    assert.equal((await slide(bob, second['pos']))['rooms']?.[room], undefined);
  });
}

test('requests of the wrong form are refused', ourChoice('v4 is new'), async () => {
  const alice = await hs.user('alice');
  const wrong = ['lists', 'room_subscriptions', 'extensions', 'conn_id', 'pos'].map((key) => ({ [key]: 5 }));
  for (const path of [STABLE, UNSTABLE]) {
    for (const body of [...wrong, { lists: { all: 5 } }, { lists: { all: { filters: 5 } } }]) {
      await alice.fails(400, 'M_INVALID_PARAM', 'POST', path, body);
    }
    await hs.anonymous().fails(401, 'M_MISSING_TOKEN', 'POST', path, {});
  }
});
