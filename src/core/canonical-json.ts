import canonicalJsonPackage from 'canonical-json';
import { JsonError } from '#core/json.js';
import { JsonFloat, type JsonObject, type JsonValue, own } from '#core/json-value.js';

/** Deepest nesting that can be written; deeper values are cyclic or a bug of ours. */
const MAX_WRITE_DEPTH = 1000;

/**
 * Canonical JSON (appendices): no white space, keys in code-point order, the shortest escapes. Integers are written as
 * integers whatever their size and floats as Python's `repr` prints them, since servers hash both in room versions 1
 * to 5. Throws JsonError on NaN, infinities and lone surrogates. Properties that are `undefined` are left out.
 */
export function canonicalJson(value: JsonValue): string {
  if (isInOrder(value, 0)) {
    const text = JSON.stringify(value);
    // It writes a lone surrogate as an escape, which nothing else that begins so is (a backslash that stands in a text may).
    if (!text.includes('\\ud')) return text;
  }
  return wellFormed(write(value, 0));
}

/**
 * Whether `JSON.stringify` writes a value canonically, lone surrogates aside: the keys of its objects are in order and its
 * numbers are safe integers. Events as they lie on disk are so, and those made here, and it is several times as fast.
 */
function isInOrder(value: JsonValue | undefined, depth: number): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true;
    case 'number':
      return Number.isSafeInteger(value);
    case 'object': {
      if (value === null) return true;
      if (depth >= MAX_WRITE_DEPTH || value instanceof JsonFloat) return false;
      if (Array.isArray(value)) {
        for (let index = 0; index < value.length; index++) if (!isInOrder(value[index], depth + 1)) return false;
        return true;
      }
      const keys = Object.keys(value);
      for (let index = 0; index < keys.length; index++) {
        const key = keys[index]!;
        if (index > 0 && compareCodePoints(keys[index - 1]!, key) > 0) return false;
        const item = (value as JsonObject)[key];
        if (item !== undefined && !isInOrder(item, depth + 1)) return false;
      }
      return true;
    }
    default:
      return false;
  }
}

/**
 * The object with its keys, and those of all objects within it, in the order of canonical JSON, as far as an object can have
 * it (keys that look like array indices always come first): then `canonicalJson` of it is cheap. Itself if it is so already.
 */
export function inCanonicalOrder(object: JsonObject): JsonObject {
  return isInOrder(object, 0) ? object : (ordered(object, 0) as JsonObject);
}

function ordered(value: JsonValue | undefined, depth: number): JsonValue | undefined {
  if (typeof value !== 'object' || value === null || value instanceof JsonFloat || depth >= MAX_WRITE_DEPTH)
    return value;
  if (Array.isArray(value)) return value.map((item) => ordered(item, depth + 1) as JsonValue);
  const keys = sorted(Object.keys(value));
  return Object.fromEntries(keys.map((key) => [key, ordered((value as JsonObject)[key], depth + 1)]));
}

/**
 * What `canonicalJson` gives, in steps: one for each member of the outermost `levels` levels of objects and arrays, so that
 * a large value need not be written at one go. Throws JsonError as `canonicalJson` does.
 */
export function* canonicalJsonSteps(value: JsonValue, levels: number): Generator<void, string, void> {
  return wellFormed(yield* writeSteps(value, levels, 0));
}

function* writeSteps(value: JsonValue, levels: number, depth: number): Generator<void, string, void> {
  const isPlain = typeof value !== 'object' || value === null || value instanceof JsonFloat;
  if (isPlain || depth === levels) {
    yield;
    return write(value, depth);
  }
  const members: string[] = [];
  if (Array.isArray(value)) {
    for (const item of value) members.push(yield* writeSteps(item, levels, depth + 1));
    return `[${members.join(',')}]`;
  }
  for (const key of sorted(Object.keys(value))) {
    const item = (value as JsonObject)[key];
    if (item !== undefined) members.push(`${quote(key)}:${yield* writeSteps(item, levels, depth + 1)}`);
  }
  return `{${members.join(',')}}`;
}

/** Canonical JSON in UTF-8. */
export function canonicalBytes(value: JsonValue): Buffer {
  return Buffer.from(canonicalJson(value), 'utf8');
}

/** Canonical JSON in UTF-8 of `object` without some of its top-level keys: what signatures and hashes cover. */
export function canonicalBytesWithout(object: JsonObject, leftOut: readonly string[]): Buffer {
  return Buffer.from(canonicalJsonWithout(object, leftOut), 'utf8');
}

/** As `canonicalBytesWithout`, as text. */
export function canonicalJsonWithout(object: JsonObject, leftOut: readonly string[]): string {
  const hasThem = leftOut.some((key) => own(object, key) !== undefined);
  return hasThem ? wellFormed(writeObject(object, 0, leftOut)) : canonicalJson(object);
}

function wellFormed(text: string): string {
  if (!text.isWellFormed()) throw new JsonError('badString', 'a lone surrogate');
  return text;
}

