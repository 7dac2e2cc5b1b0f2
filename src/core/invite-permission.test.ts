import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { UserId } from '#core/ids.js';
import { judgeInvite } from '#core/invite-permission.js';

const BOB = '@bob:Good.example:8448' as UserId;

test('invites: the first list that matches decides', () => {
  const judge = (content: object) => judgeInvite(content as Parameters<typeof judgeInvite>[0], BOB);
  assert.equal(judge({}), 'allow');
  assert.equal(judge({ blocked_users: [BOB] }), 'block');
  assert.equal(judge({ ignored_users: ['@b?b:*'], blocked_users: [BOB] }), 'ignore');
  assert.equal(judge({ allowed_users: [BOB], ignored_users: [BOB], blocked_users: [BOB] }), 'allow');
  assert.equal(judge({ blocked_servers: ['good.example'] }), 'block', 'without port, caseless');
  assert.equal(judge({ ignored_servers: ['*.example'] }), 'ignore');
  assert.equal(judge({ blocked_users: [BOB], allowed_servers: ['*'] }), 'block');
  assert.equal(judge({ allowed_users: [BOB], blocked_servers: ['*'] }), 'allow');
  assert.equal(judge({ blocked_servers: ['other.example'] }), 'allow');
  assert.equal(judge({ enabled: false, blocked_servers: ['*'], default_action: 'block' }), 'allow');
});

test('invites: the default action, and configurations that make no sense', () => {
  assert.equal(judgeInvite({ default_action: 'block' }, BOB), 'block');
  assert.equal(judgeInvite({ default_action: 'wave' }, BOB), 'allow');
  assert.equal(judgeInvite({ default_action: 'block', allowed_users: [BOB] }, BOB), 'allow');
  assert.equal(judgeInvite({ blocked_servers: ['*'], allowed_users: null }, BOB), 'block', 'null is absent');
  assert.equal(judgeInvite({ blocked_servers: ['*'], allowed_users: [1] }, BOB), 'allow');
  assert.equal(judgeInvite({ blocked_servers: '*' }, BOB), 'allow');
});
