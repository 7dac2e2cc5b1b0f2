import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_SYNC_FILTER } from '#core/filter.js';
import type { DeviceId, UserId } from '#core/ids.js';
import { createRoom } from '#rooms/create.js';
import { changeMembership } from '#rooms/membership.js';
import { openTestRooms } from '#rooms/testing.js';
import { keyChanges } from '#sync/key-changes.js';
import { openSync } from '#sync/open.js';
import { sync } from '#sync/sync.js';
import { checkCrossSigning, putCrossSigning } from '#users/keys/cross-signing.js';
import { uploadSignatures } from '#users/keys/signatures.js';
import { signedBy, testCrossSigning } from '#users/keys/testing.js';
import { loginWithPassword } from '#users/sessions.js';
import { openTestUsers, testUser } from '#users/testing.js';

/** More than sync walks through one by one. */
const LONG = 5_000;

test('whoever left hears that they share no room with those who were there, not who came later (T278)', async (context) => {
  await using t = await openTestRooms();
  const layer = openSync(t.rooms, openTestUsers(t.store, t.clock));
  context.after(() => layer.close());
  const [alice, bob, carol, dave, erin] = ['alice', 'bob', 'carol', 'dave', 'erin'].map(
    (name) => `@${name}:test` as UserId,
  );
  const roomId = await createRoom(t.rooms, { creator: alice!, body: { preset: 'public_chat' } });
  const change = (user: UserId, action: 'join' | 'leave') =>
    changeMembership(t.rooms, { roomId, sender: user, target: user, action });
  for (const user of [bob!, carol!, dave!]) await change(user, 'join');
  const since = t.store.tip;
  await change(carol!, 'leave');
  await change(bob!, 'leave');
  await change(dave!, 'leave');
  await change(erin!, 'join');
  const { changed, left } = await keyChanges(layer, bob!, since, t.store.tip);
  assert.deepEqual([changed, left.toSorted()], [[], [alice, carol, dave]]);
});

test('a signature on somebody’s master key is news to who made it alone, after a long absence too, and one row', async (context) => {
  await using t = await openTestRooms();
  const users = openTestUsers(t.store, t.clock);
  const layer = openSync(t.rooms, users);
  context.after(() => layer.close());
  const person = async (name: string): Promise<UserId> => {
    const user = await testUser(users, name);
    await loginWithPassword(users, name, 'secret', { device: 'D' as DeviceId, refresh: false });
    await putCrossSigning(users, user, checkCrossSigning(t.store, user, testCrossSigning(user).upload), undefined);
    return user;
  };
  const [alice, bob, carol] = [await person('alice'), await person('bob'), await person('carol')];
  const roomId = await createRoom(t.rooms, { creator: alice, body: { preset: 'public_chat' } });
  for (const user of [bob, carol]) {
    await changeMembership(t.rooms, { roomId, sender: user, target: user, action: 'join' });
  }
  const changed = async (user: UserId, since: number): Promise<unknown> => {
    const answer = await sync(layer, {
      viewer: { user, device: 'D', pair: `${user} D` },
      since,
      filter: NO_SYNC_FILTER,
      fullState: false,
      useStateAfter: false,
      timeoutMs: 0,
      signal: new AbortController().signal,
    });
    return (answer['device_lists'] as { changed?: unknown } | undefined)?.changed;
  };
  const sign = async (name: string): Promise<void> => {
    const { userSigning } = testCrossSigning(alice, name);
    const { master, upload } = testCrossSigning(bob);
    const key = signedBy(userSigning, alice, upload.master_key);
    assert.deepEqual(await uploadSignatures(users, alice, { [bob]: { [master.publicKey]: key } }), {});
  };

  const since = t.store.tip;
  await sign(alice);
  assert.deepEqual(await changed(alice, since), [bob]);
  for (const user of [bob, carol]) assert.equal(await changed(user, since), undefined);

  const reset = checkCrossSigning(t.store, alice, testCrossSigning(alice, 'reset').upload);
  await putCrossSigning(users, alice, reset, { complete: true });
  const afterReset = t.store.tip;
  await sign('reset');
  const rows = await t.store.log(since, t.store.tip, 100);
  assert.equal(rows.filter(({ fact }) => fact.kind === 'deviceList' && fact.user === bob).length, 1);

  await t.store.commit((tx) => {
    for (let i = 0; i < LONG; i++) tx.fact(tx.position(), { kind: 'profile', user: carol });
  });
  assert.deepEqual(await changed(alice, afterReset), [bob]);
  for (const user of [bob, carol]) assert.equal(await changed(user, afterReset), undefined);
  assert.deepEqual(await keyChanges(layer, alice, afterReset, t.store.tip), { changed: [bob], left: [] });
});
