import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pageTags } from '#media/page-tags.js';

const read = (html: string | Buffer, contentType = 'text/html; charset=utf-8') => {
  const { properties, ...rest } = pageTags({ kind: 'page', body: Buffer.from(html), contentType });
  const found: Record<string, string | undefined> = { ...Object.fromEntries(properties), ...rest };
  return found;
};

test('Open Graph comes before what a page says to others', () => {
  const html = `<html><head><title>Title &amp; more</title>
    <meta name="description" content="for engines">
    <meta name="twitter:image" content="t.png"><meta property="og:image" content=" a.png ">
    <meta property="OG:Title" content="Own &lt;title&gt;"><meta property="og:title" content="second"></head>`;
  assert.deepEqual(read(html), { 'og:title': 'Own <title>', 'og:description': 'for engines', image: 'a.png' });
});

test('a page without Open Graph has its title', () => {
  assert.deepEqual(read('<title> a\n  b </title><svg><title>no</title></svg>'), { 'og:title': 'a b' });
  assert.deepEqual(read('<link rel=IMAGE_SRC href=x.png>'), { image: 'x.png' });
  assert.deepEqual(read('nothing'), {});
});

test('tags are few, short, and texts only (T226)', () => {
  const many = Array.from({ length: 10_000 }, (_, n) => `<meta property="og:x${n}" content="y">`).join('');
  assert.equal(Object.keys(read(many)).length, 50);
  const long = read(`<meta property="og:title" content="${'x'.repeat(5000)}"><title>${'t'.repeat(100_000)}</title>`);
  assert.equal(long['og:title']?.length, 1000);
  assert.equal(read(`<title>${'t'.repeat(100_000)}</title>`)['og:title']?.length, 1000);
  const odd =
    '<meta property="og:__proto__" content="x"><meta property="__proto__" content="x"><meta property="og:a b" content="x">';
  assert.deepEqual(Object.keys(read(odd)), ['og:__proto__']);
  const names = [47, 48].map((length) => `og:${'n'.repeat(length)}`);
  assert.deepEqual(
    Object.keys(read(names.map((name) => `<meta property="${name}" content="x">`).join(''))),
    names.slice(0, 1),
  );
  assert.equal(read('<title>&lt;script&gt;<b>x</b></title>')['og:title'], '<script><b>x</b>');
});

test('deep, wide and endless pages end in bounded time (T225)', () => {
  const deep = `<title>deep</title>${'<div>'.repeat(100_000)}<meta property="og:title" content="too deep">`;
  assert.equal(read(deep)['og:title'], 'deep');
  const attributes = Array.from({ length: 200_000 }, (_, n) => `a${n}=1`).join(' ');
  assert.equal(read(`<title>wide</title><p ${attributes}>`)['og:title'], 'wide');
  assert.equal(read(`<title>open</title><!--${'-'.repeat(1_000_000)}`)['og:title'], 'open');
  assert.equal(read(`<title>cut</title><meta property="${'"'.repeat(500_000)}`)['og:title'], 'cut');
});

test('encodings: by mark, header, or the page itself; unknown ones are UTF-8 (T227)', () => {
  const title = (text: string, encoding: BufferEncoding) => Buffer.from(`<title>${text}</title>`, encoding);
  assert.equal(read(title('ü', 'utf8'), 'text/html')['og:title'], 'ü');
  assert.equal(read(title('ü', 'latin1'), 'text/html; charset="ISO-8859-1"')['og:title'], 'ü');
  assert.equal(read(Buffer.from('\ufeff<title>ü</title>', 'utf16le'), 'text/html')['og:title'], 'ü');
  const inside = Buffer.from('<meta charset=windows-1251><title>\xcc</title>', 'latin1');
  assert.equal(read(inside, 'text/html')['og:title'], 'М');
  const xml = Buffer.from('<?xml version="1.0" encoding="utf-16"?><title>x</title>');
  assert.equal(read(xml, 'application/xhtml+xml')['og:title'], 'x');
  for (const label of ['utf-7', 'nonsense', 'x'.repeat(200), '\\']) {
    assert.equal(read('<title>x</title>', `text/html; charset=${label}`)['og:title'], 'x');
  }
});
