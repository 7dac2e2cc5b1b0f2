import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeviceId, UserId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { crossSigningKeys, deviceKeys, keySignatures } from '#store/schema.js';
import { openTestStore } from '#store/testing.js';
import type { Store } from '#store/types.js';
import { deactivate } from '#users/accounts.js';
import { deleteDevices } from '#users/devices.js';
import { checkCrossSigning, putCrossSigning, replacesKeys } from '#users/keys/cross-signing.js';
import { queryKeys, uploadKeys } from '#users/keys/device-keys.js';
import { uploadSignatures } from '#users/keys/signatures.js';
import { signedBy, testCrossSigning, testDevice, testKey } from '#users/keys/testing.js';
import { loginWithPassword } from '#users/sessions.js';
import { openTestUsers, testUser } from '#users/testing.js';
import type { Users } from '#users/users.js';

interface Person {
  readonly user: UserId;
  readonly device: DeviceId;
  readonly identity: JsonObject;
  readonly sign: (object: JsonObject) => JsonObject;
  readonly cross: ReturnType<typeof testCrossSigning>;
}

async function person(users: Users, name: string): Promise<Person> {
  const user = await testUser(users, name);
  const device = `DEVICE_OF_${name}` as DeviceId;
  await loginWithPassword(users, name, 'secret', { device, refresh: false });
  const { identity, sign } = testDevice(user, device);
  await uploadKeys(users, user, device, { device_keys: identity });
  const cross = testCrossSigning(user);
  await putCrossSigning(users, user, checkCrossSigning(users.store, user, cross.upload), undefined);
  return { user, device, identity, sign, cross };
}

async function stored(store: Store): Promise<string[]> {
  const rows = await store.list(keySignatures, { limit: 100 });
  return rows.map(([[user, keyId, signer]]) => `${user} ${keyId} ${signer}`);
}

test('signatures are stored by who made them, and go with the device or the account', async () => {
  await using test = await openTestStore();
  const { store } = test;
  const users = openTestUsers(store, test.clock);
  const [alice, bob] = [await person(users, 'alice'), await person(users, 'bob')];
  const sign = (by: Person, owner: Person, keys: JsonObject) =>
    uploadSignatures(users, by.user, { [owner.user]: keys });
  const onDevice = signedBy(alice.cross.selfSigning, alice.user, alice.identity);
  const masterOf = ({ cross }: Person): string => cross.master.publicKey;
  assert.deepEqual(await sign(alice, alice, { [alice.device]: onDevice }), {});
  assert.deepEqual(await sign(alice, alice, { [masterOf(alice)]: alice.sign(alice.cross.upload.master_key) }), {});
  for (const [by, owner] of [
    [alice, bob],
    [bob, alice],
  ] as const) {
    const key = signedBy(by.cross.userSigning, by.user, owner.cross.upload.master_key);
    assert.deepEqual(await sign(by, owner, { [masterOf(owner)]: key }), {});
  }
  assert.equal((await stored(store)).length, 4);
  const tip = store.tip;
  assert.deepEqual(await sign(alice, alice, { [alice.device]: onDevice }), {});
  assert.deepEqual(await store.log(tip, store.tip, 10), [], 'a repetition is no news');

  const shown = await queryKeys(users, bob.user, new Map([[alice.user, []]]));
  assert.deepEqual(shown.device_keys[alice.user]?.[alice.device], { ...onDevice, unsigned: {} });
  assert.deepEqual(Object.keys(shown.master_keys[alice.user]?.['signatures'] ?? {}).sort(), [alice.user, bob.user]);

  await deleteDevices(users, alice.user, [alice.device]);
  assert.equal((await stored(store)).length, 3);
  await deactivate(users, alice.user, false);
  await Promise.all(users.running.values());
  assert.deepEqual(await stored(store), []);
  assert.deepEqual(
    (await store.list(crossSigningKeys, { limit: 10 })).map(([[user]]) => user),
    [bob.user, bob.user, bob.user],
  );
  assert.deepEqual(
    (await store.list(deviceKeys, { limit: 10 })).map(([[user]]) => user),
    [bob.user],
  );
});

test('a new identity of a device, or a new master key, has none of the old one’s signatures', async () => {
  await using test = await openTestStore();
  const users = openTestUsers(test.store, test.clock);
  const alice = await person(users, 'alice');
  const failures = await uploadSignatures(users, alice.user, {
    [alice.user]: {
      [alice.device]: signedBy(alice.cross.selfSigning, alice.user, alice.identity),
      [alice.cross.master.publicKey]: alice.sign(alice.cross.upload.master_key),
    },
  });
  assert.deepEqual(failures, {});
  const renewed = testDevice(alice.user, alice.device, testKey('another')).identity;
  await uploadKeys(users, alice.user, alice.device, { device_keys: renewed });
  const next = checkCrossSigning(test.store, alice.user, testCrossSigning(alice.user, 'reset').upload);
  assert.ok(replacesKeys(test.store, alice.user, next));
  await putCrossSigning(users, alice.user, next, { complete: true });
  assert.deepEqual(await stored(test.store), []);
});

test('a new master key that comes alone leaves no keys that the old one signed', async () => {
  await using test = await openTestStore();
  const users = openTestUsers(test.store, test.clock);
  const alice = await person(users, 'alice');
  const { master_key } = testCrossSigning(alice.user, 'reset').upload;
  await putCrossSigning(users, alice.user, checkCrossSigning(test.store, alice.user, { master_key }), {
    complete: true,
  });
  const { master_keys, ...others } = await queryKeys(users, alice.user, new Map([[alice.user, []]]));
  assert.deepEqual(master_keys, { [alice.user]: master_key });
  assert.deepEqual([others.self_signing_keys, others.user_signing_keys], [{}, {}]);
});

test('device keys may come with the signature of the self-signing key; a wrong one is refused', async () => {
  await using test = await openTestStore();
  const users = openTestUsers(test.store, test.clock);
  const alice = await person(users, 'alice');
  const both = signedBy(alice.cross.selfSigning, alice.user, alice.identity);
  await uploadKeys(users, alice.user, alice.device, { device_keys: both });
  assert.deepEqual(test.store.get(deviceKeys, [alice.user, alice.device]), both);
  const id = `ed25519:${alice.cross.selfSigning.publicKey}`;
  const wrong = signedBy(testKey('forger'), alice.user, alice.identity, id);
  await assert.rejects(uploadKeys(users, alice.user, alice.device, { device_keys: wrong }), {
    errcode: 'M_INVALID_SIGNATURE',
  });
});

test('a replacement that another overtook needs a proof of its own', async () => {
  await using test = await openTestStore();
  const users = openTestUsers(test.store, test.clock);
  const user = await testUser(users, 'alice');
  const [one, two] = ['one', 'two'].map((name) =>
    checkCrossSigning(test.store, user, testCrossSigning(user, name).upload),
  );
  // Both were found to need no proof while there were no keys.
  await putCrossSigning(users, user, one!, undefined);
  await assert.rejects(putCrossSigning(users, user, two!, undefined), { errcode: 'M_CONFLICT' });
  assert.deepEqual(test.store.get(crossSigningKeys, [user, 'master']), one!.master);
});
