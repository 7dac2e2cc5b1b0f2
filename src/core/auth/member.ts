import type { Level, PowerLevels } from '#core/auth/power-levels.js';
import { ALLOW, type RuleNumbers, refuse } from '#core/auth/rules.js';
import {
  authorisedViaOf,
  creatorOf,
  joinRuleOf,
  membershipOf,
  thirdPartyKeysOf,
  thirdPartySignedOf,
} from '#core/event/content.js';
import type { Pdu, Verdict } from '#core/event/pdu.js';
import { type JsonObject, ownObject, ownString } from '#core/json-value.js';
import type { RoomRules } from '#core/room-versions.js';
import { signatureOf, signedBytes, signingKeyIds, verifySignature } from '#core/signing.js';

/** The room state that an event is checked against: the accepted event at a key, or undefined. */
export type AuthState = (type: string, stateKey: string) => Pdu | undefined;

/** An m.room.member event with what its rules look at. */
interface MemberCheck {
  readonly event: Pdu;
  readonly target: string;
  readonly rules: RoomRules;
  readonly rule: RuleNumbers;
  readonly state: AuthState;
  readonly create: Pdu;
  readonly levels: PowerLevels;
  /** Memberships before this event. */
  readonly senderMembership: string | undefined;
  readonly targetMembership: string | undefined;
}

/**
 * The rules about m.room.member. That the server of `join_authorised_via_users_server` has signed the event is part of
 * the signature check, not of this.
 */
export function checkMember(
  event: Pdu,
  rules: RoomRules,
  rule: RuleNumbers,
  state: AuthState,
  create: Pdu,
  levels: PowerLevels,
): Verdict {
  const target = event.state_key;
  if (target === undefined) return refuse(`${rule.member}.1`, 'a membership without a state_key');
  // No rule says so, but nobody knows such a user's server, and Synapse refuses it.
  if (!target.includes(':')) return refuse(`${rule.member}.1`, 'the state_key is not a user id');
  if (!Object.hasOwn(event.content, 'membership')) return refuse(`${rule.member}.1`, 'content has no membership');
  if (
    rules.restrictedJoin &&
    Object.hasOwn(event.content, 'join_authorised_via_users_server') &&
    authorisedViaOf(event) === undefined
  ) {
    return refuse(`${rule.authorisedVia}.1`, 'join_authorised_via_users_server is not a user id');
  }
  const senderMembership = membershipOf(state('m.room.member', event.sender));
  const targetMembership = target === event.sender ? senderMembership : membershipOf(state('m.room.member', target));
  const check = { event, target, rules, rule, state, create, levels, senderMembership, targetMembership };
  switch (membershipOf(event)) {
    case 'join':
      return checkJoin(check);
    case 'invite':
      return checkInvite(check);
    case 'leave':
      return checkLeave(check);
    case 'ban':
      return checkBan(check);
    case 'knock':
      return rules.knock ? checkKnock(check) : refuse(rule.unknownMembership, 'unknown membership');
    default:
      return refuse(rule.unknownMembership, 'unknown membership');
  }
}

function checkJoin({ event, target, rules, rule, state, create, levels, senderMembership }: MemberCheck): Verdict {
  if (
    event.prev_events.length === 1 &&
    event.prev_events[0] === create.event_id &&
    target === creatorOf(create, rules)
  ) {
    return ALLOW;
  }
  if (event.sender !== target) return refuse(`${rule.join}.2`, 'nobody can join for another user');
  if (senderMembership === 'ban') return refuse(`${rule.join}.3`, 'the sender is banned');

  const joinRule = joinRuleOf(state('m.room.join_rules', ''));
  const inOrInvited = senderMembership === 'join' || senderMembership === 'invite';
  switch (joinRule) {
    case 'public':
      return ALLOW;
    case 'invite':
      return inOrInvited ? ALLOW : refuse(rule.joinOtherwise, 'the sender is not invited');
    case 'knock':
      return inOrInvited && rules.knock ? ALLOW : refuse(rule.joinOtherwise, 'the sender is not invited');
    case 'restricted':
      if (!rules.restrictedJoin) break;
      return inOrInvited ? ALLOW : checkAuthorisedVia(event, rule, state, levels);
    case 'knock_restricted':
      if (!rules.knockRestricted) break;
      return inOrInvited ? ALLOW : checkAuthorisedVia(event, rule, state, levels);
  }
  return refuse(rule.joinOtherwise, 'the join rule lets nobody in');
}

function checkAuthorisedVia(event: Pdu, rule: RuleNumbers, state: AuthState, levels: PowerLevels): Verdict {
  const user = authorisedViaOf(event);
  if (user === undefined) return refuse(`${rule.restricted}.2`, 'a restricted join without an authorising user');
  if (membershipOf(state('m.room.member', user)) !== 'join') {
    return refuse(`${rule.restricted}.2`, 'the authorising user is not joined');
  }
  if (levels.user(user) < levels.invite) {
    return refuse(`${rule.restricted}.2`, 'the authorising user has no power to invite');
  }
  return ALLOW;
}

