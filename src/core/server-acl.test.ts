import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServerName } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { compileServerAcl } from '#core/server-acl.js';

const allows = (content: JsonObject, server: string): boolean => compileServerAcl(content).allows(server as ServerName);

test('deny comes before allow, and what neither names is denied', () => {
  const content = { allow: ['*.example.org', 'friend.net'], deny: ['bad.example.org', 'ev?l.*'] };
  assert.ok(allows(content, 'good.example.org'));
  assert.ok(allows(content, 'friend.net'));
  assert.ok(!allows(content, 'bad.example.org'));
  assert.ok(!allows(content, 'example.org'));
  assert.ok(!allows({ allow: ['*'], deny: ['ev?l.*'] }, 'evil.com'));
});

test('a missing or odd allow list denies all', () => {
  for (const content of [{}, { allow: [] }, { allow: '*' }, { allow: null }, { allow: [1, null, {}] }, { deny: [] }]) {
    assert.ok(!allows(content, 'example.org'), JSON.stringify(content));
  }
});

test('ports and case are not looked at (T299)', () => {
  const content = { allow: ['*'], deny: ['EVIL.com', '*.Bad.net'] };
  for (const server of ['evil.com', 'evil.com:8448', 'eViL.CoM:1234', 'A.bad.NET']) assert.ok(!allows(content, server));
  assert.ok(allows({ allow: ['[2001:db8::1]'] }, '[2001:DB8::1]:8448'));
  assert.ok(!allows({ allow: ['example.org:8448'] }, 'example.org:8448'), 'a pattern with a port matches no host');
});

test('IP literals are refused only where allow_ip_literals is false', () => {
  for (const server of ['1.2.3.4', '1.2.3.4:8448', '[::1]', '[::1]:8448']) {
    assert.ok(!allows({ allow: ['*'], allow_ip_literals: false }, server), server);
    assert.ok(allows({ allow: ['*'] }, server), server);
    assert.ok(allows({ allow: ['*'], allow_ip_literals: 'false' }, server), server);
  }
  assert.ok(allows({ allow: ['*'], allow_ip_literals: false }, '1.2.3.example.org'));
});

test('keys called like members of Object.prototype are data', () => {
  const content = JSON.parse('{"__proto__":{"allow":["*"]}}') as JsonObject;
  assert.ok(!allows(content, 'example.org'));
});

test('three thousand hostile globs are matched within a millisecond', () => {
  const deny = Array.from({ length: 3000 }, (_, i) => `*a*a*a*a*a*${i.toString(36)}*b${i}`);
  const acl = compileServerAcl({ allow: ['*'], deny });
  const server = `${'a'.repeat(200)}.example` as ServerName;
  assert.ok(acl.allows(server));
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 20; i++) {
    const start = process.hrtime.bigint();
    acl.allows(server);
    best = Math.min(best, Number(process.hrtime.bigint() - start) / 1e6);
  }
  assert.ok(best < 1, `${best} ms`);
});
