import { mkdir, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { checkEventAuth } from '#core/auth/check.js';
import { canonicalBytes } from '#core/canonical-json.js';
import type { Pdu } from '#core/event/pdu.js';
import { contentHashMatches, signatureJobs, signaturesValid } from '#core/event/verify.js';
import type { JsonObject } from '#core/json-value.js';
import { verifyOnPool } from '#core/signing.js';
import { type ResolveInput, resolveState, resolveSteps } from '#core/state/resolve.js';
import { benchKey, Maker, message, RULES, signedEvent } from './core/events.js';
import { LargeRoom } from './core/resolution.js';
import { table } from './figures.js';

/**
 * `npm run bench -- core [--runs 7] [--members 50000] [--write]`: what `src/core` costs. Each run measures everything
 * once; the table has medians over the runs. With `--write` it goes to docs/benchmarks/core.md too.
 */
const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '7' },
    members: { type: 'string', default: '50000' },
    write: { type: 'boolean', default: false },
  },
});

type Figures = Record<string, number>;

const VERIFIED = 4_000;
const CHECKED = 100_000;
const CONFLICTS = [10, 100, 5_000] as const;
/** Resolutions of few entries are repeated, so that the clock can tell. */
const REPEATS: Readonly<Record<number, number>> = { 10: 50, 100: 10, 5000: 1 };
const MB = 1e6;

/**
 * Seconds of processor time that the work took on all threads, the collector's among them: no less than the time it
 * takes on a machine that has nothing else to do, and no more on one that has.
 */
function seconds(work: () => void): number {
  const from = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(from);
  return (user + system) / 1e6;
}

function canonicalSpeed(object: JsonObject): number {
  const rounds = Math.ceil(20e6 / canonicalBytes(object).length);
  let bytes = 0;
  const spent = seconds(() => {
    for (let round = 0; round < rounds; round++) bytes += canonicalBytes(object).length;
  });
  return bytes / MB / spent;
}

function powerLevelsOf(users: number): JsonObject {
  const levels: Record<string, number> = {};
  for (let number = 0; number < users; number++) levels[`@user${(number * 7919) % users}:s${number}.example`] = number;
  return { type: 'm.room.power_levels', content: { users: levels } };
}

async function verification(events: readonly Pdu[], publicKey: string): Promise<Figures> {
  let valid = 0;
  const alone = seconds(() => {
    for (const event of events) {
      if (contentHashMatches(event.json) && signaturesValid(event, RULES, () => publicKey)) valid++;
    }
  });
  const fromMs = performance.now();
  const jobs = events.flatMap((event) =>
    contentHashMatches(event.json) ? (signatureJobs(event, RULES, () => publicKey) ?? []) : [],
  );
  const results = await new Promise<readonly boolean[]>((done) => verifyOnPool(jobs, done));
  const pooled = (performance.now() - fromMs) / 1000;
  if (valid !== events.length || !results.every(Boolean)) throw new Error('an event did not verify');
  return {
    'event verification, one thread, events/s': events.length / alone,
    'event verification, on the pool, events/s': events.length / pooled,
  };
}

function authChecks(): Figures {
  const maker = new Maker();
  const creator = '@creator:a.example';
  const state = new Map<string, Pdu>();
  const set = (event: Pdu): void => void state.set(`${event.type} ${event.state_key}`, event);
  set(maker.make('m.room.create', creator, '', { room_version: RULES.version }, []));
  const users: Record<string, number> = { [creator]: 100 };
  for (let number = 0; number < 100; number++) users[`@user${number}:a.example`] = 50;
  set(maker.make('m.room.power_levels', creator, '', { users, events: { 'm.room.name': 50 } }, []));
  set(maker.make('m.room.join_rules', creator, '', { join_rule: 'public' }, []));
  for (const user of Object.keys(users)) set(maker.make('m.room.member', user, user, { membership: 'join' }, []));
  const sender = '@user7:a.example';
  const events = [
    maker.make('org.example.own', sender, sender, {}, []),
    maker.make('m.room.name', sender, '', { name: 'x' }, []),
    maker.make('m.room.member', sender, '@new:b.example', { membership: 'invite' }, []),
    maker.make('m.room.member', '@new:b.example', '@new:b.example', { membership: 'join' }, []),
    maker.make('m.room.power_levels', sender, '', { users: { ...users, '@new:b.example': 10 } }, []),
  ];
  const lookup = (type: string, stateKey: string): Pdu | undefined => state.get(`${type} ${stateKey}`);
  const speed = (checked: readonly Pdu[]): number => {
    let allowed = 0;
    const count = checked.length === 1 ? CHECKED / 20 : CHECKED;
    const spent = seconds(() => {
      for (let n = 0; n < count; n++) if (checkEventAuth(checked[n % checked.length]!, RULES, lookup).allow) allowed++;
    });
    if (allowed !== count) throw new Error('an event was refused');
    return count / spent;
  };
  return {
    'auth checks, common events, checks/s': speed(events.slice(0, 4)),
    'auth checks, power levels of 100 users, checks/s': speed(events.slice(4)),
  };
}

