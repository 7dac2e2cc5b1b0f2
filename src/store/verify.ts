import type { Check, CheckGround, Finding, StoreProblem } from '#store/checks.js';
import { Events } from '#store/events.js';
import type { KeyPart } from '#store/keyspace.js';
import type { AnyKeyspace } from '#store/kv.js';
import { meta } from '#store/schema.js';
import { StateTrees } from '#store/state.js';
import type { Store } from '#store/types.js';

function groundOf(store: Store): CheckGround {
  return {
    store,
    events: new Events(),
    trees: new StateTrees(),
    serverName: String(store.get(meta, ['server_name'])),
    reserved: Number(store.get(meta, ['positions']) ?? 0),
  };
}

/**
 * Walks the whole database once, asks `checks` of each row and then what they ask of the whole, and yields every broken
 * invariant: rows that are damaged or stray, and rows that contradict one another. The order of batches was checked when
 * the store was opened. Nothing may be written meanwhile.
 */
export async function* verifyStore(
  store: Store,
  checks: readonly Check[],
): AsyncGenerator<StoreProblem, void, undefined> {
  const ground = groundOf(store);
  const ofRows = new Map<number, Check['row'][]>();
  for (const { row } of checks) if (row !== undefined) ofRows.set(row.of.id, [...(ofRows.get(row.of.id) ?? []), row]);
  for await (const { keyspace, parts, value, problem } of store.scan()) {
    if (problem !== undefined || keyspace === undefined) {
      yield { keyspace: keyspace?.name ?? 'database', key: parts, problem: problem ?? 'belongs to no keyspace' };
      continue;
    }
    if (typeof value === 'number' && !Number.isSafeInteger(value)) {
      yield { keyspace: keyspace.name, key: parts, problem: 'is not a whole number' };
      continue;
    }
    for (const row of ofRows.get(keyspace.id) ?? []) {
      yield* guarded(keyspace, parts, () => row!.problems(ground, parts, value));
    }
  }
  for (const { whole, covers } of checks) {
    if (whole !== undefined) yield* guarded(covers[0], [], () => whole(ground));
  }
}

/** What a check finds; where it fails, because a row that it leads to is damaged, that. */
async function* guarded(
  keyspace: AnyKeyspace | undefined,
  key: readonly KeyPart[],
  findings: () => Iterable<Finding> | AsyncIterable<Finding>,
): AsyncGenerator<StoreProblem, void, undefined> {
  const name = keyspace?.name ?? 'database';
  try {
    for await (const found of findings()) {
      yield typeof found === 'string' ? { keyspace: name, key, problem: found } : found;
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    yield { keyspace: name, key, problem: `can not be checked: ${reason}` };
  }
}

/**
 * Makes the rows anew that follow from others, check by check: what a later one rests on, an earlier one has mended.
 * Stop the server first. Returns how many rows were put or deleted.
 */
export async function rebuildDerived(store: Store, checks: readonly Check[]): Promise<number> {
  const ground = groundOf(store);
  let changed = 0;
  for (const { rebuild } of checks) changed += (await rebuild?.(ground)) ?? 0;
  return changed;
}