function write(value: JsonValue | undefined, depth: number): string {
  switch (typeof value) {
    case 'string':
      return quote(value);
    case 'number':
      return Number.isSafeInteger(value) ? (value === 0 ? '0' : `${value}`) : writeNumber(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'bigint':
      return value.toString();
    case 'object': {
      if (value === null) return 'null';
      if (depth >= MAX_WRITE_DEPTH) throw new JsonError('tooDeep', `nested deeper than ${MAX_WRITE_DEPTH}`);
      if (Array.isArray(value)) return writeArray(value, depth + 1);
      if (value instanceof JsonFloat) return writeFloat(value.value);
      return writeObject(value as JsonObject, depth + 1, NOTHING);
    }
    default:
      throw new JsonError('notJson', `a value of type ${typeof value} is not JSON`);
  }
}

const NOTHING: readonly string[] = [];

function writeArray(array: readonly JsonValue[], depth: number): string {
  let text = '[';
  for (let index = 0; index < array.length; index++) {
    if (index > 0) text += ',';
    text += write(array[index], depth);
  }
  return `${text}]`;
}

function writeObject(object: JsonObject, depth: number, leftOut: readonly string[]): string {
  const keys = sorted(Object.keys(object));
  let text = '{';
  for (let index = 0; index < keys.length; index++) {
    const key = keys[index]!;
    const value = object[key];
    if (value === undefined || (leftOut.length > 0 && leftOut.includes(key))) continue;
    if (text.length > 1) text += ',';
    text += quote(key);
    text += ':';
    text += write(value, depth);
  }
  return `${text}}`;
}

const SURROGATE = /[\ud800-\udfff]/;

/** Sorts in place by code point. Insertion is quickest for the few keys that most objects have, most of them in order. */
function sorted(keys: string[]): string[] {
  const count = keys.length;
  if (count > 24) {
    // The built-in order, by UTF-16 unit, is twice as fast and differs only where surrogates are.
    keys.sort();
    return keys.some((key) => SURROGATE.test(key)) ? keys.sort(compareCodePoints) : keys;
  }
  for (let index = 1; index < count; index++) {
    const key = keys[index]!;
    let place = index;
    while (place > 0 && compareCodePoints(keys[place - 1]!, key) > 0) {
      keys[place] = keys[place - 1]!;
      place--;
    }
    keys[place] = key;
  }
  return keys;
}

/**
 * Order of two strings by Unicode code point, which is also the order of their UTF-8 bytes. JavaScript's own order is
 * by UTF-16 unit and puts U+10000 before U+FFFF. Negative, zero or positive, as `Array.sort` wants it.
 */
export function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const x = a.charCodeAt(at);
    const y = b.charCodeAt(at);
    if (x !== y) return x >= 0xd800 && y >= 0xd800 ? aboveSurrogates(x) - aboveSurrogates(y) : x - y;
  }
  return a.length - b.length;
}

/** Moves surrogates, which begin code points above U+FFFF, behind U+E000 to U+FFFF. */
function aboveSurrogates(unit: number): number {
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000;
}

const NEEDS_ESCAPE = /["\\\u0000-\u001f]/;

function quote(text: string): string {
  const length = text.length;
  if (length > 64) return NEEDS_ESCAPE.test(text) ? escaped(text) : `"${text}"`;
  for (let at = 0; at < length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x20 || unit === 0x22 || unit === 0x5c) return escaped(text);
  }
  return `"${text}"`;
}

function escaped(text: string): string {
  // JSON.stringify escapes exactly what canonical JSON escapes, and in the same way, except for lone surrogates.
  return JSON.stringify(wellFormed(text));
}

function writeNumber(value: number): string {
  return Number.isInteger(value) ? BigInt(value).toString() : writeFloat(value);
}

/** A float as Python's `repr` prints it: the same shortest digits as JavaScript's, but laid out differently. */
export function writeFloat(value: number): string {
  if (!Number.isFinite(value)) throw new JsonError('badNumber', 'not a finite number');
  const [mantissa = '', exponentText = ''] = Math.abs(value).toExponential().split('e');
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  const digits = mantissa.replace('.', '');
  const exponent = Number(exponentText);
  if (exponent < -4 || exponent >= 16) {
    const size = Math.abs(exponent).toString().padStart(2, '0');
    return `${sign}${mantissa}e${exponent < 0 ? '-' : '+'}${size}`;
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0');
  return `${sign}${whole}.${digits.slice(exponent + 1) || '0'}`;
}

/**
 * Canonical JSON as the package canonical-json writes it, given the comparison by code point and an identity replacer
 * (without one it copies objects, which loses `__proto__` and reorders integer-like keys). Right for plain JSON, and
 * slower: tests hold `canonicalJson` against it. See docs/decisions/0001-json.md.
 */
export function canonicalJsonByPackage(value: JsonValue): string | undefined {
  return canonicalJsonPackage(value, (_key: string, item: unknown) => item, undefined, compareCodePoints);
}
