// Client-server API, Cross-signing, and when it asks for interactive authentication (MSC3967).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, type Client } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { ourChoice, synapseDiffers } from '../support/known.js';
import { CrossSigning, DeviceKeys, Ed25519Key } from '../support/signing.js';

const hs = await homeserver();
test.after(() => hs.stop());

const UPLOAD = `${C}/keys/device_signing/upload`;
const SIGN = `${C}/keys/signatures/upload`;

async function query(client: Client, ...users: Client[]): Promise<Body> {
  return client.ok('POST', `${C}/keys/query`, {
    device_keys: Object.fromEntries(users.map((user) => [user.userId, []])),
  });
}

interface Person {
  readonly client: Client;
  readonly device: DeviceKeys;
  readonly cross: CrossSigning;
}

/** A user whose device and cross-signing keys are uploaded. */
async function person(name: string): Promise<Person> {
  const client = await hs.user(name);
  const device = new DeviceKeys(client);
  const cross = new CrossSigning(client.userId);
  await client.ok('POST', `${C}/keys/upload`, { device_keys: device.identity() });
  await client.ok('POST', UPLOAD, cross.upload());
  return { client, device, cross };
}

/** Uploads signatures on keys of one user; returns their failures by key. */
async function signed(by: Client, owner: Client, keys: Body): Promise<Body> {
  const { failures } = await by.ok('POST', SIGN, { [owner.userId]: keys });
  return failures?.[owner.userId] ?? {};
}

test('everyone sees master and self-signing keys, and only their owner the user-signing key', async () => {
  const { client: alice, cross } = await person('alice');
  const bob = await hs.user('bob');
  const own = await query(alice, alice);
  assert.deepEqual(own['master_keys'][alice.userId], cross.masterKey());
  assert.deepEqual(own['self_signing_keys'][alice.userId], cross.selfSigningKey());
  assert.deepEqual(own['user_signing_keys'][alice.userId], cross.userSigningKey());
  const others = await query(bob, alice);
  assert.deepEqual(others['master_keys'][alice.userId], cross.masterKey());
  assert.deepEqual(others['self_signing_keys'][alice.userId], cross.selfSigningKey());
  assert.deepEqual(others['user_signing_keys'] ?? {}, {});
});

test('the first upload and a repetition ask for nothing, a replacement and an addition for the password (T263)', async () => {
  const alice = await hs.user('alice');
  const cross = new CrossSigning(alice.userId);
  await alice.ok('POST', UPLOAD, { master_key: cross.masterKey() });
  await alice.ok('POST', UPLOAD, { master_key: cross.masterKey() });

  const other = new CrossSigning(alice.userId);
  const asked = await alice.request('POST', UPLOAD, { master_key: other.masterKey() });
  assert.equal(asked.status, 401);
  assert.ok(asked.body['flows'].some(({ stages }: Body) => stages.includes('m.login.password')));
  assert.deepEqual((await query(alice, alice))['master_keys'][alice.userId], cross.masterKey(), 'nothing is replaced');

  const addition = { self_signing_key: cross.selfSigningKey() };
  const first = await alice.request('POST', UPLOAD, addition);
  assert.equal(first.status, 401);
  const auth = alice.passwordAuth(first.body['session']);
  await alice.ok('POST', UPLOAD, { ...addition, auth });
  await alice.ok('POST', UPLOAD, { ...addition, auth });

  await alice.withPassword('POST', UPLOAD, other.upload());
  const found = await query(alice, alice);
  assert.deepEqual(found['master_keys'][alice.userId], other.masterKey());
  assert.deepEqual(found['self_signing_keys'][alice.userId], other.selfSigningKey());
});

test(
  'the password for one set of keys does not bring in another (T237, T263)',
  synapseDiffers('binds to path only'),
  async () => {
    const { client: alice, cross } = await person('alice');
    const [wanted, smuggled] = [new CrossSigning(alice.userId), new CrossSigning(alice.userId)];
    const { body } = await alice.request('POST', UPLOAD, wanted.upload());
    const auth = alice.passwordAuth(body['session']);
    const answer = await alice.request('POST', UPLOAD, { ...smuggled.upload(), auth });
    assert.ok([401, 403].includes(answer.status), String(answer.status));
    assert.deepEqual((await query(alice, alice))['master_keys'][alice.userId], cross.masterKey());
  },
);

