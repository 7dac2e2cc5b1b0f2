import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { freePort, runnel, ServerProcess } from './bench/process.js';
import { type Account, Client, inRoom, Ledger, register } from './kill/ledger.js';
import { load } from './kill/load.js';
import { verify } from './kill/verify.js';

/**
 * `npm run kill -- --rounds 200 --seed 1`: kills the server under load with SIGKILL, again and again on the same data, and
 * compares everything that it had acknowledged with what the restarted server says. Ends with 1 at the first difference and
 * keeps the data then. docs/durability.md says what is compared.
 */
const ROOMS = 3;
const LONGEST_LOAD_MS = 700;
/** One start in so many is itself killed, so that recovering is interrupted too. */
const KILLED_START_EVERY = 6;
/** A lobby that fills up makes each further join dearer; a new one now and then keeps the load even. */
const NEW_LOBBY_EVERY = 10;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    'check-every': { type: 'string', default: '10' },
  },
});
const rounds = Number(values.rounds);
const checkEvery = Number(values['check-every']);
let state = Number(values.seed) >>> 0;

/** Numbers in [0, 1) that depend on the seed alone (mulberry32). */
function random(): number {
  state = (state + 0x6d2b79f5) >>> 0;
  let t = Math.imul(state ^ (state >>> 15), state | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}

const pause = (ms: number): Promise<void> => new Promise((later) => setTimeout(later, ms));

async function newLobby(client: Client, ledger: Ledger): Promise<void> {
  const made = await client.ok('POST', '/_matrix/client/v3/createRoom', ledger.observer, { preset: 'public_chat' });
  ledger.lobby = made['room_id'] as string;
  ledger.joined.clear();
}

/** Makes the rooms, their senders, and the observer who is in all of them. */
async function prepare(url: string, ledger: Ledger): Promise<void> {
  const client = new Client(url);
  const observer: Account = await register(client, 'observer');
  ledger.observer = observer;
  for (let i = 0; i < ROOMS; i++) {
    const sender = await register(client, `sender${i}`);
    const body = { preset: 'public_chat' };
    const made = await client.ok('POST', '/_matrix/client/v3/createRoom', sender, body);
    const id = made['room_id'] as string;
    await client.ok('POST', inRoom(id, 'join'), observer, {});
    ledger.rooms.push({
      id,
      sender,
      messages: new Map(),
      counter: { acked: 0, pending: undefined },
      marker: { acked: '', pending: undefined },
      observed: [],
      compared: 0,
    });
  }
  const first = await client.ok('GET', '/_matrix/client/v3/sync?timeout=0', observer);
  ledger.since = first['next_batch'] as string;
  ledger.token(ledger.since);
  // What was there before the load is what the comparison ends at.
  for (const room of ledger.rooms) {
    const page = await client.ok('GET', inRoom(room.id, 'messages?dir=b&limit=1'), room.sender);
    room.observed.push((page['chunk'] as { event_id: string }[])[0]!.event_id);
    room.compared = 1;
  }
  client.close();
}

/** Starts the server and kills it before it is up. */
async function killedStart(directory: string, port: number): Promise<void> {
  const { command, args, env } = runnel(directory, port, 'unused');
  const child = spawn(command, args, { env: { PATH: process.env['PATH'] ?? '', ...env }, stdio: 'ignore' });
  const gone = new Promise((done) => child.once('exit', done));
  await pause(100 + random() * 400);
  child.kill('SIGKILL');
  await gone;
}

/** `runnel check --json` on the data of the stopped server; rejects unless it is clean. */
function check(directory: string): Promise<void> {
  const main = resolve(import.meta.dirname, '../../dist/main.cjs');
  return new Promise((done, fail) => {
    const env = { PATH: process.env['PATH'] ?? '', RUNNEL_DATA: directory };
    const child = spawn(process.execPath, [main, 'check', '--json'], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
    });
    child.once('close', (code) =>
      code === 0 ? done() : fail(new Error(`runnel check found: ${out.slice(0, 2_000)}`)),
    );
  });
}

const directory = await mkdtemp(join(tmpdir(), 'runnel-kill-'));
const data = join(directory, 'data');
const port = await freePort();
const ledger = new Ledger();
const fromMs = performance.now();
let round = 0;
let kills = 0;
let checks = 0;
let server: ServerProcess | undefined;
try {
  server = await ServerProcess.start(runnel(data, port, 'unused'));
  await prepare(server.url, ledger);
  for (; round < rounds; round++) {
    if (round % NEW_LOBBY_EVERY === 0) {
      const client = new Client(server.url);
      await newLobby(client, ledger);
      client.close();
    }
    const loading = load(server.url, ledger, round);
    // Marked as heard: it is waited for below, and may fail before.
    loading.catch(() => {});
    await pause(20 + random() * LONGEST_LOAD_MS);
    await server.stop('SIGKILL');
    kills++;
    await loading;
    if (round % checkEvery === checkEvery - 1 || round === rounds - 1) {
      await check(data);
      checks++;
    }
    if (random() < 1 / KILLED_START_EVERY) {
      await killedStart(data, port);
      kills++;
    }
    server = await ServerProcess.start(runnel(data, port, 'unused'));
    await verify(server.url, ledger);
    if (round % checkEvery === checkEvery - 1) {
      console.error(`round ${round + 1} of ${rounds}: ${ledger.acknowledged} writes acknowledged, all there`);
    }
  }
  await server.stop();
  await check(data);
  checks++;
} catch (error) {
  await server?.stop('SIGKILL');
  console.error(`round ${round + 1}, seed ${values.seed}: ${(error as Error).message}\nThe data is in ${directory}`);
  process.exit(1);
}
await rm(directory, { recursive: true, force: true });
const seconds = Math.round((performance.now() - fromMs) / 1000);
const events = ledger.rooms.reduce((sum, room) => sum + room.observed.length, 0);
console.log(
  `${rounds} rounds with seed ${values.seed}: ${kills} kills, ${ledger.acknowledged} acknowledged writes, ` +
    `${events} events and ${ledger.accounts.size} accounts compared, ${checks} clean checks, ${seconds} s`,
);