/**
 * The longest piece between two yields, in milliseconds by the clock. The pieces are the same every time, and of each its
 * shortest time counts: so what else the machine does meanwhile plays no part.
 */
function longestPiece(input: ResolveInput): number {
  const shortest: number[] = [];
  for (let repeat = 0; repeat < 5; repeat++) {
    const steps = resolveSteps(input);
    for (let at = 0, done: boolean | undefined = false; !done; at++) {
      const fromMs = performance.now();
      done = steps.next().done;
      shortest[at] = Math.min(shortest[at] ?? Number.POSITIVE_INFINITY, performance.now() - fromMs);
    }
  }
  return Math.max(...shortest);
}

function resolutions(name: string, forks: ReadonlyMap<number, ResolveInput>): Figures {
  const figures: Figures = {};
  for (const [entries, input] of forks) {
    const repeats = REPEATS[entries] ?? 1;
    let resolved = 0;
    const spent = seconds(() => {
      for (let repeat = 0; repeat < repeats; repeat++) resolved = resolveState(input).size;
    });
    if (resolved === 0) throw new Error('nothing was resolved');
    figures[`resolution ${name}, ${entries.toLocaleString('en')} entries, ms`] = (spent * 1000) / repeats;
    if (entries === CONFLICTS.at(-1)) {
      figures[`resolution ${name}, ${entries.toLocaleString('en')} entries, longest piece, ms`] = longestPiece(input);
    }
  }
  return figures;
}

const load = loadavg()[0]!;
const key = benchKey();
const signed = Array.from({ length: VERIFIED }, (_, number) => signedEvent(key, message(number), number));
const members = Number(values.members);
const rooms = [
  ['v2.1', '12'],
  ['v2', '11'],
  ['v1', '1'],
].map(([name, version]) => {
  const room = new LargeRoom(members, version!);
  return [name!, new Map(CONFLICTS.map((entries) => [entries, room.forks(entries)]))] as const;
});
const builtBytes = process.memoryUsage.rss();
const runs: Figures[] = [];
// One run more, which warms the compiler up and is not counted.
for (let run = 0; run <= Number(values.runs); run++) {
  const figures: Figures = {
    'canonical bytes, message, MB/s': canonicalSpeed(signed[0]!.json),
    'canonical bytes, power levels of 1,000 users, MB/s': canonicalSpeed(powerLevelsOf(1_000)),
    ...(await verification(signed, key.publicKey)),
    ...authChecks(),
    ...Object.fromEntries(rooms.flatMap(([name, forks]) => Object.entries(resolutions(name, forks)))),
  };
  if (run > 0) runs.push(figures);
}

const report = `${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.version}; medians of ${runs.length} runs.
Processor time, not time on the clock, but for pieces and for what runs on the pool;
the load average of the machine before was ${load.toFixed(1)}, and what it did besides slows only these two down.

${table(runs)}

Memory of the process: ${Math.round(builtBytes / MB)} MB with three rooms of ${members.toLocaleString('en')} members and all their events in it, ${Math.round((process.resourceUsage().maxRSS * 1024) / MB)} MB at its peak over all runs.
`;
console.log(report);
if (values.write) {
  const date = new Date().toISOString().slice(0, 10);
  const head = `# Benchmark of the core

Made on ${date} by \`npm run bench -- core --write --runs ${values.runs}\` (scripts/bench/core.ts).
`;
  await mkdir('docs/benchmarks', { recursive: true });
  await writeFile('docs/benchmarks/core.md', `${head}\n${report}`);
}
