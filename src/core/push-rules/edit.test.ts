import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ErrorCode, MatrixError } from '#core/errors.js';
import type { RoomId, UserId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { defaultRuleset } from '#core/push-rules/defaults.js';
import {
  addRule,
  copyRoomRules,
  deleteRule,
  getRule,
  MAX_USER_RULES,
  setActions,
  setEnabled,
} from '#core/push-rules/edit.js';
import type { Ruleset } from '#core/push-rules/model.js';
import { mergeStored, toContent, toStored } from '#core/push-rules/stored.js';

const BOB = '@bob:example.org' as UserId;
const DEFAULTS = defaultRuleset(BOB);

function refused(code: ErrorCode, status: number, act: () => unknown): void {
  assert.throws(act, (error) => error instanceof MatrixError && error.errcode === code && error.status === status);
}
const ids = (ruleset: Ruleset, kind: keyof Ruleset): string[] =>
  ruleset[kind].filter((rule) => !rule.default).map((rule) => rule.rule_id);
const content = (ruleset: Ruleset, id: string, place = {}): Ruleset =>
  addRule(ruleset, 'content', id, { pattern: id, actions: ['notify'] }, place);
/** What a restart leaves of a ruleset. */
const reloaded = (ruleset: Ruleset): Ruleset =>
  mergeStored(BOB, JSON.parse(JSON.stringify(toStored(BOB, ruleset))) as JsonObject);

test('new rules go to the top of the own ones, below the master rule', () => {
  assert.deepEqual(ids(content(content(DEFAULTS, 'a'), 'b'), 'content'), ['b', 'a']);
  const override = addRule(DEFAULTS, 'override', 'mine', { actions: [], conditions: [] });
  assert.deepEqual(
    override.override.slice(0, 3).map((rule) => rule.rule_id),
    ['.m.rule.master', 'mine', '.org.matrix.msc4028.encrypted_event'],
  );
  assert.equal(addRule(DEFAULTS, 'underride', 'mine', { actions: [] }).underride[0]!.rule_id, 'mine');
});

test('before and after', () => {
  const three = content(content(content(DEFAULTS, 'c'), 'b'), 'a');
  assert.deepEqual(ids(content(three, 'x', { before: 'b' }), 'content'), ['a', 'x', 'b', 'c']);
  assert.deepEqual(ids(content(three, 'x', { after: 'b' }), 'content'), ['a', 'b', 'x', 'c']);
  assert.deepEqual(ids(content(three, 'x', { before: 'c', after: 'a' }), 'content'), ['a', 'b', 'x', 'c']);
  assert.deepEqual(ids(content(three, 'a', { after: 'c' }), 'content'), ['b', 'c', 'a'], 'moving a rule');
  refused('M_UNKNOWN', 400, () => content(three, 'x', { before: 'nope' }));
  refused('M_UNKNOWN', 400, () => content(three, 'x', { after: 'nope' }));
  refused('M_UNKNOWN', 400, () =>
    addRule(DEFAULTS, 'override', 'x', { actions: [] }, { after: '.m.rule.suppress_notices' }),
  );
});

test('changing a rule keeps its place and whether it is enabled', () => {
  let ruleset = setEnabled(content(content(DEFAULTS, 'b'), 'a'), 'content', 'b', false);
  ruleset = addRule(ruleset, 'content', 'b', { pattern: 'beer', actions: [] });
  assert.deepEqual(ids(ruleset, 'content'), ['a', 'b']);
  assert.deepEqual(getRule(ruleset, 'content', 'b'), {
    rule_id: 'b',
    default: false,
    enabled: false,
    actions: [],
    pattern: 'beer',
  });
});

test('bad rule ids and bodies are refused', () => {
  for (const id of ['', '.mine', 'a/b', 'a\\b', 'x'.repeat(600)]) {
    refused('M_INVALID_PARAM', 400, () => content(DEFAULTS, id));
  }
  const put = (kind: keyof Ruleset, body: JsonObject) => () => addRule(DEFAULTS, kind, 'x', body);
  refused('M_MISSING_PARAM', 400, put('room', {}));
  refused('M_MISSING_PARAM', 400, put('content', { actions: [] }));
  refused('M_INVALID_PARAM', 400, put('content', { actions: [], pattern: 1 }));
  refused('M_INVALID_PARAM', 400, put('room', { actions: 'notify' }));
  refused('M_INVALID_PARAM', 400, put('room', { actions: ['explode'] }));
  refused('M_INVALID_PARAM', 400, put('room', { actions: [null] }));
  refused('M_INVALID_PARAM', 400, put('override', { actions: [], conditions: {} }));
  refused('M_INVALID_PARAM', 400, put('override', { actions: [], conditions: [{ key: 'x' }] }));
  refused('M_INVALID_PARAM', 400, put('override', { actions: Array(100).fill('notify') }));
});

test('the rules of a user are limited in number and size', () => {
  refused('M_TOO_LARGE', 413, () => addRule(DEFAULTS, 'content', 'x', { pattern: 'a'.repeat(20_000), actions: [] }));
  let ruleset = DEFAULTS;
  for (let i = 0; i < 3; i++) {
    ruleset = addRule(ruleset, 'content', `${i}`, { pattern: 'a'.repeat(10_240), actions: [] });
  }
  refused('M_TOO_LARGE', 413, () => addRule(ruleset, 'content', 'x', { pattern: 'a'.repeat(10_240), actions: [] }));
  const many = Array.from({ length: MAX_USER_RULES }, (_, i) => ({ rule_id: `r${i}`, actions: [] }));
  refused('M_INVALID_PARAM', 400, () => content(mergeStored(BOB, { global: { room: many } }), 'x'));
});

test('what is not there is not found, and predefined rules stay', () => {
  refused('M_NOT_FOUND', 404, () => getRule(DEFAULTS, 'content', 'x'));
  refused('M_NOT_FOUND', 404, () => deleteRule(DEFAULTS, 'content', 'x'));
  refused('M_NOT_FOUND', 404, () => deleteRule(DEFAULTS, 'override', '.m.rule.master'));
  refused('M_NOT_FOUND', 404, () => setEnabled(DEFAULTS, 'override', '.m.rule.nope', true));
  refused('M_NOT_FOUND', 404, () => setActions(DEFAULTS, 'content', '__proto__', []));
  assert.deepEqual(ids(deleteRule(content(DEFAULTS, 'a'), 'content', 'a'), 'content'), []);
});

test('rule ids and contents like __proto__ are data', () => {
  const ruleset = reloaded(content(content(DEFAULTS, '__proto__'), 'constructor'));
  assert.deepEqual(ids(ruleset, 'content'), ['constructor', '__proto__']);
  assert.equal(getRule(ruleset, 'content', '__proto__').pattern, '__proto__');
});

test('storing and merging gives the same rules', () => {
  let ruleset = content(content(DEFAULTS, 'a'), 'b');
  ruleset = addRule(ruleset, 'room', '!r:x', { actions: ['dont_notify'] });
  ruleset = addRule(ruleset, 'override', 'o', { actions: [], conditions: [{ kind: 'org.x', any: [1] }] });
  ruleset = setEnabled(ruleset, 'override', '.m.rule.master', true);
  ruleset = setActions(ruleset, 'underride', '.m.rule.message', []);
  assert.deepEqual(reloaded(ruleset), ruleset);
  assert.deepEqual(mergeStored(BOB, toContent(ruleset)), ruleset, 'the complete form too');
  assert.deepEqual(getRule(ruleset, 'room', '!r:x').actions, ['dont_notify'], 'shown as it was set');
});

test('only changes of predefined rules are stored, so that accounts get new defaults', () => {
  const changed = setEnabled(DEFAULTS, 'underride', '.m.rule.message', false);
  assert.deepEqual(toStored(BOB, changed), {
    global: {
      override: [],
      content: [],
      postcontent: [],
      room: [],
      sender: [],
      underride: [{ rule_id: '.m.rule.message', default: true, enabled: false }],
    },
  });
  assert.deepEqual(toStored(BOB, setEnabled(changed, 'underride', '.m.rule.message', true)), toStored(BOB, DEFAULTS));
});

test('nonsense in the store is left out, never thrown at', () => {
  const stored = {
    global: {
      override: [null, 1, 'x', [], {}, { rule_id: 'a' }, { rule_id: 'b', actions: [], conditions: [1] }],
      content: { x: 1 },
      room: [
        { rule_id: 'r', actions: [] },
        { rule_id: 'r', actions: ['notify'] },
      ],
      underride: [{ rule_id: '.m.rule.gone', actions: [] }],
    },
  };
  const merged = mergeStored(BOB, stored);
  assert.deepEqual(merged, { ...DEFAULTS, room: [{ rule_id: 'r', default: false, enabled: true, actions: [] }] });
  for (const odd of [undefined, {}, { global: [] }, { global: null }])
    assert.deepEqual(mergeStored(BOB, odd), DEFAULTS);
});

test('an upgraded room inherits the rules of the old one', () => {
  const [from, to] = ['!old:x' as RoomId, '!new' as RoomId];
  const mute = { kind: 'event_match', key: 'room_id', pattern: from };
  let ruleset = addRule(DEFAULTS, 'room', from, { actions: ['notify'] });
  ruleset = addRule(ruleset, 'override', from, { actions: [], conditions: [mute] });
  const copied = copyRoomRules(ruleset, from, to);
  assert.deepEqual(getRule(copied, 'room', to).actions, ['notify']);
  assert.deepEqual(getRule(copied, 'override', to).conditions, [{ ...mute, pattern: to }]);
  assert.deepEqual(getRule(copied, 'room', from), getRule(ruleset, 'room', from));
  assert.equal(copyRoomRules(DEFAULTS, from, to), DEFAULTS);
});
