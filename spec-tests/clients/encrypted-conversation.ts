import { EncryptedDevice, type EncryptedLine, type Person, waitFor } from './encrypted-device.ts';

/** The people of the conversation, whose accounts exist. */
export interface Cast {
  readonly alice: Person;
  readonly bob: Person;
  readonly carol: Person;
}

function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

/** What of `said` is not in `lines` as it was said, and what in `lines` can't be decrypted. */
function unread(lines: readonly EncryptedLine[], said: ReadonlyMap<string, string>): string[] {
  const read = new Map(lines.map((line) => [line.id, line]));
  const problems: string[] = [];
  for (const [id, body] of said) {
    const line = read.get(id);
    if (line === undefined) problems.push(`${id} is missing: ${body}`);
    else if (line.body !== undefined && line.body !== body) problems.push(`${id} reads ${line.body}: ${body}`);
  }
  for (const { id, body, failure } of lines) {
    if (body === undefined) problems.push(`${id} is not decrypted (${failure}): ${said.get(id) ?? 'never said'}`);
  }
  return problems;
}

/** Waits until all `devices` have decrypted all that was said, and no line stays that they can't. */
async function allRead(
  devices: readonly EncryptedDevice[],
  room: string,
  said: ReadonlyMap<string, string>,
): Promise<void> {
  for (const device of devices) {
    let problems: string[] = [];
    const isDone = async (): Promise<boolean> => {
      problems = unread(await device.read(room), said);
      return problems.length === 0;
    };
    await waitFor(() => `${device.name} reads all lines: ${problems.join('; ')}`, isDone);
  }
}

/** A new encrypted room with these users invited. */
export async function newRoom(creator: EncryptedDevice, invite: readonly string[]): Promise<string> {
  const { room_id } = await creator.client.createRoom({
    invite: [...invite],
    preset: 'private_chat' as never,
    initial_state: [
      { type: 'm.room.encryption', state_key: '', content: { algorithm: 'm.megolm.v1.aes-sha2' } },
      { type: 'm.room.history_visibility', state_key: '', content: { history_visibility: 'shared' } },
    ],
  });
  return room_id;
}

/** Waits until each of `devices` sees exactly these members joined. */
export async function membersAre(
  devices: readonly EncryptedDevice[],
  room: string,
  members: readonly string[],
): Promise<void> {
  for (const device of devices) {
    await waitFor(`${device.name} sees who is in the room`, () => device.sees(room, members));
  }
}

/**
 * A browser opens six connections to a host and no more, and each waiting sync holds one: in a page with six devices nothing
 * else would get through. So each asks for a name of its own, all of which are this machine.
 */
function hostOfItsOwn(baseUrl: string, device: number): string {
  if (!('document' in globalThis)) return baseUrl;
  const url = new URL(baseUrl);
  url.hostname = `device-${device}.localhost`;
  return url.origin;
}

/**
 * A whole life of encryption: two people with two devices each verify them and one another, talk, someone leaves, a new
 * device reads everything from the backup, a device without one-time keys is reached by its fallback key, and one person
 * begins anew with another identity. Throws where anything is not as it must be.
 */
export async function converseInSecret(baseUrl: string, cast: Cast): Promise<void> {
  const devices: EncryptedDevice[] = [];
  const login = async (name: string, person: Person): Promise<EncryptedDevice> => {
    const device = await EncryptedDevice.login(name, hostOfItsOwn(baseUrl, devices.length), person);
    devices.push(device);
    return device;
  };
  try {
    await play(cast, login);
  } finally {
    for (const device of devices) device.stop();
  }
}

