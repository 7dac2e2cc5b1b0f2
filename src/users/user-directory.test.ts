import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RoomId, UserId } from '#core/ids.js';
import { createRoom } from '#rooms/create.js';
import { changeMembership } from '#rooms/membership.js';
import { mutualRooms } from '#rooms/mutual.js';
import { sendEvent } from '#rooms/send.js';
import { go, openTestRooms, type TestRooms } from '#rooms/testing.js';
import { createAccount, deactivate } from '#users/accounts.js';
import { memberProfile, putField } from '#users/profile.js';
import { openTestUsers, testUser } from '#users/testing.js';
import { searchUsers } from '#users/user-directory.js';
import { closeUsers, type Users } from '#users/users.js';

interface World extends TestRooms {
  readonly users: Users;
}

async function open(): Promise<World> {
  const t = await openTestRooms({ profileOf: memberProfile });
  const users = openTestUsers(t.store, t.clock);
  return {
    ...t,
    users,
    async [Symbol.asyncDispose]() {
      await closeUsers(users);
      await t[Symbol.asyncDispose]();
    },
  };
}

async function name(w: World, user: UserId, displayname: string): Promise<void> {
  await w.store.commit((tx) => putField(tx, user, 'displayname', displayname));
}

async function found(w: World, searcher: UserId, term: string, limit = 10): Promise<string[]> {
  const { results } = await searchUsers(w.rooms, w.users.directory, searcher, term, limit);
  return results.map(({ user_id }) => user_id);
}

function room(w: World, creator: UserId, preset: 'public_chat' | 'private_chat', more: object = {}): Promise<RoomId> {
  return createRoom(w.rooms, { creator, body: { preset, ...more } });
}

test('users are found by id and name, whatever the case, and follow their profile', async () => {
  await using w = await open();
  const [alice, bob] = [await testUser(w.users, 'alice'), await testUser(w.users, 'bob')];
  await room(w, alice, 'public_chat');
  for (const term of ['alice', 'ALI', '@alice', '@alice:test', ' lic '])
    assert.deepEqual(await found(w, bob, term), [alice]);
  assert.deepEqual(await found(w, bob, 'cooper'), []);
  await name(w, alice, 'Alice Cooper');
  assert.deepEqual(await found(w, bob, 'cooper'), [alice]);
  assert.deepEqual(await found(w, bob, 'coop alice'), [alice]);
  assert.deepEqual(await found(w, bob, 'alice bob'), []);
  assert.deepEqual(await found(w, bob, ''), []);
  const carol = await testUser(w.users, 'carol');
  await room(w, carol, 'public_chat');
  assert.deepEqual(await found(w, bob, 'carol'), [carol], 'an account made after the first search');
});

test("the server's name finds nobody", async () => {
  await using w = await open();
  const [alice, bob] = [await testUser(w.users, 'alice'), await testUser(w.users, 'bob')];
  await room(w, alice, 'public_chat');
  assert.deepEqual(await found(w, bob, 'test'), []);
});

test('only who shares a room, or is in one that is open to all, is found; never oneself (T285)', async () => {
  await using w = await open();
  const [alice, bob] = [await testUser(w.users, 'alice'), await testUser(w.users, 'bob')];
  const readable = [{ type: 'm.room.history_visibility', content: { history_visibility: 'world_readable' } }];
  const secret = await room(w, alice, 'private_chat');
  assert.deepEqual(await found(w, bob, 'alice'), []);
  await sendEvent(w.rooms, {
    roomId: secret,
    sender: alice,
    type: 'm.room.member',
    stateKey: bob,
    content: { membership: 'invite' },
  });
  assert.deepEqual(await found(w, bob, 'alice'), []);
  await go(w.rooms, secret, bob, 'join');
  assert.deepEqual(await found(w, bob, 'alice'), [alice]);
  assert.deepEqual(await found(w, alice, 'alice'), []);
  await go(w.rooms, secret, bob, 'leave');
  assert.deepEqual(await found(w, bob, 'alice'), []);
  await room(w, alice, 'private_chat', { initial_state: readable });
  assert.deepEqual(await found(w, bob, 'alice'), [alice]);
  await deactivate(w.users, alice, false);
  assert.deepEqual(await found(w, bob, 'alice'), []);
});

