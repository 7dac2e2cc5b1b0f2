import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePropertyPath } from '#core/property-path.js';

test('dots separate, escapes are literal, other escapes stay', () => {
  assert.deepEqual(parsePropertyPath('content.body'), ['content', 'body']);
  assert.deepEqual(parsePropertyPath('content.m\\.relates_to.rel_type'), ['content', 'm.relates_to', 'rel_type']);
  assert.deepEqual(parsePropertyPath('content.m\\\\foo'), ['content', 'm\\foo']);
  assert.deepEqual(parsePropertyPath('a\\xb.c\\'), ['a\\xb', 'c\\']);
  assert.deepEqual(parsePropertyPath('.a.'), ['', 'a', '']);
  assert.deepEqual(parsePropertyPath('__proto__.x'), ['__proto__', 'x']);
});
