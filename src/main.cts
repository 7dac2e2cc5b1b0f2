#!/usr/bin/env node
import fs = require('node:fs');
import path = require('node:path');
import v8 = require('node:v8');
import vm = require('node:vm');

// CommonJS, since for a module Node would begin a loader of its own.

/** What V8 compiled of the bundle when it was made (docs/decisions/0011-compile-cache.md). */
const CACHE_FILE = path.join(__dirname, 'bundle', 'program.cache');
const file = path.join(__dirname, 'bundle', 'program.cjs');
const read = Promise.all([readAhead(file), fs.existsSync(CACHE_FILE) ? readAhead(CACHE_FILE) : undefined]);

// Of its own modules Node keeps what was compiled when it was built, and V8 takes that only while its options are those of
// then: what the program needs of them is loaded before the first is changed, in a third of the time.
for (const name of ['http', 'dns', 'zlib', 'cluster']) {
  process.getBuiltinModule(name);
}
// Node loads this when it is first asked for.
Boolean(process.getBuiltinModule('net').BlockList);

// Memory before speed, since both can be had: see docs/benchmarks/server.md for what each of these gives and costs. V8 would
// let its nursery of young objects grow to 16 MB while modules load, and let the heap quadruple before it looks for what
// can go. Set before anything of ours loads. The last is on the command line too (scripts/start.sh), where alone it has an
// effect; said here as well, the compiled code fits both.
const MEMORY_FIRST = ['--semi-space-growth-factor=1', '--heap-growing-percent=30', '--no-memory-reducer'];
/**
 * Hardly a function runs often enough while a server starts to earn back what compiling it to machine code costs, and the
 * compilers bring 4 MB of the Node binary into memory: they wait until the start is over (cli/compilers.ts).
 * Where V8 has none (`--jitless`, which WebAssembly can't be without), none are taken and none given back.
 */
const COMPILERS = 'WebAssembly' in globalThis ? ['turbofan', 'sparkplug'] : [];
const WITHOUT_COMPILERS = COMPILERS.map((name) => `--no-${name}`);
/** All of these as they were when Node was built. */
const AS_BUILT = [
  ...['--semi-space-growth-factor=2', '--heap-growing-percent=0', '--memory-reducer'],
  ...COMPILERS.map((name) => `--${name}`),
];
/** The program sets options of its own a second after it began (`STARTING_MS`). Until then they are those of this file. */
const OURS_FOR_SECONDS = 0.5;

setOptions(MEMORY_FIRST);

function setOptions(options: readonly string[]): void {
  for (const option of options) v8.setFlagsFromString(option);
}

/** Begins to read a file on another thread: most of the work is that the system finds memory for it. */
function readAhead(path: string): Promise<Buffer> {
  const fd = fs.openSync(path, 'r');
  const bytes = Buffer.allocUnsafeSlow(fs.fstatSync(fd).size);
  return new Promise((done, fail) => {
    fs.read(fd, bytes, 0, bytes.length, 0, (error, length) => {
      fs.closeSync(fd);
      if (error === null && length === bytes.length) done(bytes);
      else fail(error ?? new Error(`${path} could not be read whole`));
    });
  });
}

/** Runs the bundle. Where this is another V8 than that of the cache, it compiles anew. */
function run(text: Buffer, cachedData: Buffer | undefined): vm.Script {
  // As Latin-1 it stays out of V8's heap, and it is all ASCII.
  const program = new vm.Script(text.toString('latin1'), { filename: file, ...(cachedData && { cachedData }) });
  const start = program.runInThisContext() as (require: typeof load, filename: string) => void;
  setOptions(WITHOUT_COMPILERS);
  start(load, file);
  return program;
}

/** `require` for the bundle, which asks for `crypto` right after its first answers. */
function load(id: string): unknown {
  if (id !== 'node:crypto' || process.uptime() >= OURS_FOR_SECONDS) return require(id);
  setOptions(AS_BUILT);
  try {
    return require(id);
  } finally {
    setOptions([...MEMORY_FIRST, ...WITHOUT_COMPILERS]);
  }
}
load.resolve = require.resolve;

export = { CACHE_FILE, program: read.then(([text, cachedData]) => run(text, cachedData)) };
