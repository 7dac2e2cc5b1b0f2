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
} from '#core/canonical-json.js';
import { parseJson } from '#core/json.js';
import { stringifyJson } from '#core/json-text.js';
import { JsonFloat, type JsonObject, type JsonValue } from '#core/json-value.js';
import { exact, kindOf, randomBytes, randomValue } from '#core/testing.js';
import { drive } from '#util/steps.js';

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
