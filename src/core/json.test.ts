import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  canonicalBytes,
  canonicalBytesWithout,
  canonicalJson,
  canonicalJsonByPackage,
  canonicalJsonSteps,
  compareCodePoints,
  inCanonicalOrder,
  JsonError,
  parseJson,
  stringifyJson,
} from '#core/json.js';
import { isObject, JsonFloat, type JsonObject, type JsonValue, own } from '#core/json-value.js';
import { seededRandom } from '#util/random.js';
import { drive } from '#util/steps.js';

const exact = (text: string): JsonValue => parseJson(text, { numbers: 'exact' });
const kindOf = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof JsonError, String(error));
    return error.kind;
  }
  return 'accepted';
};

test('bytes that are not UTF-8 are not JSON (T1)', () => {
  const inside = (...bytes: number[]): Buffer =>
    Buffer.concat([Buffer.from('{"a":"'), Buffer.from(bytes), Buffer.from('"}')]);
  assert.equal(
    kindOf(() => parseJson(inside(0xff))),
    'notJson',
  );
  assert.equal(
    kindOf(() => parseJson(inside(0xc0, 0x80))),
    'notJson',
    'overlong',
  );
  assert.equal(
    kindOf(() => parseJson(inside(0xed, 0xa0, 0x80))),
    'notJson',
    'encoded surrogate',
  );
  assert.equal(
    kindOf(() => parseJson(inside(0xf0, 0x9f, 0x98))),
    'notJson',
    'cut off',
  );
  assert.equal(
    kindOf(() => parseJson(Buffer.from('\ufeff{}'))),
    'notJson',
    'byte-order mark',
  );
  assert.deepEqual(parseJson(inside(0xf0, 0x9f, 0x98, 0x80)), { a: '😀' });
});

test('text that is not JSON is refused with exact numbers as without (T2)', () => {
  const bad = [
    ...['', ' ', '{', '[1,]', '{"a":1,}', '{a:1}', "{'a':1}", '[1 2]', '{"a" 1}', '{"a":1}x', 'nul', 'truex', '"a'],
    ...['NaN', '[NaN]', 'Infinity', '-Infinity', '[-]', '01', '[1.]', '.5', '1e', '+1', '0x10', '[1.0,01]', '--1'],
    ...['"\n"', '["\\x"]', '"\\u12"', '{"a":1.5,"b":"\t"}', '[1.5,"\\q"]', '[1.5', '{"a":1.5', '[1.5,]', '"\\'],
    ...['{"a":1.5,,}', '[1.5,tru]', '{"a":1.5,b:1}', '\u00a0[1.5]', '[1.5]\u00a0', '[1.5}', '[1.5,"abc'],
  ];
  for (const text of bad) {
    assert.equal(
      kindOf(() => parseJson(text)),
      'notJson',
      `plain: ${text}`,
    );
    assert.equal(
      kindOf(() => exact(text)),
      'notJson',
      `exact: ${text}`,
    );
  }
});

test('nesting is bounded before anything is built (T16, T17)', () => {
  const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
  assert.equal(
    kindOf(() => parseJson(nested(100))),
    'accepted',
  );
  assert.equal(
    kindOf(() => parseJson(nested(101))),
    'tooDeep',
  );
  assert.equal(
    kindOf(() => parseJson(nested(4), { maxDepth: 3 })),
    'tooDeep',
  );
  assert.equal(
    kindOf(() => exact('{"a":'.repeat(101))),
    'tooDeep',
  );
  assert.equal(
    kindOf(() => parseJson(Buffer.alloc(12_000_000, '['))),
    'tooDeep',
  );
  assert.deepEqual(parseJson(`["${'['.repeat(500)}\\"${'{'.repeat(500)}"]`), [`${'['.repeat(500)}"${'{'.repeat(500)}`]);
});

test('twelve megabytes of brackets cost no time (T17)', () => {
  const text = Buffer.alloc(12_000_000, '[');
  // Time of this process only, and the best of three: other work on the machine is no fault of ours.
  const costs = [1, 2, 3].map(() => {
    const before = process.cpuUsage();
    assert.equal(
      kindOf(() => parseJson(text)),
      'tooDeep',
    );
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  });
  assert.ok(Math.min(...costs) < 200, `${costs} ms`);
});

