import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isBannedKey, keyValidForEvent, keyValidForRequest, MAX_KEY_VALIDITY_MS, validUntil } from '#core/keys.js';
import { ROOM_VERSIONS, roomRules } from '#core/room-versions.js';

const DAY = 24 * 60 * 60 * 1000;
const NOW = 1_700_000_000_000;
const publicKey = 'Noi6WqcDj0QmPxCNQqgezwTlBKrfqehY1u2FyWP9uYw';

test('a key that many servers share is banned, padded or not', () => {
  const shared = 'l/O9hxMVKB6Lg+3Hqf0FQQZhVESQcMzbPN1Cz2nM3og';
  assert.ok(isBannedKey(shared));
  assert.ok(isBannedKey(`${shared}=`));
  assert.ok(!isBannedKey(publicKey));
  assert.ok(!keyValidForRequest({ publicKey: `${shared}=`, validUntilTs: NOW + DAY }, NOW));
  const rules = roomRules('1')!;
  assert.ok(!keyValidForEvent({ publicKey: shared, validUntilTs: NOW + DAY }, NOW, NOW, rules));
});

test('validity is believed for 7 days at most', () => {
  assert.equal(validUntil({ publicKey, validUntilTs: NOW + 365 * DAY }, NOW), NOW + MAX_KEY_VALIDITY_MS);
  assert.equal(validUntil({ publicKey, validUntilTs: NOW + DAY }, NOW), NOW + DAY);
  assert.equal(validUntil({ publicKey, expiredTs: NOW - DAY }, NOW), NOW - DAY);
});

test('a retired key counts only for events from before it was retired, in every version', () => {
  for (const version of ROOM_VERSIONS) {
    const rules = roomRules(version)!;
    const key = { publicKey, expiredTs: NOW };
    assert.ok(keyValidForEvent(key, NOW - 1, NOW, rules), version);
    assert.ok(!keyValidForEvent(key, NOW + 1, NOW, rules), version);
  }
});

test('from version 5 on a key must have been valid at the time of the event', () => {
  for (const version of ROOM_VERSIONS) {
    const rules = roomRules(version)!;
    const key = { publicKey, validUntilTs: NOW + DAY };
    assert.ok(keyValidForEvent(key, NOW + DAY, NOW, rules), version);
    assert.equal(keyValidForEvent(key, NOW + DAY + 1, NOW, rules), !rules.enforceKeyValidity, version);
    const farsighted = { publicKey, validUntilTs: NOW + 365 * DAY };
    assert.equal(keyValidForEvent(farsighted, NOW + 8 * DAY, NOW, rules), !rules.enforceKeyValidity, version);
  }
});

test('requests need a current key', () => {
  assert.ok(keyValidForRequest({ publicKey, validUntilTs: NOW }, NOW));
  assert.ok(!keyValidForRequest({ publicKey, validUntilTs: NOW - 1 }, NOW));
  assert.ok(!keyValidForRequest({ publicKey, expiredTs: NOW + DAY }, NOW));
});
