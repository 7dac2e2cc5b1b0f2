import { MatrixError } from '#core/errors.js';
import { guestsCanJoin } from '#core/event/content.js';
import type { Pdu } from '#core/event/pdu.js';
import { type EventId, type RoomId, UserId } from '#core/ids.js';
import { type JsonObject, type JsonValue, own, ownString } from '#core/json-value.js';
import { appendDraft, sameJson } from '#rooms/append-local.js';
import { authorisingUser } from '#rooms/restricted-join.js';
import { findRoom, memberOf, notInRoom, type Room, type Rooms, storedStateAt } from '#rooms/rooms.js';
import { isHosted } from '#rooms/roster.js';
import { setMembership } from '#store/members.js';
import { type Member, memberships } from '#store/schema.js';
import type { Reader, Tx } from '#store/types.js';

/** Longest display name and avatar URI that a member event may carry, in UTF-16 units. */
const MAX_DISPLAYNAME = 256;
const MAX_AVATAR_URL = 1_000;

/**
 * What is asked for. `kick` and `unban` need a member and a banned user; `remove` is either of them, as a client says
 * it by setting the state itself.
 */
export type MembershipAction = 'join' | 'invite' | 'knock' | 'leave' | 'kick' | 'ban' | 'unban' | 'remove';

export interface MembershipRequest {
  readonly roomId: RoomId;
  readonly sender: UserId;
  /** Whose membership changes: the sender's own for join, knock and leave. */
  readonly target: UserId;
  readonly action: MembershipAction;
  readonly reason?: string;
  /** Further content of the event, where the client writes the state itself. */
  readonly content?: JsonObject;
  readonly isDirect?: boolean;
  /** The sender is a guest: may join only where the room lets guests in. */
  readonly guest?: boolean;
  /** `third_party_signed` of a join: accepts an invite that was made to an address (client-server API, join). */
  readonly thirdPartySigned?: JsonObject;
  /** `origin_server_ts` in milliseconds since the epoch; the clock where absent. */
  readonly ts?: number;
}

const RESULT = {
  join: 'join',
  invite: 'invite',
  knock: 'knock',
  leave: 'leave',
  kick: 'leave',
  remove: 'leave',
  ban: 'ban',
  unban: 'leave',
} as const satisfies Record<MembershipAction, Member['membership']>;

/**
 * Changes a membership (client-server API, Room membership) and gives the id of the member event once it is durable.
 * What stands already is not made again: the event that made it so is given.
 *
 * Errors: M_FORBIDDEN where the rules refuse, M_BAD_STATE for what the target's membership does not allow (inviting or
 * joining as one banned, unbanning one who isn't), M_NOT_FOUND joining or knocking on a room that is not held here,
 * M_GUEST_ACCESS_FORBIDDEN.
 */
export async function changeMembership(rooms: Rooms, request: MembershipRequest): Promise<EventId> {
  return rooms.store.commit((tx) => changeMembershipIn(rooms, tx, request));
}

/** As `changeMembership`, as a part of a larger transaction. */
export function changeMembershipIn(rooms: Rooms, tx: Tx, request: MembershipRequest): EventId {
  const { action, sender, target } = request;
  if (!UserId.is(target)) throw new MatrixError('M_INVALID_PARAM', 'Not a user id');
  const room = roomFor(tx, request);
  const current = storedStateAt(rooms, tx, room.head.state, 'm.room.member', target)?.pdu;
  const member = memberOf(tx, room, target);
  if (action === 'join' && request.content === undefined && member?.membership === 'join' && current !== undefined) {
    return current.event_id;
  }
  checkTransition(action, member?.membership);
  if (action === 'invite') checkInvitee(rooms, tx, room, request);
  if (action === 'leave' && member?.membership === 'invite') rooms.hooks.checkRejection(tx, target, room.head.id);
  if (action === 'join' && request.guest) checkGuest(rooms, tx, room);
  if (action === 'join' && request.thirdPartySigned !== undefined && member?.membership !== 'invite') {
    return joinByAddress(rooms, tx, room, request, request.thirdPartySigned);
  }
  const via = action === 'join' ? authorisingUser(rooms, tx, room, target, member?.membership) : undefined;
  const content = contentFor(rooms, tx, request, via);
  if (isSame(current, sender, content)) return current.event_id;
  return appendMember(rooms, tx, room, request, content);
}

/** A room that isn't here can't be told from one that the sender is not in, except where joining would be asked elsewhere. */
function roomFor(tx: Tx, request: MembershipRequest): Room {
  const room = findRoom(tx, request.roomId);
  const { action } = request;
  // Where nobody of this server is in it, what is held of the room is of the past.
  if (room === undefined || !isHosted(tx, room)) {
    if (action === 'join' || action === 'knock') {
      throw new MatrixError('M_NOT_FOUND', 'No server that is in this room is known');
    }
    if (room === undefined) throw notInRoom();
  }
  return room;
}

function checkTransition(action: MembershipAction, now: Member['membership'] | undefined): void {
  if (action === 'unban' && now !== 'ban') throw new MatrixError('M_BAD_STATE', 'The user is not banned');
  if (action === 'kick' && (now === undefined || now === 'leave' || now === 'ban')) {
    throw new MatrixError('M_FORBIDDEN', 'The user is not in the room');
  }
  if (now === 'ban' && (action === 'invite' || action === 'join' || action === 'knock')) {
    throw new MatrixError(action === 'invite' ? 'M_BAD_STATE' : 'M_FORBIDDEN', 'The user is banned from the room');
  }
}

