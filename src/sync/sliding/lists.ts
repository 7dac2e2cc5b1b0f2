import type { RoomId, UserId } from '#core/ids.js';
import { isObject, own, ownObject } from '#core/json-value.js';
import { findRoom, type Rooms, roomByNum } from '#rooms/rooms.js';
import { summaryOf } from '#rooms/summary.js';
import { accountData, type Membership, type RoomHead } from '#store/schema.js';
import type { Position, RoomNum, StateRoot } from '#store/types.js';
import { isUnwantedInvite } from '#sync/invites.js';
import { headOf, rootAt } from '#sync/sections.js';
import type { ListConfig, ListFilters, RoomConfig, SlidingRequest } from '#sync/sliding/request.js';
import { combine } from '#sync/sliding/request.js';
import type { UserView } from '#sync/views.js';

/** A room of the user's list. */
export interface ListedRoom {
  readonly room: RoomNum;
  readonly head: RoomHead;
  readonly membership: Membership;
  /** What rooms are ordered by: when the newest thing came that the user may hear of. */
  readonly activity: Position;
}

/** A room that a request asks for, with everything that is asked of it. */
export interface WantedRoom extends ListedRoom {
  readonly config: RoomConfig;
  readonly lists: readonly string[];
}

export interface Wanted {
  readonly rooms: readonly WantedRoom[];
  readonly counts: Readonly<Record<string, { readonly count: number }>>;
}

/** Rooms looked at between two turns of the event loop: after a start, each is read from the disk. */
const LOOK_SLICE = 100;

/** Rooms that the user is in, invited to, knocked on or was put out of; those they left only where `wasSent`. */
async function listedRooms(
  rooms: Rooms,
  view: UserView,
  wasSent: (room: RoomNum) => boolean,
): Promise<readonly ListedRoom[]> {
  const listed: ListedRoom[] = [];
  let looked = 0;
  for (const room of [...view.rooms.keys()]) {
    if (++looked % LOOK_SLICE === 0) await new Promise<void>((next) => setImmediate(next));
    const membership = view.rooms.get(room);
    const head = headOf(rooms, room);
    if (head === undefined || membership === undefined || membership.forgotten) continue;
    if (membership.membership === 'join') {
      listed.push({ room, head, membership, activity: head.tip });
      continue;
    }
    if (membership.membership === 'invite' && isUnwantedInvite(rooms.store, view.user, membership)) continue;
    if (membership.membership === 'leave' || membership.membership === 'ban') {
      const own = rooms.events.get(rooms.store, membership.event)?.pdu.sender === view.user;
      const wasIn = membership.previous === 'join';
      if (!wasSent(room) && (own || !wasIn)) continue;
    }
    listed.push({ room, head, membership, activity: membership.position });
  }
  return listed.sort((a, b) => b.activity - a.activity);
}

/** The rooms that a request's lists and subscriptions match, each with its combined config (MSC4186). */
export async function wantedRooms(
  rooms: Rooms,
  view: UserView,
  request: SlidingRequest,
  wasSent: (room: RoomNum) => boolean,
): Promise<Wanted> {
  const all = await listedRooms(rooms, view, wasSent);
  const byRoom = new Map<RoomNum, { listed: ListedRoom; configs: RoomConfig[]; lists: string[] }>();
  const add = (listed: ListedRoom, config: RoomConfig, list: string | undefined): void => {
    const entry = byRoom.get(listed.room) ?? { listed, configs: [], lists: [] };
    entry.configs.push(config);
    if (list !== undefined) entry.lists.push(list);
    byRoom.set(listed.room, entry);
  };
  const counts: [string, { count: number }][] = [];
  for (const [name, list] of request.lists) {
    const matching = await filtered(rooms, view.user, all, list.filters);
    counts.push([name, { count: matching.length }]);
    for (const listed of windowsOf(matching, list.ranges)) add(listed, list, name);
  }
  for (const [roomId, config] of request.subscriptions) {
    const room = findRoom(rooms.store, roomId)?.num;
    const listed = room === undefined ? undefined : all.find((one) => one.room === room);
    if (listed !== undefined) add(listed, config, undefined);
  }
  /** By what is combined: most rooms are in the same lists. */
  const combined = new Map<string, RoomConfig>();
  const wanted = [...byRoom.values()].map(({ listed, configs, lists }) => {
    const only = lists.length < configs.length ? undefined : JSON.stringify(lists);
    const config = (only === undefined ? undefined : combined.get(only)) ?? combine(configs);
    if (only !== undefined) combined.set(only, config);
    return { ...listed, lists, config };
  });
  return { rooms: wanted, counts: Object.fromEntries(counts) };
}

