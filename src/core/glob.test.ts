import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileGlob, type GlobOptions } from '#core/glob.js';

const whole = (pattern: string, text: string): boolean => compileGlob(pattern).matches(text);
const word = (pattern: string, text: string): boolean => compileGlob(pattern, { mode: 'word' }).matches(text);

test('whole: star, question mark, case (T291)', () => {
  assert.ok(whole('lunc?*', 'Lunch plans'));
  assert.ok(whole('lunc?*', 'LUNCH'));
  assert.ok(!whole('lunc?*', ' lunch'));
  assert.ok(!whole('lunc?*', 'lunc'));
  assert.ok(whole('', ''));
  assert.ok(!whole('', 'a'));
  assert.ok(whole('*', ''));
  assert.ok(whole('a*', 'a\nb'), 'a star crosses lines');
  assert.ok(!whole('ab*ba', 'aba'), 'start and end may not overlap');
  assert.ok(whole('a**b', 'a123b'));
});

test('whole: a question mark is one code point (T291)', () => {
  assert.ok(whole('?', '🎉'));
  assert.ok(!whole('??', '🎉'));
  assert.ok(whole('*?x', '🎉x'));
  assert.ok(whole('a*?🎉', 'ab🎉🎉'));
  assert.ok(!whole('*??x', '🎉x'));
});

test('a run of wildcards is what its parts are together (T292)', () => {
  for (const [run, atLeast] of [
    ['**', 0],
    ['***', 0],
    ['?*', 1],
    ['*?', 1],
    ['*?*', 1],
    ['?**?', 2],
    ['**??*', 2],
    ['?*?*?', 3],
  ] as const) {
    for (let length = 0; length < 5; length++) {
      const middle = '🎉'.repeat(length);
      assert.equal(whole(`a${run}b`, `a${middle}b`), length >= atLeast, `${run} and ${length}`);
      assert.equal(word(`a${run}b`, `x a${middle}b x`), length >= atLeast, `${run} and ${length} in a text`);
    }
  }
});

test('word: starts and ends where no two word characters meet (T293)', () => {
  assert.ok(word('ex*ple', 'An example event.'));
  assert.ok(word('ex*ple', 'exple'));
  assert.ok(word('ex*ple', 'An exciting triple-whammy'));
  assert.ok(!word('cake', 'cakes'));
  assert.ok(!word('cake', 'my_cake'));
  assert.ok(!word('cake', 'cake1'));
  assert.ok(word('cake', 'cakes, (cake)'));
  assert.ok(word('cake', 'écakeé'), 'only ASCII letters, digits and _ are word characters');
  assert.ok(word('@room', 'hey @room!'));
  assert.ok(word('@alice:example.org', 'x @alice:example.org'));
  assert.ok(word('*', 'anything'));
  assert.ok(word('c?ke', 'a cAke'));
  assert.ok(!word('c?ke', 'a cooke'));
});

test('word: long segments obey the boundaries too', () => {
  const long = 'ab'.repeat(40);
  assert.ok(word(long, `x ${long} y`));
  assert.ok(!word(long, `x${long}`));
  assert.ok(!word(long, `${long}y`));
  assert.ok(word(long, `${long}ab ${long}`), 'a later place fits where the first does not');
});

test('folding options (T293)', () => {
  assert.ok(whole('\u212aelvin ſ', 'KELVIN S'));
  assert.ok(!whole('i', 'İ'));
  assert.ok(whole('?', 'İ'));
  assert.ok(!compileGlob('\u212a', { fold: 'ascii' }).matches('k'));
  assert.ok(compileGlob('ORG', { fold: 'ascii' }).matches('org'));
  assert.ok(!compileGlob('m.Room', { fold: 'none' }).matches('m.room'));
});

test('wildcard options and characters that regular expressions know (T291)', () => {
  const meta = '.*+?^{$}()|[]\\';
  assert.ok(compileGlob(meta, { wildcards: 'none' }).matches(meta));
  assert.ok(!compileGlob(meta, { wildcards: 'none' }).matches('.aa+b^{$}()|[]\\'));
  assert.ok(compileGlob('m.*?', { wildcards: 'star' }).matches('m.room?'));
  assert.ok(!compileGlob('m.*?', { wildcards: 'star' }).matches('m.room'));
});

/** The definition itself, by trying everything; for short inputs only. */
function reference(pattern: string, text: string): boolean {
  if (pattern === '') return text === '';
  if (pattern[0] === '*') {
    for (let i = 0; i <= text.length; i++) if (reference(pattern.slice(1), text.slice(i))) return true;
    return false;
  }
  return text !== '' && (pattern[0] === '?' || pattern[0] === text[0]) && reference(pattern.slice(1), text.slice(1));
}

function referenceWord(pattern: string, text: string): boolean {
  const wordy = (at: number): boolean => /[A-Za-z0-9_]/.test(text[at] ?? ' ');
  const edge = (at: number): boolean => !(wordy(at - 1) && wordy(at));
  for (let from = 0; from <= text.length; from++) {
    for (let to = from; to <= text.length; to++) {
      if (edge(from) && edge(to) && reference(pattern, text.slice(from, to))) return true;
    }
  }
  return false;
}

test('agrees with the definition on random patterns and texts (T291, T292)', () => {
  let seed = 12345;
  const next = (below: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return (seed >>> 8) % below;
  };
  const pick = (alphabet: string, most: number): string =>
    Array.from({ length: next(most + 1) }, () => alphabet[next(alphabet.length)]).join('');
  for (let i = 0; i < 20_000; i++) {
    const pattern = pick('ab-*?', 7);
    const text = pick('ab-', 9);
    assert.equal(whole(pattern, text), reference(pattern, text), `${pattern} whole ${text}`);
    assert.equal(word(pattern, text), referenceWord(pattern, text), `${pattern} word ${text}`);
  }
});

/** Best of a few runs in milliseconds: other work on the machine only ever adds. */
function milliseconds(run: () => void): number {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 7; i++) {
    const start = process.hrtime.bigint();
    run();
    best = Math.min(best, Number(process.hrtime.bigint() - start) / 1e6);
  }
  return best;
}

test('patterns that blow up backtracking matchers take no time (T291, T292)', () => {
  const text = 'a'.repeat(200);
  const patterns = [
    'a*a*a*a*a*a*b',
    '*a*a*a*a*a*b',
    '?*'.repeat(100),
    '*?'.repeat(101),
    '*'.repeat(10_240),
    'a?'.repeat(99).concat('b'),
    `${'a?'.repeat(50)}*${'?a'.repeat(40)}b`,
  ];
  for (const pattern of patterns) {
    for (const mode of ['whole', 'word'] as const) {
      const glob = compileGlob(pattern, { mode });
      assert.ok(milliseconds(() => glob.matches(text)) <= 1, `${mode} ${pattern.slice(0, 20)}`);
    }
  }
});

test('a 10 KB pattern on a 64 KB text stays cheap', () => {
  const text = 'a'.repeat(65_000);
  const cases: [string, GlobOptions][] = [
    [`*b${'a'.repeat(10_000)}*`, {}],
    [`*${'a'.repeat(10_000)}b*`, {}],
    [`${'a?'.repeat(5_000)}b`, { mode: 'word' }],
    [`-${'a'.repeat(31)}`, { mode: 'word' }],
  ];
  for (const [pattern, options] of cases) {
    const glob = compileGlob(pattern, options);
    assert.ok(!glob.matches(text));
    assert.ok(milliseconds(() => glob.matches(text)) < 200, pattern.slice(0, 10));
  }
});
