import assert from 'node:assert/strict';
import test from 'node:test';
import { ByteWriter } from '#store/byte-writer.js';
import { VarintReader } from '#store/varint.js';

test('numbers and texts are read back as they were written', () => {
  const numbers = [0, 1, 0x7f, 0x80, 300, 2 ** 31, 2 ** 52];
  const writer = new ByteWriter();
  writer.text('é😀').text('');
  for (const number of numbers) writer.unsigned(number).signed(-number).signed(number);
  const reader = new VarintReader(writer.bytes(Buffer.of(7, 8)).copy());
  assert.deepEqual([reader.text(), reader.text()], ['é😀', '']);
  for (const number of numbers) {
    assert.deepEqual([reader.unsigned(), reader.signed() + number, reader.signed()], [number, 0, number]);
  }
  assert.deepEqual([...reader.rest()], [7, 8]);
});

test('it grows as is needed, and starts afresh', () => {
  const writer = new ByteWriter();
  const long = 'é'.repeat(300_000);
  assert.equal(writer.byte(1).utf8(long).uint32(0x01020304).copy().toString('latin1', 600_001), '\x04\x03\x02\x01');
  assert.equal(writer.view().toString('utf8', 1, 600_001), long);
  assert.equal(writer.restart().length, 0);
  const kept = writer.utf8('abc').copy();
  assert.equal(writer.restart().utf8('xyz').latin1(2), 'xy');
  assert.equal(kept.toString(), 'abc');
});
