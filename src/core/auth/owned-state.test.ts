import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stateOwner } from '#core/auth/check.js';
import { ALICE, BOB, room } from '#core/auth/fixtures.js';
import { UNSTABLE_ROOM_VERSIONS } from '#core/room-versions.js';

const levels = { events: { 'org.example.beacon': 0 } };

test('owned state: a key belongs to the user it begins with, and to those with more power', () => {
  for (const version of UNSTABLE_ROOM_VERSIONS) {
    const { maker, check } = room(version, { levels });
    const set = (sender: string, stateKey: string): string =>
      check(maker.make({ type: 'org.example.beacon', state_key: stateKey, sender }));
    assert.equal(set(BOB, BOB), 'allow', version);
    assert.equal(set(BOB, `${BOB}_phone:!@#$`), 'allow', version);
    assert.equal(set(ALICE, BOB), 'allow', version);
    assert.equal(set(ALICE, `${BOB}_phone`), 'allow', version);
    assert.equal(set(BOB, `${ALICE}_phone`), '8.1.3', version);
    assert.equal(set(BOB, '@someone:else_phone'), '8.1.3', version);
    assert.equal(set(BOB, `${BOB}phone`), '8.1.3', version);
    assert.equal(set(ALICE, '@oops'), '8.1.1', version);
    assert.equal(set(ALICE, `${ALICE}@x`), '8.1.1', version);
  }
});

test('without owned state nobody sets the key of another user, or one with a suffix', () => {
  for (const version of ['10', '11', '12']) {
    const { maker, check, rule } = room(version, { levels });
    const set = (stateKey: string): string =>
      check(maker.make({ type: 'org.example.beacon', state_key: stateKey, sender: ALICE }));
    assert.equal(set(BOB), rule(9, 8, 9), version);
    assert.equal(set(`${ALICE}_phone`), rule(9, 8, 9), version);
  }
});

test('the owner of a state key ends at the first underscore after the colon', () => {
  assert.equal(stateOwner('@a_b:c.example_d_e'), '@a_b:c.example');
  assert.equal(stateOwner('@a:b'), '@a:b');
  assert.equal(stateOwner('@a_b'), undefined);
  assert.equal(stateOwner('@a:_b'), undefined);
});