function checkInvite(check: MemberCheck): Verdict {
  const { event, rule, levels, senderMembership, targetMembership } = check;
  if (Object.hasOwn(event.content, 'third_party_invite')) return checkThirdPartyInvite(check);
  if (senderMembership !== 'join') return refuse(`${rule.invite}.2`, 'the sender is not joined');
  if (targetMembership === 'join' || targetMembership === 'ban') {
    return refuse(`${rule.invite}.3`, `the invited user's membership is ${targetMembership}`);
  }
  if (levels.user(event.sender) >= levels.invite) return ALLOW;
  return refuse(`${rule.invite}.5`, 'the sender has no power to invite');
}

function checkThirdPartyInvite({ event, target, rule, state, targetMembership }: MemberCheck): Verdict {
  const part = `${rule.invite}.1`;
  if (targetMembership === 'ban') return refuse(`${part}.1`, 'the invited user is banned');
  const signed = thirdPartySignedOf(event);
  if (signed === undefined) return refuse(`${part}.2`, 'third_party_invite has no signed');
  const mxid = ownString(signed, 'mxid');
  const token = ownString(signed, 'token');
  if (mxid === undefined || token === undefined) return refuse(`${part}.3`, 'signed has no mxid or no token');
  if (mxid !== target) return refuse(`${part}.4`, 'mxid is not the invited user');
  const invite = state('m.room.third_party_invite', token);
  if (invite === undefined) return refuse(`${part}.5`, 'no such third-party invite');
  if (invite.sender !== event.sender) return refuse(`${part}.6`, 'the third-party invite is from another sender');
  if (isSignedByOneOf(signed, thirdPartyKeysOf(invite))) return ALLOW;
  return refuse(`${part}.8`, 'no valid signature of the third-party invite');
}

/** Signature checks for one event: an event of 64 KiB could ask for some hundred thousand of them. */
const MAX_THIRD_PARTY_CHECKS = 256;

/** Whether any Ed25519 signature in `signed`, whoever's, matches any of the keys. */
function isSignedByOneOf(signed: JsonObject, keys: readonly string[]): boolean {
  const signatures = ownObject(signed, 'signatures');
  const bytes = signatures && bytesToSign(signed);
  if (signatures === undefined || bytes === undefined) return false;
  let checks = 0;
  for (const name of Object.keys(signatures)) {
    for (const keyId of signingKeyIds(signed, name)) {
      const signature = signatureOf(signed, name, keyId);
      if (signature === undefined) continue;
      for (const key of keys) {
        if (++checks > MAX_THIRD_PARTY_CHECKS) return false;
        if (verifySignature(key, signature, bytes)) return true;
      }
    }
  }
  return false;
}

function bytesToSign(signed: JsonObject): Buffer | undefined {
  try {
    return signedBytes(signed);
  } catch {
    return undefined;
  }
}

function checkLeave({ event, target, rules, rule, levels, senderMembership, targetMembership }: MemberCheck): Verdict {
  if (event.sender === target) {
    const canLeave =
      senderMembership === 'invite' || senderMembership === 'join' || (rules.knock && senderMembership === 'knock');
    return canLeave ? ALLOW : refuse(`${rule.leave}.1`, 'the sender is not in the room and not invited');
  }
  if (senderMembership !== 'join') return refuse(`${rule.leave}.2`, 'the sender is not joined');
  const power = levels.user(event.sender);
  if (targetMembership === 'ban' && power < levels.ban) {
    return refuse(`${rule.leave}.3`, 'the sender has no power to unban');
  }
  if (outranks(power, levels.kick, levels.user(target))) return ALLOW;
  return refuse(`${rule.leave}.5`, 'the sender has no power to remove this user');
}

function checkBan({ event, target, rule, levels, senderMembership }: MemberCheck): Verdict {
  if (senderMembership !== 'join') return refuse(`${rule.ban}.1`, 'the sender is not joined');
  if (outranks(levels.user(event.sender), levels.ban, levels.user(target))) return ALLOW;
  return refuse(`${rule.ban}.3`, 'the sender has no power to ban this user');
}

function outranks(power: Level, required: Level, target: Level): boolean {
  return power >= required && target < power;
}

function checkKnock({ event, target, rules, rule, state, senderMembership }: MemberCheck): Verdict {
  const joinRule = joinRuleOf(state('m.room.join_rules', ''));
  if (joinRule !== 'knock' && !(rules.knockRestricted && joinRule === 'knock_restricted')) {
    return refuse(`${rule.knock}.1`, 'the join rule allows no knocking');
  }
  if (event.sender !== target) return refuse(`${rule.knock}.2`, 'nobody can knock for another user');
  if (senderMembership === 'ban' || senderMembership === 'invite' || senderMembership === 'join') {
    return refuse(`${rule.knock}.4`, `the sender's membership is ${senderMembership}`);
  }
  return ALLOW;
}