function checkInvitee(rooms: Rooms, tx: Tx, room: Room, request: MembershipRequest): void {
  // Asked first, so that strangers can't learn who exists from the answer.
  if (memberOf(tx, room, request.sender)?.membership !== 'join') throw notInRoom();
  if (UserId.serverName(request.target) !== rooms.serverName) {
    throw new MatrixError('M_FORBIDDEN', 'This server does not federate: users of other servers can not be invited');
  }
  rooms.hooks.checkInvite(tx, request.sender, request.target, room.head.id);
}

function checkGuest(rooms: Rooms, tx: Tx, room: Room): void {
  const access = storedStateAt(rooms, tx, room.head.state, 'm.room.guest_access', '')?.pdu;
  if (!guestsCanJoin(access)) throw new MatrixError('M_GUEST_ACCESS_FORBIDDEN', 'Guests may not join this room');
}

function isSame(current: Pdu | undefined, sender: UserId, content: JsonObject): current is Pdu {
  return current !== undefined && current.sender === sender && sameJson(current.content, content);
}

function appendMember(rooms: Rooms, tx: Tx, room: Room, request: MembershipRequest, content: JsonObject): EventId {
  const draft = {
    type: 'm.room.member',
    state_key: request.target,
    sender: request.sender,
    content,
    ...(request.ts === undefined ? {} : { origin_server_ts: request.ts }),
  };
  return appendDraft(rooms, tx, room, draft).stored.pdu.event_id;
}

/** Content of the member event: what the client gave, the profile where it is the target's to show, and our own keys. */
function contentFor(rooms: Rooms, tx: Tx, request: MembershipRequest, via: UserId | undefined): JsonObject {
  const { action, target } = request;
  const content: Record<string, JsonValue | undefined> = { ...request.content, membership: RESULT[action] };
  // Only the server that lets the user in may say by whom, and it signs for that.
  delete content['join_authorised_via_users_server'];
  if (via !== undefined) content['join_authorised_via_users_server'] = via;
  if (request.reason !== undefined) content['reason'] = request.reason;
  if (request.isDirect) content['is_direct'] = true;
  checkText(content, 'displayname', MAX_DISPLAYNAME);
  checkText(content, 'avatar_url', MAX_AVATAR_URL);
  const shown = action === 'join' || action === 'invite' || action === 'knock';
  if (shown && UserId.serverName(target) === rooms.serverName) {
    const profile = rooms.hooks.profileOf(tx, target);
    if (!('displayname' in content) && profile.displayname !== undefined) content['displayname'] = profile.displayname;
    if (!('avatar_url' in content) && profile.avatar_url !== undefined) content['avatar_url'] = profile.avatar_url;
  }
  return content;
}

function checkText(content: JsonObject, key: string, limit: number): void {
  const value = own(content, key);
  if (value === undefined || value === null) return;
  if (typeof value !== 'string') throw new MatrixError('M_BAD_JSON', `'${key}' must be a string`);
  if (value.length > limit) throw new MatrixError('M_BAD_JSON', `'${key}' is too long`);
}

/**
 * A join with the proof that an invite to an address was meant for this user: the invite that the proof allows is made
 * in the name of the one who invited the address, and then accepted. The authorisation rules check the proof.
 */
function joinByAddress(rooms: Rooms, tx: Tx, room: Room, request: MembershipRequest, signed: JsonObject): EventId {
  const sender = UserId.parse(ownString(signed, 'sender'));
  const token = ownString(signed, 'token');
  if (sender === undefined || token === undefined || ownString(signed, 'mxid') !== request.target) {
    throw new MatrixError('M_INVALID_PARAM', "'third_party_signed' is not for this user");
  }
  if (UserId.serverName(sender) !== rooms.serverName) {
    throw new MatrixError('M_FORBIDDEN', 'The invite was made on another server');
  }
  const invite = storedStateAt(rooms, tx, room.head.state, 'm.room.third_party_invite', token)?.pdu;
  if (invite === undefined) throw new MatrixError('M_FORBIDDEN', 'There is no such invite');
  const { sender: _, ...proof } = signed;
  const content: JsonObject = {
    membership: 'invite',
    third_party_invite: { display_name: own(invite.content, 'display_name') ?? '', signed: proof },
  };
  appendMember(rooms, tx, room, { ...request, sender, action: 'invite' }, content);
  const { thirdPartySigned: __, ...join } = request;
  return changeMembershipIn(rooms, tx, join);
}

/**
 * Forgets a room (client-server API, forget): it is in no list of the user's any more and its history is closed to
 * them. M_UNKNOWN 400 while they are in the room or invited; M_FORBIDDEN where they never were.
 */
export async function forgetRoom(rooms: Rooms, user: UserId, roomId: RoomId): Promise<void> {
  await rooms.store.commit((tx) => {
    const room = findRoom(tx, roomId);
    const row = room && tx.get(memberships, [user, room.num]);
    if (room === undefined || row === undefined) throw notInRoom();
    if (row.membership !== 'leave' && row.membership !== 'ban') {
      throw new MatrixError('M_UNKNOWN', 'Leave the room before you forget it', { status: 400 });
    }
    if (row.forgotten) return;
    setMembership(tx, user, room.num, { ...row, forgotten: true });
    tx.fact(tx.position(), { kind: 'membership', room: room.num, user });
  });
}

/** The membership of a local user, forgotten rooms aside; undefined where there is none or the room is not known. */
export function membershipIn(
  reader: Reader,
  room: Room,
  user: UserId,
): { readonly membership: Member['membership']; readonly event: number } | undefined {
  const row = reader.get(memberships, [user, room.num]);
  return row === undefined || row.forgotten ? undefined : row;
}
