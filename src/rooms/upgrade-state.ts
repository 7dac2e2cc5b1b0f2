import { powerLevels } from '#core/auth/power-levels.js';
import { MatrixError } from '#core/errors.js';
import { isFederated, joinRuleOf, privilegedCreatorsOf, roomTypeOf } from '#core/event/content.js';
import { RoomId, type UserId } from '#core/ids.js';
import { type JsonObject, type JsonValue, own, ownString } from '#core/json-value.js';
import type { RoomRules } from '#core/room-versions.js';
import { checkContent } from '#rooms/check-content.js';
import type { InitialState } from '#rooms/create.js';
import { shownTo } from '#rooms/erasure.js';
import { memberOf, type Room, type Rooms, storedStateAt } from '#rooms/rooms.js';
import { type UpgradedLevels, upgradedLevels } from '#rooms/upgrade-levels.js';
import { members } from '#store/schema.js';
import type { Reader, Tx } from '#store/types.js';

/** State entries looked at between two turns of the event loop. */
const SLICE = 2_000;

/** Carried over as it is (client-server API, Room upgrades), besides what has a default that would differ. */
const CARRIED = ['m.room.server_acl', 'm.room.encryption', 'm.room.name', 'm.room.avatar', 'm.room.topic'] as const;

/** A piece of state for the new room. */
export interface StateDraft {
  readonly type: string;
  readonly state_key: string;
  readonly content: JsonObject;
}

/** Keys of the old room's state that only a walk over all of it, or over its members, finds. */
export interface Found {
  readonly banned: readonly string[];
  readonly parents: readonly RoomId[];
  readonly children: readonly RoomId[];
}

/** Walks over the old room for what is carried over by state key. */
export async function findCarried(rooms: Rooms, old: Room): Promise<Found> {
  const banned: string[] = [];
  for await (const [[, user], member] of rooms.store.range(members, { prefix: [old.num] })) {
    if (member.membership === 'ban') banned.push(user);
  }
  const parents: RoomId[] = [];
  const children: RoomId[] = [];
  let read = 0;
  for (const [type, stateKey] of rooms.trees.entries(rooms.store, old.head.state)) {
    if (++read % SLICE === 0) await new Promise<void>((next) => setImmediate(next));
    if (!RoomId.is(stateKey)) continue;
    if (type === 'm.space.parent') parents.push(stateKey);
    if (type === 'm.space.child') children.push(stateKey);
  }
  return { banned, parents, children };
}

/** The content of a piece of current state, as anyone may be shown it. */
export function contentOf(
  rooms: Rooms,
  reader: Reader,
  room: Room,
  type: string,
  stateKey = '',
): JsonObject | undefined {
  const stored = storedStateAt(rooms, reader, room.head.state, type, stateKey);
  return stored && shownTo(rooms, reader, stored, undefined).content;
}

/** What m.room.create of the new room says beyond its version. */
export function creationContent(
  rooms: Rooms,
  reader: Reader,
  old: Room,
  rules: RoomRules,
  additionalCreators: readonly UserId[],
): JsonObject {
  const create = storedStateAt(rooms, reader, old.head.state, 'm.room.create', '')?.pdu;
  const type = create && roomTypeOf(create);
  // From version 12 on the new room's id rests on this event, which therefore can't name an event that names the room.
  const last = rules.roomIdIsHash ? undefined : old.head.extremities[0];
  return {
    predecessor: { room_id: old.head.id, ...(last === undefined ? {} : { event_id: last }) },
    ...(type === undefined ? {} : { type }),
    ...(create !== undefined && !isFederated(create) ? { 'm.federate': false } : {}),
    // Older versions have no such creators, and an upgrade to them passes the list over.
    ...(rules.privilegedCreators && additionalCreators.length > 0 ? { additional_creators: additionalCreators } : {}),
  };
}

/** State that the new room begins with, its power levels first. */
export function initialState(
  rooms: Rooms,
  tx: Tx,
  old: Room,
  rules: RoomRules,
  levels: UpgradedLevels | undefined,
): InitialState[] {
  const drafts: InitialState[] = [];
  const add = (type: string, content: JsonObject): void => void drafts.push({ type, state_key: '', content });
  const get = (type: string): JsonObject | undefined => contentOf(rooms, tx, old, type);
  if (levels !== undefined) add('m.room.power_levels', levels.first);
  // A new room's defaults for these are not what their absence means in the old one.
  add('m.room.join_rules', joinRules(get('m.room.join_rules'), rules));
  add('m.room.history_visibility', get('m.room.history_visibility') ?? { history_visibility: 'shared' });
  add('m.room.guest_access', get('m.room.guest_access') ?? { guest_access: 'forbidden' });
  for (const type of CARRIED) {
    const content = get(type);
    if (content !== undefined && isSound(rooms, tx, old, type, content)) add(type, content);
  }
  return drafts;
}

