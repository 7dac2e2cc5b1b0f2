import { foldAscii, foldCase } from '#core/case-fold.js';

/**
 * Glob-style matching (appendices, Glob-style matching) without backtracking and without regular expressions. A
 * pattern is cut at its `*` into segments, and each segment is taken where it fits first: that is never worse than a
 * later place. So a match costs the length of the text, times the length of a segment over 32 in the worst case.
 */

export interface GlobOptions {
  /**
   * `whole`: the pattern matches all of the text. `word`: it matches some part of the text that starts and ends at a
   * word boundary, as content rules do (client-server API, Push Rules). Default `whole`.
   */
  readonly mode?: 'whole' | 'word';
  /** What counts as the same letter: exactly the same, A to Z caseless, or Unicode simple case folding (default). */
  readonly fold?: 'none' | 'ascii' | 'unicode';
  /** Which characters are wildcards: `*` and `?` (default), `*` alone, or none. */
  readonly wildcards?: 'all' | 'star' | 'none';
}

export interface Glob {
  matches(text: string): boolean;
  /** The same for a text that has already gone through the folding that the options name. */
  matchesFolded(text: string): boolean;
}

/** A code point of a segment, or any one. */
const ANY = -1;
/** Literals up to this length are found by `indexOf`, whose worst case is the product of both lengths. */
const SHORT = 32;

interface Segment {
  readonly points: readonly number[];
  /** The segment as text where there is no `?` in it. */
  readonly literal: string | undefined;
  /** Fewest UTF-16 units that it matches. */
  readonly minUnits: number;
  /** For the bit-parallel search: per code point, the places of the segment where it may stand. Made on first use. */
  masks?: { readonly byPoint: ReadonlyMap<number, Uint32Array>; readonly others: Uint32Array };
}

function isWordUnit(unit: number): boolean {
  return (
    (unit >= 0x61 && unit <= 0x7a) || (unit >= 0x41 && unit <= 0x5a) || (unit >= 0x30 && unit <= 0x39) || unit === 0x5f
  );
}

/** Whether a part may start or end at `index`: anywhere but between two of `[A-Za-z0-9_]`. */
function isBoundary(text: string, index: number): boolean {
  if (index === 0 || index === text.length) return true;
  return !(isWordUnit(text.charCodeAt(index - 1)) && isWordUnit(text.charCodeAt(index)));
}

function segment(points: readonly number[]): Segment {
  const minUnits = points.reduce((sum, point) => sum + (point > 0xffff ? 2 : 1), 0);
  let literal: string | undefined = '';
  for (const point of points) {
    if (point === ANY) {
      literal = undefined;
      break;
    }
    literal += String.fromCodePoint(point);
  }
  return { points, literal, minUnits };
}

/** The segments between runs of wildcards that hold a `*`. The `?` of such a run move before it: `*?` is `?*`. */
function split(pattern: string, wildcards: 'all' | 'star' | 'none'): Segment[] {
  const segments: Segment[] = [];
  let points: number[] = [];
  let star = false;
  for (const char of pattern) {
    if (char === '*' && wildcards !== 'none') {
      star = true;
    } else if (char === '?' && wildcards === 'all') {
      points.push(ANY);
    } else {
      if (star) {
        segments.push(segment(points));
        points = [];
        star = false;
      }
      points.push(char.codePointAt(0)!);
    }
  }
  segments.push(segment(points));
  if (star) segments.push(segment([]));
  return segments;
}

/** The end of `part` standing exactly at `at`, or -1. */
function matchAt(part: Segment, text: string, at: number): number {
  if (part.literal !== undefined) return text.startsWith(part.literal, at) ? at + part.literal.length : -1;
  let index = at;
  for (const wanted of part.points) {
    const point = text.codePointAt(index);
    if (point === undefined || (wanted !== ANY && wanted !== point)) return -1;
    index += point > 0xffff ? 2 : 1;
  }
  return index;
}

/** The start of `part` ending exactly at the end of `text`, or -1. */
function matchAtEnd(part: Segment, text: string): number {
  if (part.literal !== undefined) return text.endsWith(part.literal) ? text.length - part.literal.length : -1;
  let index = text.length;
  for (let i = part.points.length - 1; i >= 0; i--) {
    if (index === 0) return -1;
    const pair = index > 1 ? text.codePointAt(index - 2)! : 0;
    const point = pair > 0xffff ? pair : text.charCodeAt(index - 1);
    const wanted = part.points[i]!;
    if (wanted !== ANY && wanted !== point) return -1;
    index -= point > 0xffff ? 2 : 1;
  }
  return index;
}

interface Bounds {
  readonly from: number;
  readonly to: number;
  readonly startsAtBoundary: boolean;
  readonly endsAtBoundary: boolean;
}

