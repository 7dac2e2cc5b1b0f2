import { MatrixError } from '#core/errors.js';
import type { EventId, RoomId, UserId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { createRoomIn } from '#rooms/create.js';
import { changeMembershipIn } from '#rooms/membership.js';
import { findRoom, memberOf, type Rooms } from '#rooms/rooms.js';
import { sendEventIn } from '#rooms/send.js';
import { serverNoticeRooms } from '#store/schema.js';
import type { Reader, Tx } from '#store/types.js';
import { putAccountData } from '#users/account-data.js';
import { createAccount, findUser, isLocal } from '#users/accounts.js';
import { noticesUser } from '#users/notices-user.js';
import type { Users } from '#users/users.js';

const DISPLAY_NAME = 'Server Notices';

/** A notice from an administrator to a user of this server. */
export interface ServerNotice {
  readonly user: UserId;
  readonly type: string;
  readonly stateKey?: string;
  readonly content: JsonObject;
  /** Who sends it, and by which transaction: a repeated one makes no second notice. */
  readonly txn?: { readonly admin: UserId; readonly id: string };
}

/**
 * Sends a notice in the name of the server (client-server API, Server Notices) and gives the event's id: into the user's
 * notices room, which is made with the first notice, and to which they are invited anew where they left it.
 *
 * M_INVALID_PARAM for a user of another server, M_NOT_FOUND for an unknown or deactivated one; what `sendEvent` throws.
 */
export async function sendServerNotice(rooms: Rooms, users: Users, notice: ServerNotice): Promise<EventId> {
  const { user, txn } = notice;
  if (!isLocal(users, user)) throw new MatrixError('M_INVALID_PARAM', 'Notices go to users of this server only');
  return rooms.store.commit((tx) => {
    const account = findUser(tx, user);
    if (account === undefined || account.deactivated) throw new MatrixError('M_NOT_FOUND', 'No such user');
    const sender = noticesUser(users.serverName);
    if (findUser(tx, sender) === undefined) createAccount(tx, users, { user: sender, displayname: DISPLAY_NAME });
    const roomId = noticesRoom(rooms, tx, sender, user);
    return sendEventIn(rooms, tx, {
      roomId,
      sender,
      type: notice.type,
      content: notice.content,
      ...(notice.stateKey !== undefined && { stateKey: notice.stateKey }),
      ...(txn !== undefined && { txn: { path: `server_notice/${txn.admin}`, id: txn.id } }),
    });
  });
}

/** The user's notices room with the user in it or invited to it. */
function noticesRoom(rooms: Rooms, tx: Tx, sender: UserId, user: UserId): RoomId {
  const known = tx.get(serverNoticeRooms, [user]);
  const room = known === undefined ? undefined : findRoom(tx, known);
  const isUsable = room !== undefined && memberOf(tx, room, sender)?.membership === 'join';
  const roomId = isUsable ? room.head.id : makeRoom(rooms, tx, sender, user);
  const membership = isUsable ? memberOf(tx, room, user)?.membership : undefined;
  if (membership !== 'join' && membership !== 'invite') {
    changeMembershipIn(rooms, tx, { roomId, sender, target: user, action: 'invite' });
    putAccountData(tx, user, roomId, 'm.tag', { tags: { 'm.server_notice': {} } });
  }
  return roomId;
}

function makeRoom(rooms: Rooms, tx: Tx, sender: UserId, user: UserId): RoomId {
  const body = {
    preset: 'private_chat',
    name: DISPLAY_NAME,
    // The user reads here and says nothing.
    power_level_content_override: { users_default: -10 },
  } as const;
  const roomId = createRoomIn(rooms, tx, { creator: sender, body });
  tx.put(serverNoticeRooms, [user], roomId);
  return roomId;
}

/**
 * Throws M_CANNOT_LEAVE_SERVER_NOTICE_ROOM where a user rejects the invite to their notices room. Once joined they may
 * leave, and accounts that are deactivated leave everything.
 */
export function checkRejection(reader: Reader, user: UserId, room: RoomId): void {
  if (reader.get(serverNoticeRooms, [user]) !== room || findUser(reader, user)?.deactivated) return;
  throw new MatrixError(
    'M_CANNOT_LEAVE_SERVER_NOTICE_ROOM',
    'The invite to the notices of the server can not be rejected',
  );
}