test('lone surrogates are refused, pairs are not (T8)', () => {
  for (const text of ['"\\ud800"', '{"\\udc00":1}', '["\\udc00\\ud800"]', '"\\uD83D x \\uDE00"']) {
    assert.equal(
      kindOf(() => parseJson(text)),
      'badString',
      text,
    );
    assert.equal(
      kindOf(() => exact(`[1.5,${text}]`)),
      'badString',
      text,
    );
  }
  assert.equal(
    kindOf(() => parseJson('"\ud800"')),
    'badString',
  );
  assert.equal(parseJson('"\\ud83d\\ude00"'), '😀');
  assert.equal(parseJson('"\\\\ud800"'), '\\ud800', 'an escaped backslash, not an escape');
});

test('of duplicate keys the last one wins (T7)', () => {
  assert.equal(canonicalJson(parseJson('{"a":1,"b":0,"a":2}')), '{"a":2,"b":0}');
  assert.equal(canonicalJson(exact('{"a":1.5,"b":0,"a":2}')), '{"a":2,"b":0}');
});

test('keys that mean something to JavaScript are data (T12, T13, T15)', () => {
  const names = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf', 'toJSON'];
  for (const name of names) {
    for (const text of [`{"${name}":{"membership":"join"}}`, `{"x":1.5,"${name}":{"membership":"join"}}`]) {
      const value = exact(text);
      assert.ok(isObject(value));
      assert.deepEqual(own(value, name), { membership: 'join' });
      assert.equal((value as { membership?: unknown }).membership, undefined);
      assert.deepEqual(JSON.parse(canonicalJson(value)), JSON.parse(text));
      assert.deepEqual(JSON.parse(stringifyJson(value)), JSON.parse(text));
    }
    assert.equal(own({}, name), undefined);
  }
  assert.equal(
    canonicalJson(parseJson('{"__proto__":{"a":1},"z":{"__proto__":1}}')),
    '{"__proto__":{"a":1},"z":{"__proto__":1}}',
  );
});

test('plain numbers must be finite (T2)', () => {
  assert.equal(
    kindOf(() => parseJson('{"x":1e400}')),
    'badNumber',
  );
  assert.equal(
    kindOf(() => parseJson(`[-${'9'.repeat(400)}]`)),
    'badNumber',
  );
  assert.deepEqual(parseJson('[1.0,1e2,-1.5e-3]'), [1, 100, -0.0015]);
  for (const text of ['{"x":1e400}', `[[-${'9'.repeat(400)}.0]]`]) {
    assert.equal(
      kindOf(() => parseJson(text, { numbers: 'exact', finite: true })),
      'badNumber',
    );
  }
  assert.deepEqual(parseJson('[1.5]', { numbers: 'exact', finite: true }), [new JsonFloat(1.5)]);
});

test('exact numbers keep value and form (T4, T5)', () => {
  const kept: Record<string, string> = {
    '9007199254740991': '9007199254740991',
    '-9007199254740991': '-9007199254740991',
    '9007199254740992': '9007199254740992',
    '-9007199254740993': '-9007199254740993',
    '1152921504606846977': '1152921504606846977',
    '9223372036854775807': '9223372036854775807',
    '0': '0',
    '-0': '0',
    '10000000000000000': '10000000000000000',
    [`1${'0'.repeat(400)}`]: `1${'0'.repeat(400)}`,
    // What Python's repr prints.
    '-0.0': '-0.0',
    '1.0': '1.0',
    '1.50': '1.5',
    '100e-2': '1.0',
    '1e15': '1000000000000000.0',
    '1e16': '1e+16',
    '1E20': '1e+20',
    '1e22': '1e+22',
    '123456789012345680.0': '1.2345678901234568e+17',
    '123.456': '123.456',
    '0.0001': '0.0001',
    '0.00001': '1e-05',
    '1.234e-5': '1.234e-05',
    '5e-324': '5e-324',
    '1.7976931348623157e308': '1.7976931348623157e+308',
    '-2.5e-10': '-2.5e-10',
  };
  for (const [text, canonical] of Object.entries(kept)) {
    assert.equal(canonicalJson(exact(text)), canonical, text);
    assert.equal(canonicalJson(exact(`{"a":[${text}]}`)), `{"a":[${canonical}]}`, text);
    if (text !== '-0') assert.equal(stringifyJson(exact(`[${text}]`)), `[${canonical}]`, text);
  }
});