test('what someone calls themselves in a room is not in the directory (T285)', async () => {
  await using w = await open();
  const [alice, bob] = [await testUser(w.users, 'alice'), await testUser(w.users, 'bob')];
  await name(w, alice, 'Alice Cooper');
  const roomId = await room(w, alice, 'public_chat');
  await go(w.rooms, roomId, bob, 'join');
  const content = { membership: 'join', displayname: 'Freddy', avatar_url: 'mxc://test/freddy' };
  await sendEvent(w.rooms, { roomId, sender: alice, type: 'm.room.member', stateKey: alice, content });
  assert.deepEqual(await found(w, bob, 'freddy'), []);
  const { results } = await searchUsers(w.rooms, w.users.directory, bob, 'alice', 10);
  assert.deepEqual(results, [{ user_id: alice, display_name: 'Alice Cooper' }], 'nor the picture');
});

test('the best matches come first, and no more than asked for', async () => {
  await using w = await open();
  const searcher = await testUser(w.users, 'searcher');
  const ids = new Map<string, UserId>();
  for (const id of ['xann', 'annabel', 'ann', 'z']) {
    const user = await testUser(w.users, id);
    ids.set(id, user);
    await room(w, user, 'public_chat');
  }
  await name(w, ids.get('z')!, 'Mary Ann');
  const expected = ['ann', 'annabel', 'z', 'xann'].map((id) => ids.get(id));
  assert.deepEqual(await found(w, searcher, 'ann'), expected);
  const page = await searchUsers(w.rooms, w.users.directory, searcher, 'ann', 2);
  assert.equal(page.limited, true);
  assert.equal(page.results.length, 2);
  assert.equal((await searchUsers(w.rooms, w.users.directory, searcher, 'ann', 4)).limited, false);
});

test('among many that match, exactly those are found whom the searcher may know of', async () => {
  await using w = await open();
  const searcher = await testUser(w.users, 'searcher');
  const ids = Array.from({ length: 120 }, (_, i) => `@many${i}:test` as UserId);
  await w.store.commit((tx) => {
    for (const user of ids) createAccount(tx, w.users, { user });
  });
  await room(w, ids[3]!, 'public_chat');
  const secret = await room(w, ids[5]!, 'private_chat');
  assert.deepEqual(await found(w, searcher, 'many'), [ids[3]]);
  await changeMembership(w.rooms, { roomId: secret, sender: ids[5]!, target: searcher, action: 'invite' });
  await go(w.rooms, secret, searcher, 'join');
  assert.deepEqual(await found(w, searcher, 'many'), [ids[3], ids[5]]);
});

test('mutual rooms are those that both are joined to, in pages', async () => {
  await using w = await open();
  const [alice, bob] = [await testUser(w.users, 'alice'), await testUser(w.users, 'bob')];
  const both: RoomId[] = [];
  for (let i = 0; i < 3; i++) {
    const id = await room(w, alice, 'public_chat');
    await go(w.rooms, id, bob, 'join');
    both.push(id);
  }
  await room(w, alice, 'public_chat');
  const left = await room(w, alice, 'public_chat');
  await go(w.rooms, left, bob, 'join');
  await go(w.rooms, left, bob, 'leave');
  const first = await mutualRooms(w.rooms, bob, alice, { limit: 2 });
  assert.deepEqual([first.joined, first.count], [both.slice(0, 2), 3]);
  const second = await mutualRooms(w.rooms, bob, alice, { limit: 2, after: first.end! });
  assert.deepEqual(second, { joined: both.slice(2), count: 3 });
  assert.deepEqual(await mutualRooms(w.rooms, bob, '@nobody:test' as UserId, { limit: 2 }), { joined: [], count: 0 });
});
