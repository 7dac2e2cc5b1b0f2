import type { EventId, RoomId, UserId } from '#core/ids.js';
import { ignoredBy } from '#rooms/ignored.js';
import { listRelations } from '#rooms/relations.js';
import type { Rooms } from '#rooms/rooms.js';
import { getEvent, readableRoom } from '#rooms/visibility.js';
import type { StoredEvent } from '#store/events.js';
import { relations } from '#store/schema.js';
import type { EventNum, Order } from '#store/types.js';

/** Levels below the parent that a recursive listing goes down, and events that it gathers on the way. */
const MAX_DEPTH = 3;
const MAX_GATHERED = 5_000;
/** Pages of relations read to fill one whose events are hidden from the viewer. */
const MAX_ROUNDS = 10;

export interface RelatedQuery {
  readonly dir: 'b' | 'f';
  readonly limit: number;
  /** Also what relates to what relates to the event, three levels deep. */
  readonly recurse: boolean;
  /** Gaps of the timeline, as everywhere. */
  readonly from?: Order;
  readonly to?: Order;
  readonly relType?: string;
  readonly type?: string;
}

export interface Related {
  /** In the order of `dir`. */
  readonly events: readonly StoredEvent[];
  /** The gap to go on from; absent at the end. */
  readonly end?: Order;
  /** Levels gone down. */
  readonly depth: number;
}

/**
 * Events that relate to one, that the viewer may see, and that nobody sent whom they ignore (client-server API, Relationships API). M_NOT_FOUND where the
 * viewer can't see the parent.
 */
export async function relatedEvents(
  rooms: Rooms,
  viewer: UserId,
  roomId: RoomId,
  eventId: EventId,
  query: RelatedQuery,
): Promise<Related> {
  const parent = getEvent(rooms, viewer, roomId, eventId).pdu.event_id;
  const { visibility, until } = readableRoom(rooms, roomId, viewer);
  const ignored = ignoredBy(rooms.store, viewer);
  const shownTo = (num: EventNum): StoredEvent | undefined => {
    const stored = rooms.events.get(rooms.store, num);
    if (stored === undefined || stored.order > until || ignored.has(stored.pdu.sender)) return undefined;
    return visibility.sees(stored) ? stored : undefined;
  };
  return query.recurse ? recursively(rooms, parent, query, shownTo) : directly(rooms, parent, query, shownTo);
}

async function directly(
  rooms: Rooms,
  parent: EventId,
  query: RelatedQuery,
  shownTo: (num: EventNum) => StoredEvent | undefined,
): Promise<Related> {
  const events: StoredEvent[] = [];
  let from = query.from;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const { rows, end } = await listRelations(rooms, parent, {
      ...query,
      limit: query.limit - events.length,
      ...(from === undefined ? {} : { from }),
    });
    for (const { relation } of rows) {
      const stored = shownTo(relation.event);
      if (stored !== undefined) events.push(stored);
    }
    if (end === undefined) return { events, depth: 1 };
    from = end;
    if (events.length >= query.limit) break;
  }
  return { events, depth: 1, ...(from === undefined ? {} : { end: from }) };
}

/** Gathers the tree below the parent, bounded, and cuts the page out of it: a page of one level says nothing of the next. */
async function recursively(
  rooms: Rooms,
  parent: EventId,
  query: RelatedQuery,
  shownTo: (num: EventNum) => StoredEvent | undefined,
): Promise<Related> {
  const seen = new Set<EventNum>();
  const found: StoredEvent[] = [];
  let level: readonly EventId[] = [parent];
  let depth = 0;
  while (level.length > 0 && depth < MAX_DEPTH && seen.size < MAX_GATHERED) {
    const next: EventId[] = [];
    for (const id of level) {
      if (seen.size >= MAX_GATHERED) break;
      const rows = rooms.store.range(relations, { prefix: [id], limit: MAX_GATHERED - seen.size });
      for await (const [, { event, relType, type }] of rows) {
        const stored = seen.has(event) ? undefined : shownTo(event);
        seen.add(event);
        if (stored === undefined) continue;
        next.push(stored.pdu.event_id);
        if (query.relType !== undefined && relType !== query.relType) continue;
        if (query.type === undefined || type === query.type) found.push(stored);
      }
    }
    if (next.length > 0) depth++;
    level = next;
  }
  const backwards = query.dir === 'b';
  const [low, high] = backwards ? [query.to, query.from] : [query.from, query.to];
  const wanted = found
    .filter(({ order }) => (low === undefined || order > low) && (high === undefined || order <= high))
    .sort((a, b) => (backwards ? b.order - a.order : a.order - b.order));
  const events = wanted.slice(0, query.limit);
  const beyond = wanted[query.limit];
  if (beyond === undefined) return { events, depth };
  return { events, depth, end: backwards ? beyond.order : beyond.order - 1 };
}
