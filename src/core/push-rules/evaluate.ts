import { isObject, own } from '#core/json-value.js';
import {
  type Condition,
  compileCondition,
  eventMatch,
  nameMatcher,
  type PushRoom,
  type PushUser,
  usesDisplayName,
} from '#core/push-rules/conditions.js';
import { MENTIONS_BY_NAME } from '#core/push-rules/defaults.js';
import { PreparedEvent, type PushEvent } from '#core/push-rules/event.js';
import type { Action, PushResult, PushRule, Ruleset } from '#core/push-rules/model.js';
import { Lru } from '#util/lru.js';

/** How many compiled rules are shared. */
const SHARED_RULES = 500;

interface CompiledRule {
  readonly conditions: readonly Condition[];
  readonly result: PushResult;
}

/** A ruleset ready for evaluation: disabled rules are gone, globs compiled, rooms and senders indexed. */
export interface CompiledRules {
  readonly before: readonly CompiledRule[];
  readonly rooms: ReadonlyMap<string, CompiledRule>;
  readonly senders: ReadonlyMap<string, CompiledRule>;
  readonly after: readonly CompiledRule[];
  /** Whether any rule looks at the display name: only then does `evaluate` need one. */
  readonly usesDisplayName: boolean;
}

const NOTHING: PushResult = Object.freeze({
  notify: false,
  highlight: false,
  actions: Object.freeze([]),
  ruleId: undefined,
});

function resultOf(rule: PushRule): PushResult {
  const actions = rule.actions.filter((action: Action) => action === 'notify' || isObject(action));
  const notify = actions.includes('notify');
  const highlights = (action: Action): boolean =>
    isObject(action) && own(action, 'set_tweak') === 'highlight' && (own(action, 'value') ?? true) === true;
  return { notify, highlight: notify && actions.some(highlights), actions, ruleId: rule.rule_id };
}

/** Compiled rules, by their text: users have nearly all of them in common, and a thousand users' own took 8 MB. */
const compiled = new Lru<string, CompiledRule>(SHARED_RULES);

/** Events that say themselves whom they mention are not searched for names. */
const withoutMentions: Condition = ({ event }) => !Object.hasOwn(event.content, 'm.mentions');

function compileRule(rule: PushRule): CompiledRule {
  const text = JSON.stringify(rule);
  let known = compiled.get(text);
  if (known === undefined) {
    known = compileAnew(rule);
    compiled.set(text, known);
  }
  return known;
}

function compileAnew(rule: PushRule): CompiledRule {
  const conditions =
    rule.pattern === undefined
      ? (rule.conditions ?? []).map(compileCondition)
      : [eventMatch('content.body', rule.pattern)];
  if (MENTIONS_BY_NAME.has(rule.rule_id)) conditions.unshift(withoutMentions);
  return { conditions, result: resultOf(rule) };
}

/** Compiles a ruleset; keep the outcome for as long as the user's rules don't change. Never throws. */
export function compileRuleset(ruleset: Ruleset): CompiledRules {
  const enabled = (rules: readonly PushRule[]): PushRule[] => rules.filter((rule) => rule.enabled);
  const compile = (rules: readonly PushRule[]): CompiledRule[] => enabled(rules).map(compileRule);
  const index = (rules: readonly PushRule[]): Map<string, CompiledRule> =>
    new Map(enabled(rules).map((rule) => [rule.rule_id, compileRule(rule)]));
  return {
    before: [...compile(ruleset.override), ...compile(ruleset.content), ...compile(ruleset.postcontent)],
    rooms: index(ruleset.room),
    senders: index(ruleset.sender),
    after: compile(ruleset.underride),
    usesDisplayName: enabled([...ruleset.override, ...ruleset.underride]).some((rule) =>
      rule.conditions?.some(usesDisplayName),
    ),
  };
}

/** Prepares an event for `evaluate`: once per event, whatever the number of users. */
export function prepareEvent(event: PushEvent): PreparedEvent {
  return new PreparedEvent(event);
}

function matches(rule: CompiledRule, event: PreparedEvent, room: PushRoom, user: PushUser): boolean {
  for (const condition of rule.conditions) if (!condition(event, room, user)) return false;
  return true;
}

/**
 * What to do with an event for one user: the actions of the first rule that matches. The caller leaves out the sender
 * of the event, who is never notified, and events that were rejected or soft-failed.
 *
 * `displayName` is the user's in the room; it is looked at only where `rules.usesDisplayName`. `subscribed` says whether
 * the user is subscribed to the thread that the event is in, and is undefined where that has no bearing.
 */
export function evaluate(
  rules: CompiledRules,
  event: PreparedEvent,
  room: PushRoom,
  displayName?: string | undefined,
  subscribed?: boolean | undefined,
): PushResult {
  const user: PushUser = { name: rules.usesDisplayName ? nameMatcher(displayName) : undefined, subscribed };
  for (const rule of rules.before) if (matches(rule, event, room, user)) return rule.result;
  const byPlace = rules.rooms.get(event.event.room_id) ?? rules.senders.get(event.event.sender);
  if (byPlace !== undefined) return byPlace.result;
  for (const rule of rules.after) if (matches(rule, event, room, user)) return rule.result;
  return NOTHING;
}
