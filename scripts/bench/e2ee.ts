import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { JsonObject } from '#core/json-value.js';
import { type SigningKey, signingKeyFromSeed, signJson } from '#core/signing.js';
import { encodeBase64 } from '#util/base64.js';
import { median, shown, table } from './figures.js';
import { freePort, runnel, ServerProcess } from './process.js';
import { drive, type Json, rate, times, type User, World } from './workload/world.js';

/**
 * `npm run bench -- e2ee`: what end-to-end encryption asks of the server: keys of a large room queried and claimed, and
 * to-device messages delivered. Each run begins with an empty directory; the table has medians over the runs.
 */
const HELP = 'npm run bench -- e2ee [--runs 3] [--members 1000]';
const AT_ONCE = 16;
const QUERIES = 15;
const CLAIMS = 5;
const MESSAGES = 5_000;
const RECIPIENTS = 50;
const MB = 1e6;

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '3' },
    members: { type: 'string', default: '1000' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}

interface Member extends User {
  readonly device: string;
}

const keysPath = (name: string): string => `/_matrix/client/v3/keys/${name}`;

/** A one-time or fallback key with a random public part, signed as devices do. */
function signedKey(owner: Member, signing: SigningKey, more: JsonObject): JsonObject {
  return signJson({ key: encodeBase64(randomBytes(32)), ...more }, owner.id, signing);
}

/** Uploads identity keys, one-time keys for every claim of the run, and a fallback key. */
async function uploadKeys(world: World, member: Member, oneTimeKeys: number): Promise<void> {
  const id = `ed25519:${member.device}`;
  const signing: SigningKey = { ...signingKeyFromSeed(randomBytes(32)), id };
  const identity = {
    user_id: member.id,
    device_id: member.device,
    algorithms: ['m.olm.v1.curve25519-aes-sha2', 'm.megolm.v1.aes-sha2'],
    keys: { [id]: signing.publicKey, [`curve25519:${member.device}`]: encodeBase64(randomBytes(32)) },
  };
  const oneTime = Array.from({ length: oneTimeKeys }, (_, n) => [
    `signed_curve25519:${encodeBase64(Buffer.from([n >> 8, n & 255]))}`,
    signedKey(member, signing, {}),
  ]);
  await world.ok('POST', keysPath('upload'), member, {
    device_keys: signJson(identity, member.id, signing),
    one_time_keys: Object.fromEntries(oneTime),
    fallback_keys: { 'signed_curve25519:F': signedKey(member, signing, { fallback: true }) },
  });
}

/** Members of one encrypted room, each with one device whose keys are there. */
async function fillRoom(world: World, count: number): Promise<Member[]> {
  const members: Member[] = [];
  let room = '';
  const join = async (number: number): Promise<void> => {
    const user = await world.user(`member${number}`);
    const { device_id } = await world.ok('GET', '/_matrix/client/v3/account/whoami', user);
    const member = { ...user, device: String(device_id) };
    members[number] = member;
    await uploadKeys(world, member, 2 * CLAIMS);
    if (room !== '') await world.ok('POST', `/_matrix/client/v3/join/${encodeURIComponent(room)}`, member, {});
  };
  await join(0);
  const encryption = { type: 'm.room.encryption', state_key: '', content: { algorithm: 'm.megolm.v1.aes-sha2' } };
  room = await world.createRoom(members[0]!, { preset: 'public_chat', initial_state: [encryption] });
  await drive(count - 1, AT_ONCE, (index) => join(index + 1));
  return members;
}

async function queries(world: World, viewer: Member, asked: readonly Member[]): Promise<number> {
  const body = { device_keys: Object.fromEntries(asked.map(({ id }) => [id, []])) };
  return median(
    await times(QUERIES, async () => {
      const answer = await world.ok('POST', keysPath('query'), viewer, body);
      const found = Object.values(answer['device_keys'] as Json).filter(
        (devices) => Object.keys(devices as Json).length,
      );
      if (found.length !== asked.length) throw new Error(`${found.length} of ${asked.length} users have keys`);
    }),
  );
}

