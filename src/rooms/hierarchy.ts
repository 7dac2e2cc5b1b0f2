import { MatrixError } from '#core/errors.js';
import type { RoomId, UserId } from '#core/ids.js';
import { findRoom, notInRoom, type Room, type Rooms } from '#rooms/rooms.js';
import { childrenOf, type SpaceChild } from '#rooms/space-children.js';
import { mayPreview, type RoomSummary, summaryOf } from '#rooms/summary.js';

/** Rooms that one walk goes through, accessible or not, and how deep it goes. */
const MAX_WALKED = 20_000;
const MAX_DEPTH = 50;
/** Rooms between two turns of the event loop. */
const SLICE = 50;

export interface HierarchyQuery {
  readonly suggestedOnly: boolean;
  /** Levels below the root; as many as are ever walked where absent. */
  readonly maxDepth?: number | undefined;
  readonly limit: number;
  /** A token of an earlier page of the same walk. */
  readonly from?: string | undefined;
}

export interface HierarchyRoom extends RoomSummary {
  readonly children_state: readonly SpaceChild['event'][];
}

export interface HierarchyPage {
  readonly rooms: readonly HierarchyRoom[];
  readonly next_batch?: string;
}

/**
 * A page of the rooms below a space that `viewer` may preview, depth first and each once however often it is linked
 * (client-server API, GET hierarchy). What lies below a room that they may not preview stays hidden with it.
 * M_FORBIDDEN where they may not preview the space itself or there is none, M_INVALID_PARAM for a token of another walk.
 */
export async function spaceHierarchy(
  rooms: Rooms,
  viewer: UserId,
  roomId: RoomId,
  query: HierarchyQuery,
): Promise<HierarchyPage> {
  const maxDepth = Math.min(query.maxDepth ?? MAX_DEPTH, MAX_DEPTH);
  const mark = `${query.suggestedOnly ? 's' : 'a'}${maxDepth}`;
  const skip = query.from === undefined ? 0 : parseToken(query.from, mark);
  const page: HierarchyRoom[] = [];
  let passed = 0;
  for await (const { room, children } of walk(rooms, viewer, roomId, query.suggestedOnly, maxDepth)) {
    if (passed++ < skip) continue;
    if (page.length >= query.limit) return { rooms: page, next_batch: `${mark}_${skip + page.length}` };
    page.push({ ...summaryOf(rooms, room), children_state: children.map(({ event }) => event) });
  }
  return { rooms: page };
}

/** A token says how far the walk had come: the walk itself is done anew, so that it outlives a restart. */
function parseToken(token: string, mark: string): number {
  const [, walked, passed] = /^([as]\d{1,2})_(\d{1,6})$/.exec(token) ?? [];
  if (passed === undefined) throw new MatrixError('M_INVALID_PARAM', "'from' is no token of this server");
  if (walked !== mark) {
    throw new MatrixError('M_INVALID_PARAM', "'suggested_only' and 'max_depth' can not change between pages");
  }
  return Number(passed);
}

async function* walk(
  rooms: Rooms,
  viewer: UserId,
  root: RoomId,
  suggestedOnly: boolean,
  maxDepth: number,
): AsyncGenerator<{ readonly room: Room; readonly children: readonly SpaceChild[] }> {
  const seen = new Set<RoomId>();
  const ahead: { readonly id: RoomId; readonly depth: number }[] = [{ id: root, depth: 0 }];
  for (let next = ahead.pop(); next !== undefined && seen.size < MAX_WALKED; next = ahead.pop()) {
    const { id, depth } = next;
    if (seen.has(id)) continue;
    seen.add(id);
    if (seen.size % SLICE === 0) await new Promise<void>((go) => setImmediate(go));
    const room = findRoom(rooms.store, id);
    if (room === undefined || !mayPreview(rooms, room, viewer)) {
      if (depth === 0) throw notInRoom();
      continue;
    }
    const isSpace = summaryOf(rooms, room).room_type === 'm.space';
    const all = isSpace ? await childrenOf(rooms, room) : [];
    const children = suggestedOnly ? all.filter(({ suggested }) => suggested) : all;
    yield { room, children };
    if (depth < maxDepth) ahead.push(...children.map(({ roomId }) => ({ id: roomId, depth: depth + 1 })).reverse());
  }
}
