import { membershipOf, thirdPartySignedOf } from '#core/event/content.js';
import type { StateKey } from '#core/event/pdu.js';
import { type JsonObject, ownString } from '#core/json-value.js';
import type { RoomRules } from '#core/room-versions.js';

/** What of an event decides which auth events it needs. */
export interface AuthSubject {
  readonly type: string;
  readonly sender: string;
  readonly state_key?: string;
  readonly content: JsonObject;
}

/**
 * The keys of the room state that authorise an event and belong into its `auth_events`, as far as they are set
 * (server-server API, Auth events selection). No duplicates; empty for m.room.create. In version 12 m.room.create is
 * not among them: the room id implies it.
 */
export function neededAuthKeys(event: AuthSubject, rules: RoomRules): StateKey[] {
  if (event.type === 'm.room.create') return [];
  const keys: StateKey[] = [];
  if (!rules.roomIdIsHash) keys.push({ type: 'm.room.create', state_key: '' });
  keys.push({ type: 'm.room.power_levels', state_key: '' }, member(event.sender));
  if (event.type !== 'm.room.member' || event.state_key === undefined) return keys;

  const members = new Set([event.sender]);
  const addMember = (user: string): void => {
    if (members.has(user)) return;
    members.add(user);
    keys.push(member(user));
  };
  addMember(event.state_key);
  const membership = membershipOf(event);
  if (membership === 'join' || membership === 'invite' || membership === 'knock') {
    keys.push({ type: 'm.room.join_rules', state_key: '' });
  }
  if (membership === 'invite') {
    const signed = thirdPartySignedOf(event);
    const token = signed && ownString(signed, 'token');
    if (token !== undefined) keys.push({ type: 'm.room.third_party_invite', state_key: token });
  }
  if (membership === 'join' && rules.restrictedJoin) {
    const user = ownString(event.content, 'join_authorised_via_users_server');
    if (user !== undefined) addMember(user);
  }
  return keys;
}

function member(user: string): StateKey {
  return { type: 'm.room.member', state_key: user };
}