test('what stands in order already is written the same, and as strictly', () => {
  const value = {
    a: ['x', -0, true, null, undefined as never],
    b: { c: 'é"\\ud800\n', d: {} },
    '\ue000': 1,
    '\u{10000}': 2,
  };
  const { a, b, ...rest } = value;
  const written = '"b":{"c":"é\\"\\\\ud800\\n","d":{}},"\ue000":1,"\u{10000}":2}';
  assert.equal(canonicalJson({ a: a.slice(0, 4), b, ...rest }), `{"a":["x",0,true,null],${written}`);
  assert.equal(canonicalJson({ ...rest, b, a: a.slice(0, 4) }), `{"a":["x",0,true,null],${written}`);
  assert.equal(
    kindOf(() => canonicalJson(value)),
    'notJson',
  );
  for (const lone of [{ a: 'x\udc00' }, { a: { '\ud800x': 1 } }, ['\\\ud83d']]) {
    assert.equal(
      kindOf(() => canonicalJson(lone)),
      'badString',
    );
  }
});

test('an object is brought into canonical order, as far as objects have one', () => {
  const inOrder = { a: 1, b: [{ c: 1 }] };
  assert.equal(inCanonicalOrder(inOrder), inOrder);
  const value = parseJson('{"z":[{"b":1.5,"a":0}],"__proto__":{"y":2,"x":"1"},"10":1,"9":2}', { numbers: 'exact' });
  const ordered = inCanonicalOrder(value as JsonObject);
  assert.equal(stringifyJson(ordered), '{"9":2,"10":1,"__proto__":{"x":"1","y":2},"z":[{"a":0,"b":1.5}]}');
  assert.equal(canonicalJson(ordered), canonicalJson(value));
});

test('members that are left out change nothing else', () => {
  const bytes = '{"a":1,"c":2}';
  assert.equal(canonicalBytesWithout({ a: 1, b: 0, c: 2 }, ['b']).toString(), bytes);
  assert.equal(canonicalBytesWithout({ a: 1, b: undefined, c: 2 }, ['b']).toString(), bytes);
  assert.equal(canonicalBytesWithout({ c: 2, a: 1 }, ['b']).toString(), bytes);
});

test('a number beyond everything spoils only what it stands in (T2, T6)', () => {
  const value = exact('{"bad":{"x":1e400},"good":{"y":1}}') as JsonObject;
  assert.equal(canonicalJson(value['good'] as JsonObject), '{"y":1}');
  assert.equal(
    kindOf(() => canonicalJson(value['bad'] as JsonObject)),
    'badNumber',
  );
  assert.equal(
    kindOf(() => stringifyJson(value['bad'] as JsonObject)),
    'badNumber',
  );
  // A million digits cost nothing: no integer that long is ever made.
  assert.equal(
    kindOf(() => canonicalJson(exact(`[${'9'.repeat(1_000_000)}]`))),
    'badNumber',
  );
});

test('integers are exact up to 4,300 digits, the sign not counted', () => {
  for (const sign of ['', '-']) {
    const longest = sign + '7'.repeat(4300);
    assert.equal(canonicalJson(parseJson(longest, { numbers: 'exact' })), longest);
    const longer = parseJson(`${longest}7`, { numbers: 'exact' });
    assert.throws(() => canonicalJson(longer), { kind: 'badNumber' });
  }
});

test('canonical JSON: the examples of the specification', () => {
  const examples: readonly (readonly [string, string])[] = [
    ['{}', '{}'],
    ['{"one": 1, "two": "Two"}', '{"one":1,"two":"Two"}'],
    ['{"b": "2", "a": "1"}', '{"a":"1","b":"2"}'],
    [
      '{"auth":{"success":true,"mxid":"@john.doe:example.com","profile":{"display_name":"John Doe","three_pids":[{"medium":"email","address":"john.doe@example.org"},{"medium":"msisdn","address":"123456789"}]}}}',
      '{"auth":{"mxid":"@john.doe:example.com","profile":{"display_name":"John Doe","three_pids":[{"address":"john.doe@example.org","medium":"email"},{"address":"123456789","medium":"msisdn"}]},"success":true}}',
    ],
    ['{"a":"日本語"}', '{"a":"日本語"}'],
    ['{"本":2,"日":1}', '{"日":1,"本":2}'],
    ['{"a":"\\u65E5"}', '{"a":"日"}'],
    ['{"a":null}', '{"a":null}'],
  ];
  for (const [text, canonical] of examples) assert.equal(canonicalJson(parseJson(text)), canonical);
});

test('canonical JSON: keys stand in code-point order (T9)', () => {
  const order = (...keys: string[]): string[] =>
    Object.keys(JSON.parse(canonicalJson(Object.fromEntries(keys.map((key) => [key, 'x'])))) as object);
  assert.deepEqual(order('\u{10000}', '\uffff', 'a', ''), ['', 'a', '\uffff', '\u{10000}']);
  assert.equal(canonicalJson(parseJson('{"b":0,"9":0,"10":0}')), '{"10":0,"9":0,"b":0}');
  const many = Array.from({ length: 40 }, (_, index) => `k${index * 7}`);
  many.push('\u{1f600}', '\uffff', '\ue000');
  const sorted = many.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  assert.deepEqual(order(...many), sorted);
});

