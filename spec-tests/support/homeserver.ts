import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { type Body, Client } from './client.js';

/** Shared secret of the servers that the tests start; `HS_SHARED_SECRET` names another server's. */
export const SHARED_SECRET = process.env['HS_SHARED_SECRET'] ?? 'spec-tests';
const MAIN = resolve(import.meta.dirname, '../../../dist/main.cjs');
const START_DEADLINE_MS = 15_000;

/** A running homeserver: one that the tests start themselves, or the one at `HS_URL`. */
export class Homeserver {
  readonly url: string;
  readonly serverName: string;
  /** Present when this process started the server. */
  readonly own: OwnServer | undefined;

  constructor(url: string, serverName: string, own?: OwnServer) {
    this.url = url;
    this.serverName = serverName;
    this.own = own;
  }

  /** A client without an account. */
  anonymous(): Client {
    return new Client(this.url);
  }

  /**
   * Registers a new user whose name starts with `name` (a random tail keeps runs apart) and returns its client.
   * Goes through the shared secret, so that it works whatever the server's registration policy is.
   */
  async user(name: string, options: { admin?: boolean; password?: string } = {}): Promise<Client> {
    const username = `${name}-${randomBytes(5).toString('hex')}`;
    const password = options.password ?? `pw-${username}`;
    const nonce = (await this.anonymous().ok('GET', '/_synapse/admin/v1/register'))['nonce'] as string;
    const admin = options.admin === true;
    const mac = createHmac('sha1', SHARED_SECRET)
      .update([nonce, username, password, admin ? 'admin' : 'notadmin'].join('\0'))
      .digest('hex');
    const made = await this.anonymous().ok('POST', '/_synapse/admin/v1/register', {
      nonce,
      username,
      password,
      admin,
      mac,
    });
    return new Client(this.url, {
      userId: made['user_id'] as string,
      accessToken: made['access_token'] as string,
      deviceId: made['device_id'] as string,
      password,
    });
  }

  /** Several users at once. */
  async users<const Names extends readonly string[]>(...names: Names): Promise<{ [K in keyof Names]: Client }> {
    return (await Promise.all(names.map((name) => this.user(name)))) as { [K in keyof Names]: Client };
  }

  async stop(): Promise<void> {
    await this.own?.stop();
  }
}

async function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const probe = createServer();
    probe.once('error', fail);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() =>
        address !== null && typeof address === 'object' ? done(address.port) : fail(new Error('port')),
      );
    });
  });
}

/** A server process of ours in a directory of its own, which can be killed and started again. */
export class OwnServer {
  readonly directory: string;
  readonly port: number;
  readonly #env: Readonly<Record<string, string>>;
  readonly #node: string;
  #process: ChildProcess | undefined;
  /** What the process printed, newest last. */
  output = '';

  constructor(directory: string, port: number, env: Readonly<Record<string, string>>, node: string) {
    this.directory = directory;
    this.port = port;
    this.#env = env;
    this.#node = node;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }
  get pid(): number {
    assert.ok(this.#process?.pid, 'the server runs');
    return this.#process.pid;
  }

  async start(): Promise<void> {
    const main = resolve(import.meta.dirname, '../../../dist/main.cjs');
    const child = spawn(this.#node, [main, 'serve'], {
      env: {
        PATH: process.env['PATH'] ?? '',
        RUNNEL_SERVER_NAME: 'localhost',
        RUNNEL_LISTEN: `127.0.0.1:${this.port}`,
        RUNNEL_DATA: join(this.directory, 'data'),
        RUNNEL_REGISTRATION: 'open',
        RUNNEL_REGISTRATION_SHARED_SECRET: SHARED_SECRET,
        RUNNEL_RATE_LIMITS: 'off',
        ...this.#env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#process = child;
    const keep = (chunk: Buffer): void => {
      this.output = (this.output + chunk.toString()).slice(-20_000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const deadline = performance.now() + START_DEADLINE_MS;
    for (;;) {
      if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}:\n${this.output}`);
      try {
        if ((await fetch(`${this.url}/ready`)).status === 200) return;
      } catch {
        // Not listening yet.
      }
      if (performance.now() > deadline) throw new Error(`the server did not become ready:\n${this.output}`);
      await new Promise((again) => setTimeout(again, 20));
    }
  }

  /** Ends the process with `signal` and waits until it is gone; resolves with its exit code. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const gone = new Promise<void>((done) => child.once('exit', () => done()));
    child.kill(signal);
    await gone;
    return child.exitCode;
  }

  async stop(): Promise<void> {
    await this.end('SIGTERM');
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** Runs `runnel ARGS --json` on the data of a server of our own and reads what it prints. */
export async function runnel(server: Homeserver, ...args: readonly string[]): Promise<Body> {
  assert.ok(server.own !== undefined, 'a server that the test started');
  const { stdout } = await promisify(execFile)(process.execPath, [MAIN, ...args, '--json'], {
    env: { PATH: process.env['PATH'] ?? '', RUNNEL_DATA: join(server.own.directory, 'data') },
  });
  return JSON.parse(stdout) as Body;
}

/**
 * Starts a server of our own, whatever `HS_URL` says: for tests that kill it or look at how it starts. `node` runs it;
 * `SPEC_NODE` names another than that of the tests.
 */
export async function startOwnServer(
  env: Readonly<Record<string, string>> = {},
  node = process.env['SPEC_NODE'] ?? process.execPath,
): Promise<Homeserver> {
  const directory = await mkdtemp(join(tmpdir(), 'runnel-spec-'));
  const own = new OwnServer(directory, await freePort(), env, node);
  try {
    await own.start();
  } catch (error) {
    await own.stop();
    throw error;
  }
  return new Homeserver(own.url, env['RUNNEL_SERVER_NAME'] ?? 'localhost', own);
}

/** The homeserver under test: the one at `HS_URL` (named by `HS_SERVER_NAME`), or one started for this test file. */
export async function homeserver(): Promise<Homeserver> {
  const url = process.env['HS_URL'];
  if (url !== undefined && url !== '') {
    return new Homeserver(url.replace(/\/$/, ''), process.env['HS_SERVER_NAME'] ?? 'localhost');
  }
  return startOwnServer();
}
