// Types, lint and format, tidy, unit tests, black-box tests: in this order, all of them even where one fails.
// `npm test -- types units` runs only the groups named. HS_URL makes the black-box tests run against that server.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { availableParallelism, tmpdir } from 'node:os';
import { join, sep } from 'node:path';

const READY_WITHIN_MS = 20_000;
const STOP_WITHIN_MS = 15_000;
/** A test file that waits for what never comes fails then, and the others go on. */
const FILE_MS = 600_000;
const bin = (name) => join('node_modules', '.bin', name);

/** Runs a program with our output as its own; resolves with whether it ended with 0. */
function run(command, args, env = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, ...env } });
    child.once('error', (error) => {
      console.error(`${command}: ${error.message}`);
      resolve(false);
    });
    child.once('exit', (code) => resolve(code === 0));
  });
}

/**
 * Compiled test files of the sources under `from`, without those in the folder `apart`; what lies in the output without a
 * source is left over.
 */
function testFiles(from, to, apart) {
  return readdirSync(from, { recursive: true })
    .filter((file) => file.endsWith('.test.ts') && file.split(sep)[0] !== apart)
    .sort()
    .map((file) => join(to, file.replace(/\.ts$/, '.js')));
}

function nodeTest(files, env) {
  const missing = files.filter((file) => !existsSync(file));
  if (files.length === 0 || missing.length > 0) {
    console.error(files.length === 0 ? 'There is no test file.' : `Not built: ${missing.join(', ')}`);
    return false;
  }
  const concurrency = Math.max(2, availableParallelism());
  // Where another homeserver is tested, some tests are marked as ones that it may fail.
  const reporter = process.env.HS_IMPLEMENTATION ? './scripts/marked.mjs' : process.stdout.isTTY ? 'spec' : 'dot';
  return run(
    process.execPath,
    [
      '--test',
      `--test-concurrency=${concurrency}`,
      `--test-timeout=${FILE_MS}`,
      `--test-reporter=${reporter}`,
      ...files,
    ],
    env,
  );
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

async function ready(url, child) {
  const deadline = performance.now() + READY_WITHIN_MS;
  while (child.exitCode === null && child.signalCode === null && performance.now() < deadline) {
    const answer = await fetch(`${url}/ready`).catch(() => undefined);
    if (answer?.status === 200) return true;
    await new Promise((again) => setTimeout(again, 25));
  }
  return false;
}

/**
 * Runs `use` against a server in a directory of its own, which must then end with 0 when asked to, and leave a database in
 * which `runnel check` finds nothing wrong.
 */
async function withServer(use) {
  const data = mkdtempSync(join(tmpdir(), 'runnel-test-'));
  const url = `http://127.0.0.1:${await freePort()}`;
  const secret = randomBytes(16).toString('hex');
  const ours = Object.entries(process.env).filter(([name]) => !name.startsWith('RUNNEL_'));
  const child = spawn(process.execPath, ['dist/main.cjs', 'serve'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...Object.fromEntries(ours),
      RUNNEL_LISTEN: url.slice('http://'.length),
      RUNNEL_DATA: join(data, 'data'),
      RUNNEL_REGISTRATION: 'open',
      RUNNEL_REGISTRATION_SHARED_SECRET: secret,
      RUNNEL_RATE_LIMITS: 'off',
    },
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      printed = (printed + chunk).slice(-20_000);
    });
  }
  const gone = new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve(code ?? signal));
    child.once('error', (error) => resolve(error.message));
  });
  let ok = false;
  try {
    if (await ready(url, child)) ok = await use(url, secret);
    else console.error('The server did not become ready.');
  } finally {
    child.kill('SIGTERM');
    const killer = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
    const end = await gone;
    clearTimeout(killer);
    if (end !== 0) {
      console.error(`The server ended with ${end} when asked to stop.`);
      ok = false;
    } else if (!(await run(process.execPath, ['dist/main.cjs', 'check', '--data', join(data, 'data')]))) {
      ok = false;
    }
    if (!ok) console.error(`Last lines of the server:\n${printed}`);
    rmSync(data, { recursive: true, force: true });
  }
  return ok;
}

// The clients need more than Node and npm: scripts/clients.sh runs them.
const blackBox = () => testFiles('spec-tests', 'build/spec-tests', 'clients');

/** Runs the black-box tests against a server of their own, then asks whether they tried every operation. */
async function blackBoxWithCoverage() {
  const folder = mkdtempSync(join(tmpdir(), 'runnel-answers-'));
  const answers = join(folder, 'answers');
  try {
    const passed = await withServer((url, secret) =>
      nodeTest(blackBox(), { HS_URL: url, HS_SHARED_SECRET: secret, HS_ANSWERS: answers }),
    );
    return (await run(process.execPath, ['build/scripts/coverage.js', answers])) && passed;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const build = async () =>
  (await run(bin('tsc'), ['-b', '.', 'spec-tests', 'scripts'])) && run(process.execPath, ['scripts/bundle.mjs']);

const groups = {
  types: build,
  lint: () =>
    run(bin('biome'), ['ci', '--diagnostic-level=error', `--colors=${process.stdout.isTTY ? 'force' : 'off'}`]),
  tidy: () => run(process.execPath, ['build/scripts/tidy.js']),
  units: () => nodeTest([...testFiles('src', 'dist'), ...testFiles('scripts', 'build/scripts')]),
  'black-box': () => (process.env.HS_URL ? nodeTest(blackBox()) : blackBoxWithCoverage()),
};

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !Object.hasOwn(groups, name));
if (unknown.length > 0) {
  console.error(`No group ${unknown.join(', ')}; there are ${Object.keys(groups).join(', ')}.`);
  process.exit(2);
}
// The other groups run what `types` builds.
if (asked.length > 0 && !asked.includes('types') && !(await build())) process.exit(1);
const results = [];
for (const [name, group] of Object.entries(groups)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  console.log(`\n── ${name}`);
  const from = performance.now();
  const ok = await group();
  results.push({ name, ok, seconds: (performance.now() - from) / 1000 });
}
const failed = results.filter((result) => !result.ok);
console.log();
for (const { name, ok, seconds } of results) {
  console.log(`${ok ? 'ok    ' : 'FAILED'}  ${name}  ${seconds.toFixed(1)} s`);
}
console.log(`${results.length - failed.length} groups passed, ${failed.length} failed`);
process.exit(failed.length === 0 ? 0 : 1);
