import { EventId, RoomId, type ServerName, UserId } from '#core/ids.js';
import { isObject, type JsonObject, own, ownObject } from '#core/json-value.js';
import { putReceipt, type Typing } from '#rooms/ephemeral.js';
import { aclAllows, type Federation } from '#rooms/federation.js';
import { findRoom, memberOf, type Room } from '#rooms/rooms.js';
import { isHosted } from '#rooms/roster.js';

/** How long a typing notice of another server lasts: it says only that it began. */
const TYPING_MS = 30_000;
/** Receipts of one EDU that are looked at. */
const MAX_RECEIPTS = 1_000;

/**
 * Takes in an EDU about a room (server-server API, Typing Notifications and Receipts): of users of the sending server only,
 * who are in the room, where the room's ACL lets the server take part. Everything else in it, and other kinds, is left.
 */
export async function receiveEdu(
  federation: Federation,
  typing: Typing,
  origin: ServerName,
  edu: JsonObject,
): Promise<void> {
  const content = ownObject(edu, 'content');
  if (content === undefined) return;
  const type = own(edu, 'edu_type');
  if (type === 'm.typing') receiveTyping(federation, typing, origin, content);
  else if (type === 'm.receipt') await receiveReceipts(federation, origin, content);
}

/** The room, where a server may speak for this user in it. */
function roomFor(federation: Federation, origin: ServerName, roomId: unknown, user: unknown): Room | undefined {
  if (!UserId.is(user) || UserId.serverName(user) !== origin || !RoomId.is(roomId)) return undefined;
  const { latest } = federation.rooms.store;
  const room = findRoom(latest, roomId);
  if (room === undefined || memberOf(latest, room, user)?.membership !== 'join' || !isHosted(latest, room)) {
    return undefined;
  }
  return aclAllows(federation, latest, room, origin) ? room : undefined;
}

function receiveTyping(federation: Federation, typing: Typing, origin: ServerName, content: JsonObject): void {
  const user = own(content, 'user_id');
  const room = roomFor(federation, origin, own(content, 'room_id'), user);
  if (room === undefined) return;
  if (own(content, 'typing') === true) typing.start(room.num, user as UserId, TYPING_MS);
  else typing.stop(room.num, user as UserId);
}

async function receiveReceipts(federation: Federation, origin: ServerName, content: JsonObject): Promise<void> {
  const { rooms } = federation;
  let left = MAX_RECEIPTS;
  for (const [roomId, types] of Object.entries(content)) {
    const receipts = isObject(types) ? ownObject(types, 'm.read') : undefined;
    for (const [user, receipt] of Object.entries(receipts ?? {})) {
      if (left-- <= 0) return;
      const room = roomFor(federation, origin, roomId, user);
      if (room === undefined || !isObject(receipt)) continue;
      const ids = own(receipt, 'event_ids');
      const eventId = Array.isArray(ids) ? EventId.parse(ids[0]) : undefined;
      const event = eventId && rooms.events.byId(rooms.store.latest, eventId);
      if (event === undefined || event.room !== room.num || event.outcome !== 'accepted') continue;
      const data = ownObject(receipt, 'data') ?? {};
      const ts = own(data, 'ts');
      const thread = own(data, 'thread_id') ?? '';
      if (thread !== '' && thread !== 'main' && !EventId.is(thread)) continue;
      await rooms.store.commit((tx) => {
        putReceipt(tx, room.num, user as UserId, 'm.read', thread, {
          eventId: event.pdu.event_id,
          ts: Number.isSafeInteger(ts) ? (ts as number) : rooms.clock.now(),
          order: event.order,
        });
      });
    }
  }
}
