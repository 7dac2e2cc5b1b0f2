import { Level } from 'level';
import type { SigningKey } from '#core/signing.js';
import { CommitLane } from '#store/commit.js';
import * as directories from '#store/directory.js';
import { Journal } from '#store/journal.js';
import { codeOf, innermost, type KeyValueDb } from '#store/kv.js';
import { currentFormat, MIGRATIONS, type Migration, migrate } from '#store/migrations.js';
import { OpenStore } from '#store/open-store.js';
import { CommittedReader } from '#store/read.js';
import { meta } from '#store/schema.js';
import { StoreError } from '#store/store-error.js';
import type { Reader, Store } from '#store/types.js';
import { assert } from '#util/assert.js';
import type { Clock } from '#util/clock.js';
import { type Log, silentLog } from '#util/log.js';

/** LevelDB's cache of uncompressed blocks, in bytes. */
const BLOCK_CACHE_BYTES = 2 << 20;
/** LevelDB's table in memory, in bytes; two of them at most, and as much log on disk. */
const WRITE_BUFFER_BYTES = 2 << 20;
/** So many tables of 2 MB that are no longer used are worth writing the one in memory, with which LevelDB removes them. */
const MANY_UNUSED = 4;
const LEVELS = 7;
/** After the key of every row. */
const BEYOND = Buffer.from([0xff]);

export interface StoreOptions {
  /** The data directory: the database lies in its folder `db`, the sentinel `db.json` beside it. */
  readonly directory?: string;
  /** An abstract-level database with `buffer` encodings in place of LevelDB, for simulations and fault tests. */
  readonly db?: KeyValueDb;
  readonly clock: Clock;
  /** May not change over the life of a database. */
  readonly serverName: string;
  /**
   * The server's signing key, which may not change either; absent for tools that have no need of it. Only its id is compared,
   * where the database knows a key: see `expectSigningKey`.
   */
  readonly signingKey?: PublicKey;
  readonly log?: Log;
  /** For tests of the mechanism; the program's own where absent. */
  readonly migrations?: readonly Migration[];
}

/** What is public of a signing key: `ed25519:` and the version, and base64 of the 32 bytes. */
type PublicKey = Pick<SigningKey, 'id' | 'publicKey'>;

/**
 * Opens the database, or makes one where there has never been any. Throws `StoreError` (locked, corrupt, noPermission,
 * newerFormat, wrongServerName, signingKey, missing) with a sentence for the operator; nothing is changed then.
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  const { directory } = options;
  const log = options.log ?? silentLog;
  const migrations = options.migrations ?? MIGRATIONS;
  const expected = directory === undefined ? undefined : directories.expectDatabase(directory);
  assert(options.db !== undefined || directory !== undefined, 'a data directory or a database is needed');
  const db = options.db ?? levelIn(directory!);
  await openDatabase(db, { createIfMissing: expected !== true });
  try {
    const reader = new CommittedReader(db);
    checkIdentity(reader, options, expected === true, currentFormat(migrations));
    const journal = await Journal.open(reader);
    const store = new OpenStore({
      db,
      reader,
      log,
      clock: options.clock,
      lane: (onFailure) => new CommitLane({ db, reader, journal, log, onFailure, reserved: reservedPositions(reader) }),
      reopen: async () => {
        await db.close();
        await openDatabase(db, { createIfMissing: false });
        return { journal: await Journal.open(reader), reserved: reservedPositions(reader) };
      },
      probe: directory === undefined ? async () => undefined : () => directories.probeWrite(directory),
    });
    await writeIdentity(store, options, migrations);
    if (directory !== undefined && expected !== true) directories.writeSentinel(directory, options.clock.now());
    return store;
  } catch (error) {
    await db.close();
    throw error;
  }
}

/** LevelDB in the data directory, as the store uses it; not open yet. */
export function levelIn(directory: string): KeyValueDb {
  const level = new Level<Buffer, Buffer>(directories.databasePath(directory), {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    cacheSize: BLOCK_CACHE_BYTES,
    writeBufferSize: WRITE_BUFFER_BYTES,
  } as object) as unknown as LevelOnDisk;
  return {
    get status() {
      return level.status;
    },
    open: (options) => level.open(options),
    close: () => level.close(),
    getSync: (key) => level.getSync(key),
    iterator: (options) => level.iterator(options),
    // Chained: an array is copied operation by operation, which takes some seven times as long (6.8 and 0.9 µs a row).
    async batch(rows, options) {
      const batch = level.batch();
      for (const { key, sealed } of rows) {
        if (sealed === undefined) batch.del(key);
        else batch.put(key, sealed);
      }
      await batch.write(options);
    },
    async removeUnused() {
      let used = 0;
      for (let n = 0; n < LEVELS; n++) used += Number(level.getProperty(`leveldb.num-files-at-level${n}`));
      if ((await directories.tables(directory)) - used < MANY_UNUSED) return;
      // LevelDB looks for them each time it has written a table, and that what is in memory becomes one is all this does where
      // there is nothing to compact. Those that were being read just then stayed.
      await level.compactRange(BEYOND, BEYOND);
    },
  };
}

