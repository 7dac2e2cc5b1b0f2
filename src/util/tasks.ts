import type { Clock } from '#util/clock.js';
import type { Log } from '#util/log.js';

/** Waits after a failed run, doubled each time up to the last. */
export interface BackOff {
  readonly firstMs: number;
  readonly lastMs: number;
}

const DEFAULT_BACK_OFF: BackOff = { firstMs: 1_000, lastMs: 60_000 };

/** What a task's function is given. */
export interface TaskContext {
  /** Aborts when the task is to stop. */
  readonly signal: AbortSignal;
  /** Resolves after `delayMs`, or at once when the task is to stop or `wake` is called. */
  idle(delayMs: number): Promise<void>;
  /** Says that work is under way until the returned function is called: `settle` waits for it. */
  busy(): () => void;
}

export interface Task {
  readonly name: string;
  /** Ends the task's `idle` at once: there is something to do. */
  wake(): void;
  /** Aborts the task and resolves when its function has returned. */
  stop(): Promise<void>;
}

/**
 * Named, supervised loops: all background work that is neither a lane nor a cursor. A task whose function throws is
 * logged and started again after a wait; one that returns is over. Nothing floats: `dispose` stops them all.
 */
export class Tasks implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #running = new Set<Task>();
  #busy = 0;
  #settled: (() => void)[] = [];
  #disposed = false;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Names of the tasks that run now. */
  get names(): readonly string[] {
    return [...this.#running].map((task) => task.name);
  }

  /** Starts a task in a later turn of the loop. After `dispose` it never runs. */
  start(name: string, run: (context: TaskContext) => Promise<void>, backOff: BackOff = DEFAULT_BACK_OFF): Task {
    const abort = new AbortController();
    if (this.#disposed) abort.abort();
    const idling = new Set<() => void>();
    let isWoken = false;
    const endIdle = (): void => {
      for (const end of idling) end();
    };
    const context: TaskContext = {
      signal: abort.signal,
      idle: async (delayMs) => {
        if (!isWoken && !abort.signal.aborted) {
          await new Promise<void>((resolve) => {
            const end = (): void => {
              timer.cancel();
              idling.delete(end);
              resolve();
            };
            const timer = this.#clock.after(delayMs, end);
            idling.add(end);
          });
        }
        // Who woke it until now is seen to.
        isWoken = false;
      },
      busy: () => this.#begin(),
    };
    const ended = this.#supervise(name, run, context, backOff);
    const task: Task = {
      name,
      wake() {
        isWoken = true;
        endIdle();
      },
      stop() {
        abort.abort();
        endIdle();
        return ended;
      },
    };
    this.#running.add(task);
    void ended.then(() => this.#running.delete(task));
    return task;
  }

  /** Resolves when no task says that it is busy. */
  settle(): Promise<void> {
    if (this.#busy === 0) return Promise.resolve();
    return new Promise((resolve) => this.#settled.push(resolve));
  }

  /** Stops all tasks; resolves when every function has returned. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    await Promise.all([...this.#running].map((task) => task.stop()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  async #supervise(
    name: string,
    run: (context: TaskContext) => Promise<void>,
    context: TaskContext,
    backOff: BackOff,
  ): Promise<void> {
    await Promise.resolve();
    for (let waitMs = backOff.firstMs; !context.signal.aborted; waitMs = Math.min(waitMs * 2, backOff.lastMs)) {
      const startedMs = this.#clock.monotonicMs();
      try {
        await run(context);
        return;
      } catch (error) {
        if (context.signal.aborted) return;
        // One that ran well for long starts over with the shortest wait.
        if (this.#clock.monotonicMs() - startedMs > backOff.lastMs) waitMs = backOff.firstMs;
        this.#log.error('A task failed and is started again.', { task: name, error, waitMs });
        await this.#clock.sleep(waitMs, context.signal);
      }
    }
  }

  #begin(): () => void {
    this.#busy++;
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      if (--this.#busy > 0) return;
      const waiting = this.#settled;
      this.#settled = [];
      for (const resolve of waiting) resolve();
    };
  }
}
