import type { UserId } from '#core/ids.js';
import { isObject, type JsonObject, type JsonValue, own, ownObject } from '#core/json-value.js';
import { defaultRuleset, MASTER_RULE } from '#core/push-rules/defaults.js';
import { type Action, type PushRule, RULE_KINDS, type RuleKind, type Ruleset } from '#core/push-rules/model.js';

/**
 * What is kept of a user's push rules: the content of m.push_rules with the user's own rules in full and, of the
 * predefined ones, only what the user changed. So new and corrected predefined rules reach accounts that are there already.
 */

function actionsOf(value: JsonValue | undefined): readonly Action[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.filter((action): action is Action => typeof action === 'string' || isObject(action));
}

function booleanOf(value: JsonValue | undefined): boolean | undefined {
  return typeof value === 'boolean' ? value : undefined;
}

/** A rule of the user's own, or undefined where it makes no sense. */
function userRule(kind: RuleKind, stored: JsonObject): PushRule | undefined {
  if (kind === 'postcontent') return undefined;
  const ruleId = own(stored, 'rule_id');
  const actions = actionsOf(own(stored, 'actions'));
  if (typeof ruleId !== 'string' || ruleId.startsWith('.') || actions === undefined) return undefined;
  const rule = { rule_id: ruleId, default: false, enabled: booleanOf(own(stored, 'enabled')) ?? true, actions };
  if (kind === 'content') {
    const pattern = own(stored, 'pattern');
    return typeof pattern === 'string' ? { ...rule, pattern } : undefined;
  }
  if (kind === 'room' || kind === 'sender') return rule;
  const conditions = own(stored, 'conditions') ?? [];
  // A rule that lost a condition would match more than its owner asked for.
  if (!Array.isArray(conditions) || !conditions.every(isObject)) return undefined;
  return { ...rule, conditions };
}

function mergeKind(kind: RuleKind, defaults: readonly PushRule[], stored: JsonValue | undefined): PushRule[] {
  const users = new Map<string, PushRule>();
  const changes = new Map<string, JsonObject>();
  for (const entry of Array.isArray(stored) ? stored : []) {
    if (!isObject(entry)) continue;
    const rule = userRule(kind, entry);
    const id = own(entry, 'rule_id');
    if (rule !== undefined && !users.has(rule.rule_id)) users.set(rule.rule_id, rule);
    else if (typeof id === 'string') changes.set(id, entry);
  }
  const predefined = defaults.map((rule) => {
    const change = changes.get(rule.rule_id);
    if (change === undefined) return rule;
    return {
      ...rule,
      enabled: booleanOf(own(change, 'enabled')) ?? rule.enabled,
      actions: actionsOf(own(change, 'actions')) ?? rule.actions,
    };
  });
  const first = predefined.filter((rule) => rule.rule_id === MASTER_RULE);
  return [...first, ...users.values(), ...predefined.filter((rule) => rule.rule_id !== MASTER_RULE)];
}

/**
 * The user's rules: the predefined ones, with what `stored` changes and adds. `stored` is the content of m.push_rules
 * as `toStored` made it, or a complete one. Never throws; entries that make no sense are left out.
 */
export function mergeStored(user: UserId, stored: JsonObject | undefined): Ruleset {
  const defaults = defaultRuleset(user);
  const global = stored === undefined ? undefined : ownObject(stored, 'global');
  const merge = (kind: RuleKind): PushRule[] =>
    mergeKind(kind, defaults[kind], global === undefined ? undefined : own(global, kind));
  return {
    override: merge('override'),
    content: merge('content'),
    postcontent: merge('postcontent'),
    room: merge('room'),
    sender: merge('sender'),
    underride: merge('underride'),
  };
}

/** The content to store for a ruleset: see the top of this file. */
export function toStored(user: UserId, ruleset: Ruleset): JsonObject {
  const defaults = defaultRuleset(user);
  const kinds = RULE_KINDS.map((kind): [RuleKind, JsonObject[]] => {
    const rules: JsonObject[] = [];
    for (const rule of ruleset[kind]) {
      const original = rule.default ? defaults[kind].find((other) => other.rule_id === rule.rule_id) : undefined;
      if (original === undefined) {
        rules.push({ ...rule });
        continue;
      }
      const changed = {
        ...(rule.enabled === original.enabled ? {} : { enabled: rule.enabled }),
        ...(JSON.stringify(rule.actions) === JSON.stringify(original.actions) ? {} : { actions: rule.actions }),
      };
      if (Object.keys(changed).length > 0) rules.push({ rule_id: rule.rule_id, default: true, ...changed });
    }
    return [kind, rules];
  });
  return { global: Object.fromEntries(kinds) };
}

/** The content of m.push_rules as clients see it. */
export function toContent(ruleset: Ruleset): JsonObject {
  return { global: Object.fromEntries(RULE_KINDS.map((kind) => [kind, ruleset[kind].map((rule) => ({ ...rule }))])) };
}
