import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { signingKeyFromSeed } from '#core/signing.js';
import { checkedWhenUsed, keyFilePath, openSigningKey } from '#store/key-file.js';
import type { StoreError } from '#store/store-error.js';
import { type Log, silentLog } from '#util/log.js';
import { seededRandom } from '#util/random.js';

async function directory(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'runnel-key-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}
const isKeyError = (error: StoreError): boolean => error.kind === 'signingKey';

test('the first start makes a key that only its owner can read, later starts read it', async (t) => {
  const data = await directory(t);
  const mask = process.umask(0);
  t.after(() => process.umask(mask));
  const made = openSigningKey(data, seededRandom('a'), silentLog);
  assert.equal((await stat(keyFilePath(data))).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(data), ['signing.key']);
  const read = openSigningKey(data, seededRandom('b'), silentLog);
  assert.equal(read.id, made.id);
  assert.equal(read.publicKey, made.publicKey);
});

test('a key that is gone beside a database is never made anew', async (t) => {
  const data = await directory(t);
  await mkdir(join(data, 'db'));
  await writeFile(join(data, 'db', 'CURRENT'), 'MANIFEST-000001\n');
  assert.throws(() => openSigningKey(data, seededRandom('a'), silentLog), isKeyError);
  assert.deepEqual(await readdir(data), ['db']);
});

test('a file that is no key is refused and kept', async (t) => {
  const data = await directory(t);
  await writeFile(keyFilePath(data), 'ed25519 a_1 short\n');
  assert.throws(() => openSigningKey(data, seededRandom('a'), silentLog), isKeyError);
  assert.equal((await stat(keyFilePath(data))).size, 18);
});

test('a key that others can read is warned about', async (t) => {
  const data = await directory(t);
  openSigningKey(data, seededRandom('a'), silentLog);
  await chmod(keyFilePath(data), 0o644);
  const warned: string[] = [];
  const log: Log = { ...silentLog, warn: (message) => void warned.push(message) };
  openSigningKey(data, seededRandom('a'), log);
  assert.equal(warned.length, 1);
});

test('a key is looked at once, before it is first used, and not used where it is refused', () => {
  const key = signingKeyFromSeed(Buffer.alloc(32, 1), 'one');
  const bytes = Buffer.from('signed');
  let looks = 0;
  const checked = checkedWhenUsed(key, () => void looks++);
  assert.equal(checked.id, key.id);
  assert.equal(looks, 0);
  assert.equal(checked.sign(bytes), key.sign(bytes));
  assert.equal(checked.publicKey, key.publicKey);
  assert.equal(looks, 1);
  const refused = checkedWhenUsed(key, () => {
    throw new Error('another');
  });
  for (const use of [() => refused.sign(bytes), () => refused.publicKey, () => refused.sign(bytes)]) {
    assert.throws(use, /another/);
  }
});
