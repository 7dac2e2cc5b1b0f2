import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeviceId } from '#core/ids.js';
import { inboxCounts, toDevice } from '#store/schema.js';
import { openTestStore } from '#store/testing.js';
import { removeDevice } from '#users/devices.js';
import { loginWithPassword } from '#users/sessions.js';
import { openTestUsers, testUser } from '#users/testing.js';
import { acknowledgeInbox, readInbox, sendToDevice } from '#users/to-device.js';

const D = 'D' as DeviceId;

test('a new device does not get what was sent to one of its id before, whenever that was deleted', async () => {
  await using test = await openTestStore();
  const { store } = test;
  const users = openTestUsers(store, test.clock);
  const alice = await testUser(users, 'alice');
  const login = () => loginWithPassword(users, 'alice', 'secret', { device: D, refresh: false });
  const send = (n: number) =>
    sendToDevice(users, { user: alice, device: D }, 'm.test', `${n}`, { [alice]: { [D]: { n } } });
  const read = async () => (await readInbox(users, alice, D, 0, store.tip, 10)).map(({ event }) => event.content['n']);
  await login();
  await send(1);
  assert.deepEqual(await read(), [1]);
  // The server ends between the transaction that deletes a device and the one that empties its inbox.
  await store.commit((tx) => removeDevice(tx, users, alice, D));
  await login();
  assert.deepEqual(await read(), []);
  await send(2);
  assert.deepEqual(await read(), [2]);
  await login();
  assert.deepEqual(await read(), [2], 'a login on a device that is there leaves it as it is');
  await acknowledgeInbox(users, alice, D, store.tip);
  assert.deepEqual(await store.list(toDevice, { limit: 10 }), [], 'and what was left over is gone by then');
});

test('an inbox that is full takes nothing more until something of it is fetched (T265)', async () => {
  await using test = await openTestStore();
  const { store } = test;
  const users = openTestUsers(store, test.clock);
  const alice = await testUser(users, 'alice');
  await loginWithPassword(users, 'alice', 'secret', { device: D, refresh: false });
  const send = (n: number) =>
    sendToDevice(users, { user: alice, device: D }, 'm.test', `${n}`, { [alice]: { [D]: { n } } });
  const read = async () => (await readInbox(users, alice, D, 0, store.tip, 10)).map(({ event }) => event.content['n']);
  await send(1);
  await send(2);
  assert.equal(store.get(inboxCounts, [alice, D]), 2);
  await store.commit((tx) => tx.put(inboxCounts, [alice, D], 100_000));
  await send(3);
  assert.deepEqual(await read(), [1, 2]);
  await acknowledgeInbox(users, alice, D, store.tip);
  await send(4);
  assert.deepEqual(await read(), [4]);
  assert.equal(store.get(inboxCounts, [alice, D]), 99_999);
});
