import { isUtf8 } from 'node:buffer';
import canonicalJsonPackage from 'canonical-json';
import { JsonReader } from '#core/json-reader.js';
import { JsonFloat, type JsonObject, JsonText, type JsonValue, own } from '#core/json-value.js';

/** Deepest nesting that `parseJson` accepts unless told otherwise. */
export const MAX_JSON_DEPTH = 100;
/** Deepest nesting that can be written; deeper values are cyclic or a bug of ours. */
const MAX_WRITE_DEPTH = 1000;

/** What is wrong with JSON that arrived, or with a value that was to be written. */
export class JsonError extends Error {
  override readonly name = 'JsonError';
  readonly kind: 'notJson' | 'tooDeep' | 'badNumber' | 'badString';
  constructor(kind: JsonError['kind'], message: string) {
    super(message);
    this.kind = kind;
  }
}

export interface ParseOptions {
  /**
   * `plain` (default): JavaScript numbers. `exact`: integers beyond ±(2^53 - 1) become `bigint`, numbers with a
   * fraction or exponent `JsonFloat`, and a float too large for any finite value an infinite one.
   */
  readonly numbers?: 'plain' | 'exact';
  /** With exact numbers too, what is no finite number is refused: `1e400` is one to JSON's grammar, but no event holds it. */
  readonly finite?: true;
  /** Deepest nesting of arrays and objects; default 100. */
  readonly maxDepth?: number;
}

/**
 * Reads JSON strictly: invalid UTF-8, a byte-order mark, lone surrogates, and nesting beyond `maxDepth` are refused, all
 * before anything is built. Of duplicate keys the last wins; `__proto__` is an own property like any other.
 * Throws JsonError: `notJson`, `tooDeep`, `badString`, and in plain mode or where asked `badNumber` for what is no finite number.
 */
export function parseJson(input: Uint8Array | string, options: ParseOptions = {}): JsonValue {
  const text = typeof input === 'string' ? input : decodeUtf8(input);
  if (typeof input === 'string' && !text.isWellFormed()) throw new JsonError('badString', 'a lone surrogate');
  const found = scan(text, options.maxDepth ?? MAX_JSON_DEPTH);
  let value: JsonValue;
  try {
    const exact = options.numbers === 'exact' && (found & EXOTIC_NUMBER) !== 0;
    value = exact ? new JsonReader(text).read() : (JSON.parse(text) as JsonValue);
  } catch (error) {
    throw new JsonError('notJson', error instanceof SyntaxError ? error.message : 'not JSON');
  }
  if ((found & ESCAPED_SURROGATE) !== 0) refuseLoneSurrogates(value);
  const finite = options.numbers !== 'exact' || options.finite === true;
  if (finite && (found & EXOTIC_NUMBER) !== 0) refuseInfinity(value);
  return value;
}

function decodeUtf8(bytes: Uint8Array): string {
  if (!isUtf8(bytes)) throw new JsonError('notJson', 'not valid UTF-8');
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

/** Something stands there that may be a number `JSON.parse` would change: fraction, exponent or 16 digits and more. */
const EXOTIC_NUMBER = 1;
/** A `\u` escape of a surrogate stands there, perhaps a lone one. */
const ESCAPED_SURROGATE = 2;

/**
 * One pass over the text, without building anything: throws where the nesting goes beyond `maxDepth`, and tells what
 * else needs a closer look. Takes any text, JSON or not.
 */
function scan(text: string, maxDepth: number): number {
  const length = text.length;
  let found = 0;
  let depth = 0;
  let digits = 0;
  for (let at = 0; at < length; at++) {
    const unit = text.charCodeAt(at);
    if (unit >= 0x30 && unit <= 0x39) {
      if (++digits >= 16) found |= EXOTIC_NUMBER;
      continue;
    }
    // A fraction or an exponent follows a digit; other dots and letters e are not numbers.
    if (digits > 0 && (unit === 0x2e || unit === 0x65 || unit === 0x45)) found |= EXOTIC_NUMBER;
    digits = 0;
    if (unit === 0x22) {
      for (at++; at < length; at++) {
        const inner = text.charCodeAt(at);
        if (inner === 0x22) break;
        if (inner === 0x5c) {
          at++;
          // \uD8…\uDF: a surrogate.
          if (text.charCodeAt(at) === 0x75 && (text.charCodeAt(at + 1) | 0x20) === 0x64) found |= ESCAPED_SURROGATE;
        }
      }
    } else if (unit === 0x5b || unit === 0x7b) {
      if (++depth > maxDepth) throw new JsonError('tooDeep', `nested deeper than ${maxDepth}`);
    } else if (unit === 0x5d || unit === 0x7d) {
      depth--;
    }
  }
  return found;
}

function refuseLoneSurrogates(value: JsonValue | undefined): void {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw new JsonError('badString', 'a lone surrogate');
  } else if (Array.isArray(value)) {
    for (const item of value) refuseLoneSurrogates(item);
  } else if (typeof value === 'object' && value !== null && !(value instanceof JsonFloat)) {
    for (const [key, item] of Object.entries(value as JsonObject)) {
      refuseLoneSurrogates(key);
      refuseLoneSurrogates(item);
    }
  }
}

