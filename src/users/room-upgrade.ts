import { membershipOf, predecessorOf } from '#core/event/content.js';
import { type RoomId, UserId } from '#core/ids.js';
import { copyRoomRules } from '#core/push-rules/edit.js';
import { findRoom, type Rooms, storedStateAt } from '#rooms/rooms.js';
import { memberships } from '#store/schema.js';
import type { Tx } from '#store/types.js';
import { findAccountData, putAccountData } from '#users/account-data.js';
import { putRuleset, ruleset } from '#users/push-rules.js';

/**
 * In `tx`, gives what a user keeps of a room to the one that replaces it: tags, push rules, and its place among the direct
 * chats (client-server API, Room upgrades). Done when the user joins the new room; what is there already stays.
 */
export function carryOver(tx: Tx, user: UserId, from: RoomId, to: RoomId): void {
  const tags = findAccountData(tx, user, from, 'm.tag');
  if (tags !== undefined && findAccountData(tx, user, to, 'm.tag') === undefined) {
    putAccountData(tx, user, to, 'm.tag', tags.content);
  }
  const rules = ruleset(tx, user);
  const copied = copyRoomRules(rules, from, to);
  if (copied !== rules) putRuleset(tx, user, copied);
  const direct = findAccountData(tx, user, '', 'm.direct');
  if (direct === undefined) return;
  const entries = Object.entries(direct.content).map(([other, rooms]): [string, typeof rooms] => {
    if (!Array.isArray(rooms) || !rooms.includes(from) || rooms.includes(to)) return [other, rooms];
    return [other, [...rooms, to]];
  });
  putAccountData(tx, user, '', 'm.direct', Object.fromEntries(entries));
}

/**
 * From now on gives a local user who joins a room what they keep of the room that it replaces, if they were ever in that
 * one: whichever server and whichever way the upgrade came from.
 */
export function followUpgrades(rooms: Rooms): void {
  rooms.observers.push((tx, stored, { room, live }) => {
    const { pdu } = stored;
    if (!live || pdu.type !== 'm.room.member' || membershipOf(pdu) !== 'join') return;
    const user = UserId.parse(pdu.state_key);
    if (user === undefined || UserId.serverName(user) !== rooms.serverName) return;
    const before = storedStateAt(rooms, tx, stored.stateBefore, 'm.room.member', user)?.pdu;
    if (membershipOf(before) === 'join') return;
    const create = storedStateAt(rooms, tx, stored.stateBefore, 'm.room.create', '')?.pdu;
    const from = create && predecessorOf(create)?.roomId;
    const old = from === undefined ? undefined : findRoom(tx, from);
    if (old === undefined || !tx.has(memberships, [user, old.num])) return;
    carryOver(tx, user, old.head.id, room.head.id);
  });
}
