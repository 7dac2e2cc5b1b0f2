import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Figures, shown } from './figures.js';
import { type Amounts, measure, noteResident, type Subject, startAgain } from './measure.js';
import { comparison, notLed } from './peers/comparison.js';
import { named, type Peer, type Prepared, RUNNEL } from './peers/peer.js';
import { SYNAPSE_POSTGRES, SYNAPSE_SQLITE } from './peers/synapse.js';
import { diskBytes, freePort, type ServerProcess } from './process.js';
import { machine, publish } from './publish.js';
import { Run } from './run.js';
import { Usage } from './usage.js';
import { Generator } from './workload/generator.js';

/**
 * `npm run bench -- peers`: the same work for this server and for others, one after the other in turns, each on an empty
 * directory of its own on loopback, with rate limits off; medians over the turns and how Runnel compares with each other one.
 */
const HELP = `npm run bench -- peers [--runs 3] [--full] [--only NAME,…] [--once NAME,…] [--peer 'NAME=COMMAND'] [--write]
npm run bench -- peers --url URL --shared-secret SECRET [--pid PID] [--data DIRECTORY] [--runs 3] [--full]

The first form starts Runnel, Synapse + SQLite and Synapse + PostgreSQL in turns, or of them those named by --only; those named by
--once, which take long, do so whole in the first turn alone: after it they are started, and no more. A peer's
COMMAND is run by sh with DATA (a directory), PORT and SHARED_SECRET in its environment, and has to end with exec. It is run
over an empty DATA, and several times over what it has made there, so it has to prepare DATA only where that is empty. A server
that fails is named below the table, and the others go on. Each figure is told on stderr as soon as it is known.
--write puts the table into docs/benchmarks/peers.md.
The second form drives a server that runs already; what it uses is read where its process and its data are named.
Each server must have its rate limits off, and speak /_synapse/admin/v1/register with the shared secret or let anyone register.`;

/**
 * What gives a rate is done about as often as with `--full`, since less of it would tell how a server that is fast, and the load generator, warm
 * up; one that is slow is cut short sooner. Of what each server has to have the same of there is less.
 */
const AMOUNTS: Amounts = {
  sends: { 1: 600, 16: 2_000, 64: 4_000 },
  sendsOverRooms: { 1: 600, 16: 2_000, 64: 4_000 },
  deliveries: 300,
  paged: 2_000,
  members: 100,
  manyRooms: 150,
  idleSeconds: 10,
  whoami: 20_000,
  withinMs: 5_000,
};
const FULL_AMOUNTS: Amounts = {
  sends: { 1: 600, 16: 2_000, 64: 8_000 },
  sendsOverRooms: { 1: 600, 16: 2_000, 64: 4_000 },
  deliveries: 1_000,
  paged: 10_000,
  members: 1_000,
  manyRooms: 1_500,
  idleSeconds: 30,
  whoami: 20_000,
  withinMs: 20_000,
};

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '3' },
    full: { type: 'boolean', default: false },
    only: { type: 'string' },
    once: { type: 'string', default: '' },
    peer: { type: 'string', multiple: true, default: [] },
    url: { type: 'string' },
    'shared-secret': { type: 'string' },
    pid: { type: 'string' },
    data: { type: 'string' },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}
const amounts = values.full ? FULL_AMOUNTS : AMOUNTS;

/** Starts a peer on an empty directory, measures it, and stops it. Where it is not `whole`, it is given nothing to do. */
async function measurePeer(peer: Peer, run: Run, whole: boolean): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'bench-peer-'));
  const secret = randomBytes(16).toString('hex');
  let prepared: Prepared | undefined;
  let server: ServerProcess | undefined;
  let generator: Generator | undefined;
  try {
    prepared = await peer.prepare(directory, await freePort(), secret);
    server = await startAgain(run, prepared.command);
    const subject = subjectOf(prepared, server);
    if (!whole) {
      await noteResident(run, subject, 'idle');
      return;
    }
    generator = await Generator.start({ url: server.url, sharedSecret: secret });
    await measure(run, subject, generator, amounts);
    run.note('stop, ms', await server.stop());
  } finally {
    generator?.stop();
    await server?.stop('SIGKILL');
    await prepared?.database?.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

function subjectOf({ database, diskBytes: bytes }: Prepared, { usage }: ServerProcess): Subject {
  if (database === undefined) return { usage, diskBytes: bytes };
  return { usage, database, diskBytes: async () => (await bytes()) + (await database.diskBytes()) };
}

/** Measures a server that runs already, and goes on running. */
async function measureRunning(url: string, sharedSecret: string, run: Run): Promise<void> {
  const { pid, data } = values;
  const generator = await Generator.start({ url, sharedSecret });
  try {
    const subject: Subject = {
      ...(pid !== undefined && { usage: new Usage(Number(pid)) }),
      ...(data !== undefined && { diskBytes: () => diskBytes(data) }),
    };
    await measure(run, subject, generator, amounts);
  } finally {
    generator.stop();
  }
}

/** What is measured in each turn, by name. */
function chosen(): Map<string, (run: Run, whole: boolean) => Promise<void>> {
  const { url, 'shared-secret': secret, only } = values;
  if (url !== undefined) {
    if (secret === undefined) throw new Error('--url needs --shared-secret');
    return new Map([[url, (run) => measureRunning(url, secret, run)]]);
  }
  const all = [RUNNEL, SYNAPSE_SQLITE, SYNAPSE_POSTGRES, ...values.peer.map(named)];
  const names = only?.split(',') ?? all.map(({ name }) => name);
  const unknown = [...names, ...once].find((name) => !all.some((peer) => peer.name === name));
  if (unknown !== undefined)
    throw new Error(`there is no peer '${unknown}' among ${all.map((p) => p.name).join(', ')}`);
  const peers = all.filter(({ name }) => names.includes(name));
  return new Map(peers.map((peer) => [peer.name, (run, whole) => measurePeer(peer, run, whole)]));
}

const before = machine();
/** Names of those that are driven in the first turn alone. */
const once = values.once.split(',').filter((name) => name !== '');
const runners = chosen();
const results = new Map<string, Figures[]>([...runners.keys()].map((name) => [name, []]));
const failures: string[] = [];
for (let turn = 1; turn <= Number(values.runs); turn++) {
  for (const [name, measured] of runners) {
    const fromMs = performance.now();
    const run = new Run(name);
    const failed = await measured(run, turn === 1 || !once.includes(name)).catch((error: Error) => error);
    results.get(name)!.push(run.figures);
    const took = `turn ${turn}, ${name}: ${shown((performance.now() - fromMs) / 1000)} s`;
    console.error(failed ? `${took}, failed: ${failed.message}` : took);
    if (failed) failures.push(`${name} failed in turn ${turn}; what it gave until then stands in the table.`);
  }
}
const alone = once.length > 0 ? `, ${once.join(', ')} whole in the first alone` : '';
const head = `${before}; ${values.runs} runs in turns${alone}: median (least … largest).`;
const behind = results.has(RUNNEL.name) && results.size > 1 ? [notLed(results, RUNNEL.name)] : [];
const report = `${[head, comparison(results, RUNNEL.name), ...behind, ...failures].join('\n\n')}\n`;
console.log(report);
if (values.write) await publish('peers', report);
if (failures.length > 0) process.exitCode = 1;
