import { existsSync, mkdirSync, readdir, readdirSync, renameSync, statSync, unlinkSync } from 'node:fs';
import { open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { codeOf } from '#store/kv.js';
import { StoreError } from '#store/store-error.js';
import { syncFolder, writeNewFile } from '#util/durable-files.js';

/**
 * Bytes that must be writable before a database that ran out of space is closed and opened again: opening turns LevelDB's
 * log (some 4 MiB) into tables first, and where that fails there is nothing to read from either.
 */
const PROBE_BYTES = 6 << 20;

const TABLE = /\.(ldb|sst)$/;

/** Folder of the database inside the data directory. */
export function databasePath(directory: string): string {
  return join(directory, 'db');
}

/** File beside the database that says there is one. */
export function sentinelPath(directory: string): string {
  return join(directory, 'db.json');
}

/**
 * Whether a database must already be here. Throws `StoreError` missing where one was here and is gone, in whole or its
 * CURRENT file: LevelDB would then begin an empty one without a word.
 */
export function expectDatabase(directory: string): boolean {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const sentinel = statSync(sentinelPath(directory), { throwIfNoEntry: false }) !== undefined;
    const names = list(databasePath(directory));
    if (names.includes('CURRENT')) return sentinel;
    if (sentinel)
      throw gone(databasePath(directory), names.length === 0 ? 'is empty or missing' : 'has no CURRENT file');
    // A first start that was killed leaves a manifest; tables or a second manifest mean that data was here.
    if (names.some((name) => TABLE.test(name) || (/^MANIFEST-/.test(name) && name !== 'MANIFEST-000001'))) {
      throw gone(databasePath(directory), 'has no CURRENT file');
    }
    return false;
  } catch (error) {
    if (error instanceof StoreError) throw error;
    const kind = ['EACCES', 'EPERM', 'EROFS'].includes(codeOf(error) ?? '') ? 'noPermission' : 'unavailable';
    throw new StoreError(kind, `the data directory ${directory} can not be used: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** Says durably that there is a database now. */
export function writeSentinel(directory: string, createdTs: number): void {
  const path = sentinelPath(directory);
  const text = `${JSON.stringify({
    about: 'Runnel keeps its database in the folder db. This file makes it refuse to start afresh if that is lost.',
    created_ts: createdTs,
  })}\n`;
  const beside = `${path}.new`;
  if (existsSync(beside)) unlinkSync(beside);
  writeNewFile(beside, text);
  renameSync(beside, path);
  syncFolder(directory);
}

/** How many tables lie in the folder of a database that is open, used or not. */
export async function tables(directory: string): Promise<number> {
  // At every rest: `node:fs/promises` would stay in memory for this alone.
  return (await promisify(readdir)(databasePath(directory))).filter((name) => TABLE.test(name)).length;
}

/** Rejects while the disk takes no writes: so a full disk is waited for with the database still readable. */
export async function probeWrite(directory: string): Promise<void> {
  const path = join(directory, 'db.probe');
  const file = await open(path, 'w', 0o600);
  try {
    await file.writeFile(Buffer.alloc(PROBE_BYTES));
    await file.sync();
  } finally {
    await file.close();
    await unlink(path);
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
}

function gone(path: string, how: string): StoreError {
  return new StoreError(
    'missing',
    `there was a database here, but ${path} ${how}. Nothing was changed. Restore it from a backup; ` +
      'only to begin an empty server, remove the file db.json as well.',
  );
}
