import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { UserId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { openTestStore } from '#store/testing.js';
import { openTestUsers, testUser } from '#users/testing.js';
import { authenticateInteractively, type Flow, PASSWORD_FLOWS, type UiaRequest } from '#users/uia.js';

test('a session is of use for the method, path, body and user that it was begun for, and nothing else (T237)', async () => {
  await using test = await openTestStore();
  const users = openTestUsers(test.store, test.clock);
  const [alice, bob] = [await testUser(users, 'alice'), await testUser(users, 'bob')];
  const begun: UiaRequest = { user: alice, method: 'PUT', path: '/devices/A', body: { x: 1 } };
  const asked = await authenticateInteractively(users, begun, PASSWORD_FLOWS);
  assert.ok(!asked.complete);
  const auth = (user: UserId): JsonObject => ({
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user },
    password: 'secret',
    session: asked.challenge['session']!,
  });
  const attempt = (change: Partial<UiaRequest>) => {
    const request = { ...begun, ...change };
    const body = { ...request.body, auth: auth(request.user ?? alice) };
    return authenticateInteractively(users, { ...request, body }, PASSWORD_FLOWS);
  };
  for (const change of [
    { method: 'DELETE' },
    { path: '/devices/B' },
    { body: { x: 2 } },
    { body: {} },
    { user: bob },
  ]) {
    await assert.rejects(attempt(change), { errcode: 'M_FORBIDDEN' }, JSON.stringify(change));
  }
  assert.equal((await attempt({})).complete, true);
});

test('stages are passed in the order of their flow, each by itself (T237)', async () => {
  await using test = await openTestStore();
  const users = openTestUsers(test.store, test.clock);
  const flows: readonly Flow[] = [['m.login.terms', 'm.login.dummy']];
  const request = { method: 'POST', path: '/register', body: { username: 'alice' } };
  const first = await authenticateInteractively(users, request, flows);
  assert.ok(!first.complete);
  const session = first.challenge['session']!;
  const attempt = (type: string) =>
    authenticateInteractively(users, { ...request, body: { ...request.body, auth: { type, session } } }, flows);
  const early = await attempt('m.login.dummy');
  assert.ok(!early.complete);
  assert.deepEqual([early.challenge['errcode'], early.challenge['completed']], ['M_UNRECOGNIZED', undefined]);
  const passed = await attempt('m.login.terms');
  assert.ok(!passed.complete);
  assert.deepEqual(passed.challenge['completed'], ['m.login.terms']);
  const again = await attempt('m.login.terms');
  assert.equal(again.complete, false, 'one stage twice is not two');
  assert.equal((await attempt('m.login.dummy')).complete, true);
});
