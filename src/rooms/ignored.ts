import type { UserId } from '#core/ids.js';
import { isObject, own } from '#core/json-value.js';
import { accountData } from '#store/schema.js';
import type { Reader } from '#store/types.js';

/** Users whose messages and invites `viewer` does not want to see (client-server API, Ignoring users). */
export function ignoredBy(reader: Reader, viewer: UserId): ReadonlySet<string> {
  const stored = reader.get(accountData, [viewer, '', 'm.ignored_user_list']);
  const list = stored && own(stored.content, 'ignored_users');
  return new Set(isObject(list) ? Object.keys(list).filter((user) => user !== viewer) : []);
}

/** Whether `viewer` ignores `user`. */
export function ignores(reader: Reader, viewer: UserId, user: string): boolean {
  const stored = reader.get(accountData, [viewer, '', 'm.ignored_user_list']);
  const list = stored && own(stored.content, 'ignored_users');
  return viewer !== user && isObject(list) && own(list, user) !== undefined;
}
