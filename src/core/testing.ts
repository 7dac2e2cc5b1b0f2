import assert from 'node:assert/strict';
import { JsonError, parseJson } from '#core/json.js';
import { JsonFloat, type JsonValue } from '#core/json-value.js';
import { seededRandom } from '#util/random.js';

/** JSON with numbers as they stand in the text. */
export const exact = (text: string): JsonValue => parseJson(text, { numbers: 'exact' });

/** The kind of the error with which `act` ends, or `accepted`. */
export const kindOf = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof JsonError, String(error));
    return error.kind;
  }
  return 'accepted';
};

/** A random value with awkward keys, strings and, if asked, numbers that JavaScript can't hold. */
export function randomValue(bytes: () => number, depth: number, exotic: boolean): JsonValue {
  const strings = [
    '',
    'a',
    'Z',
    '10',
    '9',
    '__proto__',
    'é',
    '\uffff',
    '\u{10000}',
    '\u{1f600}x',
    '"\\',
    '\n\u0001',
    'key',
  ];
  const string = (): string => {
    let text = '';
    for (let parts = bytes() % 3; parts >= 0; parts--) text += strings[bytes() % strings.length]!;
    return text;
  };
  const kind = bytes() % (depth > 0 ? 10 : 7);
  if (kind <= 1) return string();
  if (kind === 2) return (bytes() - 128) * 2 ** (bytes() % 40);
  if (kind === 3) return bytes() % 2 === 0;
  if (kind === 4) return null;
  if (kind === 5 && exotic) return new JsonFloat((bytes() - 128) * 10 ** ((bytes() % 60) - 30));
  if (kind === 6 && exotic) return BigInt(bytes() - 128) * 10n ** 18n + 10n ** 20n;
  if (kind <= 6) return bytes();
  const size = bytes() % 8;
  if (kind === 7) return Array.from({ length: size }, () => randomValue(bytes, depth - 1, exotic));
  return Object.fromEntries(Array.from({ length: size }, () => [string(), randomValue(bytes, depth - 1, exotic)]));
}

/** Bytes one by one, the same for the same seed. */
export function randomBytes(seed: string): () => number {
  const random = seededRandom(seed);
  let pool = random.bytes(4096);
  let at = 0;
  return () => {
    if (at === pool.length) {
      pool = random.bytes(4096);
      at = 0;
    }
    return pool[at++]!;
  };
}
