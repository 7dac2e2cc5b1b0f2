import assert from 'node:assert/strict';
import { test } from 'node:test';
import { disposition, sanitizedFilename, sanitizedType } from '#media/disposition.js';

test('only types of the specification’s list are inline, whatever their case and parameters (T208)', () => {
  assert.equal(disposition('image/png', undefined), 'inline');
  assert.equal(disposition('Text/Plain; charset=utf-8', undefined), 'inline');
  for (const type of ['image/svg+xml', 'text/html', 'application/pdf', 'text/plainish', '', 'text/html;image/png']) {
    assert.equal(disposition(type, undefined), 'attachment', type);
  }
});

test('names go as tokens, or percent-encoded (T210)', () => {
  assert.equal(disposition('image/png', 'file.png'), 'inline; filename=file.png');
  assert.equal(disposition('a/b', 'name;with;semicolons'), "attachment; filename*=utf-8''name%3Bwith%3Bsemicolons");
  assert.equal(disposition('a/b', '\u{1F414}'), "attachment; filename*=utf-8''%F0%9F%90%94");
  assert.equal(disposition('a/b', `"'(*)%`), "attachment; filename*=utf-8''%22%27%28%2A%29%25");
  assert.equal(disposition('a/b', '../x'), "attachment; filename*=utf-8''..%2Fx");
});

test('names lose what could split a header (T210)', () => {
  assert.equal(sanitizedFilename('a\r\nSet-Cookie: b\0\u007f\u0085'), 'aSet-Cookie: b');
  assert.equal(sanitizedFilename('\r\n '), undefined);
  assert.equal(sanitizedFilename('x\ud800y'), 'x\ufffdy');
  assert.equal(sanitizedFilename(' a  b.txt '), ' a  b.txt ', 'nothing else changes');
});

test('names of any file pass whole, and longer ones lose their middle, not what says their kind (T210)', () => {
  for (const name of [
    'x'.repeat(3000),
    'ü'.repeat(255),
    '語'.repeat(255),
    '\u{1F414}'.repeat(255),
    `${' '.repeat(900)}x`,
  ])
    assert.equal(sanitizedFilename(name), name);
  for (const [letter, bytes] of [
    ['x', 1],
    [' ', 3],
    ["'", 3],
    ['語', 9],
    ['\u{1F414}', 12],
  ] as const) {
    const name = sanitizedFilename(`a${letter.repeat(10_000)}.tar.gz`) ?? '';
    assert.equal(name, `a${letter.repeat(Math.floor((3072 - 4) / bytes))}.gz`);
    assert.ok(disposition('image/png', name).length < 3200);
  }
  const noExtension = `a.${'x'.repeat(10_000)}`;
  assert.equal(sanitizedFilename(noExtension), noExtension.slice(0, 3072));
  assert.equal(sanitizedFilename('.'.repeat(10_000)), '.'.repeat(3072));
});

test('what is no media type is octets (T209)', () => {
  for (const type of ['image/png', 'text/plain; charset="utf-8"', 'img/png', 'a/b;'])
    assert.equal(sanitizedType(type), type);
  const none = [
    '',
    'image',
    'image/',
    'a/b c',
    'text/html\r\nX: y',
    'text/plain; ü',
    `a/${'b'.repeat(10_240)}`,
    'a/b, c/d',
  ];
  for (const type of [undefined, ...none]) assert.equal(sanitizedType(type), 'application/octet-stream', type);
});
