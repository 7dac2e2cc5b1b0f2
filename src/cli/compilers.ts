import { setFlagsFromString } from 'node:v8';
import { busyShareMeter } from '#cli/busy-share.js';
import type { Clock } from '#util/clock.js';

/** After so long a start is over on most machines; where it is not, a server without compilers would only be slower still. */
export const STARTING_MS = 1_000;

/**
 * Gives V8 back the compilers that `main.cts` takes from it. What is kept of compiled code fits only the options that it was
 * compiled with (docs/decisions/0011-compile-cache.md), so these are from then on as they were when the bundle was compiled.
 */
export function useCompilers(): void {
  if (!('WebAssembly' in globalThis)) return;
  setFlagsFromString('--turbofan');
  setFlagsFromString('--sparkplug');
}

/** Share of the time for which the event loop is busy: from this on there is load, and what runs often is worth compiling well. */
const LOAD = 0.45;
/** Requests from one look to the next, so that a burst is seen within a few dozen of them. */
const LOOK_EVERY = 32;

/** What is read of this process, and set in it. */
export interface Optimizing {
  /** The share of the time since the last call, or since the start, for which the event loop was busy. */
  busyShare(): number;
  /** Whether V8 may optimize from now on. */
  allow(isAllowed: boolean): void;
}

/**
 * Has V8 optimize (TurboFan) while there is load, and let it be while there is none: it works on other threads, but where few
 * messages are under way each of its jobs delays one of them by some milliseconds, and a small server would not see the
 * time again that they take (docs/decisions/0016-optimize-under-load.md). What was optimized before stays so.
 */
export class OptimizeUnderLoad {
  readonly #clock: Clock;
  readonly #process: Optimizing;
  readonly #startedMs: number;
  #requests = 0;
  #isAllowed: boolean | undefined;

  constructor(clock: Clock, process: Optimizing = thisProcess()) {
    this.#clock = clock;
    this.#process = process;
    this.#startedMs = clock.monotonicMs();
  }

  /** A request came in. */
  request(): void {
    this.#requests = (this.#requests + 1) % LOOK_EVERY;
    if (this.#requests === 0) this.look();
  }

  /** Looks whether there is load. */
  look(): void {
    const isLoaded = this.#process.busyShare() >= LOAD;
    if (this.#clock.monotonicMs() - this.#startedMs < STARTING_MS || isLoaded === this.#isAllowed) return;
    this.#isAllowed = isLoaded;
    this.#process.allow(isLoaded);
  }
}

function thisProcess(): Optimizing {
  return {
    busyShare: busyShareMeter(),
    allow(isAllowed) {
      if ('WebAssembly' in globalThis) setFlagsFromString(isAllowed ? '--turbofan' : '--no-turbofan');
    },
  };
}
