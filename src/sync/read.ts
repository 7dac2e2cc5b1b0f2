import { MatrixError } from '#core/errors.js';
import { EventId, type RoomId, type UserId } from '#core/ids.js';
import { putReceipt } from '#rooms/ephemeral.js';
import { relatesTo } from '#rooms/relations.js';
import { joinedRoom, type Rooms } from '#rooms/rooms.js';
import type { StoredEvent } from '#store/events.js';
import { MAIN, threadOf, type Unread } from '#sync/unread.js';

/** Relations followed from an event to find the thread that it belongs to. */
const MAX_STEPS = 10;

export interface ReadRequest {
  readonly user: UserId;
  readonly roomId: RoomId;
  readonly eventId: EventId;
  readonly type: 'm.read' | 'm.read.private';
  /** Absent: unthreaded; "main"; or the thread root's event id. */
  readonly thread?: string | undefined;
}

/**
 * Records that a user read a room up to an event, and takes back the notifications that this answers (client-server
 * API, Receipts). A receipt behind the one that stands changes nothing. M_FORBIDDEN outside the room, M_NOT_FOUND where
 * the event isn't in it, M_INVALID_PARAM where it isn't in the thread.
 */
export async function markRead(rooms: Rooms, unread: Unread, request: ReadRequest): Promise<void> {
  const { user, type, eventId } = request;
  const room = joinedRoom(rooms.store.latest, request.roomId, user);
  const stored = rooms.events.byId(rooms.store.latest, eventId);
  if (stored === undefined || stored.room !== room.num || stored.outcome !== 'accepted') {
    throw new MatrixError('M_NOT_FOUND', 'No such event in this room');
  }
  const thread = request.thread ?? '';
  if (thread !== '' && !isInThread(rooms, stored, thread)) {
    throw new MatrixError('M_INVALID_PARAM', 'The event is not in that thread');
  }
  const ts = rooms.clock.now();
  const { order } = stored;
  await unread.read(user, room.num, order, thread, (tx) =>
    putReceipt(tx, room.num, user, type, thread, { eventId, ts, order }),
  );
}

/** Whether an event is in a thread: replies are, the root is in its own and in the main one, everything else in main. */
function isInThread(rooms: Rooms, stored: StoredEvent, thread: string): boolean {
  if (thread !== MAIN && !EventId.is(thread)) return false;
  const own = threadOf(stored);
  if (own === thread || stored.pdu.event_id === thread) return true;
  if (own !== MAIN || thread === MAIN) return own === thread;
  // A reaction or an edit belongs to the thread of the event that it relates to, over however many steps (MSC3856).
  let related: StoredEvent | undefined = stored;
  for (let step = 0; step < MAX_STEPS; step++) {
    const parent: EventId | undefined = relatesTo(related.pdu)?.parent;
    related = parent === undefined ? undefined : rooms.events.byId(rooms.store.latest, parent);
    if (related === undefined || related.room !== stored.room) return false;
    if (related.pdu.event_id === thread || threadOf(related) === thread) return true;
  }
  return false;
}
