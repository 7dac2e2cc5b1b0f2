import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeviceId, RoomId, UserId } from '#core/ids.js';
import { openStore } from '#store/db.js';
import { memberships, rooms as roomHeads, uiaSessions } from '#store/schema.js';
import { openTestStore, type TestStore } from '#store/testing.js';
import type { Store } from '#store/types.js';
import { deactivate } from '#users/accounts.js';
import { changeProfile } from '#users/profile-change.js';
import { authenticate, loginWithPassword, refresh } from '#users/sessions.js';
import { resumeTasks } from '#users/tasks.js';
import { openTestUsers, testUser } from '#users/testing.js';
import { readInbox, sendToDevice } from '#users/to-device.js';
import { authenticateInteractively, PASSWORD_FLOWS } from '#users/uia.js';
import { closeUsers } from '#users/users.js';

const seen = { ip: '127.0.0.1', userAgent: undefined };

async function reopen(test: TestStore): Promise<Store> {
  return await openStore({ directory: test.directory, clock: test.clock, serverName: 'test' });
}

/** Puts a user into rooms with numbers from 1, without any event. */
async function joinRooms(store: Store, user: UserId, count: number): Promise<RoomId[]> {
  const ids = Array.from({ length: count }, (_, i) => `!room${i + 1}:test` as RoomId);
  await store.commit((tx) => {
    for (const [i, id] of ids.entries()) {
      tx.put(roomHeads, [i + 1], {
        id,
        version: '12',
        extremities: [],
        state: 0,
        depth: 1,
        tip: 1,
        joined: 1,
        invited: 0,
        oldest: 1,
      });
      tx.put(memberships, [user, i + 1], { membership: 'join', position: 1, event: 1 });
    }
  });
  return ids;
}

test('sessions, inboxes and used transactions outlive a restart', async () => {
  await using test = await openTestStore();
  let users = openTestUsers(test.store, test.clock);
  const alice = await testUser(users, 'alice');
  const session = await loginWithPassword(users, 'alice', 'secret', { device: 'D' as DeviceId, refresh: true });
  const send = () => sendToDevice(users, session, 'm.test', 'txn', { [alice]: { '*': { n: 1 } } });
  await send();
  authenticate(users, session.accessToken, seen);
  await closeUsers(users);
  await test.store.close();
  const store = await reopen(test);
  try {
    users = openTestUsers(store, test.clock);
    const caller = authenticate(users, session.accessToken, seen);
    assert.equal('user' in caller && caller.user, alice);
    await send();
    assert.equal((await readInbox(users, alice, 'D', 0, store.tip, 10)).length, 1);
    assert.ok((await refresh(users, session.refreshToken!)).access_token);
  } finally {
    await closeUsers(users);
    await store.close();
  }
});

test('leaving the rooms of a deactivated account goes on after a crash (T241)', async () => {
  await using test = await openTestStore();
  const stuck = new Promise<void>(() => {});
  let users = openTestUsers(test.store, test.clock, {
    rooms: { leave: () => stuck, showProfile: async () => {} },
    onTaskError: () => {},
  });
  const alice = await testUser(users, 'alice');
  const rooms = await joinRooms(test.store, alice, 20);
  await deactivate(users, alice, false);
  await test.store.close();
  const store = await reopen(test);
  try {
    const left: string[] = [];
    const verbs = { leave: async (_: UserId, room: RoomId) => void left.push(room), showProfile: async () => {} };
    users = openTestUsers(store, test.clock, { rooms: verbs });
    await resumeTasks(users);
    assert.deepEqual(left.sort(), [...rooms].sort());
    left.length = 0;
    await resumeTasks(users);
    assert.deepEqual(left, []);
  } finally {
    await store.close();
  }
});

test('a profile changed twice at once is shown as it is in the end', async () => {
  await using test = await openTestStore();
  const shown = new Map<string, number>();
  const rooms = {
    leave: async () => {},
    showProfile: async (_: UserId, room: RoomId) => void shown.set(room, (shown.get(room) ?? 0) + 1),
  };
  const users = openTestUsers(test.store, test.clock, { rooms });
  const alice = await testUser(users, 'alice');
  await joinRooms(test.store, alice, 10);
  await Promise.all(['A', 'B'].map((name) => changeProfile(users, alice, 'displayname', name)));
  await Promise.all(users.running.values());
  // Once for both, or once each: never nothing after the last change.
  assert.equal(shown.size, 10);
  await changeProfile(users, alice, 'displayname', 'B');
  const before = new Map(shown);
  assert.deepEqual(shown, before, 'what is the same is not shown again');
});

test('an answer does not wait for ever until a change is shown', async () => {
  await using test = await openTestStore();
  const stuck = new Promise<void>(() => {});
  const users = openTestUsers(test.store, test.clock, { rooms: { leave: async () => {}, showProfile: () => stuck } });
  const alice = await testUser(users, 'alice');
  await joinRooms(test.store, alice, 1);
  let answered = false;
  const change = changeProfile(users, alice, 'displayname', 'A').then(() => {
    answered = true;
  });
  while (!answered) {
    test.clock.advance(1_000);
    await new Promise(setImmediate);
  }
  await change;
});

test('no password of a request under authentication is stored (T239)', async () => {
  await using test = await openTestStore();
  const users = openTestUsers(test.store, test.clock);
  const alice = await testUser(users, 'alice');
  const body = { new_password: 'plain text', auth: { type: 'm.login.password', user: 'alice', password: 'wrong one' } };
  const request = { user: alice, method: 'POST', path: '/account/password', body };
  const asked = await authenticateInteractively(users, request, PASSWORD_FLOWS);
  assert.equal(asked.complete, false);
  const rows = await test.store.list(uiaSessions, { limit: 10 });
  assert.equal(rows.length, 1);
  assert.doesNotMatch(JSON.stringify(rows), /plain text|wrong one/);
});
