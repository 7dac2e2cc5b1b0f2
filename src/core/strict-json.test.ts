import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseJson } from '#core/json.js';
import type { JsonValue } from '#core/json-value.js';
import { strictCanonicalProblem } from '#core/strict-json.js';

const exact = (text: string): JsonValue => parseJson(text, { numbers: 'exact' });

test('strict canonical JSON of versions 6 and later has only safe integers (T3, T4)', () => {
  for (const text of ['9007199254740992', '-9007199254740992', '1.0', '1e2', '-0', '-0.0', '1e400', '0.5']) {
    assert.notEqual(strictCanonicalProblem(exact(`{"a":[{"b":${text}}]}`)), undefined, text);
  }
  for (const text of ['9007199254740991', '-9007199254740991', '0', 'true', 'null', '"1.5"']) {
    assert.equal(strictCanonicalProblem(exact(`{"a":[{"b":${text}}]}`)), undefined, text);
  }
});
