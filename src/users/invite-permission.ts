import { MatrixError } from '#core/errors.js';
import { UserId } from '#core/ids.js';
import { type InviteVerdict, judgeInvite } from '#core/invite-permission.js';
import { ignoredBy } from '#rooms/ignored.js';
import type { Reader } from '#store/types.js';
import { findAccountData } from '#users/account-data.js';
import { isNoticesUser } from '#users/notices-user.js';

/** The configuration under its stable name and those that clients of the two proposals use. */
const TYPES = [
  'm.invite_permission_config',
  'org.matrix.msc4380.invite_permission_config',
  'org.matrix.msc4155.invite_permission_config',
];

/**
 * What a local user wants done with invites from `sender`, now: pending ones are judged anew each time they would be
 * shown or pushed (client-server API, Invite permission; Ignoring users; MSC4155).
 */
export function inviteVerdict(reader: Reader, user: UserId, sender: UserId): InviteVerdict {
  if (isNoticesUser(sender) && UserId.serverName(sender) === UserId.serverName(user)) return 'allow';
  let verdict: InviteVerdict = ignoredBy(reader, user).has(sender) ? 'ignore' : 'allow';
  if (verdict === 'ignore') return verdict;
  for (const type of TYPES) {
    const datum = findAccountData(reader, user, '', type);
    if (datum === undefined) continue;
    const found = judgeInvite(datum.content, sender);
    if (found === 'block') return found;
    if (found === 'ignore') verdict = found;
  }
  return verdict;
}

/** Throws M_INVITE_BLOCKED where the user refuses invites from `sender`; of ignored ones the sender learns nothing. */
export function checkInvitePermission(reader: Reader, user: UserId, sender: UserId): void {
  if (inviteVerdict(reader, user, sender) === 'block') {
    throw new MatrixError('M_INVITE_BLOCKED', 'This user does not accept your invites');
  }
}
