import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { diskBytes, freePort } from '../process.js';
import { Usage } from '../usage.js';
import type { Database } from './peer.js';

/** Where Debian keeps PostgreSQL's programs, in a folder for each version. */
const INSTALLED = '/usr/lib/postgresql';
const ROLE = 'synapse';
const READY_WITHIN_MS = 30_000;

/** How a client reaches the cluster. */
export interface PostgresAddress {
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/**
 * A PostgreSQL cluster of its own in a temporary directory, on loopback, with Debian's program and its defaults (each commit
 * is synced). Its write-ahead log is not counted on disk: it is recycled, and as long as the cluster likes.
 */
export class Postgres implements Database {
  readonly name = 'PostgreSQL';
  readonly usage: Usage;
  readonly address: PostgresAddress;
  readonly #child: ChildProcess;
  readonly #directory: string;

  private constructor(child: ChildProcess, directory: string, address: PostgresAddress) {
    this.#child = child;
    this.#directory = directory;
    this.address = address;
    this.usage = new Usage(child.pid!, { isShared: true });
  }

  /** Makes and starts a cluster; resolves once it takes connections. Installs PostgreSQL where there is none. */
  static async start(): Promise<Postgres> {
    const programs = installedPrograms() ?? install();
    // PostgreSQL refuses to run as root; Debian's package brings a user for it.
    const owner = process.getuid?.() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : {};
    const directory = await mkdtemp(join(tmpdir(), 'bench-postgres-'));
    const port = await freePort();
    const address = { port, user: ROLE, password: randomBytes(16).toString('hex'), database: 'postgres' };
    const passwordFile = join(directory, 'password');
    await writeFile(passwordFile, address.password);
    if (owner.uid !== undefined) {
      for (const path of [directory, passwordFile]) chownSync(path, owner.uid, owner.gid);
    }
    const data = join(directory, 'data');
    const rules = ['--encoding=UTF8', '--locale=C', '--auth=scram-sha-256', `--username=${ROLE}`];
    execFileSync(join(programs, 'initdb'), [`--pgdata=${data}`, `--pwfile=${passwordFile}`, ...rules], {
      ...owner,
      cwd: directory,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const child = spawn(
      join(programs, 'postgres'),
      ['-D', data, '-p', String(port), '-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='],
      { ...owner, cwd: directory, stdio: 'ignore' },
    );
    const cluster = new Postgres(child, directory, address);
    try {
      await cluster.#ready(programs);
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  diskBytes(): Promise<number> {
    return diskBytes(this.#directory, 'pg_wal');
  }

  /** Ends it, cutting off who is still connected, and removes its directory. */
  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const gone = new Promise((done) => this.#child.once('exit', done));
      // What PostgreSQL calls a fast shutdown.
      this.#child.kill('SIGINT');
      await gone;
    }
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #ready(programs: string): Promise<void> {
    const fromMs = performance.now();
    const asked = ['-q', '-h', '127.0.0.1', '-p', String(this.address.port)];
    while (spawnSync(join(programs, 'pg_isready'), asked).status !== 0) {
      if (this.#child.exitCode !== null) throw new Error('PostgreSQL ended at its start');
      if (performance.now() - fromMs > READY_WITHIN_MS) throw new Error('PostgreSQL did not become ready');
      await new Promise((again) => setTimeout(again, 50));
    }
  }
}

/** The folder with the programs of the newest version that is installed. */
function installedPrograms(): string | undefined {
  if (!existsSync(INSTALLED)) return undefined;
  return readdirSync(INSTALLED)
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => join(INSTALLED, version, 'bin'))
    .find((programs) => existsSync(join(programs, 'initdb')));
}

function install(): string {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const asRoot = process.getuid?.() === 0 ? [] : ['sudo'];
  for (const step of [['update'], ['install', '--yes', 'postgresql']]) {
    const [command, ...args] = [...asRoot, 'apt-get', ...step];
    if (spawnSync(command!, args, { stdio: 'inherit', env }).status !== 0) {
      throw new Error('PostgreSQL could not be installed');
    }
  }
  const programs = installedPrograms();
  if (programs === undefined) throw new Error(`there is no PostgreSQL in ${INSTALLED}`);
  return programs;
}

function idOf(flag: '-u' | '-g'): number {
  return Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
}
