/**
 * Turns what `go test -json` printed of a Complement run into `results.jsonl` (one line a test) and docs/COMPLEMENT.md
 * (totals a package, every group that is not green). Fails when a test that passed in the committed results does not.
 *
 *     node build/spec-tests/complement/render.js OUTPUT… --revision COMMIT --date YYYY-MM-DD [--partial]
 *
 * Several outputs are taken together, later ones over earlier ones. `--partial` keeps the committed results of tests that
 * the outputs don't name; `--note` adds a sentence on how the results came about.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

type Verdict = 'pass' | 'fail' | 'skip';

interface Result {
  readonly package: string;
  readonly test: string;
  readonly result: Verdict;
}

const ROOT = resolve(import.meta.dirname, '../../..');
const RESULTS = resolve(ROOT, 'spec-tests/complement/results.jsonl');
const PAGE = resolve(ROOT, 'docs/COMPLEMENT.md');

const keyOf = (result: Result): string => `${result.package} ${result.test}`;
const isVerdict = (action: unknown): action is Verdict => action === 'pass' || action === 'fail' || action === 'skip';

/** Results of one output; lines that are no JSON (what the compiler says, say) are passed over. */
function readOutput(text: string): Result[] {
  const found: Result[] = [];
  for (const line of text.split('\n')) {
    if (!line.startsWith('{')) continue;
    const event = JSON.parse(line) as { Action?: unknown; Package?: string; Test?: string };
    if (event.Test === undefined || event.Package === undefined || !isVerdict(event.Action)) continue;
    const name = event.Package.replace(/^.*\/complement\//, '');
    found.push({ package: name, test: event.Test, result: event.Action });
  }
  return found;
}

function readResults(): Map<string, Result> {
  let text = '';
  try {
    text = readFileSync(RESULTS, 'utf8');
  } catch {
    return new Map();
  }
  const results = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Result);
  return new Map(results.map((result) => [keyOf(result), result]));
}

interface Totals {
  groups: number;
  groupsPassed: number;
  tests: number;
  passed: number;
  skipped: number;
}

function totalsOf(results: readonly Result[]): Totals {
  const groups = results.filter(({ test }) => !test.includes('/'));
  return {
    groups: groups.length,
    groupsPassed: groups.filter(({ result }) => result === 'pass').length,
    tests: results.length,
    passed: results.filter(({ result }) => result === 'pass').length,
    skipped: results.filter(({ result }) => result === 'skip').length,
  };
}

const row = (name: string, t: Totals): string =>
  `| ${name} | ${t.groupsPassed} of ${t.groups} | ${t.passed} of ${t.tests} | ${t.skipped} |`;

function page(results: readonly Result[], revision: string, date: string, note: string | undefined): string {
  const packages = [...new Set(results.map((result) => result.package))].sort();
  const failing = results.filter(({ test, result }) => !test.includes('/') && result !== 'pass');
  return `# Complement

Complement is the Matrix network's acceptance suite for homeservers. This page is made by
\`spec-tests/complement/render.ts\` from the output of a run; the results of every test are in
\`spec-tests/complement/results.jsonl\`.

Last run: ${date}, Complement at \`${revision}\`, no blacklist tag.${note === undefined ? '' : ` ${note}`}

| package | groups passed | tests passed | skipped |
|---|---|---|---|
${packages.map((name) => row(name, totalsOf(results.filter((result) => result.package === name)))).join('\n')}
${row('**all that were run**', totalsOf(results))}

## Groups that are not green

${failing.length === 0 ? 'None.' : failing.map(({ package: name, test, result }) => `- ${test} (${name}): ${result}`).join('\n')}

## How to repeat it

\`spec-tests/complement/build-image.sh\` builds the image \`runnel-complement\` on top of the product's image. It needs root
and Debian; it installs Docker's engine and debootstrap where they are missing. Then, in a checkout of Complement:

    COMPLEMENT_BASE_IMAGE=runnel-complement go test -json -count=1 ./tests/... > output.json

and here \`npm run build && npx tsc -b spec-tests && node build/spec-tests/complement/render.js output.json --revision … --date …\`.

## Options of the image

The image sets ordinary options of the product, in \`spec-tests/complement/start.sh\`:

| option | why |
|---|---|
| \`registration = open\`, \`guests = on\`, shared secret \`complement\` | Complement registers its users without tokens, and administrators by the secret |
| \`rate_limits = off\` | tests send faster than people do |
| \`legacy_media = on\` | its media tests read the legacy, unauthenticated paths |
| \`default_room_version = 11\` | six groups name the creator in \`users\` of the power levels, which version 12 forbids |
| \`federation = on\`, \`federation_ca\`, \`federation_allow\` | the servers that Complement plays are in Docker's networks, certified by its own authority |
| \`tls_listen\` with a certificate by Complement's authority | port 8448, for federation |
`;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    revision: { type: 'string' },
    date: { type: 'string' },
    note: { type: 'string' },
    partial: { type: 'boolean', default: false },
  },
});
if (positionals.length === 0 || values.revision === undefined || values.date === undefined) {
  console.error('render: OUTPUT… --revision COMMIT --date YYYY-MM-DD [--partial]');
  process.exit(2);
}
const before = readResults();
const after = new Map(values.partial ? before : []);
for (const file of positionals) {
  for (const result of readOutput(readFileSync(file, 'utf8'))) after.set(keyOf(result), result);
}
const results = [...after.values()].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
writeFileSync(RESULTS, results.map((result) => `${JSON.stringify(result)}\n`).join(''));
writeFileSync(PAGE, page(results, values.revision, values.date, values.note));
const worse = results.filter((result) => result.result !== 'pass' && before.get(keyOf(result))?.result === 'pass');
const totals = totalsOf(results);
console.log(`${totals.groupsPassed} of ${totals.groups} groups, ${totals.passed} of ${totals.tests} tests passed`);
if (worse.length > 0) {
  console.error(`These passed before:\n${worse.map((result) => `  ${keyOf(result)}`).join('\n')}`);
  process.exit(1);
}