async function claims(world: World, by: Member, from: readonly Member[]): Promise<number> {
  const body = {
    one_time_keys: Object.fromEntries(from.map(({ id, device }) => [id, { [device]: 'signed_curve25519' }])),
  };
  const seen = new Set<string>();
  return median(
    await times(CLAIMS, async () => {
      const answer = await world.ok('POST', keysPath('claim'), by, body);
      const keys = JSON.stringify(answer['one_time_keys']).match(/"key":"[^"]+"/g) ?? [];
      for (const key of keys) seen.add(key);
      if (keys.length !== from.length || seen.size % from.length !== 0)
        throw new Error('a key is missing or came twice');
    }),
  );
}

/** Sends messages to devices that sync meanwhile; resolves with the seconds until all have all of theirs. */
async function deliver(world: World, sender: Member, recipients: readonly Member[]): Promise<number> {
  const each = MESSAGES / recipients.length;
  const tokens = await Promise.all(
    recipients.map(async (recipient) => String((await world.sync(recipient, 'timeout=0'))['next_batch'])),
  );
  const from = performance.now();
  const received = recipients.map(async (recipient, index) => {
    let since = tokens[index]!;
    const got = new Set<unknown>();
    while (got.size < each) {
      const answer = await world.sync(recipient, `timeout=10000&since=${since}`);
      since = String(answer['next_batch']);
      const { events } = (answer['to_device'] as { events: { content: Json }[] } | undefined) ?? { events: [] };
      for (const { content } of events) {
        if (got.has(content['number'])) throw new Error('a message came twice');
        got.add(content['number']);
      }
    }
  });
  const ciphertext = 'x'.repeat(1_000);
  // One request has a message for each device, as when a room key is shared.
  const sends = drive(each, 4, async (number) => {
    const messages = Object.fromEntries(recipients.map(({ id, device }) => [id, { [device]: { number, ciphertext } }]));
    await world.ok('PUT', `/_matrix/client/v3/sendToDevice/m.room.encrypted/${world.unique()}`, sender, { messages });
  });
  await Promise.all([sends, ...received]);
  return (performance.now() - from) / 1000;
}

async function oneRun(): Promise<Record<string, number>> {
  const directory = await mkdtemp(join(tmpdir(), 'runnel-bench-'));
  const secret = randomBytes(16).toString('hex');
  const server = await ServerProcess.start(runnel(directory, await freePort(), secret));
  try {
    const world = new World({ url: server.url, sharedSecret: secret });
    const count = Number(values.members);
    const members = await fillRoom(world, count);
    const viewer = members[0]!;
    const name = count.toLocaleString('en');
    const before = server.residentBytes() / MB;
    const cpu = server.cpuSeconds();
    const figures = {
      [`key query, ${name} members, ms`]: await queries(world, viewer, members),
      'key query, 10 members, ms': await queries(world, viewer, members.slice(0, 10)),
      [`claim from ${name} devices, ms`]: await claims(world, viewer, members),
      'single claims/s': await singleClaims(world, viewer, members),
      [`${MESSAGES.toLocaleString('en')} to-device messages to ${RECIPIENTS} devices, s`]: await deliver(
        world,
        viewer,
        members.slice(1, 1 + RECIPIENTS),
      ),
    };
    return {
      ...figures,
      'processor time of all that, s': server.cpuSeconds() - cpu,
      'resident before, MB': before,
      'resident after, MB': server.residentBytes() / MB,
    };
  } finally {
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

async function singleClaims(world: World, by: Member, from: readonly Member[]): Promise<number> {
  const done = await drive(from.length * 2, AT_ONCE, async (index) => {
    const { id, device } = from[index % from.length]!;
    await world.ok('POST', keysPath('claim'), by, { one_time_keys: { [id]: { [device]: 'signed_curve25519' } } });
  });
  return rate(done);
}

const runs: Record<string, number>[] = [];
for (let i = 0; i < Number(values.runs); i++) {
  const fromMs = performance.now();
  runs.push(await oneRun());
  console.error(`run ${i + 1} of ${values.runs}: ${shown((performance.now() - fromMs) / 1000)} s`);
}
console.log(`${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.version}\n`);
console.log(table(runs));
