import assert from 'node:assert/strict';
import { test } from 'node:test';
import { oembedTags } from '#media/oembed.js';

const read = (answer: unknown) => {
  const body = Buffer.from(typeof answer === 'string' ? answer : JSON.stringify(answer));
  const { properties, ...rest } = oembedTags({ kind: 'oembed', body });
  return { ...Object.fromEntries(properties), ...rest } as Record<string, string>;
};

test('rich content is told in words, without markup, scripts and styles', () => {
  const html =
    '<blockquote><p>First<br>line</p><style>p{}</style>by <a href="/x">someone</a><script>no()</script></blockquote>';
  assert.deepEqual(read({ version: '1.0', type: 'rich', title: ' A\n title ', provider_name: 'Site', html }), {
    'og:title': 'A title',
    'og:site_name': 'Site',
    'og:description': 'First line by someone',
  });
});

test('a photo is its image, and a video the frame it plays in, with a thumbnail', () => {
  assert.deepEqual(read({ type: 'photo', url: 'https://a.example/p.png', thumbnail_url: '/small.png' }), {
    image: 'https://a.example/p.png',
  });
  const html = '<iframe src="https://a.example/player"></iframe>';
  assert.deepEqual(read({ type: 'video', html, thumbnail_url: 'https://a.example/t.png' }), {
    'og:type': 'video.other',
    'og:video': 'https://a.example/player',
    image: 'https://a.example/t.png',
  });
  assert.deepEqual(read({ type: 'video', html: '<iframe src="javascript:x()">' }), { 'og:type': 'video.other' });
});

test('what is no answer yields nothing, and long and deep ones end in bounds (T225, T226)', () => {
  for (const wrong of ['', 'null', '[]', '{"title":"no type"}', '{"type":7}', '<xml/>', { type: 'rich', html: 5 }]) {
    assert.deepEqual(read(wrong), {});
  }
  const odd = { type: 'photo', title: 5, provider_name: ['x'], url: { a: 1 }, thumbnail_url: 7, html: null };
  assert.deepEqual(read(odd), {});
  assert.equal(read({ type: 'link', title: 'x'.repeat(200_000) })['og:title']?.length, 1000);
  assert.equal(read({ type: 'rich', html: 'x'.repeat(200_000) })['og:description']?.length, 1000);
  assert.doesNotMatch(read({ type: 'rich', html: `${'<div>'.repeat(50_000)}deep` })['og:description'] ?? '', /deep/);
  assert.equal(read({ type: 'photo', url: `https://a.example/${'x'.repeat(3000)}` })['image'], undefined);
});
