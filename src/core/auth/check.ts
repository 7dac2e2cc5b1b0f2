import { checkPowerLevelChange } from '#core/auth/level-change.js';
import { type AuthState, checkMember } from '#core/auth/member.js';
import { neededAuthKeys } from '#core/auth/needed.js';
import { powerLevels } from '#core/auth/power-levels.js';
import { ALLOW, type RuleNumbers, refuse, ruleNumbers } from '#core/auth/rules.js';
import { isFederated, membershipOf, roomVersionOf } from '#core/event/content.js';
import type { Pdu, Verdict } from '#core/event/pdu.js';
import { EventId, RoomId, UserId } from '#core/ids.js';
import { own } from '#core/json-value.js';
import { type RoomRules, roomRules } from '#core/room-versions.js';

export type { AuthState } from '#core/auth/member.js';

/**
 * Checks an event against a room state by all rules of its room version that look at the event and the state, in the
 * specification's order (rooms/v1 to v12, Authorisation rules). The rules about the list of auth events are
 * `checkAuthEvents`. `state` must not give rejected events. Never throws, whatever the events hold.
 */
export function checkEventAuth(event: Pdu, rules: RoomRules, state: AuthState): Verdict {
  const rule = ruleNumbers(rules);
  if (event.type === 'm.room.create') return checkCreate(event, rules, rule);

  const create = state('m.room.create', '');
  if (create === undefined) {
    return refuse(rules.roomIdIsHash ? rule.roomId : `${rule.authEvents}.4`, 'the room has no create event');
  }
  if (rules.roomIdIsHash && RoomId.createEventId(event.room_id) !== create.event_id) {
    return refuse(rule.roomId, 'the room id is not the id of the create event');
  }
  if (!isFederated(create) && UserId.serverName(event.sender) !== UserId.serverName(create.sender)) {
    return refuse(rule.federate, 'the room is closed to other servers');
  }
  if (rules.aliasesAreSpecial && event.type === 'm.room.aliases') return checkAliases(event, rule);

  const levels = powerLevels(rules, create, state('m.room.power_levels', ''));
  if (event.type === 'm.room.member') return checkMember(event, rules, rule, state, create, levels);

  if (membershipOf(state('m.room.member', event.sender)) !== 'join') {
    return refuse(rule.senderJoined, 'the sender is not joined');
  }
  const power = levels.user(event.sender);
  if (event.type === 'm.room.third_party_invite') {
    return power >= levels.invite ? ALLOW : refuse(`${rule.thirdPartyInvite}.1`, 'the sender has no power to invite');
  }
  if (power < levels.event(event.type, event.state_key !== undefined)) {
    return refuse(rule.requiredPower, 'the sender has not the power that this type of event requires');
  }
  if (event.state_key?.startsWith('@') && event.state_key !== event.sender) {
    if (!rules.ownedState) return refuse(rule.stateKey, 'the state_key is a user id, but not the sender');
    const owner = stateOwner(event.state_key);
    if (owner === undefined) return refuse(`${rule.stateKey}.1.1`, 'the state_key does not begin with a user id');
    if (owner !== event.sender && power <= levels.user(owner)) {
      return refuse(`${rule.stateKey}.1.3`, 'the state_key belongs to a user of as much power as the sender');
    }
  }
  if (event.type === 'm.room.power_levels') {
    // Under another key they mean nothing; auth events selection never takes them, so there is nothing to compare with.
    const current = event.state_key ? undefined : state('m.room.power_levels', '');
    return checkPowerLevelChange(event, rules, rule, current, levels);
  }
  if (rules.redactionAuthorised && event.type === 'm.room.redaction') {
    if (power >= levels.redact) return ALLOW;
    const server = EventId.serverName(event.event_id);
    if (server !== undefined && event.redacts !== undefined && EventId.serverName(event.redacts) === server) {
      return ALLOW;
    }
    return refuse(`${rule.redaction}.3`, 'the sender has no power to redact the event of another server');
  }
  return ALLOW;
}

