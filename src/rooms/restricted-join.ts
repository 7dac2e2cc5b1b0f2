import { type Level, powerLevels } from '#core/auth/power-levels.js';
import { MatrixError } from '#core/errors.js';
import { allowedRoomsOf, joinRuleOf } from '#core/event/content.js';
import { UserId } from '#core/ids.js';
import { ownObject } from '#core/json-value.js';
import { findRoom, memberOf, type Room, type Rooms, storedStateAt } from '#rooms/rooms.js';
import { localMembers } from '#rooms/roster.js';
import type { Member } from '#store/schema.js';
import type { Reader } from '#store/types.js';

/**
 * For a join that only a restricted room's conditions allow (client-server API, Restricted rooms): a local user who may
 * invite, in whose name this server lets `user` in. Undefined where the join needs none: the room is not restricted, or
 * the user is in it or invited. M_FORBIDDEN where no condition is met or no local user may invite.
 */
export function authorisingUser(
  rooms: Rooms,
  reader: Reader,
  room: Room,
  user: UserId,
  membership: Member['membership'] | undefined,
): UserId | undefined {
  if (membership === 'join' || membership === 'invite') return undefined;
  const rules = storedStateAt(rooms, reader, room.head.state, 'm.room.join_rules', '')?.pdu;
  const rule = joinRuleOf(rules);
  const restricted =
    (rule === 'restricted' && room.rules.restrictedJoin) || (rule === 'knock_restricted' && room.rules.knockRestricted);
  if (!restricted) return undefined;
  const met = allowedRoomsOf(rules).some((id) => {
    const allowed = findRoom(reader, id);
    return allowed !== undefined && memberOf(reader, allowed, user)?.membership === 'join';
  });
  if (!met) throw new MatrixError('M_FORBIDDEN', 'You are in none of the rooms that let one join this room');
  const found = localInviter(rooms, reader, room);
  if (found === undefined) throw new MatrixError('M_FORBIDDEN', 'No user of this server may invite to this room');
  return found;
}

/** A local member whose level reaches the invite level, those with a level of their own first. */
function localInviter(rooms: Rooms, reader: Reader, room: Room): UserId | undefined {
  const create = storedStateAt(rooms, reader, room.head.state, 'm.room.create', '')?.pdu;
  const event = storedStateAt(rooms, reader, room.head.state, 'm.room.power_levels', '')?.pdu;
  const levels = powerLevels(room.rules, create, event);
  const named = [
    ...levels.creators,
    ...(create === undefined ? [] : [create.sender]),
    ...Object.keys((event && ownObject(event.content, 'users')) ?? {}),
  ];
  let best: { user: UserId; level: Level } | undefined;
  for (const user of named) {
    if (!UserId.is(user) || UserId.serverName(user) !== rooms.serverName) continue;
    const level = levels.user(user);
    if (level < levels.invite || (best !== undefined && level <= best.level)) continue;
    if (memberOf(reader, room, user)?.membership === 'join') best = { user, level };
  }
  if (best !== undefined) return best.user;
  for (const user of localMembers(reader, room.num)) {
    if (UserId.is(user) && levels.user(user) >= levels.invite) return user;
  }
  return undefined;
}
