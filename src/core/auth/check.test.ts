import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkAuthEvents, checkEventAuth } from '#core/auth/check.js';
import { ALICE, BOB, CHARLIE, everyVersion, room, ruleOf, stateOf, versionsWith } from '#core/auth/fixtures.js';
import type { Pdu } from '#core/event/pdu.js';
import type { EventId } from '#core/ids.js';
import { JsonFloat, type JsonObject } from '#core/json-value.js';

test('rule 1: a create event stands alone, names a known version and a creator (T91)', () => {
  for (const version of everyVersion) {
    const { maker, create, alice, check } = room(version);
    assert.equal(check(create), 'allow', version);
    const content = create.content;
    assert.equal(check(maker.make({ ...create, content, prev: [alice] })), '1.1', version);
    assert.equal(check({ ...create, content: { ...content, room_version: 'nonsense' } }), '1.3', version);
    assert.equal(check({ ...create, content: { ...content, room_version: 12 } }), '1.3', version);
    const { room_version: _, ...withoutVersion } = content;
    assert.equal(check({ ...create, content: withoutVersion }), 'allow', version);
  }
});

test('rule 1: before version 12 the room id is of the sender’s server; before 11 content has a creator (T91, T125)', () => {
  for (const version of versionsWith((rules) => !rules.roomIdIsHash)) {
    const { maker, create, check } = room(version);
    assert.equal(check({ ...create, sender: BOB as Pdu['sender'] }), '1.2', version);
    assert.equal(check({ ...create, room_id: `!${'a'.repeat(43)}` as Pdu['room_id'] }), '1.2', version);
    const bare = check({ ...create, content: { room_version: version } });
    assert.equal(bare, maker.rules.senderIsCreator ? 'allow' : '1.4', version);
  }
});

test('version 12: create events have no room_id and only user ids as additional creators (T114, T117)', () => {
  const { create, check } = room('12');
  assert.equal(check({ ...create, json: { ...create.json, room_id: create.room_id } }), '1.2');
  for (const bad of ['@x:y', null, {}, [5], ['bob'], [BOB, '@x'], ['']]) {
    assert.equal(check({ ...create, content: { ...create.content, additional_creators: bad } }), '1.4');
  }
  assert.equal(check({ ...create, content: { ...create.content, additional_creators: [BOB] } }), 'allow');
});

test('version 12, rule 2: the room id must be that of an accepted create event (T115)', () => {
  const { maker, create, bob, check, base } = room('12');
  assert.equal(check({ ...bob, room_id: '!other' as Pdu['room_id'] }), '2');
  assert.equal(ruleOf(checkEventAuth(bob, maker.rules, stateOf(...base.slice(1)))), '2');
  assert.equal(ruleOf(checkAuthEvents(bob, [], (id) => id === create.event_id, maker.rules)), '2');
});

test('auth events: duplicates, foreign, rejected and unselected ones, and a missing create are refused (T88, T89, T90, T116)', () => {
  for (const version of everyVersion) {
    const { maker, create, alice, bob, levels, joinRules, rule } = room(version);
    const message = maker.make({ type: 'm.room.message', sender: BOB });
    const good = maker.rules.roomIdIsHash ? [levels, bob] : [create, levels, bob];
    const verdict = (events: (Pdu | undefined)[], rejected: (id: EventId) => boolean = () => false): string =>
      ruleOf(checkAuthEvents(message, events, rejected, maker.rules));
    assert.equal(verdict(good), 'allow', version);
    const again = maker.state('m.room.power_levels', ALICE, {});
    assert.equal(verdict([...good, again]), rule(2, 2, 3, '1'), version);
    assert.equal(verdict([...good, alice]), rule(2, 2, 3, '2'), version);
    assert.equal(verdict([...good, joinRules]), rule(2, 2, 3, '2'), version);
    assert.equal(verdict([...good, message]), rule(2, 2, 3, '2'), version);
    assert.equal(
      verdict(good, (id) => id === levels.event_id),
      rule(2, 2, 3, '3'),
      version,
    );
    const foreign = maker.member(BOB, 'join', { room: '!elsewhere:evil.example' });
    assert.equal(verdict([...good.filter((event) => event !== bob), foreign]), rule(2, 2, 3, '5'), version);
    assert.equal(verdict([...good, undefined]), rule(2, 2, 3), version);
    assert.equal(verdict([levels, bob]), maker.rules.roomIdIsHash ? 'allow' : '2.4', version);
    if (maker.rules.roomIdIsHash) assert.equal(verdict([create, ...good]), '3.2');
  }
});

test('m.federate false keeps other servers out, and only the value false does', () => {
  for (const version of everyVersion) {
    const closed = room(version, { create: { 'm.federate': false } });
    assert.equal(closed.check(closed.maker.member(CHARLIE, 'join')), closed.rule(3, 3, 4), version);
    assert.equal(closed.check(closed.maker.member('@dora:a.example', 'join')), 'allow', version);
    const open = room(version, { create: { 'm.federate': 'false' } });
    assert.equal(open.check(open.maker.member(CHARLIE, 'join')), 'allow', version);
  }
});

