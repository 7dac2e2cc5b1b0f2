import { MatrixError } from '#core/errors.js';
import type { RoomId } from '#core/ids.js';
import { isObject, type JsonObject, type JsonValue, own, ownString } from '#core/json-value.js';
import { MASTER_RULE } from '#core/push-rules/defaults.js';
import { type Action, type PushRule, RULE_KINDS, type RuleKind, type Ruleset } from '#core/push-rules/model.js';

/** Changes to a ruleset, as pure functions. All limits guard the evaluation, which runs for every event. */

/** Most rules of a user's own, over all kinds. */
export const MAX_USER_RULES = 2000;
/** Longest rule id, in UTF-16 units. */
const MAX_RULE_ID_LENGTH = 512;
/** Most conditions of a rule, and most actions. */
const MAX_PARTS = 50;
/** Longest rule as JSON, in UTF-16 units. */
const MAX_RULE_LENGTH = 16_384;
/** Longest patterns of all rules of the user's own together, in UTF-16 units. */
export const MAX_PATTERNS_LENGTH = 32_768;

const DOES_NOTHING = ['dont_notify', 'coalesce'];

function invalid(message: string): MatrixError {
  return new MatrixError('M_INVALID_PARAM', message);
}

function missing(name: string): MatrixError {
  return new MatrixError('M_MISSING_PARAM', `Missing '${name}'`);
}

/** Checks a list of actions. Throws M_INVALID_PARAM, M_MISSING_PARAM. */
export function parseActions(value: JsonValue | undefined): readonly Action[] {
  if (value === undefined) throw missing('actions');
  if (!Array.isArray(value)) throw invalid("'actions' must be an array");
  if (value.length > MAX_PARTS) throw invalid('Too many actions');
  return value.map((action: JsonValue): Action => {
    if (typeof action === 'string' && (action === 'notify' || DOES_NOTHING.includes(action))) return action;
    if (isObject(action) && ownString(action, 'set_tweak') !== undefined) return action;
    throw invalid('Unknown action');
  });
}

function parseConditions(value: JsonValue | undefined): readonly JsonObject[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw invalid("'conditions' must be an array");
  if (value.length > MAX_PARTS) throw invalid('Too many conditions');
  return value.map((condition: JsonValue): JsonObject => {
    if (isObject(condition) && ownString(condition, 'kind') !== undefined) return condition;
    throw invalid("A condition must be an object with a string 'kind'");
  });
}

function parseRule(kind: RuleKind, ruleId: string, body: JsonObject): PushRule {
  const rule = { rule_id: ruleId, default: false, enabled: true, actions: parseActions(own(body, 'actions')) };
  if (kind === 'content') {
    const pattern = own(body, 'pattern');
    if (pattern === undefined) throw missing('pattern');
    if (typeof pattern !== 'string') throw invalid("'pattern' must be a string");
    return { ...rule, pattern };
  }
  if (kind === 'room' || kind === 'sender') return rule;
  return { ...rule, conditions: parseConditions(own(body, 'conditions')) };
}

function checkNewRuleId(ruleId: string): void {
  if (ruleId === '') throw invalid('The rule id is empty');
  if (ruleId.length > MAX_RULE_ID_LENGTH) throw invalid('The rule id is too long');
  if (ruleId.startsWith('.')) throw invalid('Rule ids that start with a dot are reserved for predefined rules');
  if (ruleId.includes('/') || ruleId.includes('\\')) throw invalid('Rule ids hold no slashes or backslashes');
}

function patternsLength(rule: PushRule): number {
  let length = rule.pattern?.length ?? 0;
  for (const condition of rule.conditions ?? []) length += ownString(condition, 'pattern')?.length ?? 0;
  return length;
}

/** Which limit over all of the user's own rules is exceeded, if any. */
function excess(ruleset: Ruleset): MatrixError | undefined {
  const users = RULE_KINDS.flatMap((kind) => ruleset[kind].filter((rule) => !rule.default));
  if (users.length > MAX_USER_RULES) return invalid('Too many push rules');
  const patterns = users.reduce((sum, rule) => sum + patternsLength(rule), 0);
  return patterns > MAX_PATTERNS_LENGTH
    ? new MatrixError('M_TOO_LARGE', 'The patterns of all push rules are too long')
    : undefined;
}

function checkLimits(ruleset: Ruleset, rule: PushRule): void {
  if (JSON.stringify(rule).length > MAX_RULE_LENGTH) throw new MatrixError('M_TOO_LARGE', 'The rule is too large');
  const error = excess(ruleset);
  if (error !== undefined) throw error;
}

/** Where to put a rule relative to another of the user's own rules of its kind. `before` wins over `after`. */
export interface Placement {
  readonly before?: string | undefined;
  readonly after?: string | undefined;
}

function relativeIndex(rules: readonly PushRule[], place: Placement): number | undefined {
  const relativeTo = place.before ?? place.after;
  if (relativeTo === undefined) return undefined;
  const index = rules.findIndex((rule) => rule.rule_id === relativeTo && !rule.default);
  if (index < 0) {
    throw new MatrixError('M_UNKNOWN', `before/after rule not found: ${relativeTo}`, { status: 400 });
  }
  return place.before === undefined ? index + 1 : index;
}

