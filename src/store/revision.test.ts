import assert from 'node:assert/strict';
import { test } from 'node:test';
import { profiles, users } from '#store/schema.js';
import { openTestStore } from '#store/testing.js';

test('the revision of a keyspace grows with what is durable there, and only there', async () => {
  await using opened = await openTestStore();
  const { store } = opened;
  const before = store.revision(users);
  await store.commit((tx) => tx.put(profiles, ['@a:test', 'displayname'], 'A'));
  assert.equal(store.revision(users), before);
  const put = store.commit((tx) => tx.put(users, ['@a:test'], { createdTs: 1 }));
  assert.equal(store.revision(users), before);
  await put;
  const after = store.revision(users);
  assert.ok(after > before);
  await store.commit((tx) => tx.delete(users, ['@a:test']));
  assert.ok(store.revision(users) > after);
});
