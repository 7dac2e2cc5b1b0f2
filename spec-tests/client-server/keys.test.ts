// Client-server API, End-to-End Encryption: device keys, one-time keys and fallback keys.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, type Client } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { ourChoice, synapseDiffers } from '../support/known.js';
import { DeviceKeys } from '../support/signing.js';

const hs = await homeserver();
test.after(() => hs.stop());

const UPLOAD = `${C}/keys/upload`;
const SIGNED = 'signed_curve25519';

async function query(client: Client, asked: Body): Promise<Body> {
  return client.ok('POST', `${C}/keys/query`, { device_keys: asked });
}

/** Claims a key of `owner`'s device; the answer is `{keyId: key}`, empty where there was none. */
async function claim(client: Client, owner: Client, algorithm = SIGNED): Promise<Body> {
  const answer = await client.ok('POST', `${C}/keys/claim`, {
    one_time_keys: { [owner.userId]: { [owner.deviceId]: algorithm } },
  });
  return answer['one_time_keys'][owner.userId]?.[owner.deviceId] ?? {};
}

/** A user with identity keys and as many one-time keys. */
async function equipped(name: string, count = 0): Promise<[Client, DeviceKeys]> {
  const client = await hs.user(name);
  const keys = new DeviceKeys(client);
  await client.ok('POST', UPLOAD, { device_keys: keys.identity(), one_time_keys: keys.oneTimeKeys(count) });
  return [client, keys];
}

test('uploaded device keys are found by everyone, with the name of the device', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const laptop = await alice.login({ initial_device_display_name: 'Laptop' });
  const keys = new DeviceKeys(laptop);
  const answer = await laptop.ok('POST', UPLOAD, { device_keys: keys.identity() });
  assert.equal(answer['one_time_key_counts'][SIGNED] ?? 0, 0);
  for (const asked of [[], [laptop.deviceId], [laptop.deviceId, 'NEVERWAS']]) {
    const found = await query(bob, { [alice.userId]: asked });
    const { unsigned, ...rest } = found['device_keys'][alice.userId][laptop.deviceId];
    assert.deepEqual(rest, keys.identity());
    assert.equal(unsigned.device_display_name, 'Laptop');
    assert.deepEqual(Object.keys(found['device_keys'][alice.userId]), [laptop.deviceId]);
  }
  assert.deepEqual((await query(alice, { [bob.userId]: [] }))['device_keys'][bob.userId], {});
});

test('identity keys that are uploaded again are the same keys', async () => {
  const [alice, keys] = await equipped('alice');
  await alice.ok('POST', UPLOAD, { device_keys: keys.identity() });
  await alice.sync();
  await alice.ok('POST', UPLOAD, { device_keys: keys.identity() });
  assert.equal((await alice.sync())['device_lists'], undefined, 'nothing changed');
});

/** Each of `bad` as device keys, with a good one-time key, is refused with one of `codes`, and nothing of it is kept. */
async function refusesDeviceKeys(
  cases: (keys: DeviceKeys, good: Body, resigned: (change: Body) => Body, owner: Client) => Record<string, unknown>,
  codes: readonly string[],
): Promise<void> {
  const [alice, mallory] = await hs.users('alice', 'mallory');
  const keys = new DeviceKeys(mallory);
  const good = keys.unsigned();
  for (const [what, device_keys] of Object.entries(
    cases(keys, good, (change) => keys.sign(JSON.parse(JSON.stringify({ ...good, ...change }))), mallory),
  )) {
    const one_time_keys = keys.oneTimeKeys(1);
    const { status, body } = await mallory.request('POST', UPLOAD, { device_keys, one_time_keys });
    assert.equal(status, 400, `${what}: ${JSON.stringify(body)}`);
    assert.ok(codes.includes(body['errcode']), `${what}: ${JSON.stringify(body)}`);
  }
  assert.deepEqual((await query(alice, { [mallory.userId]: [] }))['device_keys'][mallory.userId], {});
  assert.deepEqual(await claim(alice, mallory), {});
}

test('device keys of another shape, user or device are refused, and nothing changes (T261)', () =>
  refusesDeviceKeys(
    (keys, good, resigned) => ({
      null: null,
      'a list': [],
      'a string': 'keys',
      empty: {},
      "another's user": resigned({ user_id: '@somebody:else.invalid' }),
      'another device': resigned({ device_id: 'OTHER' }),
      'no user': resigned({ user_id: undefined }),
      'no device': resigned({ device_id: undefined }),
      'no algorithms': resigned({ algorithms: undefined }),
      'no keys': resigned({ keys: undefined }),
      'algorithms of the wrong type': resigned({ algorithms: 'm.olm' }),
      'algorithms of numbers': resigned({ algorithms: [1] }),
      'keys as a list': resigned({ keys: [] }),
      'keys that are no strings': resigned({ keys: { ...good['keys'], [`curve25519:${good['device_id']}`]: 1 } }),
      unsigned: good,
      'signatures of the wrong type': { ...keys.unsigned(), signatures: 'mine' },
    }),
    ['M_BAD_JSON', 'M_MISSING_PARAM', 'M_INVALID_PARAM', 'M_INVALID_SIGNATURE'],
  ));

