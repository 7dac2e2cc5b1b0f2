import assert from 'node:assert/strict';
import test from 'node:test';
import { addressBlock, clientAddress } from '#http/address.js';

test('X-Forwarded-For counts only from a trusted proxy, and only its rightmost untrusted hop (T45)', () => {
  const behind = clientAddress(['127.0.0.1', '10.0.0.0/8', '::1']);
  assert.equal(behind.of('203.0.113.9', '198.51.100.1'), '203.0.113.9');
  assert.equal(behind.of('127.0.0.1', '198.51.100.1'), '198.51.100.1');
  assert.equal(behind.of('::ffff:127.0.0.1', '192.0.2.66, 198.51.100.1, 10.1.2.3'), '198.51.100.1');
  assert.equal(behind.of('::1', undefined), '::1');
  assert.equal(behind.of('127.0.0.1', '2001:db8::1'), '2001:db8::1');
});

test('nonsense in X-Forwarded-For is never taken (T45)', () => {
  const behind = clientAddress();
  for (const bad of ['', ' ', 'unknown', '<script>', '1.2.3', '1.2.3.4:80, x', ','.repeat(10_000)]) {
    assert.equal(behind.of('127.0.0.1', bad), '127.0.0.1', bad.slice(0, 20));
  }
});

test('a network that is none is refused at the start', () => {
  for (const bad of ['localhost', '10.0.0.0/x', '10.0.0.0/99', '']) {
    assert.throws(() => clientAddress([bad]), RangeError, bad);
  }
});

test('IPv6 addresses count by their /64', () => {
  assert.equal(addressBlock('198.51.100.1'), '198.51.100.1');
  assert.equal(addressBlock('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64');
  assert.equal(addressBlock('2001:DB8:1:0002::9'), '2001:db8:1:2::/64');
  assert.equal(addressBlock('2001:db8::1'), addressBlock('2001:db8:0:0:ffff::1'));
  assert.equal(addressBlock('::1'), '0:0:0:0::/64');
});
