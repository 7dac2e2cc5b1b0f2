import assert from 'node:assert/strict';
import { test } from 'node:test';
import { membersAre, newRoom } from './encrypted-conversation.ts';
import { EncryptedDevice, waitFor } from './encrypted-device.ts';
import { restartOf, stage } from './encrypted-stage.ts';
import { NioParty } from './nio-party.ts';

/** scripts/clients-nio.sh names a Python that has matrix-nio. */
const skip = process.env['NIO_PYTHON'] === undefined && 'needs a Python with matrix-nio';

test('matrix-nio and matrix-js-sdk talk in secret, through leaves and kills', { timeout: 300_000, skip }, async (t) => {
  const { own, cast } = await stage(t);
  const alice = await EncryptedDevice.login('alice', own.url, cast.alice);
  t.after(() => alice.stop());
  await alice.setUp();
  const bob = await NioParty.login(t, own.url, cast.bob);
  const room = await newRoom(alice, [bob.userId]);
  await bob.ask('join', { room });
  await waitFor('alice sees bob', () => alice.sees(room, [alice.userId, bob.userId]));

  const said = new Map<string, string>();
  const both = async (what: string): Promise<void> => {
    for (const speaker of [alice, bob]) {
      const body = `${speaker.userId} says ${what}`;
      said.set(await speaker.say(room, body), body);
    }
  };
  const bothRead = async (): Promise<void> => {
    await waitFor('matrix-nio reads all', async () => {
      const read = new Map(await bob.read(room));
      return [...said].every(([id, body]) => read.get(id) === body);
    });
    await waitFor('matrix-js-sdk reads all', async () => {
      const read = new Map((await alice.read(room)).map(({ id, body }) => [id, body]));
      return [...said].every(([id, body]) => read.get(id) === body);
    });
  };
  await both('hello');
  await both('how are you?');
  await bothRead();

  const carol = await EncryptedDevice.login('carol', own.url, cast.carol);
  t.after(() => carol.stop());
  await alice.client.invite(room, carol.userId);
  await waitFor('carol sees the invite', () => carol.room(room)?.getMyMembership() === 'invite');
  await carol.client.joinRoom(room);
  const three = [alice.userId, bob.userId, carol.userId];
  await waitFor('all see carol', () => [alice, carol].every((device) => device.sees(room, three)));
  await waitFor('matrix-nio sees carol', async () => (await bob.ask<string[]>('members', { room })).length === 3);
  await both('welcome');
  const welcome = await waitFor('carol reads both', async () => {
    const lines = (await carol.read(room)).filter(({ body }) => body?.endsWith('welcome'));
    return lines.length === 2 ? lines : undefined;
  });
  await carol.client.leave(room);
  await membersAre([alice], room, [alice.userId, bob.userId]);
  await waitFor('matrix-nio sees carol go', async () => (await bob.ask<string[]>('members', { room })).length === 2);
  await both('goodbye');
  await bothRead();
  const after = (await alice.read(room)).filter(({ body }) => body?.endsWith('goodbye'));
  for (const line of welcome) assert.ok(after.every(({ session }) => session !== line.session));

  const restart = restartOf(own);
  for (let kill = 1; kill <= 5; kill++) {
    let isKilled = false;
    alice.afterNextSync = async () => {
      await restart();
      isKilled = true;
    };
    await alice.crypto.forceDiscardSession(room);
    for (let line = 1; line <= 2 || !isKilled; line++) await both(`line ${line} of round ${kill}`);
  }
  await bothRead();
});

test('matrix-nio makes new one-time keys as they are claimed', { timeout: 120_000, skip }, async (t) => {
  const { own, cast } = await stage(t);
  const alice = await EncryptedDevice.login('alice', own.url, cast.alice);
  t.after(() => alice.stop());
  const bob = await NioParty.login(t, own.url, cast.bob);
  const [device] = await waitFor('bob has a device', async () => {
    const devices = await alice.crypto.getUserDeviceInfo([bob.userId], true);
    const ids = [...(devices.get(bob.userId)?.keys() ?? [])];
    return ids.length > 0 ? ids : undefined;
  });
  assert.ok(device);
  const claim = async (): Promise<string | undefined> => {
    const { one_time_keys } = await alice.client.claimOneTimeKeys([[bob.userId, device]], 'signed_curve25519');
    return Object.keys(one_time_keys[bob.userId]?.[device] ?? {})[0];
  };
  const claimed: string[] = [];
  // matrix-nio takes a count of zero for no news and would never fill an empty store again, so some keys are left each time.
  for (let round = 0; round < 3; round++) {
    await waitFor(
      'the server has as many keys as matrix-nio keeps',
      async () => (await bob.ask<number>('key_count')) >= 50,
    );
    for (let n = 0; n < 40; n++) claimed.push((await claim()) ?? assert.fail('there are keys left'));
  }
  assert.equal(new Set(claimed).size, claimed.length, 'no key was given twice');
});

test('two users of matrix-nio verify each other by emoji', { timeout: 120_000, skip }, async (t) => {
  const { own, cast } = await stage(t);
  const alice = await NioParty.login(t, own.url, cast.alice);
  const bob = await NioParty.login(t, own.url, cast.bob);
  const observer = await EncryptedDevice.login('carol', own.url, cast.carol);
  t.after(() => observer.stop());
  const room = await newRoom(observer, [alice.userId, bob.userId]);
  for (const party of [alice, bob]) await party.ask('join', { room });
  const [device] = await waitFor("alice knows bob's device", async () => {
    const ids = await alice.ask<string[]>('keys_of', { user: bob.userId });
    return ids.length > 0 ? ids : undefined;
  });
  await waitFor(
    "bob knows alice's device",
    async () => (await bob.ask<string[]>('keys_of', { user: alice.userId })).length > 0,
  );
  await alice.ask('begin_verification', { user: bob.userId, device });
  const shown = async (party: NioParty, other: NioParty): Promise<string[]> =>
    waitFor(
      'the emoji are shown',
      async () => (await party.ask<string[] | null>('shown_emoji', { user: other.userId })) ?? undefined,
    );
  assert.deepEqual(await shown(alice, bob), await shown(bob, alice));
  await alice.ask('confirm', { user: bob.userId });
  await bob.ask('confirm', { user: alice.userId });
  for (const [party, other] of [
    [alice, bob],
    [bob, alice],
  ] as const) {
    await waitFor('it is verified', () => party.ask<boolean>('is_verified', { user: other.userId }));
  }
});