async function play(cast: Cast, login: (name: string, person: Person) => Promise<EncryptedDevice>): Promise<void> {
  const alice = await login("alice's phone", cast.alice);
  await alice.setUp();
  const bob = await login("bob's phone", cast.bob);
  await bob.setUp();

  const aliceLaptop = await login("alice's laptop", cast.alice);
  const bobLaptop = await login("bob's laptop", cast.bob);
  for (const [old, young] of [
    [alice, aliceLaptop],
    [bob, bobLaptop],
  ] as const) {
    await young.verify(old);
    await waitFor(`${young.name} has the secrets`, () => young.crypto.isCrossSigningReady());
    await waitFor(`${old.name} trusts ${young.name}`, () => old.trusts(young));
    await waitFor(`${young.name} trusts ${old.name}`, () => young.trusts(old));
  }

  const four = [alice, aliceLaptop, bob, bobLaptop];
  const room = await newRoom(alice, [bob.userId]);
  await waitFor('bob sees the invite', () => bob.room(room)?.getMyMembership() === 'invite');
  await bob.client.joinRoom(room);
  await membersAre(four, room, [alice.userId, bob.userId]);

  const said = new Map<string, string>();
  const say = async (device: EncryptedDevice, body: string): Promise<void> => {
    said.set(await device.say(room, body), body);
  };
  for (let round = 1; round <= 3; round++) {
    for (const device of four) await say(device, `${device.name}, line ${round}`);
  }
  await allRead(four, room, said);

  await alice.verify(bob, room);
  for (const device of [alice, aliceLaptop]) {
    await waitFor(`${device.name} trusts bob`, async () =>
      (await device.crypto.getUserVerificationStatus(bob.userId)).isCrossSigningVerified(),
    );
    await waitFor(`${device.name} trusts ${bobLaptop.name}`, () => device.trusts(bobLaptop));
  }

  await someoneLeaves(cast.carol, login, room, four, alice, bob, say);
  await allRead(four, room, said);

  const tablet = await newDeviceReads(cast.alice, login, room, [alice, aliceLaptop], said);
  await idleDevice(bobLaptop, tablet, say, async () => allRead([...four, tablet], room, said));
  await beginAnew(alice, bob, say, async () => allRead([...four, tablet], room, said));
}

/** Carol comes and goes; the next line after that must use a session that she never had. */
async function someoneLeaves(
  person: Person,
  login: (name: string, person: Person) => Promise<EncryptedDevice>,
  room: string,
  others: readonly EncryptedDevice[],
  alice: EncryptedDevice,
  bob: EncryptedDevice,
  say: (device: EncryptedDevice, body: string) => Promise<void>,
): Promise<void> {
  const carol = await login("carol's phone", person);
  await alice.client.invite(room, carol.userId);
  await waitFor('carol sees the invite', () => carol.room(room)?.getMyMembership() === 'invite');
  await carol.client.joinRoom(room);
  await membersAre([...others, carol], room, [alice.userId, bob.userId, carol.userId]);
  await say(alice, 'welcome, carol');
  const { session } = await waitFor('carol reads', async () =>
    (await carol.read(room)).find(({ body }) => body === 'welcome, carol'),
  );
  await carol.client.leave(room);
  await membersAre(others, room, [alice.userId, bob.userId]);
  await say(alice, 'carol is gone');
  const after = await waitFor('bob reads', async () =>
    (await bob.read(room)).find(({ body }) => body === 'carol is gone'),
  );
  check(after.session !== session, 'the session goes on after somebody left');
}

/** A new device of a person takes everything from secret storage and the backup. */
async function newDeviceReads(
  person: Person,
  login: (name: string, person: Person) => Promise<EncryptedDevice>,
  room: string,
  olds: readonly EncryptedDevice[],
  said: ReadonlyMap<string, string>,
): Promise<EncryptedDevice> {
  const [old] = olds;
  check(old !== undefined, 'there is an old device');
  const sessions = new Set((await old.read(room)).map(({ session }) => session));
  await waitFor('everything is backed up', async () => (await old.backedUp()) >= sessions.size);
  const tablet = await login('a new tablet', person);
  const before = await tablet.read(room);
  check(
    before.every(({ body }) => body === undefined),
    'a new device knows nothing before it has the backup',
  );
  const { total, imported } = await tablet.recover();
  check(imported === total && total >= sessions.size, `of ${total} sessions ${imported} were restored`);
  await allRead([tablet], room, said);
  for (const device of olds) await waitFor(`${device.name} trusts the tablet`, () => device.trusts(tablet));
  return tablet;
}

/** Takes all one-time keys of a device that is off; a device that never talked to it reaches it all the same. */
async function idleDevice(
  idle: EncryptedDevice,
  writer: EncryptedDevice,
  say: (device: EncryptedDevice, body: string) => Promise<void>,
  allRead: () => Promise<void>,
): Promise<void> {
  idle.offline();
  const claim = async (): Promise<boolean> => {
    const answer = await writer.client.claimOneTimeKeys([[idle.userId, idle.deviceId]], 'signed_curve25519');
    const keys = Object.values(answer.one_time_keys[idle.userId]?.[idle.deviceId] ?? {});
    check(keys.length === 1, 'a device with a fallback key always has a key');
    return (keys[0] as { fallback?: boolean }).fallback === true;
  };
  for (let claimed = 0; !(await claim()); claimed++) check(claimed < 200, 'one-time keys end');
  await say(writer, 'can you read this when you wake up?');
  idle.online();
  await allRead();
}

