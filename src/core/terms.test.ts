import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTerms } from '#core/terms.js';

test('a document has a version and, by language, a name and an address', () => {
  assert.deepEqual(
    parseTerms([
      'privacy 1.2 en https://hs.test/p?x=1 Privacy policy',
      'privacy 1.2 de-AT http://hs.test/d Datenschutz',
    ]),
    {
      privacy: {
        version: '1.2',
        languages: {
          en: { name: 'Privacy policy', url: 'https://hs.test/p?x=1' },
          'de-AT': { name: 'Datenschutz', url: 'http://hs.test/d' },
        },
      },
    },
  );
});

test('what does not fit is named', () => {
  for (const [items, problem] of [
    [['privacy 1 en https://hs.test/p'], /not id, version/],
    [['privacy 1 version https://hs.test/p Name'], /not id, version/],
    [['privacy 1 en javascript:alert(1) Name'], /not an http or https URL/],
    [['privacy 1 en https://hs.test/p A', 'privacy 2 de https://hs.test/d B'], /two versions, 1 and 2/],
  ] as const) {
    assert.throws(() => parseTerms(items), problem);
  }
});
