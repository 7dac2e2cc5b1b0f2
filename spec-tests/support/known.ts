/** Which homeserver `HS_URL` names, where the tests need to know: `synapse`. */
const IMPLEMENTATION = process.env['HS_IMPLEMENTATION'];

/**
 * Options of a test that Synapse fails and by the specification should not: against Synapse it still runs, but its
 * failure does not fail the run. `why` says what Synapse does; docs/interop.md has the sentence of the specification.
 */
export function synapseDiffers(why: string): { todo?: string } {
  return IMPLEMENTATION === 'synapse' ? { todo: why } : {};
}

/** Options of a test of what this project chose where the specification leaves it open; it runs against Runnel only. */
export function ourChoice(why: string): { skip?: string } {
  return IMPLEMENTATION === undefined ? {} : { skip: why };
}
