import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkEventAuth } from '#core/auth/check.js';
import { ALICE, BOB, CHARLIE, EventMaker, room, rulesOf, stateOf, versionsWith } from '#core/auth/fixtures.js';
import { parseLevel, powerLevels } from '#core/auth/power-levels.js';
import { JsonFloat, type JsonObject } from '#core/json-value.js';
import { ROOM_VERSIONS, type RoomVersion } from '#core/room-versions.js';

/** The verdict on new levels sent by `sender` over `current`, as `allow` or the rule's number. */
function change(version: RoomVersion, sender: string, current: JsonObject | undefined, next: JsonObject): string {
  const maker = new EventMaker(version);
  const create = maker.create();
  const members = [ALICE, BOB, CHARLIE].map((user) => maker.member(user, 'join'));
  const before = current === undefined ? [] : [maker.state('m.room.power_levels', ALICE, current)];
  const event = maker.state('m.room.power_levels', sender, next);
  const verdict = checkEventAuth(event, maker.rules, stateOf(create, ...members, ...before));
  return verdict.allow ? 'allow' : verdict.rule;
}

/** Number of a part of the rule on power levels, counted as in version 12 without its part 4. */
function part(version: RoomVersion, number: number): string {
  const rules = rulesOf(version);
  const top = rules.aliasesAreSpecial || rules.roomIdIsHash ? 10 : 9;
  let at = number;
  if (!rules.integerPowerLevels) at -= 2;
  if (rules.privilegedCreators && number > 3) at += 1;
  return `${top}.${at}`;
}

test('levels are integers from version 10 on, and strings and floats too before (T94)', () => {
  const loose = rulesOf('9');
  const strict = rulesOf('10');
  for (const [value, level] of [
    [50, 50],
    ['50', 50],
    [' 000100 ', 100],
    ['\t+7\n', 7],
    ['-5', -5],
    [new JsonFloat(50.57), 50],
    [new JsonFloat(-1.9), -1],
    [new JsonFloat(5.114698e4), 51146],
    ['9007199254740993', 9007199254740993n],
    [9007199254740993n, 9007199254740993n],
    ['-0', 0],
  ] as const) {
    assert.equal(parseLevel(value, loose), level);
    assert.equal(parseLevel(value, strict), typeof value === 'number' ? level : undefined);
  }
  for (const value of [
    null,
    true,
    '',
    ' ',
    '5.5',
    '1e3',
    '0x10',
    '1_0',
    '٣',
    '+-1',
    '5 5',
    [],
    {},
    '\ufeff5',
    undefined,
  ]) {
    assert.equal(parseLevel(value, loose), undefined);
  }
  for (const value of [2 ** 53, -(2 ** 53), 0.5, new JsonFloat(50), Number.NaN]) {
    assert.equal(parseLevel(value, strict), undefined);
  }
});

test('defaults hold where levels are absent or malformed (T92, T94)', () => {
  for (const version of ROOM_VERSIONS) {
    const maker = new EventMaker(version);
    const create = maker.create();
    const top = maker.rules.privilegedCreators ? Infinity : 100;
    const none = powerLevels(maker.rules, create, undefined);
    assert.deepEqual([none.user(ALICE), none.user(BOB)], [top, 0]);
    assert.deepEqual([none.event('x', true), none.event('x', false)], [50, 0]);
    const junk = maker.state('m.room.power_levels', ALICE, {
      users: [],
      events: 'x',
      ban: null,
      kick: {},
      invite: 'abc',
      notifications: { room: null },
      users_default: 7,
    });
    const levels = powerLevels(maker.rules, create, junk);
    assert.deepEqual([levels.ban, levels.kick, levels.invite, levels.redact], [50, 50, 0, 50]);
    assert.deepEqual([levels.user(BOB), levels.event('x', true), levels.notification('room')], [7, 50, 50]);
    assert.equal(levels.user('__proto__'), 7);
  }
});