test('m.room.aliases has a rule of its own up to version 5', () => {
  for (const version of everyVersion) {
    const { maker, check } = room(version);
    const special = maker.rules.aliasesAreSpecial;
    const aliases = (fields: { state_key?: string }): string =>
      check(maker.make({ type: 'm.room.aliases', sender: CHARLIE, content: { aliases: [] }, ...fields }));
    assert.equal(
      aliases({ state_key: 'c.example' }),
      special ? 'allow' : check(maker.make({ type: 'x', sender: CHARLIE })),
    );
    if (special) {
      assert.equal(aliases({}), '4.1', version);
      assert.equal(aliases({ state_key: 'b.example' }), '4.2', version);
    }
  }
});

test('messages and state need membership, power and the sender’s own state_key (T93, T102)', () => {
  for (const version of everyVersion) {
    const { maker, check, rule } = room(version, { levels: { events_default: 5, events: { topic: 0, 'x.y': 1 } } });
    const message = (sender: string, type = 'm.room.message', state_key?: string): Pdu =>
      maker.make({ type, sender, ...(state_key === undefined ? {} : { state_key }) });
    assert.equal(check(message(CHARLIE)), rule(6, 5, 6), version);
    assert.equal(check(message(BOB)), rule(8, 7, 8), version);
    assert.equal(check(message(ALICE)), 'allow', version);
    assert.equal(check(message(BOB, 'topic', '')), 'allow', version);
    assert.equal(check(message(BOB, 'x.y')), rule(8, 7, 8), version);
    assert.equal(check(message(BOB, 'm.room.name', '')), rule(8, 7, 8), version);
    assert.equal(check(message(BOB, 'topic', BOB)), 'allow', version);
    for (const key of [ALICE, '@', '@x', `${BOB}x`]) {
      assert.equal(check(message(BOB, 'topic', key)), rule(9, 8, 9), version);
      assert.equal(check(message(ALICE, 'topic', key === ALICE ? BOB : key)), rule(9, 8, 9), version);
    }
  }
});

test('without power levels the creator has 100 and others 0 (T92)', () => {
  for (const version of everyVersion) {
    const { maker, create, alice, bob } = room(version);
    const state = stateOf(create, alice, bob);
    const topic = (sender: string): string =>
      ruleOf(checkEventAuth(maker.state('m.room.topic', sender, {}), maker.rules, state));
    assert.equal(topic(ALICE), 'allow', version);
    assert.notEqual(topic(BOB), 'allow', version);
  }
});

test('m.room.third_party_invite needs the invite level only', () => {
  for (const version of everyVersion) {
    const { maker, check, rule } = room(version, { levels: { invite: 1, state_default: 100 } });
    const offer = (sender: string): Pdu => maker.state('m.room.third_party_invite', sender, {}, { state_key: 't' });
    assert.equal(check(offer(BOB)), rule(7, 6, 7, '1'), version);
    assert.equal(check(offer(ALICE)), 'allow', version);
  }
});

test('redactions of versions 1 and 2 need power or the same server; later ones need none (T104)', () => {
  for (const version of everyVersion) {
    const { maker, check } = room(version);
    const redaction = (redacts?: string): Pdu =>
      maker.make({ type: 'm.room.redaction', sender: BOB, ...(redacts === undefined ? {} : { redacts }) });
    const special = maker.rules.redactionAuthorised;
    assert.equal(check(redaction('$x:a.example')), 'allow', version);
    assert.equal(check(redaction('$x:other.example')), special ? '11.3' : 'allow', version);
    assert.equal(check(redaction('$x')), special ? '11.3' : 'allow', version);
    assert.equal(check(redaction()), special ? '11.3' : 'allow', version);
  }
});

test('auth never throws, whatever content holds (T103)', () => {
  const junk: JsonObject[string][] = [
    null,
    true,
    5,
    -0,
    1e300,
    'x',
    '',
    [],
    [null],
    {},
    { users: [] },
    12345678901234567890n,
    new JsonFloat(1.5),
  ];
  const types = [
    'm.room.create',
    'm.room.member',
    'm.room.power_levels',
    'm.room.join_rules',
    'm.room.third_party_invite',
    'm.room.redaction',
    'm.room.aliases',
    'm.room.message',
  ];
  const keys = [
    'membership',
    'users',
    'events',
    'ban',
    'join_rule',
    'third_party_invite',
    'join_authorised_via_users_server',
    'additional_creators',
    'creator',
    'room_version',
    'public_keys',
    'm.federate',
    'users_default',
  ];
  for (const version of everyVersion) {
    const { maker, base } = room(version);
    for (const type of types) {
      for (const key of keys) {
        for (const value of junk) {
          const content: JsonObject = { membership: 'invite', [key]: value };
          const event = maker.make({ type, sender: BOB, state_key: '', content });
          const inState = maker.make({ type, sender: ALICE, state_key: '', content });
          const member = maker.make({ type: 'm.room.member', sender: BOB, state_key: CHARLIE, content });
          for (const state of [stateOf(...base), stateOf(...base, inState), stateOf()]) {
            assert.ok('allow' in checkEventAuth(event, maker.rules, state));
            assert.ok('allow' in checkEventAuth(member, maker.rules, state));
          }
        }
      }
    }
  }
});
