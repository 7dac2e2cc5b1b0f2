import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkEventAuth } from '#core/auth/check.js';
import {
  ALICE,
  BOB,
  CHARLIE,
  EventMaker,
  everyVersion,
  room,
  ruleOf,
  rulesOf,
  stateOf,
  versionsWith,
} from '#core/auth/fixtures.js';
import type { Pdu } from '#core/event/pdu.js';
import type { JsonObject } from '#core/json-value.js';
import { signingKeyFromSeed, signJson } from '#core/signing.js';

test('member events need state_key and a known membership of type string (T14, T103)', () => {
  for (const version of everyVersion) {
    const { maker, check, rule } = room(version);
    const member = (content: JsonObject, state_key: string | undefined = BOB): Pdu =>
      maker.make({ type: 'm.room.member', sender: BOB, content, ...(state_key === '' ? {} : { state_key }) });
    assert.equal(check(member({ membership: 'join' }, '')), rule(5, 4, 5, '1'), version);
    assert.equal(check(member({})), rule(5, 4, 5, '1'), version);
    const inherited = JSON.parse('{"__proto__":{"membership":"join"}}') as JsonObject;
    assert.equal(check(member(inherited)), rule(5, 4, 5, '1'), version);
    const unknown = maker.rules.restrictedJoin ? '8' : maker.rules.knock ? '7' : '6';
    for (const membership of [5, null, 'foo', [], { join: 1 }]) {
      assert.equal(check(member({ membership })), rule(5, 4, 5, unknown), version);
    }
    if (!maker.rules.knock) assert.equal(check(member({ membership: 'knock' })), rule(5, 4, 5, unknown), version);
  }
});

test('nobody can invite, remove or ban what is no user of any server', () => {
  for (const version of everyVersion) {
    const { maker, check, rule } = room(version);
    for (const membership of ['invite', 'leave', 'ban']) {
      for (const state_key of ['', '@', '@bob', 'é']) {
        const event = maker.make({ type: 'm.room.member', sender: ALICE, state_key, content: { membership } });
        assert.equal(check(event), rule(5, 4, 5, '1'), version);
      }
    }
  }
});

test('joins: bootstrap of the creator, nobody else’s join, bans and join rules (T97)', () => {
  for (const version of everyVersion) {
    const { maker, create, alice, check, rule } = room(version);
    const join = maker.rules.restrictedJoin ? '3' : '2';
    const otherwise = `${join}.${maker.rules.restrictedJoin ? 7 : 6}`;
    const state = stateOf(create);
    assert.equal(ruleOf(checkEventAuth(alice, maker.rules, state)), 'allow', version);
    const early = maker.member(BOB, 'join', { prev: [create] });
    assert.equal(ruleOf(checkEventAuth(early, maker.rules, state)), rule(5, 4, 5, otherwise), version);
    assert.equal(check(maker.member(CHARLIE, 'join')), 'allow', version);
    assert.equal(check(maker.member(CHARLIE, 'join', { sender: BOB })), rule(5, 4, 5, `${join}.2`), version);
    const banned = maker.member(CHARLIE, 'ban', { sender: ALICE });
    assert.equal(check(maker.member(CHARLIE, 'join'), banned), rule(5, 4, 5, `${join}.3`), version);
    const invited = maker.member(CHARLIE, 'invite', { sender: BOB });
    for (const joinRule of ['invite', 'private', 'foo', null, 5]) {
      const rules = maker.state('m.room.join_rules', ALICE, { join_rule: joinRule });
      assert.equal(check(maker.member(CHARLIE, 'join'), rules), rule(5, 4, 5, otherwise), `${version} ${joinRule}`);
      const allowed = joinRule === 'invite' ? 'allow' : rule(5, 4, 5, otherwise);
      assert.equal(check(maker.member(CHARLIE, 'join'), rules, invited), allowed, `${version} ${joinRule}`);
    }
    const knockRule = maker.state('m.room.join_rules', ALICE, { join_rule: 'knock' });
    const invitedToKnock = check(maker.member(CHARLIE, 'join'), knockRule, invited);
    assert.equal(invitedToKnock, maker.rules.knock ? 'allow' : rule(5, 4, 5, otherwise), version);
  }
});

test('only the sender of the create event of version 12 may join at once, not an additional creator (T120)', () => {
  const maker = new EventMaker('12');
  const create = maker.create({ additional_creators: [BOB] });
  const join = maker.member(BOB, 'join', { prev: [create] });
  assert.equal(ruleOf(checkEventAuth(join, maker.rules, stateOf(create))), '5.3.7');
});

