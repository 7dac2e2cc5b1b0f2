import type { Verdict } from '#core/event/pdu.js';
import type { RoomRules } from '#core/room-versions.js';

/** The numbers that the rules have in the text of one room version: `rooms/v1` to `rooms/v12` count differently. */
export interface RuleNumbers {
  readonly create: string;
  /** v12: the room id names the create event. */
  readonly roomId: string;
  readonly authEvents: string;
  readonly federate: string;
  readonly aliases: string;
  readonly member: string;
  readonly senderJoined: string;
  readonly thirdPartyInvite: string;
  readonly requiredPower: string;
  readonly stateKey: string;
  readonly powerLevels: string;
  readonly redaction: string;
  /** Parts of the rule about m.room.member. */
  readonly authorisedVia: string;
  readonly join: string;
  readonly restricted: string;
  readonly joinOtherwise: string;
  readonly invite: string;
  readonly leave: string;
  readonly ban: string;
  readonly knock: string;
  readonly unknownMembership: string;
  /** Parts of the rule about m.room.power_levels. */
  readonly singleLevelTypes: string;
  readonly levelMapTypes: string;
  readonly users: string;
  readonly creatorsInUsers: string;
  readonly singleLevels: string;
  readonly eventsFrom: string;
  readonly eventsTo: string;
  readonly usersFrom: string;
  readonly usersTo: string;
}

const numbersOf = new WeakMap<RoomRules, RuleNumbers>();

/** The rule numbers of a room version. A rule that the version lacks takes no number and has an empty one here. */
export function ruleNumbers(rules: RoomRules): RuleNumbers {
  let numbers = numbersOf.get(rules);
  if (numbers === undefined) {
    numbers = countRules(rules);
    numbersOf.set(rules, numbers);
  }
  return numbers;
}

/** Counts 1, 2, 3 … below `prefix`, leaving out what the version does not have. */
function counter(prefix: string): (present?: boolean) => string {
  let last = 0;
  return (present = true) => (present ? `${prefix}${++last}` : '');
}

function countRules(rules: RoomRules): RuleNumbers {
  const top = counter('');
  const create = top();
  const roomId = top(rules.roomIdIsHash);
  const authEvents = top();
  const federate = top();
  const aliases = top(rules.aliasesAreSpecial);
  const member = top();
  const senderJoined = top();
  const thirdPartyInvite = top();
  const requiredPower = top();
  const stateKey = top();
  const powerLevels = top();
  const redaction = top(rules.redactionAuthorised);

  const inMember = counter(`${member}.`);
  inMember();
  const authorisedVia = inMember(rules.restrictedJoin);
  const join = inMember();
  const invite = inMember();
  const leave = inMember();
  const ban = inMember();
  const knock = inMember(rules.knock);
  const unknownMembership = inMember();

  const inLevels = counter(`${powerLevels}.`);
  const singleLevelTypes = inLevels(rules.integerPowerLevels);
  const levelMapTypes = inLevels(rules.integerPowerLevels);
  const users = inLevels();
  const creatorsInUsers = inLevels(rules.privilegedCreators);
  inLevels();
  return {
    create,
    roomId,
    authEvents,
    federate,
    aliases,
    member,
    senderJoined,
    thirdPartyInvite,
    requiredPower,
    stateKey,
    powerLevels,
    redaction,
    authorisedVia,
    join,
    restricted: rules.restrictedJoin ? `${join}.5` : '',
    joinOtherwise: rules.restrictedJoin ? `${join}.7` : `${join}.6`,
    invite,
    leave,
    ban,
    knock,
    unknownMembership,
    singleLevelTypes,
    levelMapTypes,
    users,
    creatorsInUsers,
    singleLevels: inLevels(),
    eventsFrom: inLevels(),
    eventsTo: inLevels(),
    usersFrom: inLevels(),
    usersTo: inLevels(),
  };
}

export const ALLOW: Verdict = Object.freeze({ allow: true });

/** `rule` is the number in the room version's own text, such as `5.3.2`. */
export function refuse(rule: string, reason: string): Verdict {
  return { allow: false, rule, reason };
}
