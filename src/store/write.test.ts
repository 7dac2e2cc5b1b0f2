import assert from 'node:assert/strict';
import test from 'node:test';
import { encodeKey, encodeKeyId, unseal } from '#store/codec.js';
import { untyped } from '#store/kv.js';
import { published, roomAliases, timeline } from '#store/schema.js';
import { Write } from '#store/write.js';

test('a row that is put has its key and its sealed value', () => {
  const value = { since: 1 };
  const write = Write.row(published, ['!a'], value);
  value.since = 2;
  const key = encodeKey(published.id, ['!a']);
  assert.equal(write.id, encodeKeyId(published.id, ['!a']));
  assert.deepEqual(write.key, key);
  assert.equal(unseal(key, write.sealed!, untyped(published)).toString(), '{"since":1}');
  assert.equal(write.sealed!.readUInt32LE(write.sealedSize - 4), write.check);
  assert.equal(write.size, key.length + write.sealedSize);
  assert.equal(write.decoded, undefined);
  assert.deepEqual(write.value(), { since: 1 }, 'as it was when it was put');
  assert.equal(write.decoded, write.value());
});

test('an empty value is a value, and a deleted row has none', () => {
  const empty = Write.row(roomAliases, ['!a', '#b'], true);
  assert.deepEqual([empty.isDelete, empty.sealedSize, empty.value()], [false, 4, true]);
  const gone = Write.removal(timeline, [1, -2]);
  assert.deepEqual([gone.isDelete, gone.sealed, gone.sealedSize, gone.value()], [true, undefined, 0, undefined]);
  assert.deepEqual(gone.key, encodeKey(timeline.id, [1, -2]));
});
