// Client-server API, Room aliases.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { C, inRoom, seg } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());
const alias = (localpart = 'name'): string => `#${localpart}-${randomBytes(5).toString('hex')}:${hs.serverName}`;
const at = (name: string): string => `${C}/directory/room/${seg(name)}`;

test('an alias is made, found by anyone, listed for members, and deleted', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  const name = alias();
  await alice.ok('PUT', at(name), { room_id: room });
  const found = await hs.anonymous().ok('GET', at(name));
  assert.equal(found['room_id'], room);
  assert.deepEqual(found['servers'], [hs.serverName]);
  await bob.join(name);
  assert.deepEqual((await bob.ok('GET', inRoom(room, 'aliases')))['aliases'], [name]);
  await alice.ok('DELETE', at(name));
  await bob.fails(404, 'M_NOT_FOUND', 'GET', at(name));
  assert.deepEqual((await bob.ok('GET', inRoom(room, 'aliases')))['aliases'], []);
});

test('a taken alias stays where it is (T256)', async () => {
  const alice = await hs.user('alice');
  const [room, other] = [await alice.createRoom(), await alice.createRoom()];
  const name = alias();
  await alice.ok('PUT', at(name), { room_id: room });
  await alice.fails(409, 'M_UNKNOWN', 'PUT', at(name), { room_id: other });
  assert.equal((await alice.ok('GET', at(name)))['room_id'], room);
});

test('an alias is deleted by who made it or who has the power for it, not by others (T256)', async () => {
  const [alice, bob, carol] = await hs.users('alice', 'bob', 'carol');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await Promise.all([bob.join(room), carol.join(room)]);
  const [bobs, more] = [alias('bobs'), alias('more')];
  await bob.ok('PUT', at(bobs), { room_id: room });
  await bob.ok('PUT', at(more), { room_id: room });
  await carol.fails(403, 'M_FORBIDDEN', 'DELETE', at(bobs));
  await bob.ok('DELETE', at(bobs));
  await alice.ok('DELETE', at(more));
});

for (const [what, name] of [
  ['unicode', 'größe-ß-🦊'],
  ['a slash and a percent sign', 'a/b%2Fc'],
  ['question mark and hash', 'a?b#c'],
] as const) {
  test(`an alias with ${what} survives the round trip (T298)`, async () => {
    const alice = await hs.user('alice');
    const room = await alice.createRoom();
    const full = alias(name);
    await alice.ok('PUT', at(full), { room_id: room });
    assert.equal((await alice.ok('GET', at(full)))['room_id'], room);
  });
}

test('aliases differ by case (T298)', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  const name = alias('case');
  await alice.ok('PUT', at(name), { room_id: room });
  await alice.fails(404, 'M_NOT_FOUND', 'GET', at(name.replace('#case', '#CASE')));
});

for (const [what, name] of [
  ['no sigil', 'name:localhost'],
  ['no server', '#name'],
  ['more than 255 bytes', `#${'a'.repeat(250)}:localhost`],
  ['a NUL', '#a\0b:localhost'],
] as const) {
  test(
    `an alias with ${what} is refused (T298)`,
    what === 'a NUL' ? synapseDiffers('takes a NUL in an alias') : {},
    async () => {
      const alice = await hs.user('alice');
      const room = await alice.createRoom();
      const answer = await alice.request('PUT', at(name), { room_id: room });
      assert.equal(answer.status, 400, JSON.stringify(answer.body));
    },
  );
}

test('an alias of a deleted name leaves the canonical alias', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  const name = alias();
  await alice.ok('PUT', at(name), { room_id: room });
  await alice.setState(room, 'm.room.canonical_alias', '', { alias: name });
  await alice.ok('DELETE', at(name));
  assert.equal((await alice.state(room, 'm.room.canonical_alias'))['alias'], undefined);
});

test('a private room’s aliases are not listed for strangers', async () => {
  const [alice, mallory] = await hs.users('alice', 'mallory');
  const room = await alice.createRoom();
  await mallory.fails(403, 'M_FORBIDDEN', 'GET', inRoom(room, 'aliases'));
});