function windowsOf(matching: readonly ListedRoom[], ranges: ListConfig['ranges']): Set<ListedRoom> {
  if (ranges === undefined) return new Set(matching);
  return new Set(ranges.flatMap(([first, last]) => matching.slice(first, last + 1)));
}

/** Room ids that m.direct names (client-server API, Direct Messaging). */
export function directRooms(rooms: Rooms, user: UserId): ReadonlySet<string> {
  const content = rooms.store.get(accountData, [user, '', 'm.direct'])?.content ?? {};
  const ids = Object.values(content).flatMap((list) => (Array.isArray(list) ? list : []));
  return new Set(ids.filter((id): id is string => typeof id === 'string'));
}

function tagsOf(rooms: Rooms, user: UserId, roomId: RoomId): ReadonlySet<string> {
  const stored = rooms.store.get(accountData, [user, roomId, 'm.tag']);
  return new Set(Object.keys((stored && ownObject(stored.content, 'tags')) ?? {}));
}

/** Rooms that joined spaces name as children. */
function childrenOf(rooms: Rooms, all: readonly ListedRoom[], spaces: readonly string[]): ReadonlySet<string> {
  const children = new Set<string>();
  for (const { head, membership } of all) {
    if (membership.membership !== 'join' || !spaces.includes(head.id)) continue;
    for (const [type, stateKey, num] of rooms.trees.entries(rooms.store, head.state)) {
      if (type !== 'm.space.child') continue;
      const via = rooms.events.get(rooms.store, num)?.pdu.content;
      if (isObject(via) && Array.isArray(own(via, 'via'))) children.add(stateKey);
    }
  }
  return children;
}

async function filtered(
  rooms: Rooms,
  user: UserId,
  all: readonly ListedRoom[],
  filters: ListFilters,
): Promise<readonly ListedRoom[]> {
  if (Object.values(filters).every((filter) => filter === undefined)) return all;
  const direct = filters.isDm === undefined ? undefined : directRooms(rooms, user);
  const children = filters.spaces === undefined ? undefined : childrenOf(rooms, all, filters.spaces);
  const lets = async (listed: ListedRoom): Promise<boolean> => {
    const { room, head, membership } = listed;
    if (direct !== undefined && direct.has(head.id) !== filters.isDm) return false;
    if (filters.isInvited !== undefined && (membership.membership === 'invite') !== filters.isInvited) return false;
    if (children !== undefined && !children.has(head.id)) return false;
    if (filters.tags !== undefined || filters.notTags !== undefined) {
      const tags = tagsOf(rooms, user, head.id);
      if (filters.notTags?.some((tag) => tags.has(tag))) return false;
      if (filters.tags !== undefined && !filters.tags.some((tag) => tags.has(tag))) return false;
    }
    // What follows asks for the room's state: whoever isn't in it knows only what the invite said.
    const inside = membership.membership === 'join' || membership.previous === 'join';
    if (filters.isEncrypted !== undefined) {
      const encrypted = inside
        ? rooms.trees.get(rooms.store, await rootOf(rooms, listed), 'm.room.encryption', '') !== undefined
        : strippedContent(membership, 'm.room.encryption') !== undefined;
      if (encrypted !== filters.isEncrypted) return false;
    }
    if (filters.roomTypes !== undefined || filters.notRoomTypes !== undefined) {
      const stated = inside
        ? summaryOf(rooms, roomByNum(rooms.store, room)).room_type
        : own(strippedContent(membership, 'm.room.create') ?? {}, 'type');
      const type = typeof stated === 'string' ? stated : null;
      if (filters.notRoomTypes?.includes(type)) return false;
      if (filters.roomTypes !== undefined && !filters.roomTypes.includes(type)) return false;
    }
    return true;
  };
  const matching: ListedRoom[] = [];
  for (const [index, listed] of all.entries()) {
    if (await lets(listed)) matching.push(listed);
    if (index % LOOK_SLICE === LOOK_SLICE - 1) await new Promise<void>((next) => setImmediate(next));
  }
  return matching;
}

/** State of a room that the user is in, or as it was when they left. */
async function rootOf(rooms: Rooms, { room, head, membership }: ListedRoom): Promise<StateRoot> {
  if (membership.membership === 'join') return head.state;
  return rootAt(rooms, room, head, rooms.events.get(rooms.store, membership.event)?.order ?? membership.position);
}

function strippedContent(membership: Membership, type: string) {
  const event = membership.stripped?.find((one) => one['type'] === type && one['state_key'] === '');
  return event === undefined ? undefined : ownObject(event, 'content');
}
