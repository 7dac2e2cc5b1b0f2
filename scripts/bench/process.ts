import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstat, readdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { basename, join, resolve } from 'node:path';
import { Usage } from './usage.js';
import { Connection } from './workload/connection.js';

const START_WITHIN_MS = 120_000;

export interface Command {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly url: string;
  /** The event loop's probe (`client/probe.ts`) runs in it. */
  readonly isProbed?: boolean;
}

/** How this project's own server is started with its data in `directory`. */
export function runnel(directory: string, port: number, sharedSecret: string, flags: readonly string[] = []): Command {
  const main = resolve(import.meta.dirname, '../../../dist/main.cjs');
  return {
    command: process.execPath,
    // As scripts/start.sh and the image have it, and the environment.
    args: ['--no-memory-reducer', ...flags, main, 'serve'],
    env: {
      MALLOC_ARENA_MAX: '2',
      MALLOC_MMAP_THRESHOLD_: '131072',
      MALLOC_TRIM_THRESHOLD_: '131072',
      RUNNEL_LISTEN: `127.0.0.1:${port}`,
      RUNNEL_DATA: directory,
      RUNNEL_REGISTRATION: 'open',
      RUNNEL_REGISTRATION_SHARED_SECRET: sharedSecret,
      RUNNEL_RATE_LIMITS: 'off',
    },
    url: `http://127.0.0.1:${port}`,
  };
}

export async function freePort(): Promise<number> {
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

/** A homeserver as a process, with what Linux knows about it. */
export class ServerProcess {
  readonly url: string;
  /** From the start of the process to its first answer. */
  readonly startMs: number;
  readonly usage: Usage;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, url: string, startMs: number) {
    this.#child = child;
    this.usage = new Usage(child.pid!);
    this.url = url;
    this.startMs = startMs;
  }

  /** Starts a homeserver and waits until it answers. Rejects with its last lines where it ends instead. */
  static async start({ command, args, env, url, isProbed }: Command): Promise<ServerProcess> {
    const fromMs = performance.now();
    const child = spawn(command, args, {
      env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...env },
      stdio: ['ignore', 'pipe', 'pipe', ...(isProbed ? ['ipc' as const] : [])],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream!.on('data', (chunk: Buffer) => {
        output = (output + chunk.toString()).slice(-10_000);
      });
    }
    const connection = new Connection(url);
    for (;;) {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`the server ended:\n${output}`);
      const answer = await connection.request('GET', '/_matrix/client/versions').catch(() => undefined);
      if (answer?.status === 200) break;
      if (performance.now() - fromMs > START_WITHIN_MS) {
        child.kill('SIGKILL');
        throw new Error(`the server did not answer:\n${output}`);
      }
      await new Promise((again) => setTimeout(again, 2));
    }
    const startMs = performance.now() - fromMs;
    connection.close();
    return new ServerProcess(child, url, startMs);
  }

  get pid(): number {
    return this.usage.pid;
  }

  /** Resident memory of the server and its child processes together, in bytes. */
  residentBytes(): number {
    return this.usage.residentBytes();
  }

  /** Processor time so far of the server and its child processes, in seconds. */
  cpuSeconds(): number {
    return this.usage.cpuSeconds();
  }

  /** The longest time for which the event loop was held since this was last asked, in milliseconds; needs the probe. */
  async heldMs(): Promise<number> {
    const answer = once(this.#child, 'message');
    this.#child.send('held?');
    return (await answer)[0] as number;
  }

  /** Ends it with `signal`; resolves with the milliseconds until it was gone. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<number> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return 0;
    const fromMs = performance.now();
    const gone = new Promise((done) => this.#child.once('exit', done));
    this.#child.kill(signal);
    await gone;
    return performance.now() - fromMs;
  }
}

/** Bytes that the files under `directory` take on disk, without those in folders called `except`. */
export async function diskBytes(directory: string, except?: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || basename(entry.parentPath) === except) continue;
    // A file may go while the database tidies up.
    const stat = await lstat(join(entry.parentPath, entry.name)).catch(() => undefined);
    bytes += (stat?.blocks ?? 0) * 512;
  }
  return bytes;
}
