import type { RoomEventFilter } from '#core/filter.js';
import type { EventId, RoomId, UserId } from '#core/ids.js';
import type { Rooms } from '#rooms/rooms.js';
import { type Page, type PageQuery, pageTimeline } from '#rooms/timeline.js';
import type { StoredEvent } from '#store/events.js';
import { relations } from '#store/schema.js';

/** Pages read to fill one whose filter asks for what relates to each event. */
const MAX_ROUNDS = 10;
/** Relations of one event looked at. */
const MAX_RELATIONS = 1_000;

/**
 * A page of a room's timeline that keeps to `related_by_rel_types` and `related_by_senders` of a filter; the rest of it
 * is for `wanted` to ask. It may hold fewer events than asked for and yet go on.
 */
export async function filteredPage(
  rooms: Rooms,
  viewer: UserId,
  roomId: RoomId,
  filter: RoomEventFilter,
  query: PageQuery,
): Promise<Page> {
  const page = await pageTimeline(rooms, viewer, roomId, query);
  if (filter.relatedByRelTypes === undefined && filter.relatedBySenders === undefined) return page;
  const events: StoredEvent[] = [];
  let next = page;
  for (let round = 1; ; round++) {
    for (const stored of next.events) {
      if (await isRelatedBy(rooms, stored.pdu.event_id, filter)) events.push(stored);
    }
    const left = query.limit - events.length;
    if (next.end === undefined || left <= 0 || round >= MAX_ROUNDS) break;
    next = await pageTimeline(rooms, viewer, roomId, { ...query, from: next.end, limit: left });
  }
  const { end: _, ...rest } = page;
  return { ...rest, events, ...(next.end === undefined ? {} : { end: next.end }) };
}

async function isRelatedBy(rooms: Rooms, parent: EventId, filter: RoomEventFilter): Promise<boolean> {
  const { relatedByRelTypes: types, relatedBySenders: senders } = filter;
  for await (const [, relation] of rooms.store.range(relations, { prefix: [parent], limit: MAX_RELATIONS })) {
    if (types !== undefined && !types.has(relation.relType)) continue;
    if (senders === undefined || senders.has(relation.sender)) return true;
  }
  return false;
}
