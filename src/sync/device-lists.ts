import { membershipOf } from '#core/event/content.js';
import type { UserId } from '#core/ids.js';
import type { Rooms } from '#rooms/rooms.js';
import { deviceLists as deviceListPositions, members, signedUsers } from '#store/schema.js';
import type { EventNum, Position, RoomNum } from '#store/types.js';
import type { Changes } from '#sync/changes.js';
import { headOf, rootAt } from '#sync/sections.js';
import type { UserView } from '#sync/views.js';

/** Largest room whose members are gone through when its viewer comes or goes. */
const MOST_MEMBERS = 100_000;

export interface DeviceLists {
  readonly changed: readonly string[];
  readonly left: readonly string[];
  /** Users who began to share a room with the viewer. */
  readonly met: ReadonlySet<string>;
}

/**
 * `device_lists` of an incremental sync (client-server API, Tracking the device list for a user): users whose devices
 * changed or who began to share a room with the viewer, and users who share none any more.
 */
export async function deviceListChanges(
  rooms: Rooms,
  view: UserView,
  since: Position,
  upTo: Position,
  changes: Changes,
  entered: ReadonlySet<RoomNum>,
  departed: ReadonlySet<RoomNum>,
): Promise<DeviceLists> {
  const changed = new Set<string>();
  const candidates = new Set<string>();
  const met = new Set<string>();
  const shares = (user: string): boolean => user === view.user || sharesRoom(rooms, view, user);

  if (changes.deviceLists !== undefined) {
    for (const user of changes.deviceLists) if (shares(user)) changed.add(user);
  } else {
    for await (const [[user], position] of rooms.store.range(deviceListPositions)) {
      if (position > since && position <= upTo && shares(user)) changed.add(user);
    }
    for await (const [[, user], position] of rooms.store.range(signedUsers, { prefix: [view.user] })) {
      if (position > since && position <= upTo && shares(user)) changed.add(user);
    }
  }
  for (const room of entered) {
    for await (const user of joinedMembers(rooms, room)) met.add(user);
  }
  for (const room of departed) {
    for await (const user of lastSeen(rooms, view, room, since)) candidates.add(user);
  }
  for (const room of changes.rooms ?? [...view.rooms.keys()]) {
    if (view.rooms.get(room)?.membership !== 'join' || entered.has(room)) continue;
    const head = headOf(rooms, room);
    if (head === undefined || head.tip <= since) continue;
    const from = await rootAt(rooms, room, head, since);
    const to = await rootAt(rooms, room, head, upTo);
    for (const [type, stateKey, num] of rooms.trees.changed(rooms.store, from, to)) {
      if (type !== 'm.room.member' || stateKey === view.user) continue;
      const isJoin = isJoinEvent(rooms, num);
      const wasJoin = isJoinEvent(rooms, rooms.trees.get(rooms.store, from, type, stateKey));
      if (isJoin && !wasJoin) met.add(stateKey);
      else if (wasJoin && !isJoin) candidates.add(stateKey);
    }
  }
  met.delete(view.user);
  for (const user of met) changed.add(user);
  const left: string[] = [];
  for (const user of candidates) {
    if (user !== view.user && !shares(user)) {
      left.push(user);
      changed.delete(user);
    }
  }
  return { changed: [...changed], left, met };
}

/** Whether the viewer is joined to a room that `user` is joined to. */
export function sharesRoom(rooms: Rooms, view: UserView, user: string): boolean {
  for (const [room, membership] of view.rooms) {
    if (membership.membership !== 'join') continue;
    if (rooms.store.get(members, [room, user as UserId])?.membership === 'join') return true;
  }
  return false;
}

function isJoinEvent(rooms: Rooms, num: EventNum | undefined): boolean {
  return num !== undefined && membershipOf(rooms.events.get(rooms.store, num)?.pdu) === 'join';
}

/**
 * Members that the viewer, who has left the room, knew there: joined at `since` or when the viewer went. Who came
 * later is not told.
 */
async function* lastSeen(rooms: Rooms, view: UserView, room: RoomNum, since: Position): AsyncGenerator<string> {
  const membership = view.rooms.get(room);
  const head = headOf(rooms, room);
  if (membership === undefined || head === undefined) return;
  const went = rooms.events.get(rooms.store, membership.event)?.order ?? membership.position;
  const then = await rootAt(rooms, room, head, went);
  for await (const user of joinedMembers(rooms, room)) {
    if (isJoinEvent(rooms, rooms.trees.get(rooms.store, then, 'm.room.member', user))) yield user;
  }
  for (const [from, to] of [
    [await rootAt(rooms, room, head, since), then],
    [then, head.state],
  ] as const) {
    for (const { type, stateKey, before } of rooms.trees.diff(rooms.store, from, to)) {
      if (type === 'm.room.member' && isJoinEvent(rooms, before)) yield stateKey;
    }
  }
}

async function* joinedMembers(rooms: Rooms, room: RoomNum): AsyncGenerator<string> {
  let seen = 0;
  for await (const [[, user], member] of rooms.store.range(members, { prefix: [room] })) {
    if (member.membership === 'join') yield user;
    if (++seen >= MOST_MEMBERS) return;
  }
}
