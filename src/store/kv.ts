import type { KeyPart, Keyspace } from '#store/keyspace.js';
import { StoreError } from '#store/store-error.js';

/**
 * What the store needs of an abstract-level database with `buffer` keys and values: LevelDB on a real disk, or another
 * one in simulations and fault tests.
 */
export interface KeyValueDb {
  readonly status: string;
  open(options?: { createIfMissing?: boolean }): Promise<void>;
  close(): Promise<void>;
  getSync(key: Buffer): Buffer | undefined;
  /** Atomic; with `sync` it resolves once the bytes are on disk. */
  batch(rows: readonly BatchRow[], options: { sync: boolean }): Promise<void>;
  iterator(options: IteratorOptions): {
    nextv(size: number): Promise<[Buffer, Buffer][]>;
    close(): Promise<void>;
  };
  /** Removes the tables of rows that have been written elsewhere since, where they are many; absent where there are none. */
  removeUnused?(): Promise<void>;
}

/** A row of a batch. */
export interface BatchRow {
  readonly key: Buffer;
  /** What is put there; undefined where the row is deleted. */
  readonly sealed: Buffer | undefined;
}

export interface IteratorOptions {
  readonly gte: Buffer;
  readonly lt: Buffer;
  readonly reverse: boolean;
  readonly limit: number;
  readonly highWaterMarkBytes: number;
}

export type AnyKeyspace = Keyspace<readonly KeyPart[], unknown>;

/** A keyspace without its types, for code that treats all alike. */
export function untyped<K extends readonly KeyPart[], V>(keyspace: Keyspace<K, V>): AnyKeyspace {
  return keyspace as unknown as AnyKeyspace;
}

/** Translates what the database throws on a read into a `StoreError`. */
export function readError(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const code = codeOf(error);
  if (code === 'LEVEL_CORRUPTION') return new StoreError('corrupt', 'the database is damaged', { cause: error });
  return new StoreError('unavailable', 'the database can not be read just now', { cause: error });
}

/** The `code` of an error, or of what caused it. */
export function codeOf(error: unknown): string | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 4; at = at.cause, depth++) {
    const code = (at as { code?: unknown }).code;
    if (typeof code === 'string' && code !== 'LEVEL_DATABASE_NOT_OPEN') return code;
  }
  return undefined;
}

/** What the deepest cause of an error says. */
export function innermost(error: unknown): string {
  let at = error;
  for (let depth = 0; depth < 4 && at instanceof Error && at.cause instanceof Error; depth++) at = at.cause;
  return at instanceof Error ? at.message : String(at);
}
