import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { median, shown } from './figures.js';
import { type Amounts, type Figures, measure, QUICK } from './measure.js';
import { type Command, freePort, runnel, ServerProcess } from './process.js';
import { Generator } from './workload/generator.js';

/**
 * `npm run bench -- peers`: the same work for this server and for others, one after the other in turns, each on an empty
 * directory of its own on loopback, with rate limits off; medians over the turns and the ratio to Synapse.
 */
const HELP = `npm run bench -- peers [--runs 3] [--full] [--only NAME,…] [--peer 'NAME=COMMAND']
A peer's COMMAND is run by sh with DATA (an empty directory), PORT and SHARED_SECRET in its environment, and has to end with
exec; it must speak /_synapse/admin/v1/register with the shared secret.`;

/** The version of Synapse that is measured beside; SYNAPSE_VENV names a virtual environment that has one. */
const SYNAPSE_VERSION = '1.163.2';

const AMOUNTS: Amounts = {
  ...QUICK,
  sends: { 1: 200, 16: 600, 64: 1_000 },
  members: 100,
  manyRooms: 200,
};
const FULL_AMOUNTS: Amounts = {
  sends: { 1: 500, 16: 2_000, 64: 3_000 },
  deliveries: 200,
  members: 1_000,
  manyRooms: 1_500,
  idleSeconds: 30,
  whoami: 5_000,
};

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '3' },
    full: { type: 'boolean', default: false },
    only: { type: 'string' },
    peer: { type: 'string', multiple: true, default: [] },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}

interface Peer {
  readonly name: string;
  prepare(directory: string, port: number, sharedSecret: string): Promise<Command>;
}

function synapsePython(): string {
  const venv = process.env['SYNAPSE_VENV'] ?? resolve(import.meta.dirname, '../../venv-synapse');
  const python = join(venv, 'bin/python');
  if (existsSync(python)) return python;
  for (const [command, ...args] of [
    ['python3', '-m', 'venv', venv],
    [join(venv, 'bin/pip'), 'install', '--quiet', `matrix-synapse==${SYNAPSE_VERSION}`],
  ] as const) {
    if (spawnSync(command, args, { stdio: 'inherit' }).status !== 0) throw new Error('Synapse could not be installed');
  }
  return python;
}

/** Synapse on SQLite, in one process, as its own documentation begins with. */
async function synapse(directory: string, port: number, sharedSecret: string): Promise<Command> {
  const off = '{ per_second: 1000000, burst_count: 1000000 }';
  const config = join(directory, 'homeserver.yaml');
  await writeFile(
    config,
    `server_name: localhost
report_stats: false
pid_file: ${directory}/pid
signing_key_path: ${directory}/signing.key
media_store_path: ${directory}/media
log_config: ${directory}/log.yaml
listeners: [{ port: ${port}, bind_addresses: [127.0.0.1], type: http, tls: false, resources: [{ names: [client] }] }]
database: { name: sqlite3, args: { database: ${directory}/homeserver.db } }
registration_shared_secret: ${sharedSecret}
macaroon_secret_key: ${sharedSecret}
trusted_key_servers: []
suppress_key_server_warning: true
rc_message: ${off}
rc_registration: ${off}
rc_login: { address: ${off}, account: ${off}, failed_attempts: ${off} }
rc_joins: { local: ${off}, remote: ${off} }
rc_joins_per_room: ${off}
rc_invites: { per_room: ${off}, per_user: ${off}, per_issuer: ${off} }
rc_room_creation: ${off}
`,
  );
  await writeFile(join(directory, 'log.yaml'), 'version: 1\nroot: { level: WARNING }\n');
  const python = synapsePython();
  const made = spawnSync(python, ['-m', 'synapse.app.homeserver', '-c', config, '--generate-keys'], { stdio: 'pipe' });
  if (made.status !== 0) throw new Error(`Synapse made no keys: ${made.stderr}`);
  return {
    command: python,
    args: ['-m', 'synapse.app.homeserver', '-c', config],
    env: {},
    url: `http://127.0.0.1:${port}`,
  };
}

/** A homeserver that the caller names by a shell command. */
function named(text: string): Peer {
  const at = text.indexOf('=');
  if (at < 1) throw new Error(`--peer takes NAME=COMMAND, not '${text}'`);
  const command = text.slice(at + 1);
  return {
    name: text.slice(0, at),
    prepare: async (directory, port, sharedSecret) => ({
      command: 'sh',
      args: ['-c', command],
      env: { DATA: directory, PORT: String(port), SHARED_SECRET: sharedSecret },
      url: `http://127.0.0.1:${port}`,
    }),
  };
}

async function oneRun(peer: Peer, amounts: Amounts): Promise<Figures> {
  const directory = await mkdtemp(join(tmpdir(), 'bench-peer-'));
  const secret = randomBytes(16).toString('hex');
  let server: ServerProcess | undefined;
  let generator: Generator | undefined;
  try {
    server = await ServerProcess.start(await peer.prepare(directory, await freePort(), secret));
    generator = await Generator.start({ url: server.url, sharedSecret: secret });
    const figures = await measure(server, generator, amounts, directory);
    figures['stop, ms'] = await server.stop();
    return figures;
  } finally {
    generator?.stop();
    await server?.stop('SIGKILL');
    await rm(directory, { recursive: true, force: true });
  }
}

const all: Peer[] = [
  { name: 'Runnel', prepare: async (directory, port, secret) => runnel(directory, port, secret) },
  { name: 'Synapse, SQLite', prepare: synapse },
  ...values.peer.map(named),
];
const only = values.only?.split(',');
const peers = only === undefined ? all : all.filter(({ name }) => only.includes(name));
const results = new Map<string, Figures[]>(peers.map(({ name }) => [name, []]));
for (let run = 1; run <= Number(values.runs); run++) {
  for (const peer of peers) {
    const fromMs = performance.now();
    results.get(peer.name)!.push(await oneRun(peer, values.full ? FULL_AMOUNTS : AMOUNTS));
    console.error(`run ${run}, ${peer.name}: ${shown((performance.now() - fromMs) / 1000)} s`);
  }
}

/** One row a figure, one column a server: the median, with the least and the largest in small print. */
const names = [...new Set([...results.values()].flat().flatMap((figures) => Object.keys(figures)))];
const middle = (peer: string, figure: string): number =>
  median((results.get(peer) ?? []).flatMap((figures) => figures[figure] ?? []));
const cell = (peer: string, figure: string): string => {
  const found = (results.get(peer) ?? []).flatMap((figures) => figures[figure] ?? []);
  if (found.length === 0) return '–';
  return `${shown(median(found))} (${shown(Math.min(...found))} … ${shown(Math.max(...found))})`;
};
console.log(
  `${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.version}; ${values.runs} runs in turns\n`,
);
const heads = peers.map(({ name }) => name);
const compared = heads.includes('Runnel') && heads.includes('Synapse, SQLite');
console.log(`| | ${heads.join(' | ')} |${compared ? ' Synapse ÷ Runnel |' : ''}`);
console.log(`|---|${heads.map(() => '---:|').join('')}${compared ? '---:|' : ''}`);
for (const figure of names) {
  const ratio = compared ? ` ${shown(middle('Synapse, SQLite', figure) / middle('Runnel', figure))} |` : '';
  console.log(`| ${figure} | ${heads.map((peer) => cell(peer, figure)).join(' | ')} |${ratio}`);
}
