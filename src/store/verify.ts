import { rebuildEventRows } from '#store/events.js';
import type { KeyPart } from '#store/keyspace.js';
import { rebuildMembers } from '#store/members.js';
import { meta } from '#store/schema.js';
import { rebuildStateKeys, StateTrees } from '#store/state.js';
import type { Store } from '#store/types.js';
import { type CheckGround, ROW_CHECKS } from '#store/verify-rows.js';

/** One thing that is not as it must be. */
export interface StoreProblem {
  /** Name of the keyspace, or `database` where no keyspace is concerned. */
  readonly keyspace: string;
  /** The row's key. */
  readonly key: readonly KeyPart[];
  readonly problem: string;
}

/**
 * Walks the whole database and yields every broken invariant: rows that are damaged or stray, and rows that contradict
 * one another. The order of batches was checked when the store was opened. Nothing may be written meanwhile.
 */
export async function* verifyStore(store: Store): AsyncGenerator<StoreProblem, void, undefined> {
  const checks = new Map(ROW_CHECKS.map((check) => [check.keyspace.id, check]));
  const ground: CheckGround = {
    store,
    trees: new StateTrees(),
    serverName: String(store.get(meta, ['server_name'])),
    reserved: Number(store.get(meta, ['positions']) ?? 0),
  };
  for await (const { keyspace, parts, value, problem } of store.scan()) {
    const name = keyspace?.name ?? 'database';
    if (problem !== undefined) {
      yield { keyspace: name, key: parts, problem };
      continue;
    }
    const check = keyspace === undefined ? undefined : checks.get(keyspace.id);
    if (check === undefined) continue;
    try {
      for (const found of check.problems(ground, parts, value)) yield { keyspace: name, key: parts, problem: found };
    } catch (error) {
      // A damaged row that this one leads to.
      const reason = error instanceof Error ? error.message : String(error);
      yield { keyspace: name, key: parts, problem: `can not be checked: ${reason}` };
    }
  }
}

/**
 * Makes the rows anew that the store itself derives: event numbers, timelines, timestamps, state keys, members and
 * memberships. Stop the server first. Returns how many rows were put or deleted.
 */
export async function rebuildDerived(store: Store): Promise<number> {
  const trees = new StateTrees();
  return (await rebuildStateKeys(store)) + (await rebuildEventRows(store)) + (await rebuildMembers(store, trees));
}