function refuseInfinity(value: JsonValue | undefined): void {
  const number = value instanceof JsonFloat ? value.value : value;
  if (typeof number === 'number') {
    if (!Number.isFinite(number)) throw new JsonError('badNumber', 'a number out of range');
  } else if (Array.isArray(value)) {
    for (const item of value) refuseInfinity(item);
  } else if (typeof value === 'object' && value !== null) {
    for (const item of Object.values(value as JsonObject)) refuseInfinity(item);
  }
}

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
function writeFloat(value: number): string {
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
 * JSON text in the order of the object's own keys, as `JSON.stringify` gives it, but large integers and floats keep
 * their value and form. Throws JsonError on an infinite JsonFloat.
 */
export function stringifyJson(value: JsonValue): string {
  return needsOwnWriter(value) ? writeInOrder(value) : JSON.stringify(value);
}

/** Whether it holds what `JSON.stringify` can't write, or would write anew. */
function needsOwnWriter(value: JsonValue | undefined): boolean {
  if (typeof value === 'bigint') return true;
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) return value.some(needsOwnWriter);
  if (value instanceof JsonFloat || value instanceof JsonText) return true;
  for (const key of Object.keys(value)) if (needsOwnWriter((value as JsonObject)[key])) return true;
  return false;
}

function writeInOrder(value: JsonValue): string {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(writeInOrder).join(',')}]`;
  if (value instanceof JsonFloat) return writeFloat(value.value);
  if (value instanceof JsonText) return value.text;
  const members: string[] = [];
  for (const [key, item] of Object.entries(value as JsonObject)) {
    if (item !== undefined) members.push(`${JSON.stringify(key)}:${writeInOrder(item)}`);
  }
  return `{${members.join(',')}}`;
}

/**
 * As `stringifyJson`, in pieces that follow one another: what stands in the value as UTF-8 is one of them, as it is, and the
 * rest is text. A value without such parts is one piece.
 */
export function jsonParts(value: JsonValue): readonly (string | Buffer)[] {
  if (!needsOwnWriter(value)) return [JSON.stringify(value)];
  const parts: (string | Buffer)[] = [];
  let text = '';
  const add = (item: JsonValue): void => {
    if (item instanceof JsonText && typeof item.written !== 'string') {
      parts.push(text, item.written);
      text = '';
    } else if (typeof item !== 'object' || item === null || Array.isArray(item) || !needsOwnWriter(item)) {
      text += writeInOrder(item);
    } else if (item instanceof JsonFloat || item instanceof JsonText) {
      text += writeInOrder(item as JsonValue);
    } else {
      let before = '{';
      for (const [key, member] of Object.entries(item as JsonObject)) {
        if (member === undefined) continue;
        text += `${before}${JSON.stringify(key)}:`;
        before = ',';
        add(member);
      }
      text += before === '{' ? '{}' : '}';
    }
  };
  add(value);
  parts.push(text);
  return parts;
}

const LARGEST_SLAB_BYTES = 256 * 1024;

/**
 * Takes written parts of one large answer out of V8's heap until the answer is sent: as UTF-8, packed into few pieces of
 * memory that grow with what comes, to 256 KiB each.
 */
export class JsonSlabs {
  #slab = Buffer.alloc(0);
  #used = 0;
  #nextBytes = 8 * 1024;

  /** Writes a value as `stringifyJson` does. */
  write(value: JsonValue): JsonText {
    const text = stringifyJson(value);
    const bytes = Buffer.byteLength(text);
    if (bytes > LARGEST_SLAB_BYTES / 4) return new JsonText(Buffer.from(text));
    if (bytes > this.#slab.length - this.#used) {
      while (this.#nextBytes < bytes) this.#nextBytes *= 2;
      this.#slab = Buffer.allocUnsafeSlow(this.#nextBytes);
      this.#used = 0;
      this.#nextBytes = Math.min(this.#nextBytes * 2, LARGEST_SLAB_BYTES);
    }
    const from = this.#used;
    this.#used += this.#slab.write(text, from);
    return new JsonText(this.#slab.subarray(from, this.#used));
  }
}

/**
 * Canonical JSON as the package canonical-json writes it, given the comparison by code point and an identity replacer
 * (without one it copies objects, which loses `__proto__` and reorders integer-like keys). Right for plain JSON, and
 * slower: tests hold `canonicalJson` against it. See docs/decisions/0001-json.md.
 */
export function canonicalJsonByPackage(value: JsonValue): string | undefined {
  return canonicalJsonPackage(value, (_key: string, item: unknown) => item, undefined, compareCodePoints);
}
