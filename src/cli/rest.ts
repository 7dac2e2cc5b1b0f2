import { executionAsyncResource } from 'node:async_hooks';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { busyShareMeter } from '#cli/busy-share.js';
import type { Clock, Timer } from '#util/clock.js';

/** From one look at the work to the next. */
const TICK_MS = 500;
/** The same at rest, as long as no request comes: a server that nobody asks anything need not wake up. */
const DOZE_MS = 30_000;
/** Share of a tick for which the event loop was busy: from this on there was work. */
const WORK = 0.2;
/** So much of it is work too, however thinly it was spread: twenty times what collecting takes. */
const WORK_MS = 2_000;
/** Up to this share of a tick there is rest. */
const REST = 0.02;

/**
 * Times that the heap is looked through. Young objects lie in one half of their space, and move to the other: the first time
 * gives back the half that is not in use, the second one that which is, since what is young moves to one never used before.
 */
const PASSES = 2;
const PASS_MS = TICK_MS / PASSES;

/** In a larger heap things stay where they are: they are moved at one go, for up to a millisecond a megabyte. */
const MOST_MOVED_BYTES = 48 << 20;

/** What is read of this process, and done to it. */
export interface Collected {
  /** The share of the time since the last call, or since the start, for which the event loop was busy. */
  busyShare(): number;
  /** Has V8 look through the heap, in steps of some milliseconds between whatever else happens. */
  collect(): void;
  /** Leaves it to V8 again when to look. */
  endCollecting(): void;
}

/** What follows the work, from outside. */
export interface Following {
  /** A request came in. */
  request(): void;
  stop(): void;
}

/**
 * Has garbage collected once when work is followed by rest, the work of starting included: V8 itself waits for ten seconds and
 * more, and until then a burst of requests stands in the memory that an operator sees (docs/benchmarks/server.md). Some
 * requests every now and then are no work in this sense and cause nothing, until they add up. Calls `atRest` just before, for what
 * is to be let go of or put away then, and `onLook` at each look.
 */
export function collectAtRest(
  clock: Clock,
  { atRest, onLook }: { readonly atRest: () => void; readonly onLook?: () => void },
  process: Collected = thisProcess(),
): Following {
  let workMs = WORK_MS;
  let passes = 0;
  let isDozing = false;
  let lookedMs = clock.monotonicMs();
  let timer: Timer;
  /** Counts the work since the last look; gives the share of it. */
  const count = (): number => {
    const share = process.busyShare();
    const nowMs = clock.monotonicMs();
    // Collecting is no work.
    if (passes === 0) workMs += share >= WORK ? WORK_MS : share * (nowMs - lookedMs);
    lookedMs = nowMs;
    return share;
  };
  const look = (): void => {
    const isRest = count() <= REST;
    onLook?.();
    isDozing = isRest && passes === 0;
    if (passes === PASSES) {
      passes = 0;
      process.endCollecting();
    } else if (passes > 0) {
      passes += 1;
      process.collect();
    } else if (isRest && workMs >= WORK_MS) {
      workMs = 0;
      passes = 1;
      isDozing = false;
      atRest();
      process.collect();
    }
    timer = clock.after(isDozing ? DOZE_MS : passes > 0 ? PASS_MS : TICK_MS, look);
  };
  timer = clock.after(TICK_MS, look);
  return {
    request() {
      if (!isDozing) return;
      isDozing = false;
      count();
      timer.cancel();
      timer = clock.after(TICK_MS, look);
    },
    stop() {
      timer.cancel();
      if (passes > 0) process.endCollecting();
    },
  };
}

/** See `keepTick`. */
const kept: object[] = [];

/**
 * Keeps one of the objects that Node makes for each `process.nextTick`, some eight in a request. What such an object looks like V8
 * forgets when it collects garbage while there is none, which is when the server is at rest; and from then on, until the process ends,
 * optimized code makes each by a detour (`DefineKeyedOwnPropertyInLiteral`) that takes a twelfth of a request's time.
 */
export function keepTick(): void {
  process.nextTick(() => {
    kept[0] = executionAsyncResource();
  });
}

/**
 * As much memory as V8 lets be taken outside of its heap before it looks through this for what may hold it, and a little more.
 */
const OUTSIDE_BYTES = 65 << 20;

/** The process that this runs in, as V8 and libuv know it. */
export function thisProcess(): Collected {
  let isStart = true;
  return {
    busyShare: busyShareMeter(),
    collect() {
      // It gives back what has become free inside of its pages, and the half of the young space that is not in use. Where the heap
      // is small it also moves together what it finds on half empty pages.
      setFlagsFromString('--optimize-for-size');
      if (getHeapStatistics().used_heap_size <= MOST_MOVED_BYTES) setFlagsFromString('--compact-on-every-full-gc');
      // What ran for the start alone runs never again, so its byte code goes at once, and not after five looks without a run.
      if (isStart) {
        setFlagsFromString('--bytecode-old-age=0');
        keepTick();
      }
      // At this V8 begins at once and in steps. `gc` would take a context of its own to be had from, which is half a megabyte.
      // Nobody writes to it, so that the system gives no page for it; where it refuses the room V8 looks when it likes to.
      try {
        new ArrayBuffer(OUTSIDE_BYTES);
      } catch {}
    },
    endCollecting() {
      isStart = false;
      setFlagsFromString('--bytecode-old-age=5');
      setFlagsFromString('--no-compact-on-every-full-gc');
      setFlagsFromString('--no-optimize-for-size');
    },
  };
}
