#!/usr/bin/env node
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';

// Of its own modules Node keeps what was compiled when it was built, and V8 takes that only while its options are those of
// then: what the program needs of them is loaded before the first is changed, in a third of the time.
for (const name of ['http', 'crypto', 'os', 'dns/promises', 'fs/promises', 'perf_hooks', 'zlib', 'cluster']) {
  process.getBuiltinModule(name);
}

// Memory before speed, since both can be had: see docs/benchmarks/server.md for what each of these gives and costs. V8 would
// let its nursery of young objects grow to 16 MB while modules load, and let the heap quadruple before it looks for what
// can go. Set before anything else loads. The last is on the command line too (scripts/start.sh), where alone it has an
// effect; said here as well, the compiled code fits both.
setFlagsFromString('--semi-space-growth-factor=1');
setFlagsFromString('--heap-growing-percent=30');
setFlagsFromString('--no-memory-reducer');

// The bundle, and what V8 compiled of it when it was made (docs/decisions/0011-compile-cache.md). Where this is another V8, it
// compiles anew.
const file = fileURLToPath(new URL('./bundle/program.cjs', import.meta.url));
export const CACHE_FILE = fileURLToPath(new URL('./bundle/program.cache', import.meta.url));
const cachedData = existsSync(CACHE_FILE) ? readFileSync(CACHE_FILE) : undefined;
// As Latin-1 it stays out of V8's heap, and it is all ASCII.
export const program = new Script(readFileSync(file, 'latin1'), { filename: file, ...(cachedData && { cachedData }) });
const start = program.runInThisContext() as (require: NodeJS.Require, filename: string) => void;

// Hardly a function runs often enough while a server starts to earn back what compiling it to machine code costs, and the
// compilers bring 4 MB of the Node binary into memory: they wait until the start is over (cli/compilers.ts).
setFlagsFromString('--no-turbofan');
setFlagsFromString('--no-sparkplug');
start(createRequire(file), file);
