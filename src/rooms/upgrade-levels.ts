import { type Level, levelIn, SINGLE_LEVELS } from '#core/auth/power-levels.js';
import { UserId } from '#core/ids.js';
import { isObject, type JsonObject, type JsonValue } from '#core/json-value.js';
import type { RoomRules } from '#core/room-versions.js';

const LEVEL_MAPS = ['users', 'events', 'notifications'] as const;
/** Level for m.room.tombstone where creators have infinite power: only they shall upgrade (MSC4289). */
const CREATORS_ONLY = 150;

export interface LevelsRequest {
  /** Content of the old room's m.room.power_levels. */
  readonly content: JsonObject;
  readonly from: RoomRules;
  readonly to: RoomRules;
  readonly upgrader: UserId;
  /** Users of infinite power in the old room; empty before version 12. */
  readonly oldCreators: readonly UserId[];
  /** Users of infinite power in the new one. */
  readonly newCreators: readonly UserId[];
}

export interface UpgradedLevels {
  /** With which the new room begins: the upgrader can set all that is carried over. */
  readonly first: JsonObject;
  /** What stands in the end, where that is something else. */
  readonly last: JsonObject | undefined;
}

/**
 * Power levels for the room that replaces another one. Levels of old versions become integers. Creators are listed only
 * where the new version gives them no infinite power; there they get the highest level that the room knows.
 */
export function upgradedLevels(request: LevelsRequest): UpgradedLevels {
  const { to, upgrader } = request;
  const content = integersOf(request.content, request.from);
  const users = new Map(Object.entries(mapOf(content, 'users')).filter(([user]) => UserId.is(user)));
  const events = { ...mapOf(content, 'events') };
  const highest = Math.max(100, ...levelsIn(content), ...users.values());
  if (to.privilegedCreators) {
    for (const user of request.newCreators) users.delete(user);
    if (!request.from.privilegedCreators) {
      events['m.room.tombstone'] = Math.max(CREATORS_ONLY, events['m.room.tombstone'] ?? 0);
    }
    return { first: { ...content, events, users: Object.fromEntries(users) }, last: undefined };
  }
  for (const user of request.oldCreators) users.set(user, highest);
  const last = { ...content, events, users: Object.fromEntries(users) };
  const level = users.get(upgrader) ?? numberOf(content, 'users_default', 0);
  const needed = Math.max(
    numberOf(content, 'state_default', 50),
    numberOf(content, 'ban', 50),
    ...Object.values(events),
  );
  if (level >= needed) return { first: last, last: undefined };
  return { first: { ...last, users: { ...last.users, [upgrader]: needed } }, last };
}

/** The content with every level an integer; levels that are none in their room version are left out. */
function integersOf(content: JsonObject, rules: RoomRules): JsonObject {
  const entries = Object.entries(content).flatMap(([key, value]): [string, JsonValue][] => {
    if ((SINGLE_LEVELS as readonly string[]).includes(key)) {
      const level = levelIn(content, key, rules);
      return level === undefined ? [] : [[key, integer(level)]];
    }
    if (!(LEVEL_MAPS as readonly string[]).includes(key)) return value === undefined ? [] : [[key, value]];
    if (!isObject(value)) return [];
    const levels = Object.keys(value).flatMap((name): [string, number][] => {
      const level = levelIn(value, name, rules);
      return level === undefined ? [] : [[name, integer(level)]];
    });
    return [[key, Object.fromEntries(levels)]];
  });
  return Object.fromEntries(entries);
}

function integer(level: Level): number {
  return Math.min(Math.max(Number(level), Number.MIN_SAFE_INTEGER), Number.MAX_SAFE_INTEGER);
}

function mapOf(content: JsonObject, key: (typeof LEVEL_MAPS)[number]): Record<string, number> {
  return (Object.hasOwn(content, key) ? content[key] : {}) as Record<string, number>;
}

function numberOf(content: JsonObject, key: string, otherwise: number): number {
  return Object.hasOwn(content, key) ? (content[key] as number) : otherwise;
}

function levelsIn(content: JsonObject): number[] {
  const single = SINGLE_LEVELS.map((key) => numberOf(content, key, 0));
  return [...single, ...Object.values(mapOf(content, 'events'))];
}
