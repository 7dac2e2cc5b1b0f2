// Client-server API, Tracking the device list for a user: device_lists of /sync, and GET /keys/changes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, type Client, query } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { ourChoice } from '../support/known.js';
import { DeviceKeys } from '../support/signing.js';

const hs = await homeserver();
test.after(() => hs.stop());

const changed = (body: Body): string[] => body['device_lists']?.changed ?? [];
const left = (body: Body): string[] => body['device_lists']?.left ?? [];

/** Who changed and who left between the last sync and now, by sync and by /keys/changes, which must agree. */
async function news(client: Client): Promise<{ changed: string[]; left: string[] }> {
  const from = client.since!;
  const body = await client.sync();
  const between = await client.ok('GET', `${C}/keys/changes${query({ from, to: client.since! })}`);
  const answer = { changed: [...changed(body)].sort(), left: [...left(body)].sort() };
  assert.deepEqual({ changed: [...between['changed']].sort(), left: [...between['left']].sort() }, answer);
  return answer;
}

/** Alice and Bob in a room, both up to date. */
async function together(): Promise<[Client, Client, string]> {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  for (const each of [alice, bob]) {
    await each.sync();
    await each.sync();
  }
  return [alice, bob, room];
}

test('whoever shares a room hears of new, renamed and deleted devices and of their keys, and nobody else', async () => {
  const [alice, bob] = await together();
  const stranger = await hs.user('stranger');
  await stranger.sync();
  await stranger.sync();
  const only = { changed: [bob.userId], left: [] };

  const laptop = await bob.login();
  assert.deepEqual(await news(alice), only);
  await laptop.ok('POST', `${C}/keys/upload`, { device_keys: new DeviceKeys(laptop).identity() });
  assert.deepEqual(await news(alice), only);
  await bob.ok('PUT', `${C}/devices/${laptop.deviceId}`, { display_name: 'New name' });
  assert.deepEqual(await news(alice), only);
  await laptop.ok('POST', `${C}/logout`, {});
  assert.deepEqual(await news(alice), only);
  assert.deepEqual(await news(alice), { changed: [], left: [] });
  assert.deepEqual(await news(stranger), { changed: [], left: [] });
});

test('one hears of changes to one’s own devices', async () => {
  const alice = await hs.user('alice');
  await alice.sync();
  const laptop = await alice.login();
  await laptop.ok('POST', `${C}/keys/upload`, { device_keys: new DeviceKeys(laptop).identity() });
  assert.deepEqual(await news(alice), { changed: [alice.userId], left: [] });
});

test('whoever comes into a room is news to those in it, and they to them', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  for (const each of [alice, bob]) {
    await each.sync();
    await each.sync();
  }
  await bob.join(room);
  assert.deepEqual(await news(alice), { changed: [bob.userId], left: [] });
  // Whether one is told of oneself as well is left open.
  const told = await news(bob);
  assert.deepEqual(
    { ...told, changed: told.changed.filter((user) => user !== bob.userId) },
    { changed: [alice.userId], left: [] },
  );
});

test(
  'an invited user is not yet news',
  ourChoice('the specification speaks of users that share a room; some servers tell of invited ones too'),
  async () => {
    const [alice, bob] = await hs.users('alice', 'bob');
    const room = await alice.createRoom({ preset: 'private_chat' });
    for (const each of [alice, bob]) {
      await each.sync();
      await each.sync();
    }
    await alice.invite(room, bob.userId);
    await bob.login();
    assert.deepEqual(await news(alice), { changed: [], left: [] });
  },
);

test('when the last shared room goes, both have left each other; not before', async () => {
  const [alice, bob, room] = await together();
  const other = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(other);
  for (const each of [alice, bob]) await each.sync();
  await bob.leave(room);
  assert.deepEqual(left(await alice.sync()), []);
  assert.deepEqual(left(await bob.sync()), []);
  await alice.leave(other);
  assert.deepEqual(await news(alice), { changed: [], left: [bob.userId] });
  assert.deepEqual(await news(bob), { changed: [], left: [alice.userId] });
  await bob.login();
  assert.deepEqual(await news(alice), { changed: [], left: [] });
});

test('whoever is kicked or banned has left', async () => {
  for (const verb of ['kick', 'ban'] as const) {
    const [alice, bob, room] = await together();
    await alice[verb](room, bob.userId);
    assert.deepEqual(await news(alice), { changed: [], left: [bob.userId] }, verb);
    assert.deepEqual(await news(bob), { changed: [], left: [alice.userId] }, verb);
  }
});

test('who leaves and comes back in between has changed', async () => {
  const [alice, bob, room] = await together();
  await bob.leave(room);
  await bob.join(room);
  await bob.login();
  assert.deepEqual(await news(alice), { changed: [bob.userId], left: [] });
});

test('a waiting sync hears of a change at once', async () => {
  const [alice, bob] = await together();
  const began = performance.now();
  const waiting = alice.syncUntil((body) => changed(body).includes(bob.userId), { timeout: '30000' });
  await bob.login();
  await waiting;
  assert.ok(performance.now() - began < 15_000);
});

for (const [which, mark] of [
  ['from', {}],
  ['to', ourChoice('servers may use it "as a hint"')],
] as const) {
  test(`'${which}' is a token`, mark, async () => {
    const alice = await hs.user('alice');
    await alice.sync();
    const good = { from: alice.since!, to: alice.since! };
    const { [which]: _, ...without } = good;
    for (const parameters of [{ ...good, [which]: 'x' }, without]) {
      const answer = await alice.request('GET', `${C}/keys/changes${query(parameters)}`);
      assert.equal(answer.status, 400, JSON.stringify(parameters));
    }
  });
}
