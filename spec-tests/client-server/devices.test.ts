// Client-server API, Device management.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { C } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';

const hs = await homeserver();
test.after(() => hs.stop());

test('a user sees their devices and gives one a name', async () => {
  const phone = await hs.user('alice');
  const laptop = await phone.login({ initial_device_display_name: 'Laptop' });
  const { devices } = await phone.ok('GET', `${C}/devices`);
  assert.deepEqual(
    devices.map((d: { device_id: string }) => d.device_id).sort(),
    [phone.deviceId, laptop.deviceId].sort(),
  );
  assert.equal((await phone.ok('GET', `${C}/devices/${laptop.deviceId}`))['display_name'], 'Laptop');
  await phone.ok('PUT', `${C}/devices/${laptop.deviceId}`, { display_name: 'Work' });
  assert.equal((await phone.ok('GET', `${C}/devices/${laptop.deviceId}`))['display_name'], 'Work');
});

test('a change without display_name keeps the name', async () => {
  const alice = await hs.user('alice');
  const laptop = await alice.login({ initial_device_display_name: 'Laptop' });
  await alice.ok('PUT', `${C}/devices/${laptop.deviceId}`, {});
  assert.equal((await alice.ok('GET', `${C}/devices/${laptop.deviceId}`))['display_name'], 'Laptop');
});

test('a device of another user is as unknown as one that never was (T252)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  for (const id of [alice.deviceId, 'NEVERWAS']) {
    await bob.fails(404, 'M_NOT_FOUND', 'GET', `${C}/devices/${id}`);
    await bob.fails(404, 'M_NOT_FOUND', 'PUT', `${C}/devices/${id}`, { display_name: 'mine' });
  }
});

test('several devices are deleted at once, and their sessions end', async () => {
  const phone = await hs.user('alice');
  const [laptop, tablet] = await Promise.all([phone.login(), phone.login()]);
  await phone.withPassword('POST', `${C}/delete_devices`, { devices: [laptop.deviceId, tablet.deviceId] });
  for (const session of [laptop, tablet]) {
    await session.fails(401, 'M_UNKNOWN_TOKEN', 'GET', `${C}/account/whoami`);
    await phone.fails(404, 'M_NOT_FOUND', 'GET', `${C}/devices/${session.deviceId}`);
  }
});

test('deleting the devices of another user does them nothing (T252)', async () => {
  const [alice, mallory] = await hs.users('alice', 'mallory');
  await mallory.withPassword('POST', `${C}/delete_devices`, { devices: [alice.deviceId] });
  await alice.ok('GET', `${C}/account/whoami`);
});