/** What `Level` is on Node: its own types are those that browsers have too. */
interface LevelOnDisk extends Omit<KeyValueDb, 'batch'> {
  batch(): {
    put(key: Buffer, value: Buffer): unknown;
    del(key: Buffer): unknown;
    write(options: { sync: boolean }): Promise<void>;
  };
  getProperty(name: string): string;
  compactRange(start: Buffer, end: Buffer): Promise<void>;
}

async function openDatabase(db: KeyValueDb, options: { createIfMissing: boolean }): Promise<void> {
  try {
    await db.open(options);
  } catch (error) {
    throw openError(error);
  }
}

function openError(cause: unknown): StoreError {
  const detail = innermost(cause);
  switch (codeOf(cause)) {
    case 'LEVEL_LOCKED':
      return new StoreError('locked', 'another Runnel is using this directory', { cause });
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new StoreError('noPermission', `the data directory can not be written: ${detail}`, { cause });
    case 'LEVEL_CORRUPTION':
      return new StoreError('corrupt', `the database is damaged: ${detail}`, { cause });
  }
  if (/permission denied|read-only file system/i.test(detail)) {
    return new StoreError('noPermission', `the data directory can not be written: ${detail}`, { cause });
  }
  if (/corrupt|missing files|checksum|no meta-?nextfile|bad/i.test(detail)) {
    return new StoreError('corrupt', `the database is damaged: ${detail}`, { cause });
  }
  if (/does not exist/i.test(detail)) return new StoreError('missing', `the database is missing: ${detail}`, { cause });
  return new StoreError('unavailable', `the database can not be opened: ${detail}`, { cause });
}

function reservedPositions(reader: CommittedReader): number {
  const reserved = reader.get(meta, ['positions']);
  return typeof reserved === 'number' ? reserved : 0;
}

function checkIdentity(reader: CommittedReader, options: StoreOptions, expected: boolean, newest: number): void {
  const format = reader.get(meta, ['format']);
  if (format === undefined) {
    if (!expected) return;
    throw new StoreError('missing', 'the database is empty, though there was one here: restore it from a backup');
  }
  if (typeof format !== 'number') throw new StoreError('corrupt', 'the database has no readable format version');
  if (format > newest) {
    throw new StoreError(
      'newerFormat',
      `the database has format ${format}, this program knows ${newest}: use the newer Runnel that wrote it`,
    );
  }
  const name = reader.get(meta, ['server_name']);
  if (name !== options.serverName) {
    throw new StoreError(
      'wrongServerName',
      `this database belongs to the server ${String(name)}, not ${options.serverName}; a server's name can not change`,
    );
  }
  const key = reader.get(meta, ['signing_key']);
  const given = options.signingKey;
  if (key !== undefined && given !== undefined && !String(key).startsWith(`${given.id} `)) throw wrongKey();
}

function wrongKey(): StoreError {
  return new StoreError(
    'signingKey',
    'the signing key is not the one that this database was made with: put the old key file back',
  );
}

/** Throws `StoreError` signingKey where another key than this has been the database's. */
export function expectSigningKey(store: Reader, key: PublicKey): void {
  if (store.get(meta, ['signing_key']) !== fingerprint(key)) throw wrongKey();
}

/** What the database remembers of the key. No secret. */
function fingerprint({ id, publicKey }: PublicKey): string {
  return `${id} ${publicKey}`;
}

async function writeIdentity(store: Store, options: StoreOptions, migrations: readonly Migration[]): Promise<void> {
  const { signingKey: key, log } = options;
  const format = store.get(meta, ['format']);
  if (format === undefined) {
    await store.commit((tx) => {
      tx.put(meta, ['format'], currentFormat(migrations));
      tx.put(meta, ['server_name'], options.serverName);
      tx.put(meta, ['created_ts'], options.clock.now());
      if (key !== undefined) tx.put(meta, ['signing_key'], fingerprint(key));
    });
    return;
  }
  if (key !== undefined && store.get(meta, ['signing_key']) === undefined) {
    await store.commit((tx) => tx.put(meta, ['signing_key'], fingerprint(key)));
  }
  await migrate(store, Number(format), migrations, (migration) =>
    log?.info('Migrating the database.', { to: migration.to, purpose: migration.purpose }),
  );
}
