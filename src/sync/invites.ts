import { UserId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { strippedWithoutErased } from '#rooms/erasure.js';
import type { Rooms } from '#rooms/rooms.js';
import type { Membership, RoomHead } from '#store/schema.js';
import type { Reader } from '#store/types.js';
import { inviteVerdict } from '#users/invite-permission.js';

/** Whether the user does not want to hear of this invite: from one they ignore, block or filter out (MSC4155, MSC4380). */
export function isUnwantedInvite(reader: Reader, user: UserId, membership: Membership): boolean {
  const invite = membership.stripped?.find((event) => event['type'] === 'm.room.member' && event['state_key'] === user);
  const sender = UserId.parse(invite?.['sender']);
  return sender !== undefined && inviteVerdict(reader, user, sender) !== 'allow';
}

/** What an invited or knocking user is shown of the room: the state that was kept for them then. */
export function shownStripped({ store }: Rooms, head: RoomHead, { stripped = [] }: Membership): JsonObject[] {
  return stripped.map((event) => strippedWithoutErased(store, head.version, event));
}
