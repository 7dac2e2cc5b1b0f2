import { creatorOf, privilegedCreatorsOf } from '#core/event/content.js';
import type { Pdu } from '#core/event/pdu.js';
import type { UserId } from '#core/ids.js';
import { JsonFloat, type JsonObject, type JsonValue, own, ownObject } from '#core/json-value.js';
import type { RoomRules } from '#core/room-versions.js';

/**
 * A power level. A `number` wherever it is a safe integer, `Infinity` for creators of version 12; a `bigint` only for
 * the larger integers that versions 1 to 9 let through. `<` and `>` are exact between all of them.
 */
export type Level = number | bigint;

/** The levels in force in a room (client-server API, m.room.power_levels), with every default filled in. */
export interface PowerLevels {
  /** `Infinity` for creators of version 12. */
  user(user: string): Level;
  /** The level required to send an event of this type. */
  event(type: string, isState: boolean): Level;
  readonly ban: Level;
  readonly kick: Level;
  readonly invite: Level;
  readonly redact: Level;
  /** The level required for a kind of notification, such as `room`; 50 unless set. */
  notification(kind: string): Level;
  /** Users of infinite power; empty before version 12. */
  readonly creators: readonly UserId[];
}

/** The properties of m.room.power_levels that hold one level each, in the specification's order. */
export const SINGLE_LEVELS = [
  'users_default',
  'events_default',
  'state_default',
  'ban',
  'redact',
  'kick',
  'invite',
] as const;

/** Reads the levels from the create event and the power levels event of a room's state. */
export function powerLevels(rules: RoomRules, create: Pdu | undefined, levels: Pdu | undefined): PowerLevels {
  return new Levels(rules, create, levels);
}

class Levels implements PowerLevels {
  readonly creators: readonly UserId[];
  readonly #rules: RoomRules;
  readonly #creator: string | undefined;
  readonly #content: JsonObject | undefined;

  constructor(rules: RoomRules, create: Pdu | undefined, levels: Pdu | undefined) {
    this.creators = privilegedCreatorsOf(create, rules);
    this.#rules = rules;
    this.#creator = create && creatorOf(create, rules);
    this.#content = levels?.content;
  }

  user(user: string): Level {
    if (this.creators.length > 0 && (this.creators as readonly string[]).includes(user)) return Infinity;
    if (this.#content === undefined) return this.#creator === user ? 100 : 0;
    return this.#within('users', user) ?? this.#named('users_default', 0);
  }
  event(type: string, isState: boolean): Level {
    const own = this.#within('events', type);
    return own ?? (isState ? this.#named('state_default', 50) : this.#named('events_default', 0));
  }
  notification(kind: string): Level {
    return this.#within('notifications', kind) ?? 50;
  }
  get ban(): Level {
    return this.#named('ban', 50);
  }
  get kick(): Level {
    return this.#named('kick', 50);
  }
  get invite(): Level {
    return this.#named('invite', 0);
  }
  get redact(): Level {
    return this.#named('redact', 50);
  }

  #named(name: string, otherwise: Level): Level {
    return (this.#content && levelIn(this.#content, name, this.#rules)) ?? otherwise;
  }
  #within(name: string, key: string): Level | undefined {
    const levels = this.#content && ownObject(this.#content, name);
    return levels && levelIn(levels, key, this.#rules);
  }
}

/** The level under `key`; undefined where it is absent or no level in this room version. */
export function levelIn(object: JsonObject, key: string, rules: RoomRules): Level | undefined {
  return parseLevel(own(object, key), rules);
}

// What Python takes for white space, since that is what rooms with such levels were built on.
const STRINGY_LEVEL = /^[\s\x1c-\x1f\x85]*([+-]?)([0-9]+)[\s\x1c-\x1f\x85]*$/;
/** Digits of a stringy level, leading zeros aside: as many as Python reads. */
const MAX_LEVEL_DIGITS = 4300;

/**
 * A power level as this room version writes it: an integer and nothing else from version 10 on; before that also a
 * decimal string, or a float that is cut off at the point (rooms/v1, Deprecated event content schemas).
 */
export function parseLevel(value: JsonValue | undefined, rules: RoomRules): Level | undefined {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value === 0 ? 0 : value;
  if (rules.integerPowerLevels) return undefined;
  switch (typeof value) {
    case 'number':
      return truncated(value);
    case 'bigint':
      return shortest(value);
    case 'string':
      return stringyLevel(value);
    default:
      return value instanceof JsonFloat ? truncated(value.value) : undefined;
  }
}

function truncated(value: number): Level | undefined {
  if (!Number.isFinite(value)) return undefined;
  const whole = Math.trunc(value);
  return Number.isSafeInteger(whole) ? whole + 0 : BigInt(whole);
}

function stringyLevel(text: string): Level | undefined {
  const match = STRINGY_LEVEL.exec(text);
  // U+FEFF is white space to a regular expression only.
  if (match === null || text.includes('\ufeff')) return undefined;
  const digits = match[2]!.replace(/^0+(?=.)/, '');
  if (digits.length > MAX_LEVEL_DIGITS) return undefined;
  const size = BigInt(digits);
  return shortest(match[1] === '-' ? -size : size);
}

function shortest(value: bigint): Level {
  const small = Number(value);
  return Number.isSafeInteger(small) ? small : value;
}