/** The end of the first place where `part` stands within the bounds, or -1. */
function find(part: Segment, text: string, bounds: Bounds): number {
  if (bounds.to - bounds.from < part.minUnits) return -1;
  const { literal } = part;
  if (literal === undefined || literal.length > SHORT) return findByBits(part, text, bounds);
  for (let at = text.indexOf(literal, bounds.from); at >= 0; at = text.indexOf(literal, at + 1)) {
    const end = at + literal.length;
    if (end > bounds.to) return -1;
    if (bounds.startsAtBoundary && !isBoundary(text, at)) continue;
    if (bounds.endsAtBoundary && !isBoundary(text, end)) continue;
    return end;
  }
  return -1;
}

function masksOf(part: Segment): NonNullable<Segment['masks']> {
  if (part.masks !== undefined) return part.masks;
  const words = Math.ceil(part.points.length / 32);
  const others = new Uint32Array(words);
  part.points.forEach((point, i) => {
    if (point === ANY) others[i >>> 5]! |= 1 << (i & 31);
  });
  const byPoint = new Map<number, Uint32Array>();
  part.points.forEach((point, i) => {
    if (point === ANY) return;
    let mask = byPoint.get(point);
    if (mask === undefined) {
      mask = others.slice();
      byPoint.set(point, mask);
    }
    mask[i >>> 5]! |= 1 << (i & 31);
  });
  part.masks = { byPoint, others };
  return part.masks;
}

/** Shift-And search: bit i of the state says that the segment's first i + 1 code points end here. */
function findByBits(part: Segment, text: string, bounds: Bounds): number {
  const { byPoint, others } = masksOf(part);
  const last = part.points.length - 1;
  const lastWord = last >>> 5;
  const lastBit = 1 << (last & 31);
  const state = new Uint32Array(lastWord + 1);
  // Words from `active` on are zero: a text that fits only beginnings costs little.
  let active = 0;
  for (let index = bounds.from; index < bounds.to; ) {
    const point = text.codePointAt(index)!;
    const mask = byPoint.get(point) ?? others;
    let carry = !bounds.startsAtBoundary || isBoundary(text, index) ? 1 : 0;
    const reach = Math.min(active, lastWord);
    active = 0;
    for (let word = 0; word <= reach; word++) {
      const old = state[word]!;
      const next = ((old << 1) | carry) & mask[word]!;
      carry = old >>> 31;
      state[word] = next;
      if (next !== 0) active = word + 1;
    }
    index += point > 0xffff ? 2 : 1;
    if (index > bounds.to) return -1;
    if ((state[lastWord]! & lastBit) !== 0 && (!bounds.endsAtBoundary || isBoundary(text, index))) return index;
  }
  return -1;
}

function matchWhole(segments: readonly Segment[], text: string): boolean {
  const first = segments[0]!;
  let index = matchAt(first, text, 0);
  if (segments.length === 1) return index === text.length;
  if (index < 0) return false;
  const to = matchAtEnd(segments.at(-1)!, text);
  if (to < index) return false;
  for (let i = 1; i < segments.length - 1; i++) {
    index = find(segments[i]!, text, { from: index, to, startsAtBoundary: false, endsAtBoundary: false });
    if (index < 0) return false;
  }
  return true;
}

function matchWords(segments: readonly Segment[], text: string): boolean {
  let index = 0;
  for (const [i, part] of segments.entries()) {
    const isFirst = i === 0;
    const isLast = i === segments.length - 1;
    // An empty segment beside a `*` lets it reach the start or the end of the text, which are boundaries.
    if (part.points.length === 0) continue;
    index = find(part, text, { from: index, to: text.length, startsAtBoundary: isFirst, endsAtBoundary: isLast });
    if (index < 0) return false;
  }
  return true;
}

const FOLDS = { none: (text: string): string => text, ascii: foldAscii, unicode: foldCase } as const;

/** Compiles `pattern` once for many matches. Never throws; any text is a pattern. */
export function compileGlob(pattern: string, options: GlobOptions = {}): Glob {
  const fold = FOLDS[options.fold ?? 'unicode'];
  const segments = split(fold(pattern), options.wildcards ?? 'all');
  const minUnits = segments.reduce((sum, part) => sum + part.minUnits, 0);
  const match = options.mode === 'word' ? matchWords : matchWhole;
  const matchesFolded = (text: string): boolean => text.length >= minUnits && match(segments, text);
  return { matchesFolded, matches: (text) => matchesFolded(fold(text)) };
}

/** Whether `pattern` holds `*` or `?`. */
export function hasWildcards(pattern: string): boolean {
  return pattern.includes('*') || pattern.includes('?');
}
