/** A pending timer; `cancel` is idempotent. */
export interface Timer {
  cancel(): void;
}

/**
 * Time comes in from outside, so that several whole servers run in one process on simulated time.
 * Nothing outside `util/clock.ts` reads the wall clock or sets a timer.
 */
export interface Clock {
  /** Milliseconds since the Unix epoch. May jump: never subtract two readings, use `monotonicMs` for durations. */
  now(): number;
  /** Milliseconds from an arbitrary origin; never goes back. */
  monotonicMs(): number;
  /** Runs `fn` once after `delayMs` (at least 0). Pending timers do not keep the process alive. */
  after(delayMs: number, fn: () => void): Timer;
  /** Resolves after `delayMs`, or at once when `signal` aborts. Never rejects. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;

abstract class BaseClock implements Clock {
  abstract now(): number;
  abstract monotonicMs(): number;
  abstract after(delayMs: number, fn: () => void): Timer;

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = (): void => {
        timer.cancel();
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = this.after(delayMs, done);
      signal?.addEventListener('abort', done, { once: true });
    });
  }
}

/** The machine's clock. */
export class SystemClock extends BaseClock {
  now(): number {
    return Date.now();
  }
  monotonicMs(): number {
    // Node loads `performance` when it is first used, and this with itself.
    const [seconds, nanoseconds] = process.hrtime();
    return seconds * 1e3 + nanoseconds / 1e6;
  }
  after(delayMs: number, fn: () => void): Timer {
    const handle = setTimeout(fn, Math.min(Math.max(0, delayMs), LONGEST_TIMER_MS));
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  }
}

/** A clock that moves only when told to; for tests and simulations. */
export class SimulatedClock extends BaseClock {
  #nowMs: number;
  readonly #startMs: number;
  #timers: { atMs: number; order: number; fn: () => void }[] = [];
  #order = 0;

  constructor(startMs = 1_700_000_000_000) {
    super();
    this.#nowMs = startMs;
    this.#startMs = startMs;
  }
  now(): number {
    return this.#nowMs;
  }
  monotonicMs(): number {
    return this.#nowMs - this.#startMs;
  }
  after(delayMs: number, fn: () => void): Timer {
    const entry = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, fn };
    this.#timers.push(entry);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((t) => t !== entry);
      },
    };
  }
  /** How many timers are set. */
  get pending(): number {
    return this.#timers.length;
  }
  /** Moves time forward by `byMs`, running due timers in order of their time. */
  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    for (;;) {
      const due = this.#timers.filter((t) => t.atMs <= untilMs).sort((a, b) => a.atMs - b.atMs || a.order - b.order)[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((t) => t !== due);
      this.#nowMs = due.atMs;
      due.fn();
    }
    this.#nowMs = untilMs;
  }
}

/** Long enough for who has been trying to reach a server to connect, be heard and be answered. */
const LET_IN_MS = 10;

/** Resolves a moment later, in real time: who waited for the server to listen comes before whatever is done next. */
export function letIn(): Promise<void> {
  // However busy the machine is, the event loop looks at its sockets before each of the two: it lets in, and then it hears.
  return new Promise((next) => setTimeout(() => setImmediate(() => setImmediate(next)), LET_IN_MS));
}
