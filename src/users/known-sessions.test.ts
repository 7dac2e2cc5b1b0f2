import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeviceId } from '#core/ids.js';
import { accessTokens } from '#store/schema.js';
import { openTestStore } from '#store/testing.js';
import { deactivate, setFlags } from '#users/accounts.js';
import { getDevice } from '#users/devices.js';
import { authenticate, loginWithPassword, logout, refresh, type Session } from '#users/sessions.js';
import { openTestUsers, testUser } from '#users/testing.js';
import { closeUsers, type Users } from '#users/users.js';

const seen = { ip: '192.0.2.1', userAgent: 'client' };
const D = 'D' as DeviceId;
const E = 'E' as DeviceId;

function sessionOf(users: Users, token: string): Session {
  const found = authenticate(users, token, seen);
  assert.ok('user' in found, String(found));
  return found;
}

function refusal(users: Users, token: string): unknown {
  const found = authenticate(users, token, seen);
  return 'user' in found ? undefined : [found.errcode, found.extra['soft_logout']];
}

test('a token that was just used answers without its rows, and for what they say by then', async () => {
  await using opened = await openTestStore();
  const { store, clock } = opened;
  const users = openTestUsers(store, clock);
  const alice = await testUser(users, 'alice');
  const bob = await testUser(users, 'bob');
  const ofAlice = await loginWithPassword(users, 'alice', 'secret', { device: D, refresh: false });
  const ofBob = await loginWithPassword(users, 'bob', 'secret', { device: D, refresh: false });
  const first = sessionOf(users, ofAlice.accessToken);
  assert.deepEqual([first.user, first.locked, first.admin], [alice, false, false]);
  assert.equal(sessionOf(users, ofAlice.accessToken), first);

  const promised = setFlags(users, alice, { locked: true, admin: true });
  assert.equal(sessionOf(users, ofAlice.accessToken), first, 'what is not durable yet does not hold');
  await promised;
  const locked = sessionOf(users, ofAlice.accessToken);
  assert.deepEqual([locked.locked, locked.admin], [true, true]);

  assert.equal(sessionOf(users, ofBob.accessToken).user, bob);
  await logout(users, sessionOf(users, ofAlice.accessToken));
  assert.deepEqual(refusal(users, ofAlice.accessToken), ['M_UNKNOWN_TOKEN', false]);
  await deactivate(users, bob, false);
  assert.deepEqual(refusal(users, ofBob.accessToken), ['M_UNKNOWN_TOKEN', false]);
  await closeUsers(users);
});

test('a token in use expires, and is gone once its pair has been replaced', async () => {
  await using opened = await openTestStore();
  const { store, clock } = opened;
  const users = openTestUsers(store, clock);
  await testUser(users, 'alice');
  const old = await loginWithPassword(users, 'alice', 'secret', { device: D, refresh: true });
  const other = await loginWithPassword(users, 'alice', 'secret', { device: E, refresh: true });
  sessionOf(users, old.accessToken);
  sessionOf(users, other.accessToken);
  const pair = await refresh(users, old.refreshToken!);
  sessionOf(users, old.accessToken);
  // Its first use is written beside the request; until then each use asks for the same.
  sessionOf(users, pair.access_token);
  sessionOf(users, pair.access_token);
  await store.settle();
  assert.deepEqual(refusal(users, old.accessToken), ['M_UNKNOWN_TOKEN', false]);
  const { session } = sessionOf(users, pair.access_token);
  assert.equal(store.get(accessTokens, [session])?.replaces, undefined);
  clock.advance(other.expiresInMs!);
  assert.deepEqual(refusal(users, other.accessToken), ['M_UNKNOWN_TOKEN', true]);
  await closeUsers(users);
});

test('when and from where a device was seen is told to the second', async () => {
  await using opened = await openTestStore();
  const { store, clock } = opened;
  const users = openTestUsers(store, clock);
  const alice = await testUser(users, 'alice');
  const { accessToken } = await loginWithPassword(users, 'alice', 'secret', { device: D, refresh: false });
  const startMs = clock.now();
  const lastSeen = (): [number | undefined, string | undefined] => {
    const { last_seen_ts: ts, last_seen_ip: ip } = getDevice(users, alice, D);
    return [ts === undefined ? undefined : ts - startMs, ip];
  };
  authenticate(users, accessToken, seen);
  clock.advance(999);
  authenticate(users, accessToken, seen);
  assert.deepEqual(lastSeen(), [0, '192.0.2.1']);
  authenticate(users, accessToken, { ...seen, ip: '192.0.2.2' });
  assert.deepEqual(lastSeen(), [999, '192.0.2.2']);
  clock.advance(1_000);
  authenticate(users, accessToken, { ...seen, ip: '192.0.2.2' });
  assert.deepEqual(lastSeen(), [1_999, '192.0.2.2']);
  await closeUsers(users);
});
