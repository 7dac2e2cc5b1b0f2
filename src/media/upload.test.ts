import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { MatrixError } from '#core/errors.js';
import { findMedia, openFound } from '#media/find.js';
import type { Media } from '#media/media.js';
import { quarantineMedia, removeMedia, sweep } from '#media/retention.js';
import { usageOf } from '#media/rows.js';
import { ALICE, BOB, openTestMedia, pieces } from '#media/testing.js';
import { reserveUpload, upload, uploadReserved } from '#media/upload.js';

const here = new AbortController().signal;
const code = (expected: string) => (error: MatrixError) => error.errcode === expected;

async function filesOf(media: Media, folder: 'content' | 'incoming' = 'content'): Promise<string[]> {
  const entries = await readdir(join(media.options.directory, folder), { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

async function read(media: Media, id: string): Promise<string> {
  const { file } = await openFound(media, { origin: 'test', id }, { signal: here });
  try {
    return (await file.handle.readFile()).toString();
  } finally {
    await file.handle.close();
  }
}

test('an upload comes back as it was, with its type and name', async (t) => {
  const { media } = await openTestMedia(t);
  const id = await upload(media, ALICE, {
    body: pieces('hello ', 'world'),
    contentType: 'text/plain; charset=utf-8',
    filename: 'a b.txt',
  });
  assert.equal(await read(media, id), 'hello world');
  const row = await findMedia(media, { origin: 'test', id }, { signal: here });
  assert.equal(row.contentType, 'text/plain; charset=utf-8');
  assert.equal(row.filename, 'a b.txt');
  assert.equal(row.content.size, 11);
});

test('the same content is stored once and goes with its last reference', async (t) => {
  const { media } = await openTestMedia(t);
  const ids = await Promise.all([ALICE, BOB, ALICE].map((user) => upload(media, user, { body: pieces('same') })));
  assert.equal((await filesOf(media)).length, 1);
  assert.equal(usageOf(media.store, ALICE).bytes, 8);
  for (const id of ids.slice(1)) assert.ok(await removeMedia(media, { origin: 'test', id }));
  assert.equal(await read(media, ids[0]!), 'same');
  assert.equal((await filesOf(media)).length, 1);
  await removeMedia(media, { origin: 'test', id: ids[0]! });
  assert.deepEqual(await filesOf(media), []);
  assert.deepEqual([usageOf(media.store, ALICE).bytes, usageOf(media.store, BOB).bytes], [0, 0]);
  await assert.rejects(read(media, ids[0]!), code('M_NOT_FOUND'));
  assert.equal(await removeMedia(media, { origin: 'test', id: ids[0]! }), false);
});

test('uploads and deletions of one content at once never leave a row without its file', async (t) => {
  const { media } = await openTestMedia(t);
  const first = await upload(media, ALICE, { body: pieces('contested') });
  const both = await Promise.all([
    removeMedia(media, { origin: 'test', id: first }),
    upload(media, BOB, { body: pieces('contested') }),
  ]);
  assert.equal(await read(media, both[1]), 'contested');
});

test('what is too large leaves nothing behind (T211)', async (t) => {
  const { media } = await openTestMedia(t, { maxUploadBytes: 10 });
  await assert.rejects(upload(media, ALICE, { body: pieces('12345', '67890', '1') }), code('M_TOO_LARGE'));
  assert.deepEqual(await filesOf(media, 'incoming'), []);
  assert.deepEqual(await filesOf(media), []);
  assert.equal(usageOf(media.store, ALICE).files, 0);
  await upload(media, ALICE, { body: pieces('12345', '67890') });
});

test('a client that goes away leaves nothing behind (T211)', async (t) => {
  const { media } = await openTestMedia(t);
  async function* broken(): AsyncGenerator<Buffer> {
    yield Buffer.from('half');
    throw new Error('gone');
  }
  await assert.rejects(upload(media, ALICE, { body: broken() }), /gone/);
  assert.deepEqual(await filesOf(media, 'incoming'), []);
});

test('a quota bounds what one user has uploaded, also by uploads side by side (T212, T216)', async (t) => {
  const { media } = await openTestMedia(t, { quotaBytes: 10 });
  const both = await Promise.allSettled([
    upload(media, ALICE, { body: pieces('123456') }),
    upload(media, ALICE, { body: pieces('654321') }),
  ]);
  assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  assert.equal(usageOf(media.store, ALICE).bytes, 6);
  const announced = upload(media, ALICE, { announcedBytes: 5, body: pieces('') });
  await assert.rejects(announced, code('M_FORBIDDEN'));
  await upload(media, BOB, { body: pieces('1234567890') });
});

test('an asynchronous upload wakes who waits for it, and can be made once by its maker (T217)', async (t) => {
  const { media, test } = await openTestMedia(t);
  const { id, expiresTs } = await reserveUpload(media, ALICE);
  assert.equal(expiresTs, test.clock.now() + 86_400_000);
  const at = { origin: 'test', id };
  const late = findMedia(media, at, { signal: here, timeoutMs: 500 });
  test.clock.advance(500);
  await assert.rejects(late, code('M_NOT_YET_UPLOADED'));
  await assert.rejects(findMedia(media, at, { signal: here, timeoutMs: 0 }), code('M_NOT_YET_UPLOADED'));
  const waiting = findMedia(media, at, { signal: here });
  await assert.rejects(uploadReserved(media, BOB, at, { body: pieces('b') }), code('M_FORBIDDEN'));
  await uploadReserved(media, ALICE, at, { body: pieces('came'), contentType: 'text/plain' });
  assert.equal((await waiting).contentType, 'text/plain');
  await assert.rejects(uploadReserved(media, ALICE, at, { body: pieces('again') }), code('M_CANNOT_OVERWRITE_MEDIA'));
  assert.equal(await read(media, id), 'came');
});

test('waiting is bounded by a minute whatever the client asks (T217)', async (t) => {
  const { media, test } = await openTestMedia(t);
  const { id } = await reserveUpload(media, ALICE);
  const waiting = findMedia(media, { origin: 'test', id }, { signal: here, timeoutMs: 10 ** 12 });
  test.clock.advance(60_000);
  await assert.rejects(waiting, code('M_NOT_YET_UPLOADED'));
});

test('reserved ids expire and are few (T216, T217)', async (t) => {
  const { media, test } = await openTestMedia(t);
  const made = [];
  for (let n = 0; n < 10; n++) made.push(await reserveUpload(media, ALICE));
  await assert.rejects(reserveUpload(media, ALICE), code('M_LIMIT_EXCEEDED'));
  await reserveUpload(media, BOB);
  test.clock.advance(86_400_000);
  const at = { origin: 'test', id: made[0]!.id };
  await assert.rejects(findMedia(media, at, { signal: here }), code('M_NOT_FOUND'));
  await assert.rejects(uploadReserved(media, ALICE, at, { body: pieces('x') }), code('M_NOT_FOUND'));
  await reserveUpload(media, ALICE);
  await sweep(media, here);
  assert.equal(await removeMedia(media, at), false, 'the sweep took it');
  assert.equal(usageOf(media.store, ALICE).pending.length, 1);
});

test('media that nobody asks for is deleted after its lifetime, and no other', async (t) => {
  const { media, test } = await openTestMedia(t, { lifetimeMs: 30 * 86_400_000 });
  const forgotten = await upload(media, ALICE, { body: pieces('forgotten') });
  const wanted = await upload(media, ALICE, { body: pieces('wanted') });
  test.clock.advance(20 * 86_400_000);
  await findMedia(media, { origin: 'test', id: wanted }, { signal: here });
  await Promise.all(media.noting.values());
  test.clock.advance(11 * 86_400_000);
  await sweep(media, here);
  assert.equal(await read(media, wanted), 'wanted');
  await assert.rejects(read(media, forgotten), code('M_NOT_FOUND'));
  assert.equal((await filesOf(media)).length, 1);
});

test('withdrawn content is withdrawn under every URI, old and new (T218)', async (t) => {
  const { media } = await openTestMedia(t, { legacyOpen: true });
  const id = await upload(media, ALICE, { body: pieces('bad') });
  await quarantineMedia(media, { origin: 'test', id }, true);
  const copy = await upload(media, BOB, { body: pieces('bad') });
  for (const one of [id, copy]) await assert.rejects(read(media, one), code('M_NOT_FOUND'));
  await quarantineMedia(media, { origin: 'test', id }, false);
  assert.equal(await read(media, copy), 'bad');
  await assert.rejects(quarantineMedia(media, { origin: 'test', id: 'none' }, true), code('M_NOT_FOUND'));
});

test('frozen paths serve what was uploaded while they were open (T207)', async (t) => {
  const { media } = await openTestMedia(t, { legacyOpen: true });
  const legacy = (from: Media, id: string) =>
    findMedia(from, { origin: 'test', id }, { signal: here, legacy: true, timeoutMs: 0 });
  const before = await upload(media, ALICE, { body: pieces('before') });
  const frozen: Media = { ...media, options: { ...media.options, legacyOpen: false } };
  const after = await upload(frozen, ALICE, { body: pieces('after') });
  assert.equal((await legacy(frozen, before)).content.size, 6);
  await assert.rejects(legacy(frozen, after), code('M_NOT_FOUND'));
  const { id } = await reserveUpload(frozen, ALICE);
  await assert.rejects(legacy(frozen, id), code('M_NOT_FOUND'));
});
