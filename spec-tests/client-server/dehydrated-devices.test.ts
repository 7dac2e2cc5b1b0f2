// MSC3814: Dehydrated devices.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, Client, query, seg } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { ourChoice } from '../support/known.js';
import { CrossSigning, DeviceKeys } from '../support/signing.js';

const hs = await homeserver();
test.after(() => hs.stop());

const PATH = '/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device';
const PROPOSAL = ourChoice('a proposal that other servers have switched off');
const DATA = { algorithm: 'org.matrix.msc3814.v2', device_pickle: 'secret', nonce: 'once' };
const events = (deviceId: string): string => `${PATH}/${seg(deviceId)}/events`;

/** A dehydrated device of a user as their client makes it. Ids are base64: slashes are part of them. */
function dehydrated(owner: Client, deviceId: string): { body: Body; keys: DeviceKeys; device: Client } {
  const device = new Client(owner.url, { userId: owner.userId, deviceId, accessToken: '' });
  const keys = new DeviceKeys(device);
  const body = {
    device_id: deviceId,
    device_data: DATA,
    initial_device_display_name: 'Dehydrated device',
    device_keys: keys.sign({ ...keys.unsigned(), dehydrated: true }),
    one_time_keys: keys.oneTimeKeys(1),
    fallback_keys: { 'signed_curve25519:f': keys.fallbackKey() },
  };
  return { body, keys, device };
}

test('a dehydrated device is stored with its keys, shown, and replaced by the next', PROPOSAL, async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const cross = new CrossSigning(alice.userId);
  await alice.ok('POST', `${C}/keys/device_signing/upload`, cross.upload());
  await alice.fails(404, 'M_NOT_FOUND', 'GET', PATH);
  const { body } = dehydrated(alice, 'first/device+id');
  body['device_keys'] = cross.selfSigning.sign(body['device_keys'], alice.userId);
  assert.deepEqual(await alice.ok('PUT', PATH, body), { device_id: 'first/device+id' });
  assert.deepEqual(await alice.ok('GET', PATH), { device_id: 'first/device+id', device_data: DATA });
  const keysOf = async (): Promise<Body> =>
    (await bob.ok('POST', `${C}/keys/query`, { device_keys: { [alice.userId]: [] } }))['device_keys'][alice.userId];
  const { unsigned, ...shown } = (await keysOf())['first/device+id'];
  assert.deepEqual(shown, body['device_keys'], 'with the signature of the identity');

  const second = dehydrated(alice, 'second');
  await alice.ok('PUT', PATH, second.body);
  assert.deepEqual(Object.keys(await keysOf()), ['second']);
  assert.equal((await alice.ok('GET', PATH))['device_id'], 'second');
  await alice.fails(404, 'M_NOT_FOUND', 'GET', `${C}/devices/${seg('first/device+id')}`);
});

test('its messages are read in pages and stay until it is deleted', PROPOSAL, async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  await alice.ok('PUT', PATH, dehydrated(alice, 'dry/device').body);
  const count = 150;
  for (let n = 0; n < count; n++) {
    const messages = { [alice.userId]: { 'dry/device': { n } } };
    await bob.ok('PUT', `${C}/sendToDevice/m.test/t${n}`, { messages });
  }
  for (const _ of ['once', 'and again']) {
    const found: number[] = [];
    let from: string | undefined;
    do {
      const page = await alice.ok('GET', events('dry/device') + (from === undefined ? '' : query({ from })));
      found.push(...page['events'].map((event: Body) => event['content'].n));
      from = page['next_batch'];
    } while (from !== undefined);
    assert.deepEqual(
      found,
      Array.from({ length: count }, (_, n) => n),
    );
  }
  for (const client of [alice, bob]) await client.fails(403, 'M_FORBIDDEN', 'GET', events(client.deviceId));
  await bob.fails(403, 'M_FORBIDDEN', 'GET', events('dry/device'));
  await alice.fails(400, 'M_INVALID_PARAM', 'GET', `${events('dry/device')}?from=x`);
  assert.deepEqual(await alice.ok('DELETE', PATH), { device_id: 'dry/device' });
  await alice.fails(403, 'M_FORBIDDEN', 'GET', events('dry/device'));
  await alice.fails(404, 'M_NOT_FOUND', 'DELETE', PATH);
});

test('it goes like any device, and with all of them', PROPOSAL, async () => {
  const alice = await hs.user('alice');
  await alice.ok('PUT', PATH, dehydrated(alice, 'one').body);
  await alice.withPassword('DELETE', `${C}/devices/one`);
  await alice.fails(404, 'M_NOT_FOUND', 'GET', PATH);
  await alice.ok('PUT', PATH, dehydrated(alice, 'two').body);
  await alice.ok('POST', `${C}/logout/all`, {});
  const again = await alice.login();
  await again.fails(404, 'M_NOT_FOUND', 'GET', PATH);
});

test('a bad dehydrated device is refused, and the one before stays', PROPOSAL, async () => {
  const alice = await hs.user('alice');
  await alice.ok('PUT', PATH, dehydrated(alice, 'good').body);
  const { body, keys } = dehydrated(alice, 'bad');
  const bad: Body[] = [
    { ...body, device_keys: undefined },
    { ...body, device_keys: null },
    { ...body, device_keys: keys.unsigned() },
    { ...body, device_keys: dehydrated(alice, 'other').body['device_keys'] },
    { ...body, device_data: {} },
    { ...body, device_data: 'x' },
    { ...body, device_data: { ...DATA, device_pickle: 'x'.repeat(70_000) } },
    { ...body, device_id: undefined },
    { ...body, device_id: '' },
    { ...body, device_id: 'x'.repeat(300) },
    { ...body, fallback_keys: { 'signed_curve25519:f': { key: 'x' } } },
    { ...body, initial_device_display_name: 7 },
    // A device that is in use.
    dehydrated(alice, alice.deviceId).body,
  ];
  for (const one of bad) {
    const answer = await alice.request('PUT', PATH, one);
    assert.equal(answer.status, 400, JSON.stringify(one).slice(0, 300));
  }
  assert.equal((await alice.ok('GET', PATH))['device_id'], 'good');
  await alice.fails(404, 'M_NOT_FOUND', 'GET', `${C}/devices/bad`);
});