/**
 * Adds a rule, or changes the rule of this id (PUT /pushrules/global/{kind}/{ruleId}). A new rule is enabled and, where
 * no place is given, the most important of the user's own; a changed one keeps its place and stays as enabled as it is.
 *
 * Throws M_INVALID_PARAM, M_MISSING_PARAM, M_TOO_LARGE, and M_UNKNOWN (400) where the rule to place it by isn't there.
 */
export function addRule(
  ruleset: Ruleset,
  kind: RuleKind,
  ruleId: string,
  body: JsonObject,
  place: Placement = {},
): Ruleset {
  if (kind === 'postcontent') throw invalid('Rules of this kind are predefined');
  checkNewRuleId(ruleId);
  const parsed = parseRule(kind, ruleId, body);
  const oldIndex = ruleset[kind].findIndex((rule) => rule.rule_id === ruleId);
  const rule = oldIndex < 0 ? parsed : { ...parsed, enabled: ruleset[kind][oldIndex]!.enabled };
  const others = ruleset[kind].filter((other) => other.rule_id !== ruleId);
  const top = others[0]?.rule_id === MASTER_RULE ? 1 : 0;
  const index = relativeIndex(others, place) ?? (oldIndex < 0 ? top : oldIndex);
  const changed = { ...ruleset, [kind]: others.toSpliced(index, 0, rule) };
  checkLimits(changed, rule);
  return changed;
}

function indexOf(ruleset: Ruleset, kind: RuleKind, ruleId: string): number {
  const index = ruleset[kind].findIndex((rule) => rule.rule_id === ruleId);
  if (index < 0) throw new MatrixError('M_NOT_FOUND', 'The push rule was not found.');
  return index;
}

/** The rule of this kind and id. Throws M_NOT_FOUND. */
export function getRule(ruleset: Ruleset, kind: RuleKind, ruleId: string): PushRule {
  return ruleset[kind][indexOf(ruleset, kind, ruleId)]!;
}

/** Removes one of the user's own rules. Throws M_NOT_FOUND, for a predefined rule too. */
export function deleteRule(ruleset: Ruleset, kind: RuleKind, ruleId: string): Ruleset {
  const index = indexOf(ruleset, kind, ruleId);
  if (ruleset[kind][index]!.default) throw new MatrixError('M_NOT_FOUND', 'Predefined push rules can not be removed.');
  return { ...ruleset, [kind]: ruleset[kind].toSpliced(index, 1) };
}

/** Enables or disables a rule, predefined ones too. Throws M_NOT_FOUND. */
export function setEnabled(ruleset: Ruleset, kind: RuleKind, ruleId: string, enabled: boolean): Ruleset {
  const index = indexOf(ruleset, kind, ruleId);
  return { ...ruleset, [kind]: ruleset[kind].with(index, { ...ruleset[kind][index]!, enabled }) };
}

/** Sets the actions of a rule, predefined ones too. Throws M_NOT_FOUND, M_INVALID_PARAM, M_MISSING_PARAM, M_TOO_LARGE. */
export function setActions(ruleset: Ruleset, kind: RuleKind, ruleId: string, actions: JsonValue | undefined): Ruleset {
  const index = indexOf(ruleset, kind, ruleId);
  const rule = { ...ruleset[kind][index]!, actions: parseActions(actions) };
  const changed = { ...ruleset, [kind]: ruleset[kind].with(index, rule) };
  checkLimits(changed, rule);
  return changed;
}

function namesRoom(rule: PushRule, room: RoomId): boolean {
  return (rule.conditions ?? []).some(
    (condition) => own(condition, 'key') === 'room_id' && own(condition, 'pattern') === room,
  );
}

/**
 * Gives the rules for a room to the room that replaces it (client-server API, Room Upgrades): its room rule, and the
 * override rule of its id by which clients mute a room. The same ruleset where there is nothing to copy or no place
 * left for it.
 */
export function copyRoomRules(ruleset: Ruleset, from: RoomId, to: RoomId): Ruleset {
  let copied = ruleset;
  for (const kind of ['room', 'override'] as const) {
    const rule = ruleset[kind].find((other) => other.rule_id === from && !other.default);
    const isThere = ruleset[kind].some((other) => other.rule_id === to);
    if (rule === undefined || isThere || (kind === 'override' && !namesRoom(rule, from))) continue;
    const conditions = rule.conditions?.map((condition) =>
      own(condition, 'key') === 'room_id' && own(condition, 'pattern') === from
        ? { ...condition, pattern: to }
        : condition,
    );
    const copy = { ...rule, rule_id: to, ...(conditions === undefined ? {} : { conditions }) };
    copied = { ...copied, [kind]: copied[kind].toSpliced(copied[kind].indexOf(rule), 0, copy) };
  }
  return excess(copied) === undefined ? copied : ruleset;
}
