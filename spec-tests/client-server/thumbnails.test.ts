// Client-server API, Thumbnails.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharp from 'sharp';
import type { Client } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { ourChoice, synapseDiffers } from '../support/known.js';
import { MEDIA, transfer, uploaded } from '../support/media.js';

const hs = await homeserver();
test.after(() => hs.stop());

const picture = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: '#4a7' } });
const thumbnail = (client: Client, id: string, query: string, headers: Record<string, string> = {}) =>
  transfer(client, 'GET', `${MEDIA}/thumbnail/${id}?${query}`, undefined, headers);

test('scaled and cropped thumbnails of each format', async () => {
  const alice = await hs.user('alice');
  for (const format of ['png', 'jpeg', 'webp', 'gif'] as const) {
    const id = await uploaded(alice, await picture(1200, 600).toFormat(format).toBuffer(), `image/${format}`);
    for (const [query, width, height] of [
      ['width=320&height=240', 320, 160],
      ['width=96&height=96&method=crop', 96, 96],
    ] as const) {
      const answer = await thumbnail(alice, id, query);
      assert.equal(answer.status, 200);
      const type = answer.headers.get('content-type') ?? '';
      const found = await sharp(answer.bytes).metadata();
      assert.deepEqual([`image/${found.format}`, found.width, found.height], [type, width, height]);
      const extension = type.slice('image/'.length);
      // It "SHOULD contain a file name".
      const disposition = answer.headers.get('content-disposition') ?? '';
      assert.ok(['inline', `inline; filename=thumbnail.${extension}`].includes(disposition), disposition);
      const etag = answer.headers.get('etag') ?? '';
      assert.equal((await thumbnail(alice, id, query, { 'if-none-match': etag })).status, 304);
    }
  }
});

test('what a picture claims to be does not matter (T214)', ourChoice('some servers go by the type'), async () => {
  const alice = await hs.user('alice');
  const id = await uploaded(alice, await picture(1200, 600).png().toBuffer(), 'text/html');
  assert.equal((await thumbnail(alice, id, 'width=96&height=96&method=crop')).status, 200);
});

test('a thumbnail needs a token (T207)', async () => {
  const alice = await hs.user('alice');
  const id = await uploaded(alice, await picture(100, 100).png().toBuffer());
  const answer = await thumbnail(hs.anonymous(), id, 'width=32&height=32');
  assert.deepEqual([answer.status, answer.errcode], [401, 'M_MISSING_TOKEN']);
});

test('animation only where it is asked for', async () => {
  const alice = await hs.user('alice');
  const raw = Buffer.alloc(400 * 200 * 3 * 2);
  raw.fill(255, raw.length / 2);
  const gif = await sharp(raw, { raw: { width: 400, height: 400, channels: 3, pageHeight: 200 } })
    .gif()
    .toBuffer();
  const id = await uploaded(alice, gif, 'image/gif');
  const pages = async (query: string) => {
    const answer = await thumbnail(alice, id, query);
    return (await sharp(answer.bytes, { pages: -1 }).metadata()).pages ?? 1;
  };
  assert.equal(await pages('width=96&height=96&animated=true'), 2);
  assert.equal(await pages('width=800&height=600&animated=true'), 2);
  for (const still of ['width=96&height=96', 'width=96&height=96&animated=false', 'width=800&height=600']) {
    assert.equal(await pages(still), 1, still);
  }
});

for (const query of ['width=640&height=480', 'width=640&height=480&method=crop', 'width=30000&height=30000']) {
  const differs = query.includes('crop') ? synapseDiffers('enlarges it to 32x32') : {};
  test(`a thumbnail is never larger than its picture: ${query} (T215)`, differs, async () => {
    const alice = await hs.user('alice');
    const id = await uploaded(alice, await picture(50, 20).png().toBuffer(), 'image/png');
    const answer = await thumbnail(alice, id, query);
    const { width, height } = await sharp(answer.bytes).metadata();
    assert.ok(width <= 50 && height <= 20, `${width}x${height}`);
  });
}

test(
  'parameters that make no sense are refused (T215)',
  ourChoice('the specification names 400 but no code'),
  async () => {
    const alice = await hs.user('alice');
    const id = await uploaded(alice, await picture(100, 100).png().toBuffer());
    await alice.fails(400, 'M_MISSING_PARAM', 'GET', `${MEDIA}/thumbnail/${id}?width=32`);
    for (const query of [
      'width=0&height=32',
      'width=32&height=-1',
      'width=1000000000&height=1',
      'width=32&height=1e9',
      'width=NaN&height=32',
      'width=3.5&height=32',
      'width=32&height=32&method=foo',
      'width=32&height=32&animated=maybe',
      'width=32&width=33&height=32',
    ]) {
      await alice.fails(400, 'M_INVALID_PARAM', 'GET', `${MEDIA}/thumbnail/${id}?${query}`);
    }
  },
);

test('what is no picture has no thumbnail (T214)', async () => {
  const alice = await hs.user('alice');
  const bodies = ['<svg xmlns="http://www.w3.org/2000/svg"/>', '%PDF-1.7', '%!PS-Adobe-3.0 EPSF-3.0', 'GIF8', ''];
  bodies.push('II*\0\b\0\0\0', '\0\0\0\x0cJXL \r\n\x87\n', '\0\0\0\x18ftypmp42\0\0\0\0mp42isom');
  for (const body of bodies) {
    const answer = await thumbnail(alice, await uploaded(alice, body, 'image/png'), 'width=32&height=32');
    assert.deepEqual([answer.status, answer.errcode], [400, 'M_UNKNOWN'], body);
  }
});

test('what promises too many pixels has no thumbnail (T213)', synapseDiffers('answers 400'), async () => {
  const alice = await hs.user('alice');
  const bomb = await picture(10, 10).png().toBuffer();
  bomb.writeUInt32BE(30_000, 16);
  bomb.writeUInt32BE(30_000, 20);
  const answer = await thumbnail(alice, await uploaded(alice, bomb, 'image/png'), 'width=32&height=32');
  assert.deepEqual([answer.status, answer.errcode], [413, 'M_TOO_LARGE']);
});