/**
 * The user whom a state key with `@` belongs to where the room version has owned state (MSC3757): what stands before the
 * first `_` after the first `:`. Undefined where that is no user id.
 */
export function stateOwner(stateKey: string): UserId | undefined {
  const end = stateKey.indexOf('_', stateKey.indexOf(':') + 1);
  return UserId.parse(end < 0 ? stateKey : stateKey.slice(0, end));
}

function checkCreate(event: Pdu, rules: RoomRules, rule: RuleNumbers): Verdict {
  if (event.prev_events.length > 0) return refuse(`${rule.create}.1`, 'a create event with previous events');
  if (rules.roomIdIsHash) {
    if (Object.hasOwn(event.json, 'room_id')) return refuse(`${rule.create}.2`, 'a create event with a room_id');
  } else {
    const colon = event.room_id.indexOf(':');
    if (colon < 0 || event.room_id.slice(colon + 1) !== UserId.serverName(event.sender)) {
      return refuse(`${rule.create}.2`, "the room id is not of the sender's server");
    }
  }
  const version = roomVersionOf(event);
  if (version === undefined || roomRules(version) === undefined) {
    return refuse(`${rule.create}.3`, 'the room version is not known');
  }
  if (!rules.senderIsCreator && !Object.hasOwn(event.content, 'creator')) {
    return refuse(`${rule.create}.4`, 'content has no creator');
  }
  if (rules.privilegedCreators && Object.hasOwn(event.content, 'additional_creators')) {
    const additional = own(event.content, 'additional_creators');
    if (!Array.isArray(additional) || !additional.every((entry) => UserId.is(entry))) {
      return refuse(`${rule.create}.4`, 'additional_creators is not a list of user ids');
    }
  }
  return ALLOW;
}

function checkAliases(event: Pdu, rule: RuleNumbers): Verdict {
  if (event.state_key === undefined) return refuse(`${rule.aliases}.1`, 'aliases without a state_key');
  if (event.state_key !== UserId.serverName(event.sender)) {
    return refuse(`${rule.aliases}.2`, "the state_key is not the sender's server");
  }
  return ALLOW;
}

/**
 * The rules about the list of auth events itself; no room state plays a part. `authEvents` are the events that
 * `event.auth_events` names, in any order, undefined where one is not known here: then nothing is decided but refused.
 * `rejected` tells whether the event of that id was rejected on receipt; in version 12 it is also asked for the create
 * event that the room id names.
 */
export function checkAuthEvents(
  event: Pdu,
  authEvents: readonly (Pdu | undefined)[],
  rejected: (id: EventId) => boolean,
  rules: RoomRules,
): Verdict {
  if (event.type === 'm.room.create') return ALLOW;
  const rule = ruleNumbers(rules);
  if (rules.roomIdIsHash && rejected(RoomId.createEventId(event.room_id))) {
    return refuse(rule.roomId, 'the create event of the room was rejected');
  }
  const selected = neededAuthKeys(event, rules);
  const seen = new Set<number>();
  let hasCreate = false;
  for (const auth of authEvents) {
    if (auth === undefined) return refuse(rule.authEvents, 'an auth event is not known');
    const place = selected.findIndex((key) => key.type === auth.type && key.state_key === auth.state_key);
    if (seen.has(place)) return refuse(`${rule.authEvents}.1`, `two auth events for one key of ${auth.type}`);
    if (place < 0) return refuse(`${rule.authEvents}.2`, `an auth event of type ${auth.type} has no place there`);
    if (rejected(auth.event_id)) return refuse(`${rule.authEvents}.3`, 'an auth event was rejected');
    if (auth.room_id !== event.room_id) return refuse(`${rule.authEvents}.5`, 'an auth event is of another room');
    seen.add(place);
    if (auth.type === 'm.room.create') hasCreate = true;
  }
  if (!rules.roomIdIsHash && !hasCreate) return refuse(`${rule.authEvents}.4`, 'no create event among the auth events');
  return ALLOW;
}
