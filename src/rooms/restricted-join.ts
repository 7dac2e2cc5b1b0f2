import { type Level, powerLevels } from '#core/auth/power-levels.js';
import { MatrixError } from '#core/errors.js';
import { allowedRoomsOf, joinRuleOf } from '#core/event/content.js';
import { UserId } from '#core/ids.js';
import { ownObject } from '#core/json-value.js';
import { findRoom, memberOf, type Room, type Rooms, storedStateAt } from '#rooms/rooms.js';
import { isHosted, localMembers } from '#rooms/roster.js';
import type { Member } from '#store/schema.js';
import type { Reader } from '#store/types.js';

/**
 * How this server stands to a join that only a restricted room's conditions allow (client-server API, Restricted rooms):
 * `needless` the room is not restricted, or the user is in it or invited · `unmet` the user is in none of the rooms asked
 * for · `unknown` this server is in none of these rooms and can't tell · `noInviter` none of its users may invite ·
 * otherwise the local user in whose name it lets the user in.
 */
export type RestrictedJoin = 'needless' | 'unmet' | 'unknown' | 'noInviter' | { readonly by: UserId };

export function restrictedJoin(
  rooms: Rooms,
  reader: Reader,
  room: Room,
  user: UserId,
  membership: Member['membership'] | undefined,
): RestrictedJoin {
  if (membership === 'join' || membership === 'invite') return 'needless';
  const rules = storedStateAt(rooms, reader, room.head.state, 'm.room.join_rules', '')?.pdu;
  const rule = joinRuleOf(rules);
  const restricted =
    (rule === 'restricted' && room.rules.restrictedJoin) || (rule === 'knock_restricted' && room.rules.knockRestricted);
  if (!restricted) return 'needless';
  const asked = allowedRoomsOf(rules).flatMap((id) => findRoom(reader, id) ?? []);
  const known = asked.filter((allowed) => isHosted(reader, allowed));
  if (known.length === 0) return 'unknown';
  if (!known.some((allowed) => memberOf(reader, allowed, user)?.membership === 'join')) return 'unmet';
  const by = localInviter(rooms, reader, room);
  return by === undefined ? 'noInviter' : { by };
}

/** As `restrictedJoin`, for a user of this server; undefined where the join needs nobody. M_FORBIDDEN where it can't be. */
export function authorisingUser(
  rooms: Rooms,
  reader: Reader,
  room: Room,
  user: UserId,
  membership: Member['membership'] | undefined,
): UserId | undefined {
  const found = restrictedJoin(rooms, reader, room, user, membership);
  if (found === 'needless') return undefined;
  if (found === 'unmet' || found === 'unknown') {
    throw new MatrixError('M_FORBIDDEN', 'You are in none of the rooms that let one join this room');
  }
  if (found === 'noInviter') throw new MatrixError('M_FORBIDDEN', 'No user of this server may invite to this room');
  return found.by;
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
