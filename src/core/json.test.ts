import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalJson } from '#core/canonical-json.js';
import { parseJson } from '#core/json.js';
import { stringifyJson } from '#core/json-text.js';
import { isObject, JsonFloat, own } from '#core/json-value.js';
import { exact, kindOf, randomBytes, randomValue } from '#core/testing.js';

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
