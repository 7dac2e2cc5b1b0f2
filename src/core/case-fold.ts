/**
 * Unicode simple case folding: every code point maps to one code point of the same number of UTF-16 units, so indices
 * into a folded text are indices into the text itself. `String.toLowerCase` can't serve: it makes two code points of
 * `İ`, keeps `ſ` and the sign `µ` apart from `s` and `μ`, and treats a final sigma by its neighbours.
 */

const ASCII = /^[\0-\x7f]*$/;
const DOTLESS_I = 0x131;

/** Folded UTF-16 units of the basic plane, plus one; zero where not yet known. */
const known = new Uint32Array(0x10000);

function foldOne(char: string): string {
  // Upper case first, so that all members of a class (`ſ` S s, `ς` Σ σ) meet at one small letter.
  const upper = char.toUpperCase();
  const lower = (upper.length === char.length ? upper : char).toLowerCase();
  return lower.length === char.length ? lower : char;
}

function foldUnit(unit: number): number {
  const seen = known[unit]!;
  if (seen !== 0) return seen - 1;
  // Dotless i has the upper case I, yet belongs to no case folding outside Turkic languages.
  const folded = unit === DOTLESS_I ? unit : foldOne(String.fromCharCode(unit)).charCodeAt(0);
  known[unit] = folded + 1;
  return folded;
}

const isHighSurrogate = (unit: number): boolean => (unit & 0xfc00) === 0xd800;

/** `text` with case folded away; always as long as `text`, in UTF-16 units and in code points. */
export function foldCase(text: string): string {
  if (ASCII.test(text)) return text.toLowerCase();
  let out = '';
  const chunk: number[] = [];
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (isHighSurrogate(unit) && i + 1 < text.length) {
      const pair = foldOne(text.slice(i, i + 2));
      chunk.push(pair.charCodeAt(0), pair.charCodeAt(1));
      i++;
    } else {
      chunk.push(foldUnit(unit));
    }
    if (chunk.length >= 1024) {
      out += String.fromCharCode(...chunk);
      chunk.length = 0;
    }
  }
  return out + String.fromCharCode(...chunk);
}

/** `text` with A to Z made small and nothing else changed. */
export function foldAscii(text: string): string {
  if (ASCII.test(text)) return text.toLowerCase();
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
