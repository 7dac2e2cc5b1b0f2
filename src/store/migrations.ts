import type { JsonValue } from '#core/json-value.js';
import { sentTransactionsTogether } from '#store/migration-2.js';
import { meta } from '#store/schema.js';
import type { Store, Tx } from '#store/types.js';

/** What a migration works with: the store, where an earlier run stopped, and how to say where this one is. */
export interface MigrationRun {
  readonly store: Store;
  /** What the last transaction that called `save` said, or undefined when the migration starts. */
  readonly cursor: JsonValue | undefined;
  /** Remembers progress in the transaction that made it, so that a crash resumes exactly there. */
  save(tx: Tx, cursor: JsonValue): void;
}

/**
 * One step of the format. It works in transactions of bounded size and must be able to go on from any saved cursor;
 * forward only.
 */
export interface Migration {
  /** Format version after it. */
  readonly to: number;
  /** What changes, in one sentence; the operator reads it at start. */
  readonly purpose: string;
  run(step: MigrationRun): Promise<void>;
}

/** Format of the first release; every migration raises it by one. */
export const FIRST_FORMAT = 1;

/** Migrations in order. A database is brought to the last one's format when it is opened. */
export const MIGRATIONS: readonly Migration[] = [sentTransactionsTogether];

/** The format that this program writes. */
export function currentFormat(migrations: readonly Migration[]): number {
  return migrations.at(-1)?.to ?? FIRST_FORMAT;
}

/** Brings the store from `format` to the current one, step by step, each resumable. */
export async function migrate(
  store: Store,
  format: number,
  migrations: readonly Migration[],
  announce: (migration: Migration) => void,
): Promise<void> {
  for (const migration of migrations) {
    if (migration.to <= format) continue;
    announce(migration);
    const progress = store.get(meta, ['migration']) as { to: number; cursor: JsonValue } | undefined;
    await migration.run({
      store,
      cursor: progress?.to === migration.to ? progress.cursor : undefined,
      save: (tx, cursor) => tx.put(meta, ['migration'], { to: migration.to, cursor }),
    });
    await store.commit((tx) => {
      tx.put(meta, ['format'], migration.to);
      tx.delete(meta, ['migration']);
    });
  }
}
