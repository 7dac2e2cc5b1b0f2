#!/usr/bin/env node
import { setFlagsFromString } from 'node:v8';

// Memory before speed, since both can be had: see docs/benchmarks/server.md for what each of these gives and costs. V8 would
// let its nursery of young objects grow to 16 MB while modules load, and let the heap quadruple before it looks for what
// can go. Set before anything else loads.
setFlagsFromString('--semi-space-growth-factor=1');
setFlagsFromString('--heap-growing-percent=30');
// By package.json this is the bundle (docs/decisions/0010-bundle.md).
await import('#cli/program.js');