test('from version 10 on malformed levels are refused even as the first ones (T94)', () => {
  for (const version of ROOM_VERSIONS) {
    const strict = rulesOf(version).integerPowerLevels;
    for (const value of ['50', new JsonFloat(50), null, true, [], 2 ** 53, {}]) {
      assert.equal(change(version, ALICE, undefined, { ban: value }), strict ? part(version, 1) : 'allow');
      assert.equal(change(version, ALICE, undefined, { events: { x: value } }), strict ? part(version, 2) : 'allow');
      assert.equal(
        change(version, ALICE, undefined, { notifications: { x: value } }),
        strict ? part(version, 2) : 'allow',
      );
    }
    for (const value of [5, null, [], 'x']) {
      assert.equal(change(version, ALICE, undefined, { events: value }), strict ? part(version, 2) : 'allow');
      assert.equal(change(version, ALICE, undefined, { users: value }), part(version, 3));
    }
    for (const users of [{ bob: 5 }, { '': 5 }, { [BOB]: null }, { [BOB]: true }, { [BOB]: 'x' }] as JsonObject[]) {
      assert.equal(change(version, ALICE, undefined, { users }), part(version, 3), version);
    }
    assert.equal(change(version, ALICE, undefined, { users: { [BOB]: '5' } }), strict ? part(version, 3) : 'allow');
  }
});

test('before version 10 nobody is kept out by levels that are odd but can be read (T94)', () => {
  for (const version of versionsWith((rules) => !rules.integerPowerLevels)) {
    const levels = { users: { [ALICE]: '100' }, ban: ' 50 ', invite: '0', notifications: { room: null } };
    const { maker, check } = room(version, { levels: levels as JsonObject });
    assert.equal(check(maker.member(CHARLIE, 'join')), 'allow', version);
    assert.equal(check(maker.member(CHARLIE, 'invite', { sender: BOB })), 'allow', version);
    assert.equal(check(maker.member(CHARLIE, 'ban', { sender: ALICE })), 'allow', version);
    assert.notEqual(check(maker.member(CHARLIE, 'ban', { sender: BOB })), 'allow', version);
  }
});

test('events that are no object, and notifications where these count, never replace levels in force (T94)', () => {
  for (const version of ROOM_VERSIONS) {
    const rules = rulesOf(version);
    for (const value of [5, null, [], 'x', true]) {
      const refused = (content: JsonObject): boolean =>
        change(version, ALICE, { users: { [ALICE]: 100 } }, content) !== 'allow';
      assert.equal(refused({ events: value }), true, version);
      assert.equal(refused({ notifications: value }), rules.notificationLevelsChecked, version);
    }
  }
});

test('power levels under another key are not compared with anything', () => {
  for (const version of ROOM_VERSIONS) {
    const maker = new EventMaker(version);
    const create = maker.create();
    const levels = maker.state('m.room.power_levels', ALICE, { users: { [BOB]: 50 }, ban: 100 });
    const keyed = maker.state('m.room.power_levels', ALICE, { ban: 100 }, { state_key: 'other' });
    const state = stateOf(create, maker.member(BOB, 'join'), levels, keyed);
    const check = (state_key: string): boolean =>
      checkEventAuth(maker.state('m.room.power_levels', BOB, { ban: 0 }, { state_key }), maker.rules, state).allow;
    assert.deepEqual([check('other'), check('')], [true, false], version);
  }
});

test('version 12: creators may not stand in users (T118)', () => {
  assert.equal(change('12', ALICE, undefined, { users: { [ALICE]: 100 } }), '10.4');
  const maker = new EventMaker('12');
  const create = maker.create({ additional_creators: [BOB] });
  const state = stateOf(create, maker.member(BOB, 'join'));
  const listed = maker.state('m.room.power_levels', BOB, { users: { [BOB]: 100 } });
  const verdict = checkEventAuth(listed, maker.rules, state);
  assert.equal(!verdict.allow && verdict.rule, '10.4');
});

