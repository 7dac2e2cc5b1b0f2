import type { UserId } from '#core/ids.js';
import { users as userRows } from '#store/schema.js';
import { purgeAccountData } from '#users/account-data.js';
import { deleteAllDevices } from '#users/devices.js';
import { purgeFilters } from '#users/filters.js';
import { purgeBackups } from '#users/keys/backup.js';
import { purgeCrossSigning } from '#users/keys/cross-signing.js';
import { purgeSignatures } from '#users/keys/signatures.js';
import { purgePresence } from '#users/presence.js';
import { purgeProfile } from '#users/profile.js';
import { purgeThreadSubscriptions } from '#users/thread-subscriptions.js';
import type { Users } from '#users/users.js';

/**
 * Deletes what is a deactivated account's alone: devices with their keys, cross-signing keys, key backups, data, filters,
 * presence, and its profile where it is erased.
 */
export async function purgeAccount(users: Users, user: UserId): Promise<void> {
  await deleteAllDevices(users, user);
  await purgeCrossSigning(users, user);
  await purgeSignatures(users, user);
  await purgeBackups(users, user);
  await purgeAccountData(users, user);
  await purgeFilters(users, user);
  await purgePresence(users, user);
  await purgeThreadSubscriptions(users, user);
  if (users.store.get(userRows, [user])?.erased) await purgeProfile(users, user);
}
