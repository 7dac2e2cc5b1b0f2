import { type Level, levelIn, type PowerLevels, parseLevel, SINGLE_LEVELS } from '#core/auth/power-levels.js';
import { ALLOW, type RuleNumbers, refuse } from '#core/auth/rules.js';
import type { Pdu, Verdict } from '#core/event/pdu.js';
import { UserId } from '#core/ids.js';
import { isObject, type JsonObject, own, ownObject } from '#core/json-value.js';
import type { RoomRules } from '#core/room-versions.js';

const EMPTY: JsonObject = Object.freeze({});

/**
 * The rules about m.room.power_levels: its form, and that nobody gives or takes more than they have themselves.
 * `current` is the event that this one replaces, `levels` are those in force.
 *
 * Before version 10 the specification asks only `users` for a form. There a malformed new value elsewhere is refused
 * where there is a current event, since the two can't be compared; a malformed current value counts as absent.
 */
export function checkPowerLevelChange(
  event: Pdu,
  rules: RoomRules,
  rule: RuleNumbers,
  current: Pdu | undefined,
  levels: PowerLevels,
): Verdict {
  const malformed = checkForm(event.content, rules, rule, levels);
  if (malformed !== undefined) return malformed;
  if (current === undefined) return ALLOW;

  const power = levels.user(event.sender);
  for (const name of SINGLE_LEVELS) {
    const change = changeOf(name, current.content, event.content, rules);
    if (change === undefined) continue;
    if (change === 'malformed' || isAbove(change.from, power) || isAbove(change.to, power)) {
      return refuse(rule.singleLevels, `the sender may not change ${name}`);
    }
  }
  for (const part of rules.notificationLevelsChecked ? (['events', 'notifications'] as const) : (['events'] as const)) {
    if (Object.hasOwn(event.content, part) && !isObject(own(event.content, part))) {
      return refuse(rule.eventsTo, `${part} is not an object`);
    }
    const before = ownObject(current.content, part) ?? EMPTY;
    const after = ownObject(event.content, part) ?? EMPTY;
    for (const key of keysOf(before, after)) {
      const change = changeOf(key, before, after, rules);
      if (change === undefined) continue;
      if (change === 'malformed') return refuse(rule.eventsTo, `a value in ${part} is not a level`);
      if (isAbove(change.from, power)) return refuse(rule.eventsFrom, `a level in ${part} is above the sender's`);
      if (isAbove(change.to, power)) return refuse(rule.eventsTo, `a new level in ${part} is above the sender's`);
    }
  }
  const before = ownObject(current.content, 'users') ?? EMPTY;
  const after = ownObject(event.content, 'users') ?? EMPTY;
  for (const user of keysOf(before, after)) {
    const change = changeOf(user, before, after, rules);
    if (change === undefined) continue;
    if (change === 'malformed') return refuse(rule.users, 'a value in users is not a level');
    if (user !== event.sender && change.from !== undefined && change.from >= power) {
      return refuse(rule.usersFrom, "a user's level is not below the sender's");
    }
    if (isAbove(change.to, power)) return refuse(rule.usersTo, "a user's new level is above the sender's");
  }
  return ALLOW;
}

function checkForm(content: JsonObject, rules: RoomRules, rule: RuleNumbers, levels: PowerLevels): Verdict | undefined {
  if (rules.integerPowerLevels) {
    for (const name of SINGLE_LEVELS) {
      if (Object.hasOwn(content, name) && levelIn(content, name, rules) === undefined) {
        return refuse(rule.singleLevelTypes, `${name} is not an integer`);
      }
    }
    for (const part of ['events', 'notifications']) {
      const map = own(content, part);
      if (map === undefined) continue;
      if (!isObject(map) || !Object.values(map).every((value) => parseLevel(value, rules) !== undefined)) {
        return refuse(rule.levelMapTypes, `${part} is not an object of integers`);
      }
    }
  }
  const users = own(content, 'users');
  if (users === undefined) return undefined;
  if (!isObject(users)) return refuse(rule.users, 'users is not an object');
  for (const user of Object.keys(users)) {
    if (!UserId.is(user)) return refuse(rule.users, 'users names what is not a user id');
    if (levelIn(users, user, rules) === undefined) return refuse(rule.users, 'a value in users is not a level');
  }
  if (levels.creators.some((creator) => Object.hasOwn(users, creator))) {
    return refuse(rule.creatorsInUsers, 'users names a creator of the room');
  }
  return undefined;
}

interface Change {
  readonly from: Level | undefined;
  readonly to: Level | undefined;
}

/** What becomes of one entry; undefined where its level stays what it is, however it is written. */
function changeOf(
  key: string,
  before: JsonObject,
  after: JsonObject,
  rules: RoomRules,
): Change | 'malformed' | undefined {
  const from = levelIn(before, key, rules);
  const to = levelIn(after, key, rules);
  if (to === undefined && Object.hasOwn(after, key)) return 'malformed';
  return from === to ? undefined : { from, to };
}

function isAbove(level: Level | undefined, power: Level): boolean {
  return level !== undefined && level > power;
}

function keysOf(before: JsonObject, after: JsonObject): Set<string> {
  return new Set([...Object.keys(before), ...Object.keys(after)]);
}
