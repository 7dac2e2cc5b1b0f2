import assert from 'node:assert/strict';
import test from 'node:test';
import { decodeKey, encodeKey, encodeKeyEnd, unseal } from '#store/codec.js';
import type { KeyPart } from '#store/keyspace.js';
import { type AnyKeyspace, untyped } from '#store/kv.js';
import { users } from '#store/schema.js';
import { StoreError } from '#store/store-error.js';
import { Write } from '#store/write.js';

const PARTS: KeyPart[] = [
  Number.MIN_SAFE_INTEGER,
  -(2 ** 32),
  -65_536,
  -256,
  -255,
  -1,
  0,
  1,
  255,
  256,
  65_535,
  65_536,
  2 ** 32,
  Number.MAX_SAFE_INTEGER,
  '',
  '\0',
  '\0\0',
  '\0ÿ',
  '\u0001',
  'a',
  'a\0',
  'a\0b',
  'ab',
  'b',
  'é',
  '\uffff',
  '😀',
];

function compareParts(a: KeyPart, b: KeyPart): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a === 'string' && typeof b === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b));
  // A key part has one type in a keyspace; across types any fixed order does.
  return typeof a === 'string' ? -1 : 1;
}

test('keys decode to what they were made of, and their bytes are in the order of the tuples', () => {
  const tuples = PARTS.flatMap((a) => [[a], ...PARTS.map((b) => [a, b])]);
  tuples.sort((x, y) => {
    for (let i = 0; i < Math.min(x.length, y.length); i++) {
      const order = compareParts(x[i]!, y[i]!);
      if (order !== 0) return order;
    }
    return x.length - y.length;
  });
  const keys = tuples.map((tuple) => encodeKey(7, tuple));
  keys.forEach((key, i) => {
    assert.deepEqual(decodeKey(key), { keyspace: 7, parts: tuples[i] });
    if (i > 0) assert.ok(Buffer.compare(keys[i - 1]!, key) < 0, JSON.stringify([tuples[i - 1], tuples[i]]));
  });
});

test('a prefix bounds exactly the keys that begin with its parts (T23)', () => {
  for (const prefix of PARTS) {
    const from = encodeKey(7, [prefix]);
    const to = encodeKeyEnd(7, [prefix]);
    for (const a of PARTS) {
      for (const b of PARTS) {
        const key = encodeKey(7, [a, b]);
        const isInside = Buffer.compare(from, key) <= 0 && Buffer.compare(key, to) < 0;
        assert.equal(isInside, a === prefix, JSON.stringify([prefix, a, b]));
      }
    }
  }
  assert.notDeepEqual(encodeKey(7, ['a', 'b']), encodeKey(7, ['a\0b']));
  assert.notDeepEqual(encodeKey(7, ['1']), encodeKey(7, [1]));
});

test('integers are compact, and what can not be a key part is refused', () => {
  assert.equal(encodeKey(7, [0]).length, 2);
  assert.equal(encodeKey(7, [200]).length, 3);
  assert.equal(encodeKey(7, [-200]).length, 3);
  for (const bad of [1.5, Number.NaN, 2 ** 53, 'lone \ud800']) assert.throws(() => encodeKey(7, [bad]));
  assert.throws(() => decodeKey(Buffer.from([7, 0x02, 0x61])), StoreError);
  assert.throws(() => decodeKey(Buffer.from([7, 0x16, 0x61])), StoreError);
});

test('a long key is kept whole', () => {
  const long = `${'x'.repeat(20_000)}\0${'y'.repeat(20_000)}`;
  assert.deepEqual(decodeKey(encodeKey(7, [long, 5])).parts, [long, 5]);
});

test('a sealed value is refused when value or key is not what it was', () => {
  const key = encodeKey(users.id, ['@a:test']);
  const sealed = Write.row(users, ['@a:test'], { createdTs: 1 }).sealed!;
  const space: AnyKeyspace = untyped(users);
  assert.equal(unseal(key, sealed, space).toString(), '{"createdTs":1}');
  for (let at = 0; at < sealed.length; at++) {
    const bad = Buffer.from(sealed);
    bad[at]! ^= 0x10;
    assert.throws(() => unseal(key, bad, space), /users \["@a:test"\] is damaged/);
  }
  assert.throws(() => unseal(encodeKey(users.id, ['@b:test']), sealed, space), StoreError);
  assert.throws(() => unseal(key, Buffer.alloc(3), space), StoreError);
});
