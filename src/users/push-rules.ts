import type { UserId } from '#core/ids.js';
import type { Ruleset } from '#core/push-rules/model.js';
import { mergeStored, toStored } from '#core/push-rules/stored.js';
import type { Reader, Tx } from '#store/types.js';
import { findAccountData, putAccountData } from '#users/account-data.js';
import type { Users } from '#users/users.js';

/** The user's push rules: the predefined ones with the user's own and the user's changes. */
export function ruleset(reader: Reader, user: UserId): Ruleset {
  return mergeStored(user, findAccountData(reader, user, '', 'm.push_rules')?.content);
}

/** Keeps changed push rules, so that syncs tell of them. */
export function putRuleset(tx: Tx, user: UserId, rules: Ruleset): void {
  putAccountData(tx, user, '', 'm.push_rules', toStored(user, rules));
}

/** Changes the user's push rules by one of core/push-rules/edit.ts; rejects with what `change` throws. */
export async function changeRuleset(users: Users, user: UserId, change: (rules: Ruleset) => Ruleset): Promise<void> {
  await users.store.commit((tx) => putRuleset(tx, user, change(ruleset(tx, user))));
}