test(
  'device keys that are not their own are refused, and nothing changes (T261)',
  ourChoice('the specification leaves it to clients to check signatures'),
  () =>
    refusesDeviceKeys(
      (keys, good, resigned, mallory) => ({
        'no ed25519 key': resigned({ keys: { [`curve25519:${good['device_id']}`]: keys.curve } }),
        'a key of another device': resigned({ keys: { ...good['keys'], 'ed25519:OTHER': keys.key.publicKey } }),
        'the signature of something else': { ...good, algorithms: [], signatures: keys.identity()['signatures'] },
        'signed by another key': new DeviceKeys(mallory).sign(good),
        'far too large': resigned({ padding: 'x'.repeat(20_000) }),
      }),
      ['M_BAD_JSON', 'M_INVALID_SIGNATURE'],
    ),
);

/** Each of the cases as one-time keys and as fallback keys is refused, and nothing of the upload is kept. */
async function refusesKeys(cases: (keys: DeviceKeys, alice: Client) => Record<string, unknown>): Promise<void> {
  const [alice, keys] = await equipped('alice');
  const bob = await hs.user('bob');
  for (const [what, value] of Object.entries(cases(keys, alice))) {
    for (const name of ['one_time_keys', 'fallback_keys']) {
      const kept = { [`${SIGNED}:good`]: keys.oneTimeKey() };
      const value_ = typeof value === 'object' && !Array.isArray(value) ? { ...kept, ...value } : value;
      const { status, body } = await alice.request('POST', UPLOAD, { one_time_keys: kept, [name]: value_ });
      assert.equal(status, 400, `${name} ${what}: ${JSON.stringify(body)}`);
      assert.match(body['errcode'], /^M_(BAD_JSON|NOT_JSON|INVALID_SIGNATURE|INVALID_PARAM)$/, what);
    }
  }
  assert.deepEqual(await claim(bob, alice), {}, 'nothing was kept');
  assert.deepEqual((await alice.sync())['device_unused_fallback_key_types'], []);
}

test('one-time and fallback keys of another shape are refused (T261)', () =>
  refusesKeys((keys) => ({
    'a key without an id': { [SIGNED]: keys.oneTimeKey() },
    'a key that is a number': { 'curve25519:bad': 7 },
    'a key that is null': { [`${SIGNED}:bad`]: null },
    unsigned: { [`${SIGNED}:bad`]: { key: keys.oneTimeKey()['key'] } },
  })));

test('one-time and fallback keys that are no object are refused (T261)', synapseDiffers('answers 500'), () =>
  refusesKeys(() => ({ 'a list': [], 'a string': 'k' })),
);

test(
  'one-time and fallback keys that no device could use are refused, and nothing of the upload is kept (T261)',
  ourChoice('the specification leaves it to clients to check signatures'),
  () =>
    refusesKeys((keys, alice) => {
      const good = keys.oneTimeKey();
      return {
        'a key with an empty id': { [`${SIGNED}:`]: good },
        'a signed key that is a string': { [`${SIGNED}:bad`]: 'AAAA' },
        'signed by another': { [`${SIGNED}:bad`]: new DeviceKeys(alice).oneTimeKey() },
        'the signature of another key': { [`${SIGNED}:bad`]: { ...keys.oneTimeKey(), signatures: good['signatures'] } },
        'far too large': { [`${SIGNED}:bad`]: keys.sign({ key: 'x'.repeat(20_000) }) },
        'a lone surrogate': { [`${SIGNED}:bad`]: { key: '\ud800', signatures: good['signatures'] } },
      };
    }),
);

test('one-time keys are counted, claimed in the order of their upload, and then gone', async () => {
  const [alice, keys] = await equipped('alice');
  const bob = await hs.user('bob');
  const later = keys.oneTimeKeys(2, 'a');
  const first = keys.oneTimeKeys(3, 'z');
  assert.equal((await alice.ok('POST', UPLOAD, { one_time_keys: first }))['one_time_key_counts'][SIGNED], 3);
  assert.equal((await alice.ok('POST', UPLOAD, { one_time_keys: later }))['one_time_key_counts'][SIGNED], 5);
  for (const [id, key] of Object.entries({ ...first, ...later }))
    assert.deepEqual(await claim(bob, alice), { [id]: key });
  assert.deepEqual(await claim(bob, alice), {});
  assert.deepEqual(await claim(bob, alice, 'curve25519'), {});
});

