import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalJson } from '#core/canonical-json.js';
import { redactContent, redactPdu } from '#core/event/redact.js';
import { parseJson } from '#core/json.js';
import type { JsonObject } from '#core/json-value.js';
import { ROOM_VERSIONS, type RoomRules, roomRules } from '#core/room-versions.js';

const rulesOf = (version: string): RoomRules => roomRules(version)!;
const from = (first: number): string[] => ROOM_VERSIONS.filter((version) => Number(version) >= first);
const before = (first: number): string[] => ROOM_VERSIONS.filter((version) => Number(version) < first);

const full = {
  event_id: '$e:example.org',
  type: 'm.room.message',
  room_id: '!r:example.org',
  sender: '@a:example.org',
  state_key: '',
  content: { body: 'x', membership: 'join', creator: '@a:example.org' },
  hashes: { sha256: 'h' },
  signatures: { a: {} },
  depth: 1,
  prev_events: [],
  prev_state: [],
  auth_events: [],
  origin: 'example.org',
  origin_server_ts: 5,
  membership: 'join',
  redacts: '$f:example.org',
  unsigned: { age: 1 },
  extra: 1,
  __proto__x: 1,
};

test('top level: what stays is the list of the room version', () => {
  const always = [
    ...['event_id', 'type', 'room_id', 'sender', 'state_key', 'content', 'hashes', 'signatures', 'depth'],
    ...['prev_events', 'auth_events', 'origin_server_ts'],
  ];
  for (const version of before(11)) {
    const kept = Object.keys(redactPdu(full, rulesOf(version)));
    assert.deepEqual(kept.toSorted(), [...always, 'prev_state', 'origin', 'membership'].toSorted(), version);
  }
  for (const version of from(11)) {
    assert.deepEqual(Object.keys(redactPdu(full, rulesOf(version))).toSorted(), always.toSorted(), version);
  }
});

test('what was not there does not appear', () => {
  assert.deepEqual(redactPdu({ type: 'x', content: { a: 1 } }, rulesOf('12')), { type: 'x', content: {} });
  assert.deepEqual(redactPdu({ content: [] }, rulesOf('12')), { content: {} });
});

/** Content in which every key that any rule names is there, and one that none names. */
const content = {
  membership: 'join',
  join_authorised_via_users_server: '@b:example.org',
  third_party_invite: { display_name: 'x', signed: { token: 't' } },
  creator: '@a:example.org',
  room_version: '1',
  join_rule: 'public',
  allow: [],
  ban: 1,
  events: {},
  events_default: 1,
  invite: 1,
  kick: 1,
  redact: 1,
  state_default: 1,
  users: {},
  users_default: 1,
  notifications: {},
  aliases: [],
  history_visibility: 'shared',
  redacts: '$e',
};

function keeps(versions: readonly string[], type: string, ...keys: string[]): void {
  for (const version of versions) {
    const kept = Object.keys(redactContent(type, content, rulesOf(version)));
    assert.deepEqual(kept.toSorted(), keys.toSorted(), `${type} in version ${version}`);
  }
}

test('m.room.member keeps membership; from 9 on who authorised the join; from 11 on the signed third-party invite', () => {
  keeps(before(9), 'm.room.member', 'membership');
  keeps(['9', '10'], 'm.room.member', 'membership', 'join_authorised_via_users_server');
  keeps(from(11), 'm.room.member', 'membership', 'join_authorised_via_users_server', 'third_party_invite');
  const redact = (invite: unknown): JsonObject =>
    redactContent('m.room.member', { third_party_invite: invite } as JsonObject, rulesOf('11'));
  assert.deepEqual(redact({ display_name: 'x', signed: { a: 1 } }), { third_party_invite: { signed: { a: 1 } } });
  assert.deepEqual(redact({ display_name: 'x' }), { third_party_invite: {} });
  assert.deepEqual(redact('x'), {});
});

test('m.room.create keeps its creator, and everything from 11 on', () => {
  keeps(before(11), 'm.room.create', 'creator');
  keeps(from(11), 'm.room.create', ...Object.keys(content));
});

test('m.room.join_rules keeps the rule, and what restricts it from 8 on', () => {
  keeps(before(8), 'm.room.join_rules', 'join_rule');
  keeps(from(8), 'm.room.join_rules', 'join_rule', 'allow');
});

test('m.room.power_levels keeps the levels, and that for invites from 11 on', () => {
  const levels = ['ban', 'events', 'events_default', 'kick', 'redact', 'state_default', 'users', 'users_default'];
  keeps(before(11), 'm.room.power_levels', ...levels);
  keeps(from(11), 'm.room.power_levels', ...levels, 'invite');
});

test('m.room.aliases keeps its aliases before 6; history visibility always; redacts of a redaction from 11 on', () => {
  keeps(before(6), 'm.room.aliases', 'aliases');
  keeps(from(6), 'm.room.aliases');
  keeps(ROOM_VERSIONS, 'm.room.history_visibility', 'history_visibility');
  keeps(before(11), 'm.room.redaction');
  keeps(from(11), 'm.room.redaction', 'redacts');
  for (const type of ['m.room.message', 'm.room.topic', '__proto__', 'constructor', '']) keeps(ROOM_VERSIONS, type);
});

test('an inherited key is not content', () => {
  const hostile = parseJson('{"__proto__":{"membership":"join"}}') as JsonObject;
  assert.deepEqual(redactContent('m.room.member', hostile, rulesOf('1')), {});
});

test('redacting twice changes nothing', () => {
  const types = ['m.room.member', 'm.room.create', 'm.room.power_levels', 'm.room.redaction', 'm.room.message'];
  for (const version of ROOM_VERSIONS) {
    for (const type of types) {
      const once = redactPdu({ ...full, type, content }, rulesOf(version));
      assert.equal(canonicalJson(redactPdu(once, rulesOf(version))), canonicalJson(once));
    }
  }
});
