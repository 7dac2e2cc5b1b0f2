import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeviceId, UserId } from '#core/ids.js';
import {
  backupVersions,
  deviceKeys,
  devices,
  type KeyQueue,
  keyedDevices,
  keyQueues,
  oneTimeKeyIds,
  oneTimeKeys,
} from '#store/schema.js';
import { openTestStore } from '#store/testing.js';
import type { Store, Tx } from '#store/types.js';
import { verifyStore } from '#store/verify.js';
import { STORE_CHECKS } from '#store/verify-rows.js';
import { deleteDevices } from '#users/devices.js';
import { createBackup, putSessions, sessionsOf } from '#users/keys/backup.js';
import { putDehydrated } from '#users/keys/dehydrated.js';
import { claimKeys, uploadKeys } from '#users/keys/device-keys.js';
import { testDevice } from '#users/keys/testing.js';
import { KEY_CHECKS } from '#users/keys/verify.js';
import { loginWithPassword } from '#users/sessions.js';
import { openTestUsers, testUser } from '#users/testing.js';
import type { Users } from '#users/users.js';

const D = 'D' as DeviceId;
const DRY = 'DRY' as DeviceId;
const A = 'signed_curve25519';

async function problems(store: Store): Promise<string[]> {
  const found: string[] = [];
  for await (const { keyspace, problem } of verifyStore(store, [...STORE_CHECKS, ...KEY_CHECKS]))
    found.push(`${keyspace}: ${problem}`);
  return found;
}

/** A user with all that the checks look at: waiting and claimed keys, a backup, a dehydrated device. */
async function fill(users: Users): Promise<UserId> {
  const user = await testUser(users, 'alice');
  await loginWithPassword(users, 'alice', 'secret', { device: D, refresh: false });
  const { identity, sign } = testDevice(user, D);
  const one_time_keys = Object.fromEntries([1, 2, 3].map((n) => [`${A}:${n}`, sign({ key: `key ${n}` })]));
  await uploadKeys(users, user, D, { device_keys: identity, one_time_keys });
  await claimKeys(users, [{ user, device: D, algorithm: A }]);
  await createBackup(users, user, 'algorithm', {});
  const session = { first_message_index: 0, forwarded_count: 0, is_verified: false, session_data: {} };
  await putSessions(users, user, '1', sessionsOf(session, '!r', 's'));
  await putDehydrated(users, user, DRY, { algorithm: 'x' }, undefined, { device_keys: testDevice(user, DRY).identity });
  return user;
}

const DAMAGES: readonly [what: string, damage: (tx: Tx, user: UserId, queue: KeyQueue) => void][] = [
  ['a device', (tx, user) => tx.delete(devices, [user, D])],
  ['the dehydrated device', (tx, user) => tx.delete(devices, [user, DRY])],
  ['the keys of a device', (tx, user) => tx.delete(deviceKeys, [user, D])],
  ['the list of devices with keys', (tx, user) => tx.delete(keyedDevices, [user])],
  ['a waiting key', (tx, user) => tx.delete(oneTimeKeys, [user, D, A, 1])],
  ['the name of a key', (tx, user) => tx.delete(oneTimeKeyIds, [user, D, `${A}:2`])],
  ['the queue', (tx, user) => tx.delete(keyQueues, [user, D])],
  [
    'the end of the queue',
    (tx, user, queue) => tx.put(keyQueues, [user, D], { ...queue, algorithms: { [A]: { first: 1, next: 2 } } }),
  ],
  ['a backup version', (tx, user) => tx.delete(backupVersions, [user, 1])],
];

for (const [what, damage] of DAMAGES) {
  test(`the check of a database notices that ${what} is missing`, async () => {
    await using opened = await openTestStore();
    const users = openTestUsers(opened.store, opened.clock);
    const user = await fill(users);
    assert.deepEqual(await problems(opened.store), []);
    await opened.store.commit((tx) => damage(tx, user, tx.get(keyQueues, [user, D])!));
    assert.notDeepEqual(await problems(opened.store), []);
  });
}

test('keys of a device that was deleted meanwhile are not stored', async () => {
  await using opened = await openTestStore();
  const users = openTestUsers(opened.store, opened.clock);
  const user = await fill(users);
  await deleteDevices(users, user, [D]);
  await assert.rejects(uploadKeys(users, user, D, { device_keys: testDevice(user, D).identity }), {
    errcode: 'M_UNKNOWN_TOKEN',
  });
  assert.deepEqual(await problems(opened.store), []);
});