test('the same one-time key may come again; another one under its id may not (T262)', async () => {
  const [alice, keys] = await equipped('alice');
  const all = Object.entries(keys.oneTimeKeys(4));
  const count = async (...entries: [string, unknown][]): Promise<number> =>
    (await alice.ok('POST', UPLOAD, { one_time_keys: Object.fromEntries(entries) }))['one_time_key_counts'][SIGNED];
  assert.equal(await count(...all.slice(0, 3)), 3);
  assert.equal(await count(...all.slice(0, 3)), 3);
  assert.equal(await count(...all.slice(1, 4)), 4);
  const answer = await alice.request('POST', UPLOAD, {
    one_time_keys: { ...keys.oneTimeKeys(1, 'new'), [all[2]![0]]: keys.oneTimeKey() },
  });
  assert.equal(answer.status, 400);
  assert.equal(await count(all[2]!), 4, 'the upload as a whole was refused');
});

test(
  'a key that was claimed before the upload was answered is not claimable by its repetition (T262)',
  ourChoice('the specification is silent; a key handed out twice makes one of the two messages undecryptable'),
  async () => {
    const [alice, keys] = await equipped('alice');
    const bob = await hs.user('bob');
    const one_time_keys = keys.oneTimeKeys(2);
    await alice.ok('POST', UPLOAD, { one_time_keys });
    const [first, second] = Object.keys(one_time_keys);
    assert.deepEqual(Object.keys(await claim(bob, alice)), [first]);
    const again = await alice.ok('POST', UPLOAD, { one_time_keys });
    assert.equal(again['one_time_key_counts'][SIGNED], 1);
    assert.deepEqual(Object.keys(await claim(bob, alice)), [second]);
    assert.deepEqual(await claim(bob, alice), {});
    // A client that lost all it had begins to count anew: another key under an old id is a new key.
    const other = { [first!]: keys.oneTimeKey() };
    assert.equal((await alice.ok('POST', UPLOAD, { one_time_keys: other }))['one_time_key_counts'][SIGNED], 1);
    assert.deepEqual(await claim(bob, alice), other);
  },
);

test('of 200 claims at once none gets a key that another got, and the rest gets the fallback key (T262)', async () => {
  const [alice, keys] = await equipped('alice', 150);
  const fallback = { [`${SIGNED}:fallback`]: keys.fallbackKey() };
  await alice.ok('POST', UPLOAD, { fallback_keys: fallback });
  const bob = await hs.user('bob');
  const claimed = await Promise.all(Array.from({ length: 200 }, () => claim(bob, alice)));
  const ids = claimed.map((one) => Object.keys(one)[0]);
  const oneTime = ids.filter((id) => id !== `${SIGNED}:fallback`);
  assert.equal(oneTime.length, 150);
  assert.equal(new Set(oneTime).size, 150, 'none was handed out twice');
  for (const one of claimed.filter((each) => Object.keys(each)[0] === `${SIGNED}:fallback`)) {
    assert.deepEqual(one, fallback);
  }
});

test('every sync says how many one-time keys are left, zero too, and which fallback keys are unused', async () => {
  const [alice, keys] = await equipped('alice');
  const bob = await hs.user('bob');
  const left = (body: Body): [number, string[]] => [
    body['device_one_time_keys_count'][SIGNED],
    body['device_unused_fallback_key_types'],
  ];
  assert.deepEqual(left(await alice.sync()), [0, []]);
  assert.deepEqual(left(await alice.sync()), [0, []], 'where nothing else is new');
  await alice.ok('POST', UPLOAD, {
    one_time_keys: keys.oneTimeKeys(1),
    fallback_keys: { [`${SIGNED}:f1`]: keys.fallbackKey() },
  });
  assert.deepEqual(left(await alice.sync()), [1, [SIGNED]]);
  await claim(bob, alice);
  assert.deepEqual(left(await alice.sync()), [0, [SIGNED]]);
  await claim(bob, alice);
  assert.deepEqual(left(await alice.sync()), [0, []]);
  assert.deepEqual(Object.keys(await claim(bob, alice)), [`${SIGNED}:f1`], 'a fallback key may be used again');
  await alice.ok('POST', UPLOAD, { fallback_keys: { [`${SIGNED}:f2`]: keys.fallbackKey() } });
  assert.deepEqual(left(await alice.sync()), [0, [SIGNED]], 'the new one is unused');
  assert.deepEqual(Object.keys(await claim(bob, alice)), [`${SIGNED}:f2`]);
});

