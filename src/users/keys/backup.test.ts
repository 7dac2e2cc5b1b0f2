import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { UserId } from '#core/ids.js';
import { backupSessions, backups, backupVersions } from '#store/schema.js';
import { openTestStore } from '#store/testing.js';
import { deactivate } from '#users/accounts.js';
import {
  createBackup,
  deleteBackup,
  deleteSessions,
  getBackup,
  putSessions,
  readSessions,
  sessionsOf,
} from '#users/keys/backup.js';
import { openTestUsers, testUser } from '#users/testing.js';
import type { Users } from '#users/users.js';

const session = (index = 0) => ({
  first_message_index: index,
  forwarded_count: 0,
  is_verified: false,
  session_data: { n: index },
});
const many = (count: number) =>
  sessionsOf(
    { sessions: Object.fromEntries(Array.from({ length: count }, (_, n) => [`s${n}`, session(n)])) },
    '!r',
    undefined,
  );

async function read(users: Users, user: UserId, version: string, room?: string): Promise<unknown> {
  let text = '';
  for await (const piece of readSessions(users, user, version, room)) text += piece;
  return JSON.parse(text);
}

test('a large backup is read in pieces, whole and by room', async () => {
  await using test = await openTestStore();
  const users = openTestUsers(test.store, test.clock);
  const alice = await testUser(users, 'alice');
  await createBackup(users, alice, 'a', {});
  const sessions = Object.fromEntries(Array.from({ length: 1_500 }, (_, n) => [`s${n}`, session(n)]));
  const rooms = { '!a"\\': { sessions }, '!b': { sessions: { one: session() } }, '!c': { sessions } };
  await putSessions(users, alice, '1', sessionsOf({ rooms }, undefined, undefined));
  assert.deepEqual(await read(users, alice, '1'), { rooms });
  for (const [room, content] of Object.entries(rooms)) {
    assert.deepEqual(await read(users, alice, '1', room), content);
  }
  assert.deepEqual(await read(users, alice, '1', '!none'), { sessions: {} });
  let pieces = 0;
  for await (const piece of readSessions(users, alice, '1', undefined)) {
    pieces++;
    assert.ok(piece.length < 100_000);
  }
  assert.ok(pieces > 1);
  assert.throws(() => readSessions(users, alice, '2', undefined), { errcode: 'M_NOT_FOUND' });
});

test('of many versions the oldest go, with their sessions', async () => {
  await using test = await openTestStore();
  const users = openTestUsers(test.store, test.clock);
  const alice = await testUser(users, 'alice');
  for (let version = 1; version <= 22; version++) {
    assert.equal(await createBackup(users, alice, 'a', {}), String(version));
    await putSessions(users, alice, String(version), many(1));
  }
  for (const gone of ['1', '2']) assert.throws(() => getBackup(users, alice, gone), { errcode: 'M_NOT_FOUND' });
  assert.equal(getBackup(users, alice, '3')['count'], 1);
  assert.equal(getBackup(users, alice, undefined)['version'], '22');
  assert.equal((await test.store.list(backupSessions, { prefix: [alice], limit: 100 })).length, 20);
  assert.equal((await test.store.list(backupVersions, { prefix: [alice], limit: 100 })).length, 20);
});

test('a deleted backup is gone at once, its version stays taken, and no session stays on the disk', async () => {
  await using test = await openTestStore();
  const users = openTestUsers(test.store, test.clock);
  const [alice, bob] = [await testUser(users, 'alice'), await testUser(users, 'bob')];
  for (const user of [alice, bob]) assert.equal(await createBackup(users, user, 'a', {}), '1');
  for (const user of [alice, bob]) await putSessions(users, user, '1', many(1_200));
  await deleteBackup(users, alice, '1');
  await deleteBackup(users, alice, '1');
  assert.throws(() => getBackup(users, alice, undefined), { errcode: 'M_NOT_FOUND' });
  assert.throws(() => getBackup(users, alice, '1'), { errcode: 'M_NOT_FOUND' });
  await assert.rejects(putSessions(users, alice, '1', many(1)), { errcode: 'M_NOT_FOUND' });
  assert.equal((await test.store.list(backupSessions, { prefix: [alice], limit: 10 })).length, 0);
  assert.equal(await createBackup(users, alice, 'a', {}), '2');
  assert.equal(getBackup(users, bob, undefined)['count'], 1_200);
});

test('many sessions are deleted and counted right', async () => {
  await using test = await openTestStore();
  const users = openTestUsers(test.store, test.clock);
  const alice = await testUser(users, 'alice');
  await createBackup(users, alice, 'a', {});
  await putSessions(users, alice, '1', many(1_200));
  await putSessions(users, alice, '1', sessionsOf(session(), '!other', 'x'));
  assert.equal((await deleteSessions(users, alice, '1', '!r', undefined)).count, 1);
  const { etag } = await deleteSessions(users, alice, '1', undefined, undefined);
  assert.deepEqual(await deleteSessions(users, alice, '1', undefined, undefined), { etag, count: 0 });
  assert.deepEqual(await read(users, alice, '1'), { rooms: {} });
});

test('backups go with a deactivated account (T241)', async () => {
  await using test = await openTestStore();
  const users = openTestUsers(test.store, test.clock);
  const [alice, bob] = [await testUser(users, 'alice'), await testUser(users, 'bob')];
  for (const user of [alice, bob]) {
    await createBackup(users, user, 'a', {});
    await putSessions(users, user, '1', many(3));
    await createBackup(users, user, 'a', {});
  }
  await deactivate(users, alice, false);
  await Promise.all(users.running.values());
  const left = await Promise.all([
    test.store.list(backups, { prefix: [alice], limit: 9 }),
    test.store.list(backupVersions, { prefix: [alice], limit: 9 }),
    test.store.list(backupSessions, { prefix: [alice], limit: 9 }),
  ]);
  assert.deepEqual(left, [[], [], []]);
  assert.equal(getBackup(users, bob, '1')['count'], 3);
});