/** Redacted and malformed state is not worth carrying over, and must not be what an upgrade fails on. */
function isSound(rooms: Rooms, tx: Tx, old: Room, type: string, content: JsonObject): boolean {
  if (Object.keys(content).length === 0) return false;
  try {
    checkContent(rooms, tx, old, { type, sender: '', stateKey: '', content });
    return true;
  } catch (error) {
    if (error instanceof MatrixError) return false;
    throw error;
  }
}

/** The join rule, or the nearest stricter one that the new version knows. */
function joinRules(content: JsonObject | undefined, rules: RoomRules): JsonObject {
  const invite = { join_rule: 'invite' };
  if (content === undefined) return invite;
  switch (joinRuleOf({ content })) {
    case 'public':
    case 'private':
    case 'invite':
      return content;
    case 'knock':
      return rules.knock ? content : invite;
    case 'restricted':
      return rules.restrictedJoin ? content : invite;
    case 'knock_restricted':
      if (rules.knockRestricted) return content;
      return rules.restrictedJoin ? { ...content, join_rule: 'restricted' } : invite;
    default:
      return invite;
  }
}

/** Power levels of the new room; undefined where the old one has no such event, and the defaults will do. */
export function levelsFor(
  rooms: Rooms,
  reader: Reader,
  old: Room,
  rules: RoomRules,
  upgrader: UserId,
  additionalCreators: readonly UserId[],
): UpgradedLevels | undefined {
  const content = contentOf(rooms, reader, old, 'm.room.power_levels');
  if (content === undefined) return undefined;
  const create = storedStateAt(rooms, reader, old.head.state, 'm.room.create', '')?.pdu;
  return upgradedLevels({
    content,
    from: old.rules,
    to: rules,
    upgrader,
    oldCreators: privilegedCreatorsOf(create, old.rules),
    newCreators: [upgrader, ...additionalCreators],
  });
}

/** Bans and links of spaces, which the new room gets once it stands. */
export function carriedByKey(rooms: Rooms, reader: Reader, old: Room, found: Found): StateDraft[] {
  const bans = found.banned.flatMap((user): StateDraft[] => {
    if (memberOf(reader, old, user)?.membership !== 'ban') return [];
    const reason = ownString(contentOf(rooms, reader, old, 'm.room.member', user) ?? {}, 'reason');
    const content = { membership: 'ban', ...(reason === undefined ? {} : { reason }) };
    return [{ type: 'm.room.member', state_key: user, content }];
  });
  const links = (type: string, ids: readonly RoomId[]): StateDraft[] =>
    ids.flatMap((state_key): StateDraft[] => {
      const content = contentOf(rooms, reader, old, type, state_key);
      return content === undefined || !isLink(content) ? [] : [{ type, state_key, content }];
    });
  return [...bans, ...links('m.space.parent', found.parents), ...links('m.space.child', found.children)];
}

/** A link of a space holds only with `via`; without it was taken back. */
export function isLink(content: JsonObject): boolean {
  return Array.isArray(own(content, 'via'));
}

/** Whether `user` is in `room` with the power to set state of this type. */
export function maySet(rooms: Rooms, reader: Reader, room: Room, user: UserId, type: string): boolean {
  if (memberOf(reader, room, user)?.membership !== 'join') return false;
  return levelsIn(rooms, reader, room).user(user) >= levelsIn(rooms, reader, room).event(type, true);
}

function levelsIn(rooms: Rooms, reader: Reader, room: Room) {
  const at = (type: string) => storedStateAt(rooms, reader, room.head.state, type, '')?.pdu;
  return powerLevels(room.rules, at('m.room.create'), at('m.room.power_levels'));
}

/** Content of the old room's power levels that lets only moderators speak and invite; undefined where it does already. */
export function closedLevels(rooms: Rooms, reader: Reader, old: Room): JsonObject | undefined {
  const content = storedStateAt(rooms, reader, old.head.state, 'm.room.power_levels', '')?.pdu.content;
  if (content === undefined) return undefined;
  const levels = levelsIn(rooms, reader, old);
  const usersDefault = Number(levels.user(''));
  const wanted = Math.max(50, usersDefault + 1);
  const raised: Record<string, JsonValue> = {};
  if (levels.invite < wanted) raised['invite'] = wanted;
  if (levels.event('', false) < wanted) raised['events_default'] = wanted;
  return Object.keys(raised).length === 0 ? undefined : { ...content, ...raised };
}
