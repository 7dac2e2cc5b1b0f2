import { parseArgs } from 'node:util';
import { auth } from './auth-kind.js';
import { Dice } from './dice.js';
import { hashes, ids, redaction, signing } from './event-kinds.js';
import { canonical, parse } from './json-kinds.js';
import type { Case, Kind } from './kind.js';
import { Reference } from './reference.js';
import { state } from './state-kind.js';

/**
 * Differential testing of `src/core` against Synapse: `npm run differential -- --cases N --seed S [--kind K]`. Prints a
 * line a kind and every difference with what makes it again; ends with 1 where there was one. See docs/differential.md.
 */
const KINDS: readonly Kind[] = [canonical, parse, hashes, ids, redaction, signing, auth, state];
const USAGE = `npm run differential -- [--cases N] [--seed S] [--kind ${KINDS.map(({ name }) => name).join('|')}] [--only CASE] [--show N]`;
/** Questions in a batch; two batches are under way at a time. */
const BATCH = 64;
/** Characters of an answer in a report. */
const MOST_SHOWN = 4_000;

interface Options {
  readonly cases: number;
  readonly seed: number;
  /** One case and no other. */
  readonly only: number | undefined;
  /** Differences of a kind that are printed. */
  readonly show: number;
}

interface Tally {
  cases: number;
  differences: number;
  readonly explained: Map<string, number>;
}

function options(): { readonly options: Options; readonly kinds: readonly Kind[]; readonly python: string } {
  const { values } = parseArgs({
    options: {
      cases: { type: 'string', default: '1000' },
      seed: { type: 'string', default: '1' },
      kind: { type: 'string', multiple: true },
      only: { type: 'string' },
      show: { type: 'string', default: '5' },
      python: { type: 'string', default: 'build/venv/bin/python' },
    },
  });
  const whole = (text: string): number => {
    if (!/^\d{1,9}$/.test(text)) throw new Error(USAGE);
    return Number(text);
  };
  const kinds = values.kind === undefined ? KINDS : KINDS.filter(({ name }) => values.kind?.includes(name));
  if (kinds.length === 0) throw new Error(USAGE);
  return {
    options: {
      cases: whole(values.cases),
      seed: whole(values.seed),
      only: values.only === undefined ? undefined : whole(values.only),
      show: whole(values.show),
    },
    kinds,
    python: values.python,
  };
}

async function report(reference: Reference, kind: Kind, made: Case, part: number, where: string): Promise<void> {
  console.log(`DIFFERENCE in ${where}, part ${part}`);
  if (made.describe !== undefined) console.log(made.describe(part));
  const [reply] = await reference.ask([request(kind, made, ',"detail":true')]);
  const shown = (text = 'nothing'): string => (text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)} …` : text);
  console.log(`  Runnel:  ${shown(made.answers[part])}`);
  console.log(`  Synapse: ${shown(reply?.answers[part])}  ${reply?.notes[part] ?? reply?.notes[0] ?? ''}`);
}

function request(kind: Kind, made: Case, more = ''): string {
  return `{"kind":"${kind.name}",${made.request.slice(1, -1)}${more}}`;
}

async function compare(reference: Reference, kind: Kind, { cases, seed, only, show }: Options): Promise<Tally> {
  const tally: Tally = { cases: 0, differences: 0, explained: new Map() };
  const judge = async (batch: readonly { readonly number: number; readonly made: Case }[]): Promise<void> => {
    const replies = await reference.ask(batch.map(({ made }) => request(kind, made)));
    for (const [index, { number, made }] of batch.entries()) {
      const { answers, notes } = replies[index]!;
      for (const [part, ours] of made.answers.entries()) {
        const theirs = answers[part] ?? 'nothing';
        if (theirs === ours) continue;
        const excuse = made.excuse?.(part, theirs, notes[part] ?? notes[0] ?? '');
        if (excuse !== undefined) {
          tally.explained.set(excuse, (tally.explained.get(excuse) ?? 0) + 1);
          continue;
        }
        tally.differences++;
        const where = `--kind ${kind.name} --seed ${seed} --only ${number}`;
        if (tally.differences <= show) await report(reference, kind, made, part, where);
        // What follows from a first difference in a room says no more.
        break;
      }
      tally.cases += made.count;
    }
  };
  let number = only ?? 0;
  let running: Promise<void> = Promise.resolve();
  let made = 0;
  while (made < cases) {
    const batch: { number: number; made: Case }[] = [];
    while (batch.length < BATCH && made < cases) {
      const one = kind.make(Dice.forCase(seed, kind.name, number));
      batch.push({ number: number++, made: one });
      made = only === undefined ? made + one.count : cases;
    }
    await running;
    running = judge(batch);
    // A failure is met at the next `await`, which may be a batch away.
    running.catch(() => undefined);
  }
  await running;
  return tally;
}

const { options: chosen, kinds, python } = options();
const reference = new Reference(python, 'scripts/differential/reference.py');
const versions = await reference.versions();
console.log(`Synapse ${versions.synapse}, Python ${versions.python}, Node ${process.version}, seed ${chosen.seed}`);
let failed = false;
for (const kind of kinds) {
  const start = process.hrtime.bigint();
  const tally = await compare(reference, kind, chosen);
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  const explained = [...tally.explained].map(([name, count]) => `${name}: ${count}`);
  const rate = Math.round(tally.cases / seconds);
  console.log(
    `${kind.name}: ${tally.cases} cases, ${tally.differences} differences, ${seconds.toFixed(1)} s, ${rate} a second` +
      (explained.length > 0 ? `; explained: ${explained.join(', ')}` : ''),
  );
  failed ||= tally.differences > 0;
}
reference.close();
process.exitCode = failed ? 1 : 0;