test('restricted joins need a joined user with power to invite (T99)', () => {
  for (const version of versionsWith((rules) => rules.restrictedJoin)) {
    const kinds = rulesOf(version).knockRestricted ? ['restricted', 'knock_restricted'] : ['restricted'];
    for (const joinRule of kinds) {
      const { maker, check, rule } = room(version, { joinRule, levels: { invite: 10 } });
      const join = (via?: unknown): Pdu =>
        maker.member(CHARLIE, 'join', {
          content: via === undefined ? {} : { join_authorised_via_users_server: via as string },
        });
      assert.equal(check(join(ALICE)), 'allow', version);
      assert.equal(check(join()), rule(5, 4, 5, '3.5.2'), version);
      assert.equal(check(join(BOB)), rule(5, 4, 5, '3.5.2'), version);
      assert.equal(check(join('@nobody:a.example')), rule(5, 4, 5, '3.5.2'), version);
      for (const bad of [5, null, [], 'alice']) assert.equal(check(join(bad)), rule(5, 4, 5, '2.1'), version);
      const invited = maker.member(CHARLIE, 'invite', { sender: ALICE });
      assert.equal(check(join(), invited), 'allow', version);
      assert.equal(check(join(BOB), invited), 'allow', 'whom it names plays no part for the invited');
      const joined = maker.member(CHARLIE, 'join');
      for (const via of [undefined, BOB, '@nobody:a.example']) assert.equal(check(join(via), joined), 'allow', version);
    }
  }
  for (const version of versionsWith((rules) => rules.restrictedJoin && !rules.knockRestricted)) {
    const { maker, check } = room(version, { joinRule: 'knock_restricted' });
    const join = maker.member(CHARLIE, 'join', { content: { join_authorised_via_users_server: ALICE } });
    assert.equal(check(join), '4.3.7', version);
  }
});

test('invites need a joined sender with power and a target who is neither in nor banned', () => {
  for (const version of everyVersion) {
    const { maker, check, rule } = room(version, { levels: { invite: 1 } });
    const part = maker.rules.restrictedJoin ? '4' : '3';
    const invite = (sender: string, target = CHARLIE): Pdu => maker.member(target, 'invite', { sender });
    assert.equal(check(invite(ALICE)), 'allow', version);
    assert.equal(check(invite('@nobody:a.example')), rule(5, 4, 5, `${part}.2`), version);
    assert.equal(check(invite(ALICE, BOB)), rule(5, 4, 5, `${part}.3`), version);
    const banned = maker.member(CHARLIE, 'ban', { sender: ALICE });
    assert.equal(check(invite(ALICE), banned), rule(5, 4, 5, `${part}.3`), version);
    assert.equal(check(invite(BOB)), rule(5, 4, 5, `${part}.5`), version);
  }
});

test('third-party invites are checked against the key that the invite in the state names', () => {
  const key = signingKeyFromSeed(Buffer.alloc(32, 7), '0');
  const other = signingKeyFromSeed(Buffer.alloc(32, 8), '0');
  const signed = signJson({ mxid: CHARLIE, token: 'tok' }, 'identity.example', key);
  for (const version of everyVersion) {
    const { maker, check, rule } = room(version);
    const part = `${maker.rules.restrictedJoin ? '4' : '3'}.1`;
    const invite = (content: JsonObject, sender = BOB, target = CHARLIE): Pdu =>
      maker.member(target, 'invite', { sender, content: { third_party_invite: content as never } });
    const offer = (content: JsonObject, sender = BOB): Pdu =>
      maker.state('m.room.third_party_invite', sender, content, { state_key: 'tok' });
    const single = offer({ public_key: key.publicKey });
    assert.equal(check(invite({ signed }), single), 'allow', version);
    const listed = offer({ public_key: other.publicKey, public_keys: [{ public_key: key.publicKey }] });
    assert.equal(check(invite({ signed }), listed), 'allow', version);
    const banned = maker.member(CHARLIE, 'ban', { sender: ALICE });
    assert.equal(check(invite({ signed }), single, banned), rule(5, 4, 5, `${part}.1`), version);
    assert.equal(check(invite({}), single), rule(5, 4, 5, `${part}.2`), version);
    assert.equal(check(invite(null as never), single), rule(5, 4, 5, `${part}.2`), version);
    assert.equal(check(invite({ signed: { mxid: CHARLIE } }), single), rule(5, 4, 5, `${part}.3`), version);
    assert.equal(check(invite({ signed }, BOB, '@dora:a.example'), single), rule(5, 4, 5, `${part}.4`), version);
    assert.equal(check(invite({ signed })), rule(5, 4, 5, `${part}.5`), version);
    assert.equal(check(invite({ signed }, ALICE), single), rule(5, 4, 5, `${part}.6`), version);
    assert.equal(
      check(invite({ signed }), offer({ public_key: other.publicKey })),
      rule(5, 4, 5, `${part}.8`),
      version,
    );
    for (const junk of [
      {},
      { public_key: 5 },
      { public_keys: {} },
      { public_keys: [null, 'x', { public_key: 'AA' }] },
    ]) {
      assert.equal(check(invite({ signed }), offer(junk as JsonObject)), rule(5, 4, 5, `${part}.8`), version);
    }
  }
});

