import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Clock, Timer } from '#util/clock.js';

const TICK_MS = 500;
/** Shares of a tick for which the event loop was busy: from the one on there was work, up to the other there is rest. */
const WORK = 0.2;
const REST = 0.02;
/** Looking through a heap takes a millisecond a megabyte. A larger one is left to V8, which does it in small steps. */
const LARGEST_HEAP_BYTES = 48 << 20;

/** What is read of this process, and done to it. */
export interface Collected {
  /** The share of the time since the last call, or since the start, for which the event loop was busy. */
  busyShare(): number;
  /** What is in the heap now, garbage included. */
  heapBytes(): number;
  collect(): void;
}

/**
 * Has garbage collected once when work is followed by rest, the work of starting included: V8 itself waits for ten seconds and
 * more, and until then a burst of requests stands in the memory that an operator sees (docs/benchmarks/server.md). Some
 * requests every now and then are no work in this sense and cause nothing. Returns what stops it.
 */
export function collectAtRest(clock: Clock, process: Collected = thisProcess()): () => void {
  let hasWorked = true;
  let timer: Timer;
  const tick = (): void => {
    timer = clock.after(TICK_MS, tick);
    const share = process.busyShare();
    if (share >= WORK) hasWorked = true;
    if (share > REST || !hasWorked) return;
    hasWorked = false;
    if (process.heapBytes() <= LARGEST_HEAP_BYTES) process.collect();
  };
  timer = clock.after(TICK_MS, tick);
  return () => timer.cancel();
}

/** The process that this runs in, as V8 and libuv know it. */
export function thisProcess(): Collected {
  let last = performance.eventLoopUtilization();
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  // What V8 compiles is good for the options that it was compiled with (docs/decisions/0011-compile-cache.md).
  setFlagsFromString('--no-expose-gc');
  return {
    busyShare() {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, last);
      last = now;
      return utilization;
    },
    heapBytes: () => getHeapStatistics().used_heap_size,
    collect,
  };
}
