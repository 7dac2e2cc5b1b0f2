import assert from 'node:assert/strict';
import { test } from 'node:test';
import { foldAscii, foldCase } from '#core/case-fold.js';

test('letters of one class fold to one letter (T293)', () => {
  for (const [a, b] of [
    ['ſ', 'S'],
    ['\u212a', 'k'],
    ['\u212b', 'å'],
    ['ς', 'Σ'],
    ['ẞ', 'ß'],
    ['µ', 'μ'],
    ['Ж', 'ж'],
    ['ǅ', 'Ǆ'],
    ['\u{10400}', '\u{10428}'],
  ] as const) {
    assert.equal(foldCase(a), foldCase(b), `${a} and ${b}`);
  }
});

test('dotted and dotless i keep to themselves, and sharp s is not ss', () => {
  assert.notEqual(foldCase('İ'), 'i');
  assert.notEqual(foldCase('ı'), 'i');
  assert.notEqual(foldCase('ß'), 'ss');
  assert.equal(foldCase('I'), 'i');
});

test('no code point changes the length, and folding twice is folding once (T293)', () => {
  for (let point = 0; point <= 0x1ffff; point++) {
    const text = String.fromCodePoint(point);
    const folded = foldCase(text);
    assert.equal(folded.length, text.length, point.toString(16));
    assert.equal(foldCase(folded), folded, point.toString(16));
  }
});

test('letters fold alike wherever they stand, also across inner chunks', () => {
  assert.equal(foldCase('ΟΔΟΣ'), foldCase('οδος'));
  assert.equal(foldCase(`${'Ω'.repeat(1023)}\u{10400}Z`), `${'ω'.repeat(1023)}\u{10428}z`);
});

test('ASCII folding leaves the Kelvin sign alone', () => {
  assert.equal(foldAscii('MATRIX.Org\u212a'), 'matrix.org\u212a');
});
