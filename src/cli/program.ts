import { readFileSync } from 'node:fs';
import { COMMANDS } from '#cli/commands.js';
import { STARTING_MS, useCompilers } from '#cli/compilers.js';
import { linePrinter } from '#cli/print.js';
import { run } from '#cli/run.js';
import { SystemClock } from '#util/clock.js';
import { systemRandom } from '#util/random.js';

const clock = new SystemClock();
clock.after(STARTING_MS, useCompilers);

const ended = run(process.argv.slice(2), COMMANDS, {
  env: process.env,
  clock,
  random: systemRandom,
  out: linePrinter(1, () => process.stdout),
  err: linePrinter(2, () => process.stderr),
  readFile: (path) => readFileSync(path === '-' ? 0 : path, 'utf8'),
  onStopSignal(listener) {
    process.on('SIGTERM', listener);
    process.on('SIGINT', listener);
    return () => {
      process.off('SIGTERM', listener);
      process.off('SIGINT', listener);
    };
  },
  onUnhandledRejection: (listener) => void process.on('unhandledRejection', listener),
  exit: (code) => process.exit(code),
});
// The bundle is a script, which can't await at its top.
void ended.then((code) => {
  process.exitCode = code;
});
// Only once nothing is left to wait for. Node would then take the heap apart, page by page, before the process goes.
process.once('beforeExit', (code) => process.exit(code));
