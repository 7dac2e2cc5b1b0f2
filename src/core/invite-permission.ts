import { foldAscii } from '#core/case-fold.js';
import { compileGlob, hasWildcards } from '#core/glob.js';
import { UserId } from '#core/ids.js';
import { type JsonObject, own } from '#core/json-value.js';

/** What becomes of an invite: it is taken, hidden from the invited user with no word to the inviter, or refused. */
export type InviteVerdict = 'allow' | 'ignore' | 'block';

/** The lists of MSC4155 in the order in which they decide. */
const LISTS = [
  ['allowed_users', 'allow'],
  ['ignored_users', 'ignore'],
  ['blocked_users', 'block'],
  ['allowed_servers', 'allow'],
  ['ignored_servers', 'ignore'],
  ['blocked_servers', 'block'],
] as const satisfies readonly (readonly [string, InviteVerdict])[];
/** Globs with wildcards that are looked at in one configuration: each costs more than a comparison. */
const MAX_WILDCARDS = 2_000;

/**
 * What the content of m.invite_permission_config says of an invite from `sender`: the lists of MSC4155, the first that
 * matches, and otherwise `default_action` (client-server API, Invite permission). A configuration with a list that is
 * none of strings says nothing.
 */
export function judgeInvite(content: JsonObject, sender: UserId): InviteVerdict {
  const lists: (readonly [list: readonly string[], ofUsers: boolean, verdict: InviteVerdict])[] = [];
  for (const [key, verdict] of LISTS) {
    const list = own(content, key) ?? [];
    if (!Array.isArray(list) || !list.every((entry) => typeof entry === 'string')) return 'allow';
    lists.push([list as readonly string[], key.endsWith('users'), verdict]);
  }
  if (own(content, 'enabled') === false) return 'allow';
  const host = foldAscii(UserId.serverName(sender).replace(/:\d+$/, ''));
  let wildcards = 0;
  const matches = (pattern: string, text: string): boolean => {
    if (!hasWildcards(pattern)) return pattern === text;
    return wildcards++ < MAX_WILDCARDS && compileGlob(pattern, { fold: 'none' }).matchesFolded(text);
  };
  for (const [list, ofUsers, verdict] of lists) {
    const found = list.some((pattern) => (ofUsers ? matches(pattern, sender) : matches(foldAscii(pattern), host)));
    if (found) return verdict;
  }
  return own(content, 'default_action') === 'block' ? 'block' : 'allow';
}
