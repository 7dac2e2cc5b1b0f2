import { isUtf8 } from 'node:buffer';
import { JsonReader } from '#core/json-reader.js';
import { JsonFloat, type JsonObject, type JsonValue } from '#core/json-value.js';

/** Deepest nesting that `parseJson` accepts unless told otherwise. */
export const MAX_JSON_DEPTH = 100;

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
