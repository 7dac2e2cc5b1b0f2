import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Figures, median, shown, table } from './figures.js';
import { FULL, measure, QUICK, startAgain } from './measure.js';
import { type Command, diskBytes, freePort, runnel, ServerProcess } from './process.js';
import { Run } from './run.js';
import { Generator } from './workload/generator.js';
import { rate } from './workload/world.js';

/**
 * `npm run bench -- server`: measures this server, as a process of its own, from another one. Each run begins with an empty
 * directory; the table has medians over the runs. `--events N` sets how many events the database of the last part has.
 */
const HELP = `npm run bench -- server [--runs 3] [--events 50000] [--quick]`;
const STARTS = 7;
const AT_ONCE = 128;

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '3' },
    events: { type: 'string', default: '50000' },
    quick: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}

const secret = randomBytes(16).toString('hex');
const over = async (directory: string): Promise<Command> => runnel(directory, await freePort(), secret);

/** Runs `use` with a directory that is gone afterwards. */
async function withDirectory<T>(use: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'runnel-bench-'));
  try {
    return await use(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Runs `use` with a load generator for `server`; both are ended afterwards. */
async function withGenerator<T>(server: ServerProcess, use: (generator: Generator) => Promise<T>): Promise<T> {
  const generator = await Generator.start({ url: server.url, sharedSecret: secret });
  try {
    return await use(generator);
  } finally {
    generator.stop();
    await server.stop();
  }
}

async function oneRun(): Promise<Figures> {
  return withDirectory(async (directory) => {
    const run = new Run('Runnel');
    const server = await startAgain(run, await over(directory));
    return withGenerator(server, async (generator) => {
      const subject = { usage: server.usage, diskBytes: () => diskBytes(directory) };
      await measure(run, subject, generator, values.quick ? QUICK : FULL);
      run.note('stop, ms', await server.stop());
      return run.figures;
    });
  });
}

/** How a database with many events starts, and what it takes of disk and memory. */
async function largeDatabase(events: number): Promise<Figures> {
  return withDirectory(async (directory) => {
    const filling = await ServerProcess.start(await over(directory));
    const filled = await withGenerator(filling, async (generator) => {
      const done = await generator.run('send', { count: events, atOnce: AT_ONCE, rooms: 16 });
      return { perSecond: rate(done), bytes: await diskBytes(directory), written: filling.usage.writtenBytes() };
    });
    const starts: number[] = [];
    const resident: number[] = [];
    for (let i = 0; i < STARTS; i++) {
      const server = await ServerProcess.start(await over(directory));
      starts.push(server.startMs);
      await new Promise((later) => setTimeout(later, 1_000));
      resident.push(server.residentBytes() / 1e6);
      await server.stop();
    }
    return {
      'sends/s while it was filled': filled.perSecond,
      'disk bytes per event': filled.bytes / events,
      'written to disk per event, bytes': filled.written / events,
      'start, ms': median(starts),
      'resident idle, MB': median(resident),
    };
  });
}

const runs: Figures[] = [];
for (let i = 0; i < Number(values.runs); i++) {
  const fromMs = performance.now();
  runs.push(await oneRun());
  console.error(`run ${i + 1} of ${values.runs}: ${shown((performance.now() - fromMs) / 1000)} s`);
}
const machine = `${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.version}`;
console.log(`${machine}; ${values.runs} runs\n`);
if (runs.length > 0) console.log(`${table(runs)}\n`);
const events = Number(values.events);
if (events > 0) {
  console.log(`A database with ${events.toLocaleString('en')} events:\n`);
  console.log(table([await largeDatabase(events)]));
}
