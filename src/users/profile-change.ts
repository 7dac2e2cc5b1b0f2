import type { UserId } from '#core/ids.js';
import type { JsonValue } from '#core/json-value.js';
import {
  checkFieldName,
  checkFieldValue,
  checkProfileSize,
  deleteField,
  findField,
  putField,
  readProfile,
} from '#users/profile.js';
import { runTask, startTask } from '#users/tasks.js';
import type { Users } from '#users/users.js';

/** How long an answer waits for the rooms to show a change, in milliseconds; the rest goes on behind it. */
const SHOW_WITHIN_MS = 5_000;

function isShown(field: string): boolean {
  return field === 'displayname' || field === 'avatar_url';
}

/**
 * Sets a field of the user's profile, or with `undefined` takes it away. A changed display name or avatar is shown in all
 * joined rooms: within the call where that takes less than five seconds, and after a crash at the next start.
 */
export async function changeProfile(
  users: Users,
  user: UserId,
  field: string,
  value: JsonValue | undefined,
): Promise<void> {
  checkFieldName(field);
  if (value !== undefined) {
    checkFieldValue(field, value);
    checkProfileSize(await readProfile(users, user), field, value);
  }
  const changed = await users.store.commit((tx) => {
    const before = findField(tx, user, field);
    if (JSON.stringify(before) === JSON.stringify(value)) return false;
    if (value === undefined) deleteField(tx, user, field);
    else putField(tx, user, field, value);
    if (isShown(field)) startTask(tx, users, user, 'profile');
    return true;
  });
  if (!changed || !isShown(field)) return;
  const enough = new AbortController();
  await Promise.race([runTask(users, user, 'profile'), users.clock.sleep(SHOW_WITHIN_MS, enough.signal)]);
  enough.abort();
}
