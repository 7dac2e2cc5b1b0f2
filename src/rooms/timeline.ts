import { MatrixError } from '#core/errors.js';
import type { EventId, RoomId, UserId } from '#core/ids.js';
import type { Rooms } from '#rooms/rooms.js';
import { rootAt } from '#rooms/state-at.js';
import { type Access, getEvent, readableRoom } from '#rooms/visibility.js';
import type { StoredEvent } from '#store/events.js';
import { timeline, timestamps } from '#store/schema.js';
import type { EventNum, Order, RoomNum, StateRoot } from '#store/types.js';

/** Rows looked at for one page at most: hidden and unwanted events are passed over. */
const SCAN_LIMIT = 2_000;
/** Rows read at a time, between two turns of the event loop. */
const SLICE = 200;

export interface PageQuery {
  /** `b` towards older events, `f` towards newer ones. */
  readonly dir: 'b' | 'f';
  /** Gap of the timeline to start from (docs/STREAMS.md); the newest or oldest one where absent. */
  readonly from?: Order;
  /** Gap to stop at. */
  readonly to?: Order;
  readonly limit: number;
  /** Further events to pass over, such as by a filter or of ignored senders. */
  readonly wanted?: (event: StoredEvent) => boolean;
}

export interface Page {
  readonly access: Access;
  /** In the order of `dir`. */
  readonly events: readonly StoredEvent[];
  /** The gap that the page starts from. */
  readonly start: Order;
  /** The gap to go on from; absent where nothing more can come. The page may be empty and yet have one. */
  readonly end?: Order;
}

/** A page of a room's timeline as `viewer` may see it (client-server API, GET messages). M_FORBIDDEN as `readableRoom`. */
export async function pageTimeline(
  rooms: Rooms,
  viewer: UserId | undefined,
  roomId: RoomId,
  query: PageQuery,
): Promise<Page> {
  const access = readableRoom(rooms, roomId, viewer);
  const { oldest, tip } = access.room.head;
  const start = query.from ?? (query.dir === 'b' ? Math.min(tip, access.until) : oldest - 1);
  return { access, start, ...(await walk(rooms, access, { ...query, from: start })) };
}

/** Goes from a gap until the page is full; looks one visible event further, to know whether more would come. */
async function walk(
  rooms: Rooms,
  access: Access,
  query: PageQuery & { readonly from: Order },
): Promise<{ events: StoredEvent[]; end?: Order }> {
  const backwards = query.dir === 'b';
  const events: StoredEvent[] = [];
  let scanned = 0;
  /** Gap behind the page's last event, once something behind it was passed over by the filter. */
  let behind: Order | undefined;
  for await (const rows of slices(rooms, access, query)) {
    for (const [[, order], num] of rows) {
      // The gap on the near side of this event: a page from there begins with it.
      const here = backwards ? order : order - 1;
      if (++scanned > SCAN_LIMIT) return { events, end: here };
      const stored = rooms.events.get(rooms.store, num);
      if (stored === undefined || !access.visibility.sees(stored)) continue;
      if (query.wanted !== undefined && !query.wanted(stored)) {
        const last = events.at(-1);
        if (backwards && last !== undefined) behind = last.order - 1;
        continue;
      }
      behind = undefined;
      if (events.length >= query.limit) return { events, end: here };
      events.push(stored);
    }
  }
  // There are older events, though none that the filter wants: as everyone's server does, the page says where it ended,
  // and the next one is empty and the last.
  return behind === undefined ? { events } : { events, end: behind };
}

/**
 * The rows from a gap on: first as many as the page takes where nothing is passed over, and one to know that there are
 * more. A turn of the event loop lies before each further slice, since the rows that are in memory come first.
 */
async function* slices(
  rooms: Rooms,
  access: Access,
  query: PageQuery & { readonly from: Order },
): AsyncGenerator<readonly [[RoomNum, Order], EventNum][], void, undefined> {
  const reverse = query.dir === 'b';
  let { from } = query;
  for (let limit = Math.min(query.limit + 1, SLICE); ; limit = SLICE) {
    const range = { prefix: [access.room.num], ...bounds(access, { ...query, from }), reverse, limit };
    const rows = await rooms.store.list(timeline, range);
    yield rows;
    if (rows.length < limit) return;
    const [[, last]] = rows.at(-1)!;
    from = reverse ? last - 1 : last;
  }
}

