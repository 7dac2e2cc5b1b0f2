import type { EventLoopUtilization } from 'node:perf_hooks';

/** A meter of this process: gives the share of the time since its last reading, or since the start, for which the event loop was busy. */
export function busyShareMeter(): () => number {
  // Node loads what measures when it is first asked, which a start need not wait for.
  let last: EventLoopUtilization | undefined;
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = last === undefined ? now : performance.eventLoopUtilization(now, last);
    last = now;
    return utilization;
  };
}
