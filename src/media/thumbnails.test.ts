import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { crc32, deflateSync } from 'node:zlib';
import sharp from 'sharp';
import type { MatrixError } from '#core/errors.js';
import { imageHeader } from '#media/image-header.js';
import type { Media } from '#media/media.js';
import { removeMedia } from '#media/retention.js';
import { ALICE, openTestMedia, pieces } from '#media/testing.js';
import { thumbnailOf } from '#media/thumbnails.js';
import { upload } from '#media/upload.js';

const here = new AbortController().signal;
const code = (errcode: string, status: number) => (error: MatrixError) =>
  error.errcode === errcode && error.status === status;

interface Wanted {
  width: number;
  height: number;
  method?: 'crop' | 'scale';
  animated?: boolean;
}

async function thumb(media: Media, image: Buffer, { width, height, method = 'scale', animated = false }: Wanted) {
  const id = await upload(media, ALICE, { body: pieces(image) });
  const at = { origin: 'test', id };
  const { file, contentType } = await thumbnailOf(media, at, { width, height, method, animated }, { signal: here });
  const body = await file.handle.readFile();
  await file.handle.close();
  const { width: w, height: h, pages = 1, pageHeight = h } = await sharp(body, { pages: -1 }).metadata();
  return { id, body, contentType, size: `${w}x${pageHeight}`, pages };
}

const plain = (width: number, height: number, channels: 3 | 4 = 3) =>
  sharp({ create: { width, height, channels, background: { r: 10, g: 200, b: 30, alpha: 0.5 } } });

/** Frames of alternating colours, one below the other. */
async function animation(width: number, height: number, frames: number) {
  const raw = Buffer.alloc(width * height * frames * 3);
  for (let frame = 0; frame < frames; frame++) {
    raw.fill(frame % 2 === 0 ? 0 : 255, frame * width * height * 3, (frame + 1) * width * height * 3);
  }
  const options = { raw: { width, height: height * frames, channels: 3, pageHeight: height } } as const;
  return sharp(raw, options);
}

/** A valid PNG header that promises `width` × `height`, followed by as good as nothing. */
function hugePng(width: number, height: number): Buffer {
  const chunk = (type: string, data: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(data.length);
    const check = Buffer.alloc(4);
    check.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, check]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 0, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.alloc(1 << 20))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

const SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="90"><rect width="90" height="90"/></svg>';

/** Of the media process at most, while it looks at a bomb: all its frames at once would take a gigabyte. */
const WORKER_KILOBYTES = 150 * 1024;

/** An animated GIF of `side` × `side` pixels, in few bytes: each frame turns one of them over. */
function manyFrames(side: number, frames: number): Buffer {
  const header = Buffer.from('GIF89a\0\0\0\0\x80\0\0\0\0\0\xff\xff\xff', 'latin1');
  header.writeUInt16LE(side, 6);
  header.writeUInt16LE(side, 8);
  const frame = (pixel: string) => Buffer.from(`21f90400010000002c0000000001000100000202${pixel}0100`, 'hex');
  const [black, white] = [frame('44'), frame('4c')];
  return Buffer.concat([header, ...Array.from({ length: frames }, (_, n) => (n % 2 ? black : white)), Buffer.of(0x3b)]);
}

