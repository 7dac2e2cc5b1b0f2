import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type HistoryVisibility, historyVisibilityOf } from '#core/event/content.js';
import type { UserId } from '#core/ids.js';
import { eventVisibleToServer, eventVisibleToUser, type ViewerState, visibleToAll } from '#core/visibility.js';

const BOB = '@bob:x' as UserId;
const VISIBILITIES = ['world_readable', 'shared', 'invited', 'joined'] as const;
const MEMBERSHIPS = ['join', 'invite', 'knock', 'leave', 'ban', undefined] as const;

const at = (visibility: HistoryVisibility, membership: string | undefined): ViewerState => ({ visibility, membership });
function sees(state: ViewerState, joinedSince: boolean): boolean {
  return eventVisibleToUser({ event: { type: 'm.room.message' }, user: BOB, before: state, after: state, joinedSince });
}

test('the matrix of visibility and membership for messages (T274)', () => {
  // Which memberships at the event see it, for one who has not joined since and for one who has.
  const expected: Record<HistoryVisibility, [never: string[], since: string[]]> = {
    world_readable: [MEMBERSHIPS.map(String), MEMBERSHIPS.map(String)],
    shared: [['join'], MEMBERSHIPS.map(String)],
    invited: [
      ['join', 'invite'],
      ['join', 'invite'],
    ],
    joined: [['join'], ['join']],
  };
  for (const visibility of VISIBILITIES) {
    for (const joinedSince of [false, true]) {
      const seen = MEMBERSHIPS.filter((membership) => sees(at(visibility, membership), joinedSince)).map(String);
      assert.deepEqual(seen, expected[visibility][joinedSince ? 1 : 0], `${visibility}, joined since: ${joinedSince}`);
    }
  }
});

test('a visibility that is absent or unknown is shared, whatever its type (T275)', () => {
  for (const value of [undefined, null, 1, {}, [], 'secret', '__proto__']) {
    const content = value === undefined ? {} : { history_visibility: value };
    assert.ok(sees(at(historyVisibilityOf({ content }), undefined), true), String(value));
    assert.ok(!sees(at(historyVisibilityOf({ content }), undefined), false), String(value));
  }
});

test('a change of visibility is visible if either side allows it (T275)', () => {
  const event = { type: 'm.room.history_visibility', state_key: '' };
  const change = (from: HistoryVisibility, to: HistoryVisibility): boolean =>
    eventVisibleToUser({ event, user: BOB, before: at(from, undefined), after: at(to, undefined), joinedSince: false });
  assert.ok(change('world_readable', 'joined'));
  assert.ok(change('joined', 'world_readable'));
  assert.ok(!change('joined', 'invited'));
});

function ownMember(from: string | undefined, to: string, visibility: HistoryVisibility = 'joined'): boolean {
  const event = { type: 'm.room.member', state_key: BOB };
  const sides = { before: at(visibility, from), after: at(visibility, to) };
  return eventVisibleToUser({ event, user: BOB, ...sides, joinedSince: false });
}

test('own member events are visible if the membership before or after allows it (T275)', () => {
  assert.ok(ownMember(undefined, 'join'));
  assert.ok(ownMember('join', 'leave'));
  assert.ok(ownMember('join', 'ban'));
  assert.ok(ownMember(undefined, 'invite', 'invited'));
  assert.ok(ownMember('invite', 'ban', 'invited'));
  assert.ok(!ownMember('leave', 'ban'));
  assert.ok(!ownMember('ban', 'leave'), 'an unban');
});

test('leaving an invite or a knock behind is visible to the one who left', () => {
  assert.ok(ownMember('invite', 'leave'));
  assert.ok(ownMember('knock', 'leave'));
  const other = { type: 'm.room.member', state_key: '@carol:x' };
  const state = at('joined', 'leave');
  assert.ok(!eventVisibleToUser({ event: other, user: BOB, before: state, after: state, joinedSince: true }));
});

test('visibleToAll agrees with every membership', () => {
  for (const visibility of VISIBILITIES) {
    for (const joinedSince of [false, true]) {
      const all = MEMBERSHIPS.every((membership) => sees(at(visibility, membership), joinedSince));
      assert.equal(visibleToAll(visibility, joinedSince), all);
    }
  }
});

test('servers see what one of their users sees, and the rest redacted', () => {
  const view = (visibility: HistoryVisibility, memberships: string[], inRoom: boolean, after = visibility) =>
    eventVisibleToServer({ visibilityBefore: visibility, visibilityAfter: after, memberships, inRoom });
  assert.equal(view('shared', [], true), 'full');
  assert.equal(view('shared', [], false), 'none');
  assert.equal(view('world_readable', [], false), 'full');
  assert.equal(view('joined', ['leave', 'join'], true), 'full');
  assert.equal(view('joined', ['invite'], true), 'redacted');
  assert.equal(view('invited', ['invite'], true), 'full');
  assert.equal(view('invited', ['leave', 'ban', 'knock'], true), 'redacted');
  assert.equal(view('joined', [], false), 'none');
  assert.equal(view('joined', ['join'], false), 'full', 'its user was there');
  assert.equal(view('joined', [], true, 'shared'), 'full', 'the change of visibility itself');
});
