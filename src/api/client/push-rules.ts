import type { App } from '#api/app.js';
import { MatrixError } from '#core/errors.js';
import type { UserId } from '#core/ids.js';
import type { JsonValue } from '#core/json-value.js';
import { addRule, deleteRule, getRule, setActions, setEnabled } from '#core/push-rules/edit.js';
import { RULE_KINDS, type RuleKind, type Ruleset } from '#core/push-rules/model.js';
import { toContent } from '#core/push-rules/stored.js';
import { any, anyObject, boolean, object, optional, string } from '#core/schema.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import { changeRuleset, ruleset } from '#users/push-rules.js';

const ofRule = object({ kind: string(), ruleId: string() });
const rulePath = '/_matrix/client/v3/pushrules/global/{kind}/{ruleId}';

function kindOf(kind: string): RuleKind {
  const known = RULE_KINDS.find((one) => one === kind);
  if (known === undefined) throw new MatrixError('M_INVALID_PARAM', `Push rules have no kind '${kind}'`);
  return known;
}

async function change({ users }: App, user: UserId, edit: (rules: Ruleset) => Ruleset): Promise<object> {
  await changeRuleset(users, user, edit);
  return {};
}

/** What notifies a user (client-server API, Push rules API). */
export const pushRuleEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'getPushRules',
    method: 'GET',
    path: '/_matrix/client/v3/pushrules/',
    aliases: ['/_matrix/client/v3/pushrules', '/_matrix/client/r0/pushrules'],
    caller: 'user',
    limit: 'read',
    async handle({ users }: App, { caller }) {
      return toContent(ruleset(users.store, caller.user));
    },
  }),
  endpoint({
    id: 'getPushRulesGlobal',
    method: 'GET',
    path: '/_matrix/client/v3/pushrules/global/',
    aliases: ['/_matrix/client/v3/pushrules/global', '/_matrix/client/r0/pushrules/global'],
    caller: 'user',
    limit: 'read',
    async handle({ users }: App, { caller }) {
      return ruleset(users.store, caller.user);
    },
  }),
  endpoint({
    id: 'getPushRule',
    method: 'GET',
    path: rulePath,
    caller: 'user',
    limit: 'read',
    params: () => ofRule,
    async handle({ users }: App, { caller, params }) {
      return getRule(ruleset(users.store, caller.user), kindOf(params.kind), params.ruleId);
    },
  }),
  endpoint({
    id: 'setPushRule',
    method: 'PUT',
    path: rulePath,
    caller: 'user',
    limit: 'account',
    params: () => ofRule,
    query: () => object({ before: optional(string()), after: optional(string()) }),
    body: () => anyObject,
    async handle(app: App, { caller, params, query, body }) {
      return change(app, caller.user, (rules) => addRule(rules, kindOf(params.kind), params.ruleId, body, query));
    },
  }),
  endpoint({
    id: 'deletePushRule',
    method: 'DELETE',
    path: rulePath,
    caller: 'user',
    limit: 'account',
    params: () => ofRule,
    async handle(app: App, { caller, params }) {
      return change(app, caller.user, (rules) => deleteRule(rules, kindOf(params.kind), params.ruleId));
    },
  }),
  endpoint({
    id: 'isPushRuleEnabled',
    method: 'GET',
    path: `${rulePath}/enabled`,
    caller: 'user',
    limit: 'read',
    params: () => ofRule,
    async handle({ users }: App, { caller, params }) {
      return { enabled: getRule(ruleset(users.store, caller.user), kindOf(params.kind), params.ruleId).enabled };
    },
  }),
  endpoint({
    id: 'setPushRuleEnabled',
    method: 'PUT',
    path: `${rulePath}/enabled`,
    caller: 'user',
    limit: 'account',
    params: () => ofRule,
    body: () => object({ enabled: boolean }),
    async handle(app: App, { caller, params, body }) {
      return change(app, caller.user, (rules) => setEnabled(rules, kindOf(params.kind), params.ruleId, body.enabled));
    },
  }),
  endpoint({
    id: 'getPushRuleActions',
    method: 'GET',
    path: `${rulePath}/actions`,
    caller: 'user',
    limit: 'read',
    params: () => ofRule,
    async handle({ users }: App, { caller, params }) {
      return { actions: getRule(ruleset(users.store, caller.user), kindOf(params.kind), params.ruleId).actions };
    },
  }),
  endpoint({
    id: 'setPushRuleActions',
    method: 'PUT',
    path: `${rulePath}/actions`,
    caller: 'user',
    limit: 'account',
    params: () => ofRule,
    body: () => object({ actions: optional(any) }),
    async handle(app: App, { caller, params, body }) {
      const actions: JsonValue | undefined = body.actions;
      return change(app, caller.user, (rules) => setActions(rules, kindOf(params.kind), params.ruleId, actions));
    },
  }),
];
