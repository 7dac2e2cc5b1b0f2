import { canonicalBytes, canonicalJson } from '#core/canonical-json.js';
import { JsonError, parseJson } from '#core/json.js';
import { stringifyJson } from '#core/json-text.js';
import type { JsonValue } from '#core/json-value.js';
import { strictCanonicalProblem } from '#core/strict-json.js';
import type { Dice } from './dice.js';
import { randomJson, randomText } from './json-values.js';
import type { Kind } from './kind.js';

/** Canonical JSON of a random value, astral keys, large integers and floats among them. */
export const canonical: Kind = {
  name: 'canonical',
  make(dice) {
    const value = randomJson(dice, dice.chance(0.7), 4);
    const text = stringifyJson(value);
    return {
      request: `{"value":${text}}`,
      answers: [canonicalBytes(value).toString('utf8')],
      count: 1,
      describe: () => text,
    };
  },
};

const NUMBERS = [
  ...[
    '0',
    '-0',
    '-0.0',
    '0.0',
    '1.0',
    '1e0',
    '1E+2',
    '1e-2',
    '1e400',
    '-1e400',
    '1e-400',
    '01',
    '-',
    '+1',
    '.5',
    '1.',
    '1e',
  ],
  ...['9007199254740991', '9007199254740992', '-9007199254740991', '-9007199254740992', '9223372036854775808', '0x10'],
  ...[
    'NaN',
    'Infinity',
    '-Infinity',
    '1_000',
    '१',
    '00',
    '-01',
    '1e5',
    '100000000000000000000',
    '1.5',
    '12345678901234567.0',
  ],
];
const WORDS = ['true', 'false', 'null', 'True', 'nul', 'undefined', 'tru', 'nullx'];
const STRINGS = [
  ...[
    '"\\ud800"',
    '"\\udc00"',
    '"\\ud83d\\ude00"',
    '"\\ude00\\ud83d"',
    '"\\uD83D\\u0041"',
    '"\\u12"',
    '"\\x41"',
    '"\\u00g0"',
  ],
  ...[
    '"\\/"',
    '"\\u0000"',
    '"\u0001"',
    '"\t"',
    '"\n"',
    '"\\n"',
    "'a'",
    '"',
    '"a',
    'a"',
    '"\u007f"',
    '"\u2028"',
    '"\\u2028"',
    '"\\"',
  ],
];
const SPACES = ['', '', '', ' ', '\t', '\n', '\r', '\r\n', '\u00a0', '\u000b', '\ufeff', '\u2003', '/**/'];

function randomSpace(dice: Dice): string {
  return dice.chance(0.985) ? dice.pick(SPACES.slice(0, 8)) : dice.pick(SPACES);
}

/** Text that is mostly JSON, with every kind of flaw now and then. */
function randomSource(dice: Dice, depth: number): string {
  const kind = dice.below(depth > 0 ? 12 : 8);
  if (kind < 3) return JSON.stringify(randomText(dice));
  if (kind < 5) return dice.chance(0.8) ? String(dice.between(-100, 100)) : dice.pick(NUMBERS);
  if (kind === 5) return dice.chance(0.95) ? dice.pick(WORDS.slice(0, 3)) : dice.pick(WORDS);
  if (kind < 8) return dice.chance(0.9) ? JSON.stringify(dice.next().toString(36)) : dice.pick(STRINGS);
  const list = kind < 10;
  const items = Array.from({ length: dice.below(4) }, () => {
    const item = `${randomSpace(dice)}${randomSource(dice, depth - 1)}${randomSpace(dice)}`;
    if (list) return item;
    // Few names, so that some come twice.
    const key = dice.chance(0.96) ? JSON.stringify(dice.pick(['a', 'b', '__proto__', 'ä', ''])) : dice.pick(STRINGS);
    return `${randomSpace(dice)}${key}${randomSpace(dice)}:${item}`;
  });
  const text = items.join(dice.chance(0.98) ? ',' : dice.pick([',,', ';', ' ']));
  const tail = dice.chance(0.98) ? '' : dice.pick([',', ']', '}', ' x']);
  return list ? `[${text}${tail}]` : `{${text}${tail}}`;
}

function flawed(dice: Dice, source: string): Buffer {
  const bytes = Buffer.from(source, 'utf8');
  switch (dice.below(30)) {
    case 0:
      return bytes.subarray(0, dice.below(bytes.length + 1));
    case 1:
      // Bytes that are no UTF-8, or no longer.
      if (bytes.length > 0) bytes[dice.below(bytes.length)] = dice.pick([0x80, 0xc0, 0xed, 0xf5, 0xff, 0xe2, 0x00]);
      return bytes;
    case 2:
      return Buffer.concat([Buffer.from('efbbbf', 'hex'), bytes]);
    case 3:
      return Buffer.concat([bytes, Buffer.from(dice.pick([' ', '\n', 'x', '\u0000', '{}', ',']))]);
    case 4:
      // A surrogate, or an overlong form, as bytes in a string.
      return Buffer.concat([
        Buffer.from('"'),
        Buffer.from(dice.pick(['eda080', 'edb080', 'c080', 'f4908080', 'f0808080', 'f48fbfbf', 'efbfbf']), 'hex'),
        Buffer.from('"'),
      ]);
    case 5: {
      // Integers around the longest that Python reads.
      const digits = '1'.repeat(dice.between(4298, 4302));
      return Buffer.from(dice.chance(0.5) ? digits : `-${digits}`);
    }
    case 6: {
      const depth = dice.between(90, 100);
      return Buffer.from(`${'['.repeat(depth)}${']'.repeat(depth)}`);
    }
    default:
      return bytes;
  }
}

/** What becomes of text, by a room version's strictness: its canonical form, or `reject`. */
function reading(bytes: Buffer, strict: boolean): { answer: string; why: string } {
  try {
    const value: JsonValue = parseJson(bytes, { numbers: 'exact' });
    const problem = strict ? strictCanonicalProblem(value) : undefined;
    return problem === undefined ? { answer: canonicalJson(value), why: '' } : { answer: 'reject', why: problem };
  } catch (error) {
    if (error instanceof JsonError) return { answer: 'reject', why: error.message };
    throw error;
  }
}

/** Raw bytes as they may arrive, read as an event of room versions 1 to 5 or of version 6 and later. */
export const parse: Kind = {
  name: 'parse',
  make(dice) {
    const bytes = flawed(dice, `${randomSpace(dice)}${randomSource(dice, 3)}${randomSpace(dice)}`);
    const strict = dice.chance(0.5);
    const { answer, why } = reading(bytes, strict);
    return {
      request: JSON.stringify({ bytes: bytes.toString('base64'), strict }),
      answers: [answer],
      count: 1,
      excuse: () => (strict && why === 'negative zero' ? 'negative zero' : undefined),
      describe: () => `${strict ? 'strict' : 'lenient'} ${JSON.stringify(bytes.toString('latin1').slice(0, 300))}`,
    };
  },
};
