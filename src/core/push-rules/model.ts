import type { JsonObject } from '#core/json-value.js';

/**
 * The kinds of push rules in the order in which they are tried (client-server API, Push Rules). `postcontent` has
 * predefined rules only (MSC4306).
 */
export const RULE_KINDS = ['override', 'content', 'postcontent', 'room', 'sender', 'underride'] as const;
export type RuleKind = (typeof RULE_KINDS)[number];

/** `notify`, or a tweak such as `{"set_tweak": "sound", "value": "default"}`; `dont_notify` and `coalesce` do nothing. */
export type Action = string | JsonObject;

/** A push rule as it travels. */
export interface PushRule {
  readonly rule_id: string;
  /** Whether it is one of the server's predefined rules. */
  readonly default: boolean;
  readonly enabled: boolean;
  readonly actions: readonly Action[];
  /** Only on override, postcontent and underride rules. */
  readonly conditions?: readonly JsonObject[];
  /** Only on content rules. */
  readonly pattern?: string;
}

/**
 * All rules of one user, each kind from the most to the least important: the value of `global` in m.push_rules. The
 * predefined rules are always among them.
 */
export type Ruleset = { readonly [K in RuleKind]: readonly PushRule[] };

/** What to do with an event for one user. */
export interface PushResult {
  readonly notify: boolean;
  /** Only ever true where `notify` is. */
  readonly highlight: boolean;
  /** The actions of the rule that matched, without those that do nothing; tweaks go to the push gateway as they are. */
  readonly actions: readonly Action[];
  /** Undefined where no rule matched. */
  readonly ruleId: string | undefined;
}