/** A gap is the place behind the event of its number: going back takes that event, going forward doesn't. */
function bounds(
  access: Access,
  query: { readonly dir: 'b' | 'f'; readonly from: Order; readonly to?: Order },
): { readonly gt?: readonly [Order]; readonly lte?: readonly [Order] } {
  const [low, high] = query.dir === 'b' ? [query.to, query.from] : [query.from, query.to];
  const top = Math.min(high ?? Infinity, access.until);
  return { ...(low === undefined ? {} : { gt: [low] }), ...(top === Infinity ? {} : { lte: [top] }) };
}

export interface EventContext {
  readonly access: Access;
  readonly event: StoredEvent;
  /** Newest first. */
  readonly before: readonly StoredEvent[];
  /** Oldest first. */
  readonly after: readonly StoredEvent[];
  /** Gaps around what is returned. */
  readonly start: Order;
  readonly end: Order;
  /** Room state at the last event returned. */
  readonly root: StateRoot;
}

/**
 * Events around one (client-server API, GET context); `limit` is for both sides together, or for each. M_NOT_FOUND where
 * the event can't be seen, M_FORBIDDEN where the room can't be read.
 */
export async function eventContext(
  rooms: Rooms,
  viewer: UserId | undefined,
  roomId: RoomId,
  eventId: EventId,
  options: {
    readonly limit: number | { readonly before: number; readonly after: number };
    readonly wanted?: (event: StoredEvent) => boolean;
  },
): Promise<EventContext> {
  const access = readableRoom(rooms, roomId, viewer);
  const event = getEvent(rooms, viewer, roomId, eventId);
  const { limit } = options;
  const half = typeof limit === 'number' ? Math.floor(limit / 2) : 0;
  const sides = typeof limit === 'number' ? { before: half, after: limit - half } : limit;
  const wanted = options.wanted === undefined ? {} : { wanted: options.wanted };
  const back = await walk(rooms, access, { dir: 'b', from: event.order - 1, limit: sides.before, ...wanted });
  const on = await walk(rooms, access, { dir: 'f', from: event.order, limit: sides.after, ...wanted });
  const first = back.events.at(-1) ?? event;
  const last = on.events.at(-1) ?? event;
  return {
    access,
    event,
    before: back.events,
    after: on.events,
    start: first.order - 1,
    end: last.order,
    root: await rootAt(rooms, access.room.num, last.order),
  };
}

/**
 * The event nearest to `ts` (milliseconds since the epoch) in a direction, by what its sender claims (client-server API,
 * GET timestamp_to_event). M_NOT_FOUND where there is none that the viewer may see.
 */
export async function eventByTimestamp(
  rooms: Rooms,
  viewer: UserId | undefined,
  roomId: RoomId,
  ts: number,
  dir: 'b' | 'f',
): Promise<StoredEvent> {
  const access = readableRoom(rooms, roomId, viewer);
  const rows = rooms.store.range(timestamps, {
    prefix: [access.room.num],
    ...(dir === 'f' ? { gte: [ts] } : { lt: [ts + 1] }),
    reverse: dir === 'b',
    limit: SCAN_LIMIT,
  });
  for await (const [, num] of rows) {
    const stored = rooms.events.get(rooms.store, num);
    if (stored !== undefined && stored.order <= access.until && access.visibility.sees(stored)) return stored;
  }
  throw new MatrixError('M_NOT_FOUND', 'No event was found in that direction');
}

/**
 * The gap that a client's token names: the decimal digits of an order. M_INVALID_PARAM for anything else, so that a
 * token of another server or another kind is never taken for a place here.
 */
export function parseGap(token: string): Order {
  const order = /^-?\d{1,16}$/.test(token) ? Number(token) : Number.NaN;
  if (!Number.isSafeInteger(order)) throw new MatrixError('M_INVALID_PARAM', 'Not a token of this server');
  return order;
}