test('bad cross-signing keys are refused, and nothing changes (T263)', synapseDiffers('answers 500'), async () => {
  const [alice, mallory] = await hs.users('alice', 'mallory');
  const cross = new CrossSigning(mallory.userId);
  const { master_key, self_signing_key } = cross.upload();
  const other = new Ed25519Key();
  const bad: Record<string, Body> = {
    'a string': { master_key: 'key' },
    "another's user": { master_key: { ...master_key, user_id: alice.userId } },
    'no usage': { master_key: { ...master_key, usage: [] } },
    'another usage': { master_key: { ...master_key, usage: ['self_signing'] } },
    'no keys': { master_key: { ...master_key, keys: {} } },
    'two keys': {
      master_key: { ...master_key, keys: { ...master_key.keys, [`ed25519:${other.publicKey}`]: other.publicKey } },
    },
    'a key under another name': { master_key: { ...master_key, keys: { 'ed25519:x': cross.master.publicKey } } },
    'a signing key that is not signed': {
      master_key,
      self_signing_key: { ...self_signing_key, signatures: {} },
    },
    'a signing key signed by another': {
      master_key,
      self_signing_key: new CrossSigning(mallory.userId).selfSigningKey(),
    },
    'a signing key with the signature of something else': {
      master_key,
      user_signing_key: { ...cross.userSigningKey(), signatures: self_signing_key.signatures },
    },
  };
  for (const [what, body] of Object.entries(bad)) {
    const answer = await mallory.request('POST', UPLOAD, body);
    assert.equal(answer.status, 400, `${what}: ${JSON.stringify(answer.body)}`);
  }
  for (const body of [{ self_signing_key }, { user_signing_key: cross.userSigningKey() }]) {
    await mallory.fails(400, 'M_MISSING_PARAM', 'POST', UPLOAD, body);
  }
  const wrong = { master_key, self_signing_key: { ...self_signing_key, signatures: {} } };
  await mallory.fails(400, 'M_INVALID_SIGNATURE', 'POST', UPLOAD, wrong);
  const found = await query(mallory, mallory);
  assert.deepEqual([found['master_keys'] ?? {}, found['self_signing_keys'] ?? {}], [{}, {}]);
});

test('a key may not be named like a device of the user', synapseDiffers('does not look at devices'), async () => {
  const alice = await hs.user('alice');
  const cross = new CrossSigning(alice.userId);
  await alice.login({ device_id: cross.master.publicKey });
  await alice.fails(403, 'M_FORBIDDEN', 'POST', UPLOAD, cross.upload());
});

test('people who share a room hear of new cross-signing keys', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await bob.sync();
  await bob.sync();
  await alice.ok('POST', UPLOAD, new CrossSigning(alice.userId).upload());
  await bob.syncUntil((body) => body['device_lists']?.changed?.includes(alice.userId));
});