test('canonical JSON: the shortest escapes (T10)', () => {
  for (let unit = 0; unit < 0x20; unit++) {
    const short: Record<number, string> = { 8: '\\b', 9: '\\t', 10: '\\n', 12: '\\f', 13: '\\r' };
    const expected = short[unit] ?? `\\u00${unit.toString(16).padStart(2, '0')}`;
    assert.equal(canonicalJson(String.fromCharCode(unit)), `"${expected}"`);
    assert.equal(canonicalJson('x'.repeat(100) + String.fromCharCode(unit)), `"${'x'.repeat(100)}${expected}"`);
  }
  assert.equal(canonicalJson('"\\/\u007f\u2028\u2029é😀'), '"\\"\\\\/\u007f\u2028\u2029é😀"');
  assert.deepEqual(canonicalBytes('é'), Buffer.from([0x22, 0xc3, 0xa9, 0x22]));
});

test('canonical JSON refuses what it can not express', () => {
  assert.equal(
    kindOf(() => canonicalJson(Number.NaN)),
    'badNumber',
  );
  assert.equal(
    kindOf(() => canonicalJson([Number.POSITIVE_INFINITY])),
    'badNumber',
  );
  assert.equal(
    kindOf(() => canonicalJson(new JsonFloat(Number.NEGATIVE_INFINITY))),
    'badNumber',
  );
  for (const text of ['\ud800', 'a\udc00', '"\ud800', `${'x'.repeat(100)}\n\udfff`]) {
    assert.equal(
      kindOf(() => canonicalJson(text)),
      'badString',
    );
    assert.equal(
      kindOf(() => canonicalJson({ [text]: 1 })),
      'badString',
    );
  }
  const cyclic: Record<string, JsonValue> = {};
  cyclic['self'] = cyclic;
  assert.equal(
    kindOf(() => canonicalJson(cyclic)),
    'tooDeep',
  );
  assert.equal(canonicalJson({ a: undefined, b: 1 }), '{"b":1}');
});

/** A random value with awkward keys, strings and, if asked, numbers that JavaScript can't hold. */
function randomValue(bytes: () => number, depth: number, exotic: boolean): JsonValue {
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

function randomBytes(seed: string): () => number {
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

test('our canonical JSON and that of the package agree on plain JSON', () => {
  const bytes = randomBytes('package');
  for (let round = 0; round < 3_000; round++) {
    const value = randomValue(bytes, 4, false);
    assert.equal(canonicalJson(value), canonicalJsonByPackage(value));
  }
});

test('reading what was written gives the same again, canonical or not', () => {
  const bytes = randomBytes('identity');
  for (let round = 0; round < 3_000; round++) {
    const value = randomValue(bytes, 4, true);
    const canonical = canonicalJson(value);
    assert.equal(canonicalJson(exact(canonical)), canonical);
    for (const levels of [0, 1, 3]) assert.equal(drive(canonicalJsonSteps(value, levels)), canonical);
    assert.equal(canonicalJson(parseJson(Buffer.from(stringifyJson(value)), { numbers: 'exact' })), canonical);
  }
});

test('what is cut or changed at random is refused or read, never a crash', () => {
  const bytes = randomBytes('mutate');
  for (let round = 0; round < 3_000; round++) {
    const text = Buffer.from(stringifyJson({ v: randomValue(bytes, 3, true) }));
    text[(bytes() * 256 + bytes()) % text.length] = bytes();
    const plain = kindOf(() => parseJson(text));
    const kind = kindOf(() => parseJson(text, { numbers: 'exact' }));
    assert.equal(kind === 'accepted', plain === 'accepted' || plain === 'badNumber', text.toString());
  }
});

test('code points compare as their UTF-8 bytes do', () => {
  const texts = [
    '',
    'a',
    'ab',
    '\u007f',
    '\u0080',
    '\ud7ff',
    '\ue000',
    '\uffff',
    '\u{10000}',
    '\u{10ffff}',
    'a\uffff',
    'a\u{10000}',
  ];
  for (const a of texts) {
    for (const b of texts) {
      const byBytes = Buffer.compare(Buffer.from(a), Buffer.from(b));
      assert.equal(Math.sign(compareCodePoints(a, b)), byBytes, JSON.stringify([a, b]));
    }
  }
});
