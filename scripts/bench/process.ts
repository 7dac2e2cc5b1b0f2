import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { Connection } from './workload/connection.js';

const START_WITHIN_MS = 120_000;
/** Clock ticks a second in /proc: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

export interface Command {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly url: string;
}

/** How this project's own server is started with its data in `directory`. */
export function runnel(directory: string, port: number, sharedSecret: string, flags: readonly string[] = []): Command {
  const main = resolve(import.meta.dirname, '../../../dist/main.js');
  return {
    command: process.execPath,
    args: [...flags, main, 'serve'],
    env: {
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
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, url: string, startMs: number) {
    this.#child = child;
    this.url = url;
    this.startMs = startMs;
  }

  /** Starts a homeserver and waits until it answers. Rejects with its last lines where it ends instead. */
  static async start({ command, args, env, url }: Command): Promise<ServerProcess> {
    const fromMs = performance.now();
    const child = spawn(command, args, {
      env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
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
    return this.#child.pid!;
  }

  /** Resident memory of the server and its child processes together, in bytes. */
  residentBytes(): number {
    return sum(family(this.pid), (pid) => {
      const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
      return Number(line?.[1] ?? 0) * 1024;
    });
  }

  /** Processor time so far of the server and the children it has now, in the program and in the kernel for it, in seconds. */
  cpuSeconds(): number {
    return sum(family(this.pid), (pid) => {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
    });
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

/** A process and all that descend from it. */
function family(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
  return [pid, ...children.flatMap(family)];
}

function sum(pids: readonly number[], figure: (pid: number) => number): number {
  return pids.reduce((total, pid) => total + figure(pid), 0);
}

/** Bytes that the files under `directory` take on disk. */
export async function diskBytes(directory: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    // A file may go while the database tidies up.
    const stat = await lstat(join(entry.parentPath, entry.name)).catch(() => undefined);
    bytes += (stat?.blocks ?? 0) * 512;
  }
  return bytes;
}
