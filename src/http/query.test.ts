import assert from 'node:assert/strict';
import test from 'node:test';
import { array, boolean, integer, literal, object, optional, string } from '#core/schema.js';
import { queryReader } from '#http/query.js';

const read = queryReader(
  object({
    limit: optional(integer({ minimum: 0 })),
    full_state: optional(boolean),
    dir: optional(literal('b', 'f')),
    from: optional(string()),
    via: optional(array(string())),
  }),
);

test('values are converted as the schema says', () => {
  assert.deepEqual(read('limit=10&full_state=true&dir=b&from=a%2Bb+c&via=x&via=y&unknown=1&&'), {
    limit: 10,
    full_state: true,
    dir: 'b',
    from: 'a+b c',
    via: ['x', 'y'],
  });
  assert.deepEqual(read('via=x'), { via: ['x'] });
  assert.deepEqual(read(''), {});
});

test('numbers that are none, or twice, are refused (T43)', () => {
  for (const bad of ['-1', 'abc', '1.5', '', '1e3', '0x10', ' 1', '9007199254740993', '99999999999999999999']) {
    assert.throws(() => read(`limit=${encodeURIComponent(bad)}`), { errcode: 'M_INVALID_PARAM', status: 400 }, bad);
  }
  assert.throws(() => read('limit=1&limit=2'), { errcode: 'M_INVALID_PARAM' });
  assert.throws(() => read('full_state=1'), { errcode: 'M_INVALID_PARAM' });
  assert.throws(() => read('dir=sideways'), { errcode: 'M_INVALID_PARAM' });
  assert.throws(() => read('from=%FF'), { errcode: 'M_INVALID_PARAM' });
});

test('a missing required parameter is told apart from a wrong one', () => {
  const required = queryReader(object({ user_id: string({ minLength: 1 }) }));
  assert.throws(() => required(''), { errcode: 'M_MISSING_PARAM', status: 400 });
  assert.throws(() => required('user_id='), { errcode: 'M_INVALID_PARAM' });
});

test('names from the object prototype are ignored (T15, T44)', () => {
  const query = read('__proto__=x&constructor=y&toString=z');
  assert.deepEqual(Object.keys(query), []);
});
