import assert from 'node:assert/strict';
import { rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Media } from '#media/media.js';
import { ALICE, BOB, openTestMedia, pieces } from '#media/testing.js';
import { upload } from '#media/upload.js';
import { fileProblems, MEDIA_CHECKS } from '#media/verify.js';
import { mediaContents, media as mediaRows, mediaUsage, users } from '#store/schema.js';
import { rebuildDerived, verifyStore } from '#store/verify.js';

const DAY_MS = 24 * 60 * 60_000;

async function setUp(t: TestContext): Promise<{ media: Media; sha256: string }> {
  const { media } = await openTestMedia(t);
  await media.store.commit((tx) => {
    for (const user of [ALICE, BOB]) tx.put(users, [user], { createdTs: 0 });
  });
  await upload(media, ALICE, { body: pieces('same') });
  await upload(media, BOB, { body: pieces('same') });
  const [row] = await media.store.list(mediaContents, { limit: 1 });
  return { media, sha256: row![0][0] };
}

async function problems({ store, files, clock }: Media): Promise<string[]> {
  const found: string[] = [];
  for await (const { problem } of verifyStore(store, MEDIA_CHECKS)) found.push(problem);
  for await (const { problem } of fileProblems(store, files, clock.now())) found.push(problem);
  return found;
}

test('a file that is gone, cut short, or named by nothing is noticed', async (t) => {
  const { media, sha256 } = await setUp(t);
  assert.deepEqual(await problems(media), []);
  const path = media.files.path(sha256);
  await truncate(path, 3);
  assert.deepEqual(await problems(media), [`its file ${sha256} has 3 bytes, not 4`]);
  await rm(path);
  assert.deepEqual(await problems(media), [`its file ${sha256} is missing`]);
  await writeFile(path, 'same');
  const stray = `${dirname(path)}/${sha256.slice(0, 60)}aaaa`;
  await writeFile(stray, 'left over');
  const at = (beforeMs: number) =>
    utimes(stray, (media.clock.now() - beforeMs) / 1000, (media.clock.now() - beforeMs) / 1000);
  await at(0);
  assert.deepEqual(await problems(media), [], 'an upload may be about to get its row');
  await at(3 * DAY_MS);
  assert.match((await problems(media)).join(), /is missing: there is a file/);
});

test('wrong and missing sums over media are noticed and made anew', async (t) => {
  const { media, sha256 } = await setUp(t);
  const { store } = media;
  await store.commit((tx) => {
    tx.put(mediaContents, [sha256], { ...tx.get(mediaContents, [sha256])!, references: 5 });
    tx.put(mediaUsage, [ALICE], { bytes: 1, files: 1, pending: [] });
    tx.delete(mediaUsage, [BOB]);
  });
  assert.deepEqual(await problems(media), [
    'is missing',
    'counts 5 URIs, there are 2',
    'says 1 files with 1 bytes, there are 1 with 4',
  ]);
  assert.equal(await rebuildDerived(store, MEDIA_CHECKS), 4, 'one row is put empty first');
  assert.deepEqual(await problems(media), []);
  assert.equal(store.get(mediaUsage, [BOB])?.bytes, 4);
  const [first] = await store.list(mediaRows, { limit: 1 });
  await store.commit((tx) => tx.delete(mediaRows, first![0]));
  assert.equal((await problems(media)).length, 2);
});