/** A person begins anew: the others notice that the identity is another one, and the talk goes on. */
async function beginAnew(
  person: EncryptedDevice,
  other: EncryptedDevice,
  say: (device: EncryptedDevice, body: string) => Promise<void>,
  allRead: () => Promise<void>,
): Promise<void> {
  const master = await person.crypto.getCrossSigningKeyId();
  await person.resetIdentity();
  const renewed = await person.crypto.getCrossSigningKeyId();
  check(renewed !== null && renewed !== master, 'the identity is a new one');
  await waitFor('the other sees the new identity', async () => {
    const keys = await other.crypto.getUserCrossSigningKeys(person.userId);
    return Object.keys(keys?.master_key?.keys ?? {}).includes(`ed25519:${renewed}`) ? true : undefined;
  });
  const status = await other.crypto.getUserVerificationStatus(person.userId);
  check(!status.isCrossSigningVerified(), 'a new identity is not verified');
  await say(person, 'it is me, with a new identity');
  await say(other, 'if you say so');
  await allRead();
}

/**
 * All of a person's devices are away while somebody writes to them; what their dehydrated device was sent (MSC3814) lets
 * the next device that they log in on read it.
 */
export async function gatherWhileAway(baseUrl: string, { alice, bob }: Cast): Promise<void> {
  const phone = await EncryptedDevice.login("alice's phone", baseUrl, alice);
  const writer = await EncryptedDevice.login('bob', baseUrl, bob);
  const devices = [phone, writer];
  try {
    await phone.setUp();
    check(await phone.crypto.isDehydrationSupported(), 'the server has dehydrated devices');
    await phone.crypto.startDehydration();
    const room = await newRoom(writer, [phone.userId]);
    await waitFor('alice sees the invite', () => phone.room(room)?.getMyMembership() === 'invite');
    await phone.client.joinRoom(room);
    await membersAre(devices, room, [phone.userId, writer.userId]);
    phone.stop();
    const said = new Map<string, string>();
    const body = 'where are you?';
    said.set(await writer.say(room, body), body);

    const tablet = await EncryptedDevice.login('a new tablet', baseUrl, alice);
    devices.push(tablet);
    await tablet.recover();
    const before = (await tablet.read(room)).map((line) => line.body);
    check(!before.includes(body), 'nobody could have backed the key up');
    await tablet.crypto.startDehydration();
    await allRead([tablet], room, said);
  } finally {
    for (const device of devices) device.stop();
  }
}

const KILLS = 20;

/**
 * Two people talk, and twenty times the server dies between its answer to somebody's sync and all that their device does
 * with it, now on one side and now on the other. `restart` kills the server and starts it again.
 */
export async function converseThroughKills(
  baseUrl: string,
  cast: Cast,
  restart: () => Promise<void>,
  random: () => number,
): Promise<void> {
  const alice = await EncryptedDevice.login('alice', baseUrl, cast.alice);
  const bob = await EncryptedDevice.login('bob', baseUrl, cast.bob);
  try {
    const room = await newRoom(alice, [bob.userId]);
    await waitFor('bob sees the invite', () => bob.room(room)?.getMyMembership() === 'invite');
    await bob.client.joinRoom(room);
    await membersAre([alice, bob], room, [alice.userId, bob.userId]);
    const said = new Map<string, string>();
    const say = async (device: EncryptedDevice, body: string): Promise<void> => {
      said.set(await device.say(room, body), body);
    };
    // They have talked before. A device that is reached by a new Olm session sends the other its room key once more, and of
    // two copies that come in one sync matrix-rust-sdk keeps the last, which begins later: the first lines can't be read,
    // whatever the server does. That would be so here where both made sessions while the server was away.
    for (const device of [alice, bob]) {
      await say(device, `${device.name} says hello`);
      await allRead([alice, bob], room, said);
    }
    for (let kill = 1; kill <= KILLS; kill++) {
      const victim = kill % 2 === 0 ? alice : bob;
      let skip = Math.floor(random() * 4);
      let isKilled = false;
      const arm = (): void => {
        victim.afterNextSync = async () => {
          if (skip-- > 0) return arm();
          await restart();
          isKilled = true;
        };
      };
      arm();
      // A new session each time: the room keys travel by to-device messages just when the server dies.
      for (const device of [alice, bob]) await device.crypto.forceDiscardSession(room);
      for (let line = 1; line <= 3 || !isKilled; line++) {
        for (const device of [alice, bob]) {
          await say(device, `${device.name}, line ${line} of round ${kill}`);
        }
      }
    }
    await allRead([alice, bob], room, said);
  } finally {
    alice.stop();
    bob.stop();
  }
}
