import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Job, JobResult } from '#media/job.js';
import type { Clock, Timer } from '#util/clock.js';
import type { Log } from '#util/log.js';

/** The job could not be done: the process ended on it, took too long, or too much was waiting. */
export class WorkerError extends Error {
  override readonly name = 'WorkerError';
  readonly kind: 'crashed' | 'timeout' | 'busy' | 'failed';
  constructor(kind: WorkerError['kind'], message: string) {
    super(message);
    this.kind = kind;
  }
}

/**
 * Decoders of what strangers made run in a process of their own: one that crashes, hangs or swells takes nothing with it.
 * It starts with the first job and ends when it has been idle, so that a quiet server holds no memory for it.
 */
export interface Worker {
  /** Rejects with `WorkerError` only. */
  run<J extends Job>(job: J): Promise<JobResult<J>>;
  /** The process while it runs. */
  readonly pid: number | undefined;
  close(): Promise<void>;
}

interface Waiting {
  readonly job: Job;
  resolve(result: unknown): void;
  reject(error: WorkerError): void;
}

const MOST_WAITING = 64;
const JOB_MS = 20_000;
const IDLE_MS = 20_000;
/** A process that has done so much is replaced: decoders fragment memory. */
const MOST_JOBS = 500;
const HEAP_MEGABYTES = 96;

export function openWorker({ clock, log }: { readonly clock: Clock; readonly log: Log }): Worker {
  const queue: Waiting[] = [];
  let child: ChildProcess | undefined;
  let running: Waiting | undefined;
  let timer: Timer | undefined;
  let jobs = 0;
  let closed = false;
  const ending = new Set<Promise<void>>();

  const start = (): ChildProcess => {
    const started = fork(fileURLToPath(new URL('./worker-process.js', import.meta.url)), [], {
      // Nothing of ours is its concern, secrets in the environment least of all.
      env: {},
      execArgv: [`--max-old-space-size=${HEAP_MEGABYTES}`],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    jobs = 0;
    const ended = new Promise<void>((resolve) => {
      const onEnd = (): void => {
        ending.delete(ended);
        if (child === started) {
          child = undefined;
          finish((job) => job.reject(new WorkerError('crashed', 'the media process ended')));
        }
        resolve();
      };
      started.once('exit', onEnd).once('error', onEnd);
    });
    ending.add(ended);
    started.on('message', (message: { readonly result?: unknown; readonly error?: string }) => {
      if (child !== started) return;
      finish((job) => {
        if (message.error === undefined) job.resolve(message.result);
        else job.reject(new WorkerError('failed', message.error));
      });
    });
    return started;
  };

  const end = (): void => {
    const old = child;
    child = undefined;
    old?.kill('SIGKILL');
  };

  const finish = (settle: (job: Waiting) => void): void => {
    timer?.cancel();
    const done = running;
    running = undefined;
    if (done !== undefined) settle(done);
    if (jobs >= MOST_JOBS) end();
    next();
  };

  const next = (): void => {
    if (running !== undefined) return;
    const job = queue.shift();
    if (job === undefined) {
      timer = clock.after(IDLE_MS, end);
      return;
    }
    timer?.cancel();
    running = job;
    child ??= start();
    jobs++;
    timer = clock.after(JOB_MS, () => {
      log.warn('The media process took too long and was ended.');
      end();
      finish((late) => late.reject(new WorkerError('timeout', 'the job took too long')));
    });
    child.send(job.job);
  };

  return {
    run<J extends Job>(job: J) {
      return new Promise<JobResult<J>>((resolve, reject) => {
        if (closed || queue.length >= MOST_WAITING) return reject(new WorkerError('busy', 'too many jobs are waiting'));
        queue.push({ job, resolve: (result) => resolve(result as JobResult<J>), reject });
        next();
      });
    },
    get pid() {
      return child?.pid;
    },
    async close() {
      closed = true;
      timer?.cancel();
      for (const job of queue.splice(0)) job.reject(new WorkerError('busy', 'the server is stopping'));
      running?.reject(new WorkerError('busy', 'the server is stopping'));
      running = undefined;
      end();
      await Promise.all(ending);
    },
  };
}