test('leaves: one’s own from join, invite and knock; kicks and unbans by power (T101)', () => {
  for (const version of everyVersion) {
    const { maker, check, rule } = room(version, {
      levels: {
        ban: 60,
        users: { ...(version === '12' ? {} : { [ALICE]: 100 }), '@mod:a.example': 50, '@mod2:a.example': 50 },
      },
    });
    const part = maker.rules.restrictedJoin ? '5' : '4';
    const mod = maker.member('@mod:a.example', 'join');
    const mod2 = maker.member('@mod2:a.example', 'join');
    const leave = (sender: string, target = sender): Pdu => maker.member(target, 'leave', { sender });
    const was = (membership: string): Pdu => maker.member(CHARLIE, membership, { sender: ALICE });
    assert.equal(check(leave(CHARLIE), was('join')), 'allow', version);
    assert.equal(check(leave(CHARLIE), was('invite')), 'allow', version);
    assert.equal(
      check(leave(CHARLIE), was('knock')),
      maker.rules.knock ? 'allow' : rule(5, 4, 5, `${part}.1`),
      version,
    );
    for (const state of ['leave', 'ban']) {
      assert.equal(check(leave(CHARLIE), was(state)), rule(5, 4, 5, `${part}.1`), version);
    }
    assert.equal(check(leave('@nobody:a.example', BOB)), rule(5, 4, 5, `${part}.2`), version);
    assert.equal(check(leave('@mod:a.example', CHARLIE), mod, was('ban')), rule(5, 4, 5, `${part}.3`), version);
    assert.equal(check(leave(ALICE, CHARLIE), was('ban')), 'allow', version);
    assert.equal(check(leave('@mod:a.example', BOB), mod), 'allow', version);
    assert.equal(check(leave(BOB, CHARLIE), was('join')), rule(5, 4, 5, `${part}.5`), version);
    assert.equal(check(leave('@mod:a.example', '@mod2:a.example'), mod, mod2), rule(5, 4, 5, `${part}.5`), version);
  }
});

test('bans need the ban level and more power than the target (T101)', () => {
  for (const version of everyVersion) {
    const { maker, check, rule } = room(version, {
      levels: { users: { ...(version === '12' ? {} : { [ALICE]: 100 }), '@mod:a.example': 50, '@mod2:a.example': 50 } },
    });
    const part = maker.rules.restrictedJoin ? '6' : '5';
    const mod = maker.member('@mod:a.example', 'join');
    const ban = (sender: string, target: string): Pdu => maker.member(target, 'ban', { sender });
    assert.equal(check(ban('@mod:a.example', CHARLIE), mod), 'allow', version);
    assert.equal(check(ban('@mod:a.example', CHARLIE)), rule(5, 4, 5, `${part}.1`), version);
    assert.equal(check(ban(BOB, CHARLIE)), rule(5, 4, 5, `${part}.3`), version);
    assert.equal(check(ban('@mod:a.example', '@mod2:a.example'), mod), rule(5, 4, 5, `${part}.3`), version);
    assert.equal(check(ban('@mod:a.example', ALICE), mod), rule(5, 4, 5, `${part}.3`), version);
  }
});

test('knocks need a join rule for it and a user who is not in, invited or banned (T98)', () => {
  for (const version of versionsWith((rules) => rules.knock)) {
    const { maker, check, rule } = room(version, { joinRule: 'knock' });
    const part = maker.rules.restrictedJoin ? '7' : '6';
    const knock = maker.member(CHARLIE, 'knock');
    assert.equal(check(knock), 'allow', version);
    assert.equal(check(maker.member(CHARLIE, 'knock', { sender: BOB })), rule(5, 4, 5, `${part}.2`), version);
    for (const membership of ['join', 'invite', 'ban']) {
      const was = maker.member(CHARLIE, membership, { sender: ALICE });
      assert.equal(check(knock, was), rule(5, 4, 5, `${part}.4`), `${version} ${membership}`);
    }
    const open = maker.state('m.room.join_rules', ALICE, { join_rule: 'public' });
    assert.equal(check(knock, open), rule(5, 4, 5, `${part}.1`), version);
    const both = maker.state('m.room.join_rules', ALICE, { join_rule: 'knock_restricted' });
    assert.equal(check(knock, both), maker.rules.knockRestricted ? 'allow' : rule(5, 4, 5, `${part}.1`), version);
  }
});
