import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openFiles } from '#media/files.js';
import { seededRandom } from '#util/random.js';

const NAME = 'ab'.repeat(32);

async function opened(t: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), 'runnel-files-'));
  t.after(() => rm(directory, { recursive: true }));
  return { directory, files: openFiles(directory, seededRandom('files')) };
}

test('a draft is seen by nobody until it is kept', async (t) => {
  const { files } = await opened(t);
  const draft = await files.begin();
  await draft.write(Buffer.from('text'));
  assert.equal(await files.open(NAME), undefined);
  await draft.keep(NAME);
  await draft.discard();
  const file = await files.open(NAME);
  assert.equal((await file?.handle.readFile())?.toString(), 'text');
  await file?.handle.close();
  await files.remove(NAME);
  await files.remove(NAME);
  assert.equal(await files.open(NAME), undefined);
});

test('names that are no hashes reach no file, neither to read nor to write (T206)', async (t) => {
  const { directory, files } = await opened(t);
  const before = await readdir(directory, { recursive: true });
  for (const name of [
    '../../etc/passwd',
    '',
    '.',
    'ab',
    `${NAME}/..`,
    NAME.toUpperCase(),
    `${NAME}-../x`,
    `${NAME}\0`,
  ]) {
    assert.throws(() => files.path(name), RangeError);
    await assert.rejects(files.open(name), RangeError);
    await assert.rejects(files.remove(name), RangeError);
    const draft = await files.begin();
    await assert.rejects(draft.keep(name), RangeError);
    await draft.discard();
  }
  assert.deepEqual(await readdir(directory, { recursive: true }), before);
});

test('symbolic links and directories in the store are not followed (T206)', async (t) => {
  const { directory, files } = await opened(t);
  const secret = join(directory, 'secret');
  await writeFile(secret, 'secret');
  await mkdir(dirname(files.path(NAME)), { recursive: true });
  await symlink(secret, files.path(NAME));
  assert.equal(await files.open(NAME), undefined);
  await mkdir(files.path(`${NAME}-dir`));
  assert.equal(await files.open(`${NAME}-dir`), undefined);
  const draft = await files.begin();
  await draft.write(Buffer.from('planted'));
  await draft.keep(NAME);
  assert.equal(await readFile(secret, 'utf8'), 'secret', 'the link was replaced, not written through');
});

test('what a crash left half-written is gone at the next start', async (t) => {
  const { directory, files } = await opened(t);
  const draft = await files.begin();
  await draft.write(Buffer.from('half'));
  openFiles(directory, seededRandom('again'));
  assert.deepEqual(await readdir(join(directory, 'incoming')), []);
  await draft.discard();
});

test('old files are listed by name', async (t) => {
  const { files } = await opened(t);
  for (const name of [NAME, `${NAME}-32x32-crop`]) {
    const draft = await files.begin();
    await draft.keep(name);
  }
  await utimes(files.path(NAME), 1000, 1000);
  const names = [];
  for await (const name of files.names(1_001_000)) names.push(name);
  assert.deepEqual(names, [NAME]);
});
