import {
  allowedRoomsOf,
  guestsCanJoin,
  historyVisibilityOf,
  joinRuleOf,
  plainTopicOf,
  roomTypeOf,
} from '#core/event/content.js';
import type { RoomId, UserId } from '#core/ids.js';
import { ownString } from '#core/json-value.js';
import { isErased, shownTo } from '#rooms/erasure.js';
import { findRoom, memberOf, type Room, type Rooms, storedStateAt } from '#rooms/rooms.js';
import type { Position } from '#store/types.js';
import { Lru } from '#util/lru.js';

/** Rooms whose summaries are held in memory. */
const CACHED_ROOMS = 10_000;

/** What the public directory shows of a room (client-server API, PublishedRoomsChunk). */
export interface PublicRoom {
  readonly room_id: RoomId;
  readonly name?: string;
  readonly topic?: string;
  readonly canonical_alias?: string;
  readonly avatar_url?: string;
  readonly room_type?: string;
  readonly join_rule?: string;
  readonly num_joined_members: number;
  readonly world_readable: boolean;
  readonly guest_can_join: boolean;
}

/** What one who may preview a room is shown of it (client-server API, RoomSummary). */
export interface RoomSummary extends PublicRoom {
  /** Rooms whose members may join; only where the join rule asks for them. */
  readonly allowed_room_ids?: readonly RoomId[];
  readonly encryption?: string;
  readonly room_version: string;
}

/**
 * A summary holds for as long as nothing happens in its room (a redaction changes it without changing the state), and
 * nobody whose words are in it has themselves erased.
 */
interface Held {
  readonly authors: ReadonlySet<UserId>;
  readonly tip: Position;
  readonly summary: RoomSummary;
}
const held = new WeakMap<Rooms, Lru<RoomId, Held>>();

/** The room in a few words, from its current state, as anyone may be told them. Whether anyone may be shown it is asked before: `mayPreview`. */
export function summaryOf(rooms: Rooms, room: Room): RoomSummary {
  let cache = held.get(rooms);
  if (cache === undefined) {
    cache = new Lru(CACHED_ROOMS);
    held.set(rooms, cache);
  }
  const { id, tip } = room.head;
  const known = cache.get(id);
  if (known?.tip === tip && !isAnyErased(rooms, known.authors)) return known.summary;
  const made = summarise(rooms, room);
  cache.set(id, { tip, ...made });
  return made.summary;
}

function isAnyErased(rooms: Rooms, authors: ReadonlySet<UserId>): boolean {
  for (const author of authors) if (isErased(rooms.store, author)) return true;
  return false;
}

function summarise(rooms: Rooms, room: Room): Omit<Held, 'tip'> {
  const authors = new Set<UserId>();
  const stateOf = (type: string) => {
    const stored = storedStateAt(rooms, rooms.store, room.head.state, type, '');
    if (stored === undefined) return undefined;
    if (!isErased(rooms.store, stored.pdu.sender)) authors.add(stored.pdu.sender);
    return shownTo(rooms, rooms.store, stored, undefined);
  };
  const text = (type: string, key: string): string | undefined => {
    const event = stateOf(type);
    return event && ownString(event.content, key);
  };
  const create = stateOf('m.room.create');
  const joinRules = stateOf('m.room.join_rules');
  const joinRule = joinRuleOf(joinRules);
  const isRestricted = joinRule === 'restricted' || joinRule === 'knock_restricted';
  const texts = {
    name: text('m.room.name', 'name'),
    topic: plainTopicOf(stateOf('m.room.topic')),
    canonical_alias: text('m.room.canonical_alias', 'alias'),
    avatar_url: text('m.room.avatar', 'url'),
    room_type: create && roomTypeOf(create),
    join_rule: joinRule,
    encryption: text('m.room.encryption', 'algorithm'),
  };
  const summary: RoomSummary = {
    room_id: room.head.id,
    ...(Object.fromEntries(Object.entries(texts).filter(([, value]) => value !== undefined && value !== '')) as object),
    ...(isRestricted ? { allowed_room_ids: allowedRoomsOf(joinRules) } : {}),
    num_joined_members: room.head.joined,
    world_readable: historyVisibilityOf(stateOf('m.room.history_visibility')) === 'world_readable',
    guest_can_join: guestsCanJoin(stateOf('m.room.guest_access')),
    room_version: room.head.version,
  };
  return { authors, summary };
}

/**
 * Whether `viewer` (undefined: someone without an account) may be shown what a room is (client-server API, GET
 * hierarchy): members and those invited, who could join or knock, and anyone where the room may be read by all.
 */
export function mayPreview(rooms: Rooms, room: Room, viewer: UserId | undefined): boolean {
  const membership = viewer && memberOf(rooms.store, room, viewer)?.membership;
  if (membership === 'join' || membership === 'invite') return true;
  const summary = summaryOf(rooms, room);
  if (summary.world_readable) return true;
  switch (summary.join_rule) {
    case 'public':
      return true;
    case 'knock':
      return room.rules.knock;
    case 'knock_restricted':
      return room.rules.knockRestricted;
    case 'restricted':
      return room.rules.restrictedJoin && isInAny(rooms, summary.allowed_room_ids ?? [], viewer);
    default:
      return false;
  }
}

function isInAny(rooms: Rooms, allowed: readonly RoomId[], viewer: UserId | undefined): boolean {
  if (viewer === undefined) return false;
  return allowed.some((id) => {
    const room = findRoom(rooms.store, id);
    return room !== undefined && memberOf(rooms.store, room, viewer)?.membership === 'join';
  });
}
