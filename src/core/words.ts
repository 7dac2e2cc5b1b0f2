import { foldCase } from '#core/case-fold.js';

/**
 * Words of a text as search sees them: runs of letters and digits, without case, accents or compatibility forms. Scripts
 * that write no spaces give a word for each character; who searches for several in a row means just that row.
 */

const MARKS_OF_LATIN = /[\u0300-\u036f]+/g;
// Functions, since V8 takes a millisecond to gather what Unicode knows of them, and most servers start without.
const runOfWords = (): RegExp => /[\p{L}\p{N}\p{M}]+/gu;
const unspaced = (): RegExp =>
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
const ASCII = /^[\0-\x7f]*$/;
const ASCII_WORD = /[a-z0-9]+/g;
/** Longest word, in UTF-16 units; what is longer is cut. */
const MAX_WORD = 64;
/** Text beyond this many UTF-16 units is not looked at. */
const MAX_TEXT = 65_536;

function normalise(text: string): string {
  const looked = text.slice(0, MAX_TEXT);
  if (ASCII.test(looked)) return looked.toLowerCase();
  return foldCase(looked.normalize('NFKD').replace(MARKS_OF_LATIN, '').normalize('NFC'));
}

/** Splits a run of letters and digits into words of spaced scripts and single characters of the others. */
function* pieces(run: string): Generator<string> {
  const isUnspaced = unspaced();
  if (!isUnspaced.test(run)) {
    yield run.slice(0, MAX_WORD).toWellFormed();
    return;
  }
  let spaced = '';
  for (const char of run) {
    if (!isUnspaced.test(char)) {
      spaced += char;
      continue;
    }
    if (spaced !== '') yield spaced.slice(0, MAX_WORD).toWellFormed();
    spaced = '';
    yield char;
  }
  if (spaced !== '') yield spaced.slice(0, MAX_WORD).toWellFormed();
}

/** The words of `text` in their order, repeated ones included. */
export function* wordsOf(text: string): Generator<string> {
  const normal = normalise(text);
  if (ASCII.test(normal)) {
    for (const word of normal.match(ASCII_WORD) ?? []) yield word.slice(0, MAX_WORD);
    return;
  }
  for (const [run] of normal.matchAll(runOfWords())) yield* pieces(run);
}

/** What a search term asks for: every word somewhere, and the words of each phrase side by side. */
export interface WordQuery {
  /** Without repetitions. */
  readonly words: readonly string[];
  readonly phrases: readonly (readonly string[])[];
}

/** Most words of a search term; further ones are passed over. */
const MAX_QUERY_WORDS = 16;

/** Reads a search term: words, and phrases between double quotes. */
export function parseWordQuery(term: string): WordQuery {
  const words = new Set<string>();
  const phrases: (readonly string[])[] = [];
  for (const [part, section] of term.slice(0, 1_000).split('"').entries()) {
    const isQuoted = part % 2 === 1;
    const runs = isQuoted ? [section] : (normalise(section).match(runOfWords()) ?? []);
    for (const run of runs) {
      const phrase = [...wordsOf(run)].slice(0, MAX_QUERY_WORDS - words.size);
      for (const word of phrase) words.add(word);
      if (phrase.length > 1) phrases.push(phrase);
    }
  }
  return { words: [...words], phrases };
}

/** Whether the words of `phrase` stand side by side in `words`. */
export function hasPhrase(words: readonly string[], phrase: readonly string[]): boolean {
  for (let at = words.indexOf(phrase[0]!); at >= 0; at = words.indexOf(phrase[0]!, at + 1)) {
    if (phrase.every((word, i) => words[at + i] === word)) return true;
  }
  return false;
}
