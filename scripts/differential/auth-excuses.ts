import type { AuthState } from '#core/auth/check.js';
import { parseLevel, SINGLE_LEVELS } from '#core/auth/power-levels.js';
import { authorisedViaOf, thirdPartySignedOf } from '#core/event/content.js';
import type { Pdu } from '#core/event/pdu.js';
import { UserId } from '#core/ids.js';
import { isObject, type JsonObject, type JsonValue, own, ownObject, ownString } from '#core/json-value.js';
import type { RoomRules } from '#core/room-versions.js';
import { serverOf } from './room.js';

/** A difference about one event. */
export interface AuthDifference {
  readonly event: Pdu;
  /** 0: the verdict against the state. 1: the verdict on the list of auth events. 2: the keys it needs. */
  readonly part: number;
  readonly theirs: string;
  /** Our verdict against the state. */
  readonly allowed: boolean;
  /** The exception that Synapse ended in. */
  readonly note: string;
  readonly rules: RoomRules;
  readonly lookup: AuthState;
}

/** Python exceptions that are no verdict: such an event is neither accepted nor rejected, but never gets through. */
const CRASH = /^(?:KeyError|AttributeError|TypeError|ValueError|OverflowError)/;

/**
 * Why Synapse may judge otherwise; undefined where no sentence of the specification explains it. Each name is a heading
 * in docs/decisions/0004-differential.md.
 */
export function authExcuse(difference: AuthDifference): string | undefined {
  const { event, part, theirs, note, allowed } = difference;
  if (part > 0) {
    const isBent = CRASH.test(note) || hasOddKeys(event, difference.rules);
    return isBent && !allowed ? 'refused by another rule' : undefined;
  }
  const excuse = allowed ? strictness(difference) : theirs === 'allow' ? leniency(difference) : undefined;
  return excuse ?? levelsInForce(difference);
}

/** What Synapse refuses and the specification allows. */
function strictness({ event, note, lookup }: AuthDifference): string | undefined {
  const create = lookup('m.room.create', '');
  if (note.includes('unfederatable') && create !== undefined) {
    if (typeof own(create.content, 'm.federate') !== 'boolean') return 'm.federate that is no boolean';
    const isRemote = event.state_key !== undefined && serverOf(event.state_key) !== serverOf(create.sender);
    if (event.type === 'm.room.member' && isRemote) return 'm.federate and the target';
  }
  if (CRASH.test(note) && event.type === 'm.room.power_levels' && event.state_key === undefined) {
    return 'power levels without a state_key';
  }
  if (note.includes('You are not invited') && signaturesIn(event) > 1) return 'several signatures of an invite';
  return undefined;
}

/** Levels in force that are none: Synapse fails over them, or reads them after all. */
function levelsInForce({ note, rules, lookup }: AuthDifference): string | undefined {
  const levels = lookup('m.room.power_levels', '')?.content;
  if (levels === undefined || rules.integerPowerLevels) return undefined;
  if (CRASH.test(note) && isMisshapen(levels, rules)) return 'misshapen levels in force';
  return hasPythonLevels(levels, rules) ? 'levels that only Python reads' : undefined;
}

/** What Synapse allows and the specification refuses. */
function leniency({ event, rules, lookup }: AuthDifference): string | undefined {
  const { content, type } = event;
  if (type === 'm.room.member') {
    const isOdd = Object.hasOwn(content, 'join_authorised_via_users_server') && authorisedViaOf(event) === undefined;
    return rules.restrictedJoin && isOdd ? 'an authorising user that is none' : undefined;
  }
  if (type === 'm.room.power_levels') {
    const users = Object.keys(ownObject(content, 'users') ?? {});
    if (users.some((user) => !UserId.is(user))) return 'users that are none';
    if (rules.integerPowerLevels) return undefined;
    if (hasPythonLevels(content, rules)) return 'levels that only Python reads';
    const maps = [own(content, 'events'), own(content, 'notifications')];
    if (lookup(type, '') !== undefined && maps.some((map) => Array.isArray(map) && map.length === 0)) {
      return 'an empty list in place of levels';
    }
    return undefined;
  }
  if (type === 'm.room.redaction' && event.redacts === undefined) return 'a redaction of nothing';
  return undefined;
}

/** Content that leads Synapse to keys no event can have, or to none. */
function hasOddKeys(event: Pdu, rules: RoomRules): boolean {
  if (event.type !== 'm.room.member') return false;
  if (rules.restrictedJoin && Object.hasOwn(event.content, 'join_authorised_via_users_server')) {
    return authorisedViaOf(event) === undefined;
  }
  const invite = ownObject(event.content, 'third_party_invite');
  const signed = invite && ownObject(invite, 'signed');
  return signed !== undefined && ownString(signed, 'token') === undefined;
}

function levelsIn(content: JsonObject): JsonValue[] {
  const single = SINGLE_LEVELS.map((name) => own(content, name));
  const maps = ['users', 'events', 'notifications'].flatMap((name) => Object.values(ownObject(content, name) ?? {}));
  return [...single, ...maps].filter((value) => value !== undefined);
}

function isMisshapen(content: JsonObject, rules: RoomRules): boolean {
  const maps = ['users', 'events', 'notifications'].filter((name) => Object.hasOwn(content, name));
  if (maps.some((name) => !isObject(own(content, name)))) return true;
  return levelsIn(content).some((value) => parseLevel(value, rules) === undefined);
}

function hasPythonLevels(content: JsonObject, rules: RoomRules): boolean {
  return levelsIn(content).some((value) => isLevelToPython(value) && parseLevel(value, rules) === undefined);
}

function signaturesIn(event: Pdu): number {
  const signatures = ownObject(thirdPartySignedOf(event) ?? {}, 'signatures') ?? {};
  return Object.values(signatures).reduce<number>((sum, of) => sum + (isObject(of) ? Object.keys(of).length : 0), 0);
}

/** Booleans count as 0 and 1, text may have digits of any script and underscores between them. */
function isLevelToPython(value: JsonValue): boolean {
  return typeof value === 'boolean' || (typeof value === 'string' && /^\s*[+-]?\p{Nd}+(?:_\p{Nd}+)*\s*$/u.test(value));
}
