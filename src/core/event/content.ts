import type { Pdu } from '#core/event/pdu.js';
import { EventId, RoomId, UserId } from '#core/ids.js';
import { isObject, type JsonObject, own, ownObject, ownString } from '#core/json-value.js';
import type { RoomRules } from '#core/room-versions.js';

/**
 * Typed readers of event content. Content comes from anyone and may hold anything: each reader answers with what the
 * specification or, where it is silent, common practice makes of a wrong or missing value, and none of them throws.
 */
type WithContent = { readonly content: JsonObject };

/** `membership` of an m.room.member event: any string, known or not; undefined where it is absent or no string. */
export function membershipOf(event: WithContent | undefined): string | undefined {
  return event && ownString(event.content, 'membership');
}

/**
 * The join rule that an m.room.join_rules event sets. `invite` where there is no event or no rule in it; undefined,
 * which no rule matches, where the value is no string.
 */
export function joinRuleOf(event: WithContent | undefined): string | undefined {
  if (event === undefined || !Object.hasOwn(event.content, 'join_rule')) return 'invite';
  return ownString(event.content, 'join_rule');
}

/** Rooms whose members may join a restricted room: the `m.room_membership` conditions of m.room.join_rules. */
export function allowedRoomsOf(event: WithContent | undefined): RoomId[] {
  const allow = event && own(event.content, 'allow');
  if (!Array.isArray(allow)) return [];
  const rooms = new Set<RoomId>();
  for (const condition of allow) {
    if (!isObject(condition) || own(condition, 'type') !== 'm.room_membership') continue;
    const room = RoomId.parse(own(condition, 'room_id'));
    if (room !== undefined) rooms.add(room);
  }
  return [...rooms];
}

export type HistoryVisibility = 'invited' | 'joined' | 'shared' | 'world_readable';

/** `shared` where there is no event, or its value is unknown (client-server API, m.room.history_visibility). */
export function historyVisibilityOf(event: WithContent | undefined): HistoryVisibility {
  const value = event && ownString(event.content, 'history_visibility');
  return value === 'invited' || value === 'joined' || value === 'world_readable' ? value : 'shared';
}

/** Whether guests may join: only by an explicit `can_join`. */
export function guestsCanJoin(event: WithContent | undefined): boolean {
  return event !== undefined && ownString(event.content, 'guest_access') === 'can_join';
}

/** False only where `m.federate` of m.room.create is the JSON value `false`. */
export function isFederated(create: WithContent): boolean {
  return own(create.content, 'm.federate') !== false;
}

/** The room version that m.room.create names, `1` where it names none; undefined where the value is no string. */
export function roomVersionOf(create: WithContent): string | undefined {
  return Object.hasOwn(create.content, 'room_version') ? ownString(create.content, 'room_version') : '1';
}

/** `type` of m.room.create, such as `m.space`. */
export function roomTypeOf(create: WithContent): string | undefined {
  return ownString(create.content, 'type');
}

/**
 * The plain text of m.room.topic: its text/plain representation in `m.topic`, or `topic`. Undefined where there is none
 * or it is empty.
 */
export function plainTopicOf(event: WithContent | undefined): string | undefined {
  if (event === undefined) return undefined;
  const block = ownObject(event.content, 'm.topic');
  const texts = block && own(block, 'm.text');
  const representations = Array.isArray(texts) ? texts.filter(isObject) : [];
  const plain = representations.find((text) => (own(text, 'mimetype') ?? 'text/plain') === 'text/plain');
  return (plain && ownString(plain, 'body')) || ownString(event.content, 'topic') || undefined;
}

/** The room that this one replaces, and its last known event where the create event names one. */
export function predecessorOf(create: WithContent): { roomId: RoomId; eventId: EventId | undefined } | undefined {
  const predecessor = ownObject(create.content, 'predecessor');
  const roomId = predecessor && RoomId.parse(own(predecessor, 'room_id'));
  return roomId && { roomId, eventId: EventId.parse(predecessor && own(predecessor, 'event_id')) };
}

/** The room that m.room.tombstone points to. */
export function replacementRoomOf(tombstone: WithContent | undefined): RoomId | undefined {
  return tombstone && RoomId.parse(own(tombstone.content, 'replacement_room'));
}

/** The one user whom the bootstrap join and default power of 100 are for: `content.creator`, the sender from v11 on. */
export function creatorOf(create: Pdu, rules: RoomRules): string | undefined {
  return rules.senderIsCreator ? create.sender : ownString(create.content, 'creator');
}

/** Users of infinite power (rooms/v12, creators): the sender, then `additional_creators`; empty before version 12. */
export function privilegedCreatorsOf(create: Pdu | undefined, rules: RoomRules): readonly UserId[] {
  if (create === undefined || !rules.privilegedCreators) return [];
  const additional = own(create.content, 'additional_creators');
  if (!Array.isArray(additional) || additional.length === 0) return [create.sender];
  const creators = new Set<UserId>([create.sender]);
  for (const entry of additional) {
    if (UserId.is(entry)) creators.add(entry);
  }
  return [...creators];
}

/** `join_authorised_via_users_server` of a membership, if it is a user id. */
export function authorisedViaOf(event: WithContent): UserId | undefined {
  return UserId.parse(own(event.content, 'join_authorised_via_users_server'));
}

/** `third_party_invite.signed` of an invite. */
export function thirdPartySignedOf(event: WithContent): JsonObject | undefined {
  const invite = ownObject(event.content, 'third_party_invite');
  return invite && ownObject(invite, 'signed');
}

/** The base64 public keys of m.room.third_party_invite: `public_key` and those in `public_keys`. */
export function thirdPartyKeysOf(event: WithContent): string[] {
  const keys: string[] = [];
  const single = ownString(event.content, 'public_key');
  if (single !== undefined) keys.push(single);
  const list = own(event.content, 'public_keys');
  if (Array.isArray(list)) {
    for (const entry of list) {
      const key = isObject(entry) ? ownString(entry, 'public_key') : undefined;
      if (key !== undefined) keys.push(key);
    }
  }
  return keys;
}
