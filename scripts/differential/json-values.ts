import { JsonFloat, type JsonObject, type JsonValue } from '#core/json-value.js';
import type { Dice } from './dice.js';

const CHARACTERS = [
  ...[
    'a',
    'b',
    'Z',
    '0',
    '9',
    ' ',
    '"',
    '\\',
    '/',
    '\b',
    '\f',
    '\n',
    '\r',
    '\t',
    '\u0000',
    '\u0001',
    '\u001f',
    '\u007f',
  ],
  ...['é', 'ß', '\u0080', '\u2028', '\u2029', '\ufeff', '\ufffd', '\uffff', '\ud7ff', '\ue000', '日', '本', 'e\u0301'],
  ...['😀', '𐀀', '\u{10ffff}', '\u{1f1e9}\u{1f1ea}'],
];
const WORDS = [
  '__proto__',
  'constructor',
  'toString',
  '1',
  '10',
  '2',
  '',
  'a',
  'aa',
  'ab',
  'content',
  'type',
  'unsigned',
];
const FLOATS = [
  0.5, -0.5, 1.5, 1e21, 1e22, 1e-7, 1e-5, 1e16, 1e15, 123456789012345680000, 5e-324, 1.7976931348623157e308,
];

export function randomText(dice: Dice, most = 8): string {
  if (dice.chance(0.2)) return dice.pick(WORDS);
  let text = '';
  for (let length = dice.below(most + 1); length > 0; length--) {
    text += dice.chance(0.4) ? String.fromCharCode(dice.between(0x61, 0x7a)) : dice.pick(CHARACTERS);
  }
  return text;
}

/** Integers of all sizes; beyond ±(2^53 - 1) as `bigint`, unless only `safe` ones are wanted. */
export function randomInteger(dice: Dice, safe: boolean): number | bigint {
  switch (dice.below(safe ? 4 : 6)) {
    case 0:
      return dice.between(-10, 110);
    case 1:
      return dice.between(-2_147_483_649, 4_294_967_297);
    case 2:
      return dice.pick([0, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 9_007_199_254_740_990]);
    case 3:
      return Math.trunc((dice.next() - 0.5) * 2 ** dice.between(10, 53));
    case 4: {
      let value = 2n ** BigInt(dice.pick([53, 54, 63, 64, 65, 100])) + BigInt(dice.between(0, 3));
      if (dice.chance(0.5)) value = -value;
      return value;
    }
    default: {
      let digits = dice.pick(['1', '9', '-7']);
      for (let length = dice.between(17, 60); length > 0; length--) digits += String(dice.below(10));
      return BigInt(digits);
    }
  }
}

function randomFloat(dice: Dice): JsonFloat {
  const value = dice.chance(0.3) ? dice.pick(FLOATS) : (dice.next() - 0.5) * 10 ** dice.between(-320, 308);
  return new JsonFloat(dice.chance(0.2) ? Math.trunc(value) : value);
}

/** `exotic`: also floats and integers beyond ±(2^53 - 1), as room versions 1 to 5 let them through. */
export function randomJson(dice: Dice, exotic: boolean, depth = 3): JsonValue {
  const kind = dice.below(depth > 0 ? 10 : 7);
  if (kind < 3) return randomText(dice);
  if (kind < 5) return exotic && dice.chance(0.3) ? randomFloat(dice) : randomInteger(dice, !exotic);
  if (kind === 5) return dice.chance(0.5);
  if (kind === 6) return null;
  if (kind < 8) return Array.from({ length: dice.below(4) }, () => randomJson(dice, exotic, depth - 1));
  return randomObject(dice, exotic, depth - 1);
}

export function randomObject(dice: Dice, exotic: boolean, depth = 3): JsonObject {
  const object: Record<string, JsonValue> = {};
  // Now and then so many keys that sorting takes its other path.
  const size = dice.chance(0.03) ? dice.between(20, 40) : dice.below(6);
  for (let index = 0; index < size; index++) {
    // Plain assignment to `__proto__` would set the prototype.
    Object.defineProperty(object, randomText(dice), {
      value: randomJson(dice, exotic, depth),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return object;
}