const stored = async (media: Media): Promise<string[]> => {
  const entries = await readdir(join(media.options.directory, 'content'), { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
};

test('images of the four formats get thumbnails that browsers show', async (t: TestContext) => {
  const { media } = await openTestMedia(t);
  const cases: [image: Buffer, wanted: Wanted, type: string, size: string][] = [
    [await plain(1000, 500).jpeg().toBuffer(), { width: 320, height: 240 }, 'image/jpeg', '320x160'],
    [await plain(1000, 500).png().toBuffer(), { width: 30, height: 30, method: 'crop' }, 'image/png', '32x32'],
    [await plain(400, 900, 4).webp().toBuffer(), { width: 96, height: 96, method: 'crop' }, 'image/png', '96x96'],
    [await plain(400, 900).webp().toBuffer(), { width: 640, height: 480 }, 'image/jpeg', '213x480'],
    [await plain(700, 700).gif().toBuffer(), { width: 90, height: 90 }, 'image/png', '96x96'],
  ];
  for (const [image, wanted, type, size] of cases) {
    const made = await thumb(media, image, wanted);
    assert.deepEqual([made.contentType, made.size], [type, size]);
  }
});

test('an image that is no larger than asked for is given as it is (T215)', async (t) => {
  const { media } = await openTestMedia(t);
  const image = await plain(50, 20).jpeg().toBuffer();
  const made = await thumb(media, image, { width: 640, height: 480 });
  assert.deepEqual([made.contentType, made.body.equals(image)], ['image/jpeg', true]);
  const large = await plain(2000, 1700).jpeg().toBuffer();
  assert.ok((await thumb(media, large, { width: 1900, height: 1 })).body.equals(large), 'no standard size is as large');
});

test('photographs come upright', async (t) => {
  const { media } = await openTestMedia(t);
  const lying = await plain(1000, 500).jpeg().withMetadata({ orientation: 6 }).toBuffer();
  assert.equal((await thumb(media, lying, { width: 320, height: 240 })).size, '120x240');
});

test('animations move only for who asks, at whatever size', async (t) => {
  const { media } = await openTestMedia(t);
  const gif = await (await animation(200, 100, 3)).gif().toBuffer();
  const webp = await (await animation(200, 100, 3)).webp({ lossless: true }).toBuffer();
  for (const image of [gif, webp]) {
    const moving = await thumb(media, image, { width: 32, height: 32, animated: true });
    assert.deepEqual([moving.contentType, moving.size, moving.pages], ['image/webp', '32x16', 3]);
    const still = await thumb(media, image, { width: 32, height: 32 });
    assert.deepEqual([still.size, still.pages], ['32x16', 1]);
    const stillInFull = await thumb(media, image, { width: 640, height: 480 });
    assert.deepEqual([stillInFull.size, stillInFull.pages], ['200x100', 1]);
    assert.ok((await thumb(media, image, { width: 640, height: 480, animated: true })).body.equals(image));
  }
});

test('an animation of too many frames stands still, and costs little, in a process of its own (T213)', async (t) => {
  const { media } = await openTestMedia(t);
  const made = await thumb(media, manyFrames(200, 10_000), { width: 32, height: 32, animated: true });
  assert.deepEqual([made.pages, made.size], [1, '32x32']);
  const { pid } = media.worker;
  assert.ok(pid !== undefined && pid !== process.pid);
  if (process.platform !== 'linux') return;
  const [, peak] = /^VmHWM:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? [];
  assert.ok(Number(peak) < WORKER_KILOBYTES, `${peak} kB`);
});

test('headers that promise too many pixels are refused before anything is decoded (T213)', async (t) => {
  const { media } = await openTestMedia(t);
  const bombs = [hugePng(30_000, 30_000), Buffer.from('GIF89a\xff\xff\xff\xff\0\0\0', 'latin1')];
  const jpeg = await plain(10, 10).jpeg().toBuffer();
  const frame = jpeg.indexOf(Buffer.from('ffc0', 'hex'));
  jpeg.writeUInt32BE(0xffffffff, frame + 5);
  const webp = await plain(16, 16).webp().toBuffer();
  webp.writeUInt32LE(0x3fff3fff, 26);
  for (const bomb of [...bombs, jpeg, webp]) {
    await assert.rejects(thumb(media, bomb, { width: 32, height: 32 }), code('M_TOO_LARGE', 413));
  }
  assert.equal(media.worker.pid, undefined, 'no decoder was started');
});

test('nothing but the four formats reaches a decoder (T214)', async (t) => {
  const { media } = await openTestMedia(t);
  const others = [
    SVG,
    '\xef\xbb\xbf<?xml version="1.0"?><svg/>',
    '%PDF-1.4',
    '%!PS-Adobe-3.0 EPSF-3.0',
    await plain(9, 9).tiff().toBuffer(),
    await plain(9, 9).heif({ compression: 'av1' }).toBuffer(),
    Buffer.from('0000000c4a584c200d0a870a', 'hex'),
    Buffer.from('ff0a', 'hex'),
    '\0\0\0\x18ftypmp42\0\0\0\0mp42isom',
    Buffer.from('1a45dfa39f4286810142f7810142f2810442f381084282847765626d', 'hex'),
    'RIFF\x10\0\0\0AVI LIST',
    'RIFF\x10\0\0\0WEBPVP8 ',
    '',
  ];
  for (const other of others) {
    await assert.rejects(thumb(media, Buffer.from(other), { width: 32, height: 32 }), code('M_UNKNOWN', 400));
  }
  assert.equal(media.worker.pid, undefined, 'no decoder was started');
});

test('the decoder itself knows no other format, whatever it is told (T214)', async (t) => {
  const { media } = await openTestMedia(t);
  const decode = async (image: Buffer | string) => {
    const from = join(media.options.directory, 'image');
    await writeFile(from, image);
    const size = { width: 32, height: 32, method: 'scale' } as const;
    const to = `${from}-made`;
    return media.worker.run({ kind: 'thumbnail', from, to, type: 'image/png', maxPixels: 1e6, size, animated: false });
  };
  assert.equal((await decode(await plain(90, 90, 4).png().toBuffer())).contentType, 'image/png');
  for (const other of [
    SVG,
    await plain(90, 90).tiff().toBuffer(),
    'P3 1 1 255 0 0 0\n',
    '%PDF-1.4',
    '%!PS-Adobe-3.0',
  ]) {
    await assert.rejects(decode(other), /unsupported image format/);
  }
});

test('a damaged image is refused, remembered, and harms no other', async (t) => {
  const { media } = await openTestMedia(t);
  const image = await plain(500, 500).png().toBuffer();
  const damaged = image.subarray(0, image.length - 60);
  await assert.rejects(thumb(media, damaged, { width: 32, height: 32 }), code('M_UNKNOWN', 400));
  assert.equal(media.unmakeable.size, 1);
  await assert.rejects(thumb(media, damaged, { width: 32, height: 32 }), code('M_UNKNOWN', 400));
  assert.equal((await thumb(media, image, { width: 32, height: 32 })).size, '32x32');
});

test('a decoder that dies costs one request, and the next one has a new one (T214)', async (t) => {
  const { media } = await openTestMedia(t);
  const image = await plain(500, 500).png().toBuffer();
  await thumb(media, image, { width: 32, height: 32 });
  const { pid } = media.worker;
  assert.ok(pid);
  const running = thumb(media, image, { width: 96, height: 96 });
  process.kill(pid, 'SIGKILL');
  await running.catch(() => {});
  assert.equal((await thumb(media, image, { width: 320, height: 240 })).size, '240x240');
  assert.notEqual(media.worker.pid, pid);
});

test('an idle decoder ends, and one that hangs is ended (T224)', async (t) => {
  const { media, test } = await openTestMedia(t);
  await thumb(media, await plain(500, 500).png().toBuffer(), { width: 32, height: 32 });
  assert.ok(media.worker.pid);
  test.clock.advance(20_000);
  assert.equal(media.worker.pid, undefined);
  const hanging = media.worker.run({ kind: 'page', body: Buffer.alloc(1 << 20), contentType: 'text/html' });
  const outcome = assert.rejects(hanging, /too long/);
  test.clock.advance(20_000);
  await outcome;
});

test('thumbnails are made once, are few, and go with their source (T215)', async (t) => {
  const { media } = await openTestMedia(t);
  const image = await plain(2000, 2000).jpeg().toBuffer();
  const ids = await Promise.all([1, 2, 3].map(async () => (await thumb(media, image, { width: 96, height: 96 })).id));
  assert.equal((await stored(media)).length, 2);
  for (const width of [32, 48, 64, 96, 128]) {
    for (const height of [32, 48, 64, 96, 128, 192]) {
      ids.push((await thumb(media, image, { width, height, method: 'crop' })).id);
    }
  }
  assert.equal((await stored(media)).length, 25);
  for (const id of ids) await removeMedia(media, { origin: 'test', id });
  assert.deepEqual(await stored(media), []);
});

test('the header of an image says what it is, whatever metadata goes before', async () => {
  const jpeg = await plain(300, 200)
    .jpeg()
    .withExif({ IFD0: { ImageDescription: 'x'.repeat(20_000) } })
    .toBuffer();
  assert.deepEqual(imageHeader(jpeg), {
    type: 'image/jpeg',
    width: 300,
    height: 200,
    animated: false,
    isHeldWhole: false,
  });
  const lossless = await plain(301, 99).webp({ lossless: true }).toBuffer();
  assert.deepEqual(imageHeader(lossless), {
    type: 'image/webp',
    width: 301,
    height: 99,
    animated: false,
    isHeldWhole: true,
  });
  const moving = await (await animation(20, 10, 2)).webp().toBuffer();
  assert.deepEqual(imageHeader(moving), {
    type: 'image/webp',
    width: 20,
    height: 10,
    animated: true,
    isHeldWhole: true,
  });
  const png = await plain(5, 4).png().toBuffer();
  assert.deepEqual(imageHeader(png), { type: 'image/png', width: 5, height: 4, animated: false, isHeldWhole: false });
  const progressive = await plain(8, 8).jpeg({ progressive: true }).toBuffer();
  const interlaced = await plain(8, 8).png({ progressive: true }).toBuffer();
  for (const image of [progressive, interlaced]) assert.equal(imageHeader(image)?.isHeldWhole, true);
  for (let length = 0; length < 60; length++) {
    for (const image of [jpeg, lossless, moving, png]) imageHeader(image.subarray(0, length));
  }
});
