// Simplified sliding sync (MSC4186): its extensions for encryption, to_device and e2ee.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, type Client, query } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { DeviceKeys } from '../support/signing.js';

const hs = await homeserver();
test.after(() => hs.stop());

const PATH = '/_matrix/client/unstable/org.matrix.simplified_msc3575/sync';
const SIGNED = 'signed_curve25519';

/** A client of sliding sync that asks for the two extensions and remembers where it was. */
class Slider {
  readonly client: Client;
  pos: string | undefined;
  since: string | undefined;

  constructor(client: Client) {
    this.client = client;
  }

  async next(timeout = 0): Promise<Body> {
    const body = await this.client.ok(
      'POST',
      PATH + query({ timeout, ...(this.pos === undefined ? {} : { pos: this.pos }) }),
      {
        lists: {},
        extensions: {
          e2ee: { enabled: true },
          to_device: { enabled: true, ...(this.since === undefined ? {} : { since: this.since }) },
        },
      },
    );
    this.pos = body['pos'];
    this.since = body['extensions'].to_device?.next_batch ?? this.since;
    return body['extensions'];
  }

  /** Asks until `found` is true of an answer's extensions. */
  async until(found: (extensions: Body) => boolean): Promise<void> {
    for (let asked = 0; asked < 10; asked++) if (found(await this.next(1_000))) return;
    assert.fail('it did not come by sliding sync');
  }
}

test('counts of keys come with every answer, and a waiting one hears that a key was claimed', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const keys = new DeviceKeys(alice);
  const fallback_keys = { [`${SIGNED}:f`]: keys.fallbackKey() };
  const slider = new Slider(alice);
  const left = ({ e2ee }: Body): [number, string[]] => [
    e2ee.device_one_time_keys_count[SIGNED],
    e2ee.device_unused_fallback_key_types,
  ];
  assert.deepEqual(left(await slider.next()), [0, []]);
  const one_time_keys = keys.oneTimeKeys(1);
  await alice.ok('POST', `${C}/keys/upload`, { device_keys: keys.identity(), one_time_keys, fallback_keys });
  assert.deepEqual(left(await slider.next()), [1, [SIGNED]]);
  await slider.next();
  const asked = { one_time_keys: { [alice.userId]: { [alice.deviceId]: SIGNED } } };
  const waiting = slider.until((extensions) => extensions['e2ee'].device_one_time_keys_count[SIGNED] === 0);
  await bob.ok('POST', `${C}/keys/claim`, asked);
  await waiting;
  await bob.ok('POST', `${C}/keys/claim`, asked);
  assert.deepEqual(left(await slider.next()), [0, []]);
});

test('changed devices of those who share a room, and those who share none any more', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  const slider = new Slider(alice);
  await slider.next();
  await bob.join(room);
  const changed = ({ e2ee }: Body): boolean => e2ee.device_lists?.changed.includes(bob.userId) === true;
  await slider.until(changed);
  await bob.login();
  await slider.until(changed);
  await bob.leave(room);
  await slider.until(({ e2ee }) => e2ee.device_lists?.left.includes(bob.userId) === true);
});

test('messages to the device come until their token is presented', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const slider = new Slider(alice);
  await slider.next();
  const { since } = slider;
  for (const n of [1, 2]) {
    const messages = { [alice.userId]: { [alice.deviceId]: { n } } };
    await bob.ok('PUT', `${C}/sendToDevice/m.test/t${n}`, { messages });
  }
  const numbers = ({ to_device }: Body): number[] => to_device.events.map(({ content }: Body) => content['n']);
  assert.deepEqual(numbers(await slider.next()), [1, 2]);
  // The answer got lost: the client begins another connection from the token it has.
  slider.pos = undefined;
  slider.since = since;
  assert.deepEqual(numbers(await slider.next()), [1, 2]);
  assert.deepEqual(numbers(await slider.next()), []);
});
