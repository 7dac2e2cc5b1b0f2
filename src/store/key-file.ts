import { linkSync, readFileSync, statSync, unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { formatSigningKey, parseSigningKey, type SigningKey, signingKeyFromSeed } from '#core/signing.js';
import { databasePath, expectDatabase } from '#store/directory.js';
import { codeOf } from '#store/kv.js';
import { StoreError } from '#store/store-error.js';
import { syncFolder, writeNewFile } from '#util/durable-files.js';
import type { Log } from '#util/log.js';
import type { Random } from '#util/random.js';

const SEED_BYTES = 32;
/** Permission bits of everyone but the owner. */
const OTHERS = 0o077;

/** File of the server's signing key in the data directory: outside the database, so that it can be kept apart from it. */
export function keyFilePath(directory: string): string {
  return join(directory, 'signing.key');
}

/**
 * The same key, which `check` may refuse by throwing before its secret or public half is first used, and not when it is read:
 * deriving the one from the other would take a tenth of a start.
 */
export function checkedWhenUsed(key: SigningKey, check: () => void): SigningKey {
  let isChecked = false;
  const checked = (): SigningKey => {
    if (!isChecked) check();
    isChecked = true;
    return key;
  };
  return {
    id: key.id,
    seed: key.seed,
    get publicKey() {
      return checked().publicKey;
    },
    sign: (bytes) => checked().sign(bytes),
  };
}

/**
 * Reads the server's signing key, or makes it (mode 0600, whatever the umask) where there has never been a database.
 * Throws `StoreError`: signingKey where the file is gone though a database is here, or is no key; noPermission.
 */
export function openSigningKey(directory: string, random: Random, log: Log): SigningKey {
  expectDatabase(directory);
  const path = keyFilePath(directory);
  const text = readText(path);
  if (text !== undefined) {
    const key = parseSigningKey(text);
    if (key === undefined) {
      throw new StoreError('signingKey', `${path} is not a signing key ("ed25519 <version> <seed>"): restore the file`);
    }
    const { mode } = statSync(path);
    if ((mode & OTHERS) !== 0) log.warn('Others can read the signing key; its mode should be 0600.', { path });
    return key;
  }
  if (readText(join(databasePath(directory), 'CURRENT')) !== undefined) {
    throw new StoreError(
      'signingKey',
      `${path} is missing, though there is a database: restore it from a backup. Without it other servers would not ` +
        'know this one any more.',
    );
  }
  const key = signingKeyFromSeed(random.bytes(SEED_BYTES));
  writeDurably(path, formatSigningKey(key), `${path}.${random.token(6)}`);
  return key;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw new StoreError('noPermission', `${path} can not be read: ${(error as Error).message}`, { cause: error });
  }
}

/** Writes beside and links into place, so that the file is there whole or not at all, and none is ever replaced. */
function writeDurably(path: string, text: string, beside: string): void {
  writeNewFile(beside, text);
  try {
    linkSync(beside, path);
  } finally {
    unlinkSync(beside);
  }
  syncFolder(dirname(path));
}
