import { setFlagsFromString } from 'node:v8';

/** After so long a start is over on most machines; where it is not, a server without compilers would only be slower still. */
export const STARTING_MS = 1_000;

/**
 * Gives V8 back the compilers that `main.cts` takes from it. What is kept of compiled code fits only the options that it was
 * compiled with (docs/decisions/0011-compile-cache.md), so these are from then on as they were when the bundle was compiled.
 */
export function useCompilers(): void {
  if (!('WebAssembly' in globalThis)) return;
  setFlagsFromString('--turbofan');
  setFlagsFromString('--sparkplug');
}
