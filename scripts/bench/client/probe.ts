import { monitorEventLoopDelay } from 'node:perf_hooks';

/**
 * Loaded into the server's process before the server (`node --import`): answers each message with the longest time in
 * milliseconds for which the event loop was held since the one before.
 */
const RESOLUTION_MS = 5;
const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
delays.enable();
process.on('message', () => {
  process.send?.(Math.max(0, delays.max / 1e6 - RESOLUTION_MS));
  delays.reset();
});
// The server ends when it has nothing left to do, as it does without this.
process.channel?.unref();
