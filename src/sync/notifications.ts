import type { UserId } from '#core/ids.js';
import type { Rooms } from '#rooms/rooms.js';
import { type Visibility, visibilityFor } from '#rooms/visibility.js';
import type { StoredEvent } from '#store/events.js';
import { notices, type ReadNotice, readNoticeHeads, readNotices, timeline } from '#store/schema.js';
import type { Order, Reader, RoomNum, Tx } from '#store/types.js';

/** Read notifications of one user that are remembered: in chunks, so that a receipt writes but one small row. */
export const CHUNK_NOTICES = 32;
export const KEPT_CHUNKS = 16;
/** Unread notifications that one request looks at. */
const MAX_UNREAD = 20_000;

/** Remembers notices that a receipt has just answered, oldest first; the oldest remembered are forgotten for them. */
export function rememberRead(tx: Tx, user: UserId, read: readonly ReadNotice[]): void {
  let left = read.slice(-CHUNK_NOTICES * KEPT_CHUNKS);
  let head = tx.get(readNoticeHeads, [user]) ?? 0;
  while (left.length > 0) {
    const chunk = tx.get(readNotices, [user, head]) ?? [];
    const room = CHUNK_NOTICES - chunk.length;
    tx.put(readNotices, [user, head], [...chunk, ...left.slice(0, room)]);
    left = left.slice(room);
    if (left.length === 0) break;
    head++;
    tx.delete(readNotices, [user, head - KEPT_CHUNKS]);
    tx.put(readNoticeHeads, [user], head);
  }
}

function* remembered(reader: Reader, user: UserId): Generator<ReadNotice> {
  const head = reader.get(readNoticeHeads, [user]) ?? 0;
  for (let chunk = head; chunk > head - KEPT_CHUNKS && chunk >= 0; chunk--) {
    yield* reader.get(readNotices, [user, chunk]) ?? [];
  }
}

/** An event that a user was notified of. */
export interface Notification {
  readonly event: StoredEvent;
  readonly highlight: boolean;
  readonly read: boolean;
}

export interface NotificationsQuery {
  readonly limit: number;
  /** Order of the last notification of the page before. */
  readonly before?: Order;
  readonly onlyHighlights: boolean;
}

/**
 * What a user was notified of, newest first, as far as they may still see it (client-server API, GET notifications): all
 * that is unread and the newest of what they have read. `end` is what `before` goes on from.
 */
export async function listNotifications(
  rooms: Rooms,
  user: UserId,
  query: NotificationsQuery,
): Promise<{ readonly notifications: readonly Notification[]; readonly end?: Order }> {
  const { store } = rooms;
  const all: (ReadNotice & { readonly read: boolean })[] = [];
  for (const notice of remembered(store, user)) all.push({ ...notice, read: true });
  for await (const [[, room, order], notice] of store.range(notices, { prefix: [user], limit: MAX_UNREAD })) {
    all.push({ room, order, ...(notice.highlight ? { highlight: true } : {}), read: false });
  }
  const wanted = all
    .filter(({ order, highlight }) => order < (query.before ?? Infinity) && (!query.onlyHighlights || highlight))
    .sort((a, b) => b.order - a.order);
  const visible = new Map<RoomNum, Visibility>();
  const notifications: Notification[] = [];
  let end: Order | undefined;
  for (const { room, order, highlight, read } of wanted) {
    if (notifications.length >= query.limit) return { notifications, ...(end === undefined ? {} : { end }) };
    end = order;
    const num = store.get(timeline, [room, order]);
    const event = num === undefined ? undefined : rooms.events.get(store, num);
    let sight = visible.get(room);
    if (sight === undefined) {
      sight = visibilityFor(rooms, store, room, user);
      visible.set(room, sight);
    }
    if (event === undefined || !sight.sees(event)) continue;
    notifications.push({ event, highlight: highlight === true, read });
  }
  return { notifications };
}
