import type { App } from '#api/app.js';
import { MatrixError } from '#core/errors.js';
import type { EventId, RoomId } from '#core/ids.js';
import type { JsonValue } from '#core/json-value.js';
import { any, boolean, eventId, integer, literal, nullable, object, optional, roomId, userId } from '#core/schema.js';
import { type Caller, type Endpoint, endpoint } from '#http/endpoint.js';
import { joinedRoom } from '#rooms/rooms.js';
import { markRead } from '#sync/read.js';
import { setReadMarker } from '#users/account-data.js';

type ReceiptType = 'm.read' | 'm.read.private' | 'm.fully_read';

/** Largest count of milliseconds that a client can ask typing to last; what is more is taken as this. */
const MAX_TYPING_MS = 120_000;

/** The thread that a receipt is for; undefined for an unthreaded one. */
function threadOf(type: ReceiptType, thread: JsonValue | undefined): string | undefined {
  if (thread === undefined) return undefined;
  if (typeof thread !== 'string' || thread === '') {
    throw new MatrixError('M_INVALID_PARAM', "'thread_id' must be a string that is not empty");
  }
  if (type === 'm.fully_read') throw new MatrixError('M_INVALID_PARAM', 'm.fully_read can not be in a thread');
  return thread;
}

async function read(
  app: App,
  caller: Caller,
  room: RoomId,
  type: ReceiptType,
  event: EventId,
  thread?: string,
): Promise<void> {
  const { rooms, users, sync } = app;
  if (type !== 'm.fully_read') {
    await markRead(rooms, sync.unread, { user: caller.user, roomId: room, eventId: event, type, thread });
    return;
  }
  const { num } = joinedRoom(rooms.store.latest, room, caller.user);
  if (rooms.events.byId(rooms.store.latest, event)?.room !== num) {
    throw new MatrixError('M_NOT_FOUND', 'No such event in this room');
  }
  await setReadMarker(users, caller.user, room, event);
}

/** Typing, receipts and read markers (client-server API, Typing notifications; Receipts; Fully read markers). */
export const receiptEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'setTyping',
    method: 'PUT',
    path: '/_matrix/client/v3/rooms/{roomId}/typing/{userId}',
    caller: 'user',
    limit: 'account',
    params: () => object({ roomId, userId }),
    body: () => object({ typing: boolean, timeout: optional(nullable(integer())) }),
    async handle({ rooms, sync, users }: App, { caller, params, body }) {
      if (caller.user !== params.userId) throw new MatrixError('M_FORBIDDEN', 'One can only speak for oneself');
      const { num } = joinedRoom(rooms.store.latest, params.roomId, caller.user);
      users.presences.active(caller.user);
      if (!body.typing) sync.typing.stop(num, caller.user);
      else if (typeof body.timeout !== 'number') sync.typing.start(num, caller.user);
      else sync.typing.start(num, caller.user, Math.min(Math.max(body.timeout, 0), MAX_TYPING_MS));
      return {};
    },
  }),
  endpoint({
    id: 'postReceipt',
    method: 'POST',
    path: '/_matrix/client/v3/rooms/{roomId}/receipt/{receiptType}/{eventId}',
    caller: 'user',
    limit: 'account',
    params: () => object({ roomId, receiptType: literal('m.read', 'm.read.private', 'm.fully_read'), eventId }),
    body: () => object({ thread_id: optional(any) }),
    whileSuspended: true,
    async handle(app: App, { caller, params, body }) {
      const type: ReceiptType = params.receiptType;
      await read(app, caller, params.roomId, type, params.eventId, threadOf(type, body.thread_id));
      app.users.presences.active(caller.user);
      return {};
    },
  }),
  endpoint({
    id: 'setReadMarker',
    method: 'POST',
    path: '/_matrix/client/v3/rooms/{roomId}/read_markers',
    caller: 'user',
    limit: 'account',
    params: () => object({ roomId }),
    body: () =>
      object({
        'm.fully_read': optional(eventId),
        'm.read': optional(eventId),
        'm.read.private': optional(eventId),
      }),
    whileSuspended: true,
    async handle(app: App, { caller, params, body }) {
      for (const type of ['m.read', 'm.read.private', 'm.fully_read'] as const) {
        const event = body[type];
        if (event !== undefined) await read(app, caller, params.roomId, type, event);
      }
      app.users.presences.active(caller.user);
      return {};
    },
  }),
];