test('a device signed by the self-signing key shows the signature to everyone', async () => {
  const { client: alice, device, cross } = await person('alice');
  const bob = await hs.user('bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await bob.sync();
  await bob.sync();
  const withSignature = cross.selfSigning.sign(device.identity(), alice.userId);
  assert.deepEqual(await signed(alice, alice, { [alice.deviceId]: withSignature }), {});
  await bob.syncUntil((body) => body['device_lists']?.changed?.includes(alice.userId));
  for (const viewer of [alice, bob]) {
    const { unsigned, ...shown } = (await query(viewer, alice))['device_keys'][alice.userId][alice.deviceId];
    assert.deepEqual(shown, withSignature);
  }
  await bob.sync();
  assert.deepEqual(await signed(alice, alice, { [alice.deviceId]: withSignature }), {}, 'once more is no failure');
  assert.equal((await bob.sync())['device_lists'], undefined, 'and no news');
});

/** Uploads a person's master key signed by their device, and returns it as it now is. */
async function masterSignedByDevice({ client, device, cross }: Person): Promise<Body> {
  const key = device.sign(cross.masterKey());
  assert.deepEqual(await signed(client, client, { [cross.master.publicKey]: key }), {});
  return key;
}

test('the own master key is signed by the own devices', async () => {
  const alice = await person('alice');
  const key = await masterSignedByDevice(alice);
  assert.deepEqual((await query(alice.client, alice.client))['master_keys'][alice.client.userId], key);
});

test('others see that a master key is signed by its devices', synapseDiffers('shows it to the owner'), async () => {
  const [alice, bob] = await Promise.all([person('alice'), hs.user('bob')]);
  const key = await masterSignedByDevice(alice);
  assert.deepEqual((await query(bob, alice.client))['master_keys'][alice.client.userId], key);
});

test('a signature on another’s master key is seen by who made it, and by nobody else (T263)', async () => {
  const [alice, bob] = await Promise.all([person('alice'), person('bob')]);
  const carol = await hs.user('carol');
  const room = await alice.client.createRoom({ preset: 'public_chat' });
  for (const each of [bob.client, carol]) await each.join(room);
  for (const each of [alice.client, bob.client, carol]) {
    await each.sync();
    await each.sync();
  }
  const key = alice.cross.userSigning.sign(bob.cross.masterKey(), alice.client.userId);
  assert.deepEqual(await signed(alice.client, bob.client, { [bob.cross.master.publicKey]: key }), {});
  assert.deepEqual((await query(alice.client, bob.client))['master_keys'][bob.client.userId], key);
  for (const viewer of [bob.client, carol]) {
    assert.deepEqual((await query(viewer, bob.client))['master_keys'][bob.client.userId], bob.cross.masterKey());
    assert.equal((await viewer.sync())['device_lists'], undefined);
  }
  await alice.client.syncUntil((body) => body['device_lists']?.changed?.includes(bob.client.userId));
});

test('signatures that are wrong, or by a key without the role, fail one by one (T263)', async () => {
  const { client: alice, device, cross } = await person('alice');
  const bob = await person('bob');
  const laptop = await alice.login();
  const second = new DeviceKeys(laptop);
  await laptop.ok('POST', `${C}/keys/upload`, { device_keys: second.identity() });
  const own = device.identity();
  const good = cross.selfSigning.sign(second.identity(), alice.userId);

  const failures = await signed(alice, alice, {
    // By the user-signing key, which has no say over devices.
    [alice.deviceId]: cross.userSigning.sign(own, alice.userId),
    [laptop.deviceId]: good,
    NEVERWAS: cross.selfSigning.sign({ ...own, device_id: 'NEVERWAS' }, alice.userId),
    [cross.selfSigning.publicKey]: device.sign(cross.selfSigningKey()),
    [cross.master.publicKey]: cross.selfSigning.sign(cross.masterKey(), alice.userId),
  });
  assert.deepEqual(
    Object.keys(failures).sort(),
    [alice.deviceId, 'NEVERWAS', cross.selfSigning.publicKey, cross.master.publicKey].sort(),
  );
  assert.equal(failures[alice.deviceId].errcode, 'M_INVALID_SIGNATURE');
  assert.equal(failures['NEVERWAS'].errcode, 'M_NOT_FOUND');
  const shown = (await query(bob.client, alice))['device_keys'][alice.userId][laptop.deviceId];
  assert.deepEqual(shown.signatures, good['signatures'], 'what was right stands');

  const id = `ed25519:${cross.selfSigning.publicKey}`;
  const forged = { ...own, signatures: { [alice.userId]: { [id]: good['signatures'][alice.userId][id] } } };
  const changed = cross.selfSigning.sign({ ...own, algorithms: ['m.other'] }, alice.userId);
  for (const key of [forged, changed, own]) {
    const failed = await signed(alice, alice, { [alice.deviceId]: key });
    assert.ok(failed[alice.deviceId].errcode, JSON.stringify(key));
  }
  for (const key of ['text', null]) {
    const { status, body } = await alice.request('POST', SIGN, { [alice.userId]: { [alice.deviceId]: key } });
    assert.ok(status === 400 || body['failures'][alice.userId][alice.deviceId].errcode, JSON.stringify(key));
  }
  // Others' devices are not ours to sign, nor their master key but by our user-signing key.
  const theirs = await signed(alice, bob.client, {
    [bob.client.deviceId]: cross.userSigning.sign(bob.device.identity(), alice.userId),
    [bob.cross.master.publicKey]: cross.selfSigning.sign(bob.cross.masterKey(), alice.userId),
  });
  assert.equal(Object.keys(theirs).length, 2);
  // And nobody signs in somebody else's name.
  const inTheirName = await signed(alice, bob.client, {
    [bob.client.deviceId]: bob.cross.selfSigning.sign(bob.device.identity(), bob.client.userId),
  });
  assert.equal(Object.keys(inTheirName).length, 1);
  const found = await query(bob.client, alice, bob.client);
  assert.deepEqual(found['master_keys'][alice.userId], cross.masterKey());
  assert.deepEqual(found['device_keys'][alice.userId][alice.deviceId].signatures, own['signatures']);
  assert.deepEqual(
    found['device_keys'][bob.client.userId][bob.client.deviceId].signatures,
    bob.device.identity()['signatures'],
  );
});

test(
  'signatures that nobody can check are not handed on (T263)',
  ourChoice('the specification leaves open what becomes of signatures by unknown keys'),
  async () => {
    const alice = await hs.user('alice');
    const device = new DeviceKeys(alice);
    const cross = new CrossSigning(alice.userId);
    const stray = new Ed25519Key();
    await alice.ok('POST', `${C}/keys/upload`, { device_keys: stray.sign(device.identity(), alice.userId) });
    await alice.ok('POST', UPLOAD, {
      ...cross.upload(),
      master_key: stray.sign(device.sign(cross.masterKey()), '@somebody:else.invalid'),
    });
    const found = await query(alice, alice);
    const { unsigned, ...shown } = found['device_keys'][alice.userId][alice.deviceId];
    assert.deepEqual(shown, device.identity());
    assert.deepEqual(found['master_keys'][alice.userId], device.sign(cross.masterKey()));
  },
);

test(
  'a deactivated account has no cross-signing keys, and its signatures are gone',
  ourChoice('the specification is silent; nobody can sign with them any more'),
  async () => {
    const [alice, bob] = await Promise.all([person('alice'), person('bob')]);
    const key = bob.cross.userSigning.sign(alice.cross.masterKey(), bob.client.userId);
    await signed(bob.client, alice.client, { [alice.cross.master.publicKey]: key });
    await alice.client.withPassword('POST', `${C}/account/deactivate`, {});
    const found = await query(bob.client, alice.client);
    assert.equal(found['master_keys']?.[alice.client.userId], undefined);
    assert.equal(found['self_signing_keys']?.[alice.client.userId], undefined);
  },
);
