import { foldCase } from '#core/case-fold.js';
import { MatrixError } from '#core/errors.js';
import { RoomId } from '#core/ids.js';
import { findRoom, type Rooms } from '#rooms/rooms.js';
import { type PublicRoom, type RoomSummary, summaryOf } from '#rooms/summary.js';
import { published } from '#store/schema.js';

/** Rooms looked at between two turns of the event loop. */
const SLICE = 100;
const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 500;

export interface PublicRoomsQuery {
  /** A token of an earlier answer. */
  readonly since?: string | undefined;
  /** 100 where absent; 500 at most. */
  readonly limit?: number | undefined;
  /** In the name, topic or canonical alias, whatever the case. */
  readonly search?: string | undefined;
  /** Rooms of these types only; null is a room without one. */
  readonly types?: readonly (string | null)[] | undefined;
}

export interface PublicRoomsPage {
  readonly chunk: readonly PublicRoom[];
  readonly next_batch?: string;
  readonly prev_batch?: string;
  readonly total_room_count_estimate: number;
}

/** Join rules with which a room is worth listing; others only where anyone may read it. */
const LISTED_RULES: ReadonlySet<string | undefined> = new Set(['public', 'knock', 'knock_restricted']);

/**
 * A page of the public directory, largest rooms first (client-server API, publicRooms). M_INVALID_PARAM for a token that
 * is not of this directory.
 */
export async function listPublicRooms(rooms: Rooms, query: PublicRoomsQuery): Promise<PublicRoomsPage> {
  const cursor = query.since === undefined ? undefined : parseCursor(query.since);
  const limit = Math.min(Math.max(query.limit ?? DEFAULT_LIMIT, 1), MAX_LIMIT);
  const all = await allRooms(rooms);
  const wanted = all.filter(matching(query)).sort(compare);
  const page = cut(wanted, cursor, limit);
  const [first, last] = [page.at(0), page.at(-1)];
  const hasBefore = first !== undefined && wanted[0] !== first;
  const hasAfter = last !== undefined && wanted.at(-1) !== last;
  return {
    chunk: page.map(listed),
    ...(hasAfter ? { next_batch: writeCursor('f', last) } : {}),
    ...(hasBefore ? { prev_batch: writeCursor('b', first) } : {}),
    total_room_count_estimate: all.length,
  };
}

async function allRooms(rooms: Rooms): Promise<RoomSummary[]> {
  const all: RoomSummary[] = [];
  let looked = 0;
  for await (const [[id]] of rooms.store.range(published)) {
    if (++looked % SLICE === 0) await new Promise<void>((next) => setImmediate(next));
    const room = findRoom(rooms.store, id as RoomId);
    if (room === undefined || room.head.joined === 0) continue;
    const summary = summaryOf(rooms, room);
    if (summary.world_readable || LISTED_RULES.has(summary.join_rule)) all.push(summary);
  }
  return all;
}

/** A published room as the directory shows it: conditions, version and encryption are for those who look at it closer. */
function listed(room: RoomSummary): PublicRoom {
  const { allowed_room_ids: _, encryption: __, room_version: ___, ...chunk } = room;
  return chunk;
}

function matching({ search, types }: PublicRoomsQuery): (room: PublicRoom) => boolean {
  const term = search === undefined || search === '' ? undefined : foldCase(search);
  return (room) => {
    if (types !== undefined && !types.includes(room.room_type ?? null)) return false;
    if (term === undefined) return true;
    return [room.name, room.topic, room.canonical_alias].some((text) => text && foldCase(text).includes(term));
  };
}

/** Place in the list: by members, then by id so that no two are alike. */
interface Place {
  readonly num_joined_members: number;
  readonly room_id: RoomId;
}

function compare(a: Place, b: Place): number {
  if (a.num_joined_members !== b.num_joined_members) return b.num_joined_members - a.num_joined_members;
  return a.room_id < b.room_id ? -1 : a.room_id > b.room_id ? 1 : 0;
}

interface Cursor extends Place {
  readonly dir: 'f' | 'b';
}

function cut(sorted: readonly RoomSummary[], cursor: Cursor | undefined, limit: number): readonly RoomSummary[] {
  if (cursor === undefined) return sorted.slice(0, limit);
  if (cursor.dir === 'f') return sorted.filter((room) => compare(room, cursor) > 0).slice(0, limit);
  return sorted.filter((room) => compare(room, cursor) < 0).slice(-limit);
}

/** A token says where the last page ended, so that rooms which come and go in between shift nothing. */
function writeCursor(dir: 'f' | 'b', { num_joined_members: joined, room_id: id }: Place): string {
  return `${dir}${joined}_${Buffer.from(id).toString('base64url')}`;
}

function parseCursor(token: string): Cursor {
  const [, dir, joined, id] = /^([fb])(\d{1,15})_([A-Za-z0-9_-]{1,400})$/.exec(token) ?? [];
  const roomId = id === undefined ? undefined : RoomId.parse(Buffer.from(id, 'base64url').toString());
  if (roomId === undefined) throw new MatrixError('M_INVALID_PARAM', "'since' is no token of this directory");
  return { dir: dir === 'f' ? 'f' : 'b', num_joined_members: Number(joined), room_id: roomId };
}
