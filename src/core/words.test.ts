import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasPhrase, parseWordQuery, wordsOf } from '#core/words.js';

const words = (text: string) => [...wordsOf(text)];

test('words are letters and digits without case, accents and compatibility forms', () => {
  assert.deepEqual(words('Hello, WORLD: 4 times!'), ['hello', 'world', '4', 'times']);
  assert.deepEqual(words('Café ﬁn ﬀ Ａ１'), ['cafe', 'fin', 'ff', 'a1']);
  assert.deepEqual(words('Привет мир'), ['привет', 'мир']);
  assert.deepEqual(words('हिन्दी'), ['हिन्दी']);
  assert.deepEqual(words('한국어'), ['한국어']);
  assert.deepEqual(words('… --- \u0000'), []);
});

test('scripts without spaces give a word for each character', () => {
  assert.deepEqual(words('東京tower2へ'), ['東', '京', 'tower2', 'へ']);
});

test('long words are cut, lone surrogates make no broken words', () => {
  assert.equal(words('x'.repeat(500))[0]?.length, 64);
  for (const word of words(`a\ud83d${'𝒳'.repeat(80)}`)) assert.ok(word.isWellFormed());
});

test('a query has words and phrases', () => {
  assert.deepEqual(parseWordQuery('Message 4'), { words: ['message', '4'], phrases: [] });
  assert.deepEqual(parseWordQuery('a "b c" a'), { words: ['a', 'b', 'c'], phrases: [['b', 'c']] });
  assert.deepEqual(parseWordQuery('東京'), { words: ['東', '京'], phrases: [['東', '京']] });
  assert.deepEqual(parseWordQuery('"'), { words: [], phrases: [] });
  assert.equal(parseWordQuery('a b c d e f g h i j k l m n o p q r s t').words.length, 16);
});

test('a phrase is found only side by side', () => {
  const text = words('one two one three');
  assert.equal(hasPhrase(text, ['one', 'three']), true);
  assert.equal(hasPhrase(text, ['two', 'three']), false);
  assert.equal(hasPhrase(text, ['three', 'four']), false);
});
