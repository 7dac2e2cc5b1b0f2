#!/usr/bin/env node
import fs = require('node:fs');
import path = require('node:path');
import v8 = require('node:v8');
import vm = require('node:vm');

// CommonJS, since for a module Node would begin a loader of its own.

// Of its own modules Node keeps what was compiled when it was built, and V8 takes that only while its options are those of
// then: what the program needs of them is loaded before the first is changed, in a third of the time.
for (const name of ['http', 'crypto', 'os', 'dns', 'perf_hooks', 'zlib', 'cluster']) {
  process.getBuiltinModule(name);
}
// Node loads these when they are first asked for.
Boolean(process.getBuiltinModule('net').BlockList && process.getBuiltinModule('util').parseArgs);

// Memory before speed, since both can be had: see docs/benchmarks/server.md for what each of these gives and costs. V8 would
// let its nursery of young objects grow to 16 MB while modules load, and let the heap quadruple before it looks for what
// can go. Set before anything of ours loads. The last is on the command line too (scripts/start.sh), where alone it has an
// effect; said here as well, the compiled code fits both.
v8.setFlagsFromString('--semi-space-growth-factor=1');
v8.setFlagsFromString('--heap-growing-percent=30');
v8.setFlagsFromString('--no-memory-reducer');

// The bundle, and what V8 compiled of it when it was made (docs/decisions/0011-compile-cache.md). Where this is another V8, it
// compiles anew.
const file = path.join(__dirname, 'bundle', 'program.cjs');
const CACHE_FILE = path.join(__dirname, 'bundle', 'program.cache');
const cachedData = fs.existsSync(CACHE_FILE) ? fs.readFileSync(CACHE_FILE) : undefined;
// As Latin-1 it stays out of V8's heap, and it is all ASCII.
const program = new vm.Script(fs.readFileSync(file, 'latin1'), { filename: file, ...(cachedData && { cachedData }) });
const start = program.runInThisContext() as (require: NodeJS.Require, filename: string) => void;

// Hardly a function runs often enough while a server starts to earn back what compiling it to machine code costs, and the
// compilers bring 4 MB of the Node binary into memory: they wait until the start is over (cli/compilers.ts).
// Where V8 has none (`--jitless`, which WebAssembly can't be without), none are taken and none given back.
if ('WebAssembly' in globalThis) {
  v8.setFlagsFromString('--no-turbofan');
  v8.setFlagsFromString('--no-sparkplug');
}
start(require, file);

export = { program, CACHE_FILE };