test(
  'a waiting sync hears at once that a key was claimed',
  ourChoice('the specification leaves open when counts are told'),
  async () => {
    const [alice] = await equipped('alice', 2);
    const bob = await hs.user('bob');
    await alice.sync();
    await alice.sync();
    const began = performance.now();
    // The user's own presence may be told late, in an answer of its own.
    const waiting = alice.syncUntil((body) => body['device_one_time_keys_count'][SIGNED] === 1, { timeout: '30000' });
    await claim(bob, alice);
    await waiting;
    assert.ok(performance.now() - began < 15_000);
  },
);

test('queries and claims of another shape are refused', synapseDiffers('answers 500'), async () => {
  const alice = await hs.user('alice');
  for (const device_keys of [{ [alice.userId]: { D: true } }, { [alice.userId]: 'D' }, { [alice.userId]: [1] }]) {
    await alice.fails(400, 'M_BAD_JSON', 'POST', `${C}/keys/query`, { device_keys });
  }
  for (const device_keys of [[], null, 'x']) {
    await alice.fails(400, ['M_BAD_JSON', 'M_INVALID_PARAM', 'M_MISSING_PARAM'], 'POST', `${C}/keys/query`, {
      device_keys,
    });
  }
  for (const one_time_keys of [{ [alice.userId]: [] }, { [alice.userId]: { D: 1 } }, { [alice.userId]: { D: null } }]) {
    await alice.fails(400, 'M_BAD_JSON', 'POST', `${C}/keys/claim`, { one_time_keys });
  }
});

test('names that JavaScript objects have are names like others (T15)', async () => {
  const [alice, keys] = await equipped('alice');
  const bob = await hs.user('bob');
  const key = keys.oneTimeKey();
  const body = `{"one_time_keys":{"signed_constructor:__proto__":${JSON.stringify(key)}}}`;
  await alice.ok('POST', UPLOAD, body);
  assert.deepEqual(await claim(bob, alice, '__proto__'), {});
  assert.deepEqual(await claim(bob, alice, 'constructor'), {});
  assert.deepEqual(
    Object.keys(await claim(bob, alice, 'signed_constructor')),
    ['__proto__'].map((id) => `signed_constructor:${id}`),
  );
  await query(bob, JSON.parse(`{"${alice.userId}":["__proto__","constructor"]}`));
});

test('keys of unknown servers fail and those of unknown users are not there', async () => {
  const alice = await hs.user('alice');
  const nobody = `@nobody-at-all:${alice.userId.split(':').slice(1).join(':')}`;
  const found = await query(alice, { [nobody]: [], '@x:elsewhere.invalid': [] });
  assert.ok('elsewhere.invalid' in found['failures']);
  assert.deepEqual(found['device_keys'][nobody] ?? {}, {});
  assert.equal(found['device_keys']['@x:elsewhere.invalid'], undefined);
});

test('a device that is deleted or logged out leaves no keys behind', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const [first, second] = await Promise.all([alice.login(), alice.login()]);
  for (const device of [first, second]) {
    const keys = new DeviceKeys(device);
    const fallback_keys = { [`${SIGNED}:f`]: keys.fallbackKey() };
    await device.ok('POST', UPLOAD, {
      device_keys: keys.identity(),
      one_time_keys: keys.oneTimeKeys(3),
      fallback_keys,
    });
  }
  await first.ok('POST', `${C}/logout`, {});
  await alice.withPassword('DELETE', `${C}/devices/${second.deviceId}`);
  assert.deepEqual((await query(bob, { [alice.userId]: [] }))['device_keys'][alice.userId], {});
  for (const device of [first, second]) assert.deepEqual(await claim(bob, device), {});
  const again = await alice.login({ device_id: second.deviceId });
  assert.equal(again.deviceId, second.deviceId);
  assert.equal((await again.sync())['device_one_time_keys_count'][SIGNED], 0);
});

test(
  'a device with a new identity has none of the keys that the old one signed',
  ourChoice('the specification is silent; keys signed by an identity that is gone can not be used'),
  async () => {
    const [alice] = await equipped('alice', 2);
    const bob = await hs.user('bob');
    const renewed = new DeviceKeys(alice);
    const answer = await alice.ok('POST', UPLOAD, {
      device_keys: renewed.identity(),
      one_time_keys: renewed.oneTimeKeys(1),
    });
    assert.equal(answer['one_time_key_counts'][SIGNED], 1);
    assert.equal(Object.keys(await claim(bob, alice)).length, 1);
    assert.deepEqual(await claim(bob, alice), {});
  },
);

test('a deactivated account has no keys', async () => {
  const [alice] = await equipped('alice', 2);
  const bob = await hs.user('bob');
  await alice.withPassword('POST', `${C}/account/deactivate`, { erase: true });
  assert.deepEqual((await query(bob, { [alice.userId]: [] }))['device_keys'][alice.userId] ?? {}, {});
  assert.deepEqual(await claim(bob, alice), {});
});