test('version 12: an admin of the highest level can do nothing to a creator, who can do everything to them (T119)', () => {
  const maker = new EventMaker('12');
  const create = maker.create();
  const levels = maker.state('m.room.power_levels', ALICE, { users: { [BOB]: Number.MAX_SAFE_INTEGER } });
  const state = stateOf(create, maker.member(ALICE, 'join'), maker.member(BOB, 'join'), levels);
  const allowed = (sender: string, target: string, membership: string): boolean =>
    checkEventAuth(maker.member(target, membership, { sender }), maker.rules, state).allow;
  assert.deepEqual([allowed(BOB, ALICE, 'leave'), allowed(BOB, ALICE, 'ban')], [false, false]);
  assert.deepEqual([allowed(ALICE, BOB, 'leave'), allowed(ALICE, BOB, 'ban')], [true, true]);
});

test('nobody gives or takes more power than they have (T95)', () => {
  for (const version of ROOM_VERSIONS) {
    const users = { [BOB]: 50, [CHARLIE]: 50, '@low:a.example': 10, '@high:a.example': 70 };
    const current: JsonObject = {
      users,
      events: { high: 60, low: 10 },
      notifications: { room: 60 },
      kick: 60,
      state_default: 50,
    };
    const bob = (next: JsonObject): string => change(version, BOB, current, { ...current, ...next });
    const allowed = 'allow';
    assert.equal(bob({}), allowed, version);
    // Single levels, each way.
    for (const name of ['users_default', 'events_default', 'state_default', 'ban', 'redact', 'invite']) {
      assert.equal(bob({ [name]: 50 }), allowed, `${version} ${name}`);
      assert.equal(bob({ [name]: 51 }), part(version, 5), `${version} ${name}`);
      assert.equal(bob({ [name]: -5 }), allowed, `${version} ${name}`);
    }
    assert.equal(bob({ kick: 40 }), part(version, 5), version);
    const { kick: _, ...withoutKick } = current;
    assert.equal(change(version, BOB, current, withoutKick), part(version, 5), version);
    // Events and notifications.
    assert.equal(bob({ events: { high: 60, low: 50, 'x.new': 50 } }), allowed, version);
    assert.equal(bob({ events: { high: 60 } }), allowed, version);
    assert.equal(bob({ events: { low: 10 } }), part(version, 6), version);
    assert.equal(bob({ events: { high: 50, low: 10 } }), part(version, 6), version);
    assert.equal(bob({ events: { high: 60, low: 51 } }), part(version, 7), version);
    const notifications = bob({ notifications: { room: 50 } });
    assert.equal(notifications, rulesOf(version).notificationLevelsChecked ? part(version, 6) : allowed, version);
    // Users.
    assert.equal(bob({ users: { ...users, '@low:a.example': 50, '@new:a.example': 50 } }), allowed, version);
    assert.equal(bob({ users: { ...users, [BOB]: 10 } }), allowed, version);
    assert.equal(bob({ users: { ...users, [BOB]: 51 } }), part(version, 9), version);
    assert.equal(bob({ users: { ...users, [CHARLIE]: 10 } }), part(version, 8), version);
    assert.equal(bob({ users: { ...users, '@high:a.example': 0 } }), part(version, 8), version);
    const { [CHARLIE]: __, ...withoutCharlie } = users;
    assert.equal(bob({ users: withoutCharlie }), part(version, 8), version);
    assert.equal(bob({ users: { ...users, '@low:a.example': 51 } }), part(version, 9), version);
  }
});

test('before version 10 a level written in another way has not changed', () => {
  const current: JsonObject = { users: { [BOB]: 50, [CHARLIE]: '100' }, ban: '100', state_default: 0 };
  assert.equal(
    change('9', BOB, current, { users: { [BOB]: '50', [CHARLIE]: 100 }, ban: ' 100 ', state_default: 0 }),
    'allow',
  );
  assert.equal(change('9', BOB, current, { ...current, ban: 'abc' }), '9.3');
});
