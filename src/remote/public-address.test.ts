import assert from 'node:assert/strict';
import { test } from 'node:test';
import { publicAddresses } from '#remote/public-address.js';

test('public addresses may be connected to', () => {
  const may = publicAddresses();
  for (const address of [
    '1.1.1.1',
    '172.32.0.1',
    '100.128.0.1',
    '2606:4700:4700::1111',
    '2a00:1450::1',
    '::ffff:8.8.8.8',
  ]) {
    assert.equal(may(address), true, address);
  }
});

test('private, special and disguised addresses may not', () => {
  const may = publicAddresses();
  const never = [
    ...[
      '0.0.0.0',
      '10.1.2.3',
      '100.64.0.1',
      '127.0.0.1',
      '127.255.0.9',
      '169.254.169.254',
      '172.16.0.1',
      '192.168.1.1',
    ],
    ...['192.0.0.8', '192.0.2.1', '198.18.0.1', '198.51.100.1', '203.0.113.1', '224.0.0.1', '255.255.255.255'],
    ...['::', '::1', '::127.0.0.1', '::ffff:127.0.0.1', '::ffff:7f00:1', '0:0:0:0:0:ffff:a00:1', '64:ff9b::7f00:1'],
    ...['64:ff9b:1::1', '100::1', '2001::1', '2001:db8::1', '2002:7f00:1::', '3fff::1', 'fc00::1', 'fd12::1'],
    ...['fe80::1', 'fe80::1%lo', 'fec0::1', 'ff02::1', '2606:4700::1%1', '5f00::1', 'localhost', '', '1'],
  ];
  for (const address of never) assert.equal(may(address), false, address);
});

test('exceptions are allowed, also in disguise, and nothing beside them', () => {
  const may = publicAddresses(['10.0.0.0/8', '127.0.0.1', 'fd00::/8']);
  for (const address of ['10.9.9.9', '127.0.0.1', '::ffff:10.0.0.1', 'fd12::1'])
    assert.equal(may(address), true, address);
  for (const address of ['127.0.0.2', '192.168.0.1', 'fe80::1']) assert.equal(may(address), false, address);
});
