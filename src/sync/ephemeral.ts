import type { RoomEventFilter } from '#core/filter.js';
import { allowsEvent } from '#core/filter.js';
import type { UserId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import type { Typing } from '#rooms/ephemeral.js';
import type { Rooms } from '#rooms/rooms.js';
import { receipts } from '#store/schema.js';
import type { Position, RoomNum } from '#store/types.js';

/** Most receipts sent of one room: a room of a hundred thousand members needs a bound. */
const MOST_RECEIPTS = 5_000;

interface ReceiptContent {
  [event: string]: { [type: string]: { [user: string]: { ts: number; thread_id?: string } } };
}

/**
 * The ephemeral events of a room for a span: receipts that moved in it (other people's private ones never), and who is
 * typing if that changed. `changed` are the users whose receipts moved, undefined when all must be looked at.
 */
export async function ephemeralOf(
  rooms: Rooms,
  typists: Typing,
  room: RoomNum,
  user: UserId,
  after: Position | undefined,
  upTo: Position,
  filter: RoomEventFilter,
  changed: ReadonlySet<string> | 'all' | 'none',
): Promise<readonly JsonObject[]> {
  const events: JsonObject[] = [];
  if (changed !== 'none' && allowsEvent(filter, { type: 'm.receipt', sender: undefined })) {
    const content = await receiptsOf(rooms, room, user, after, upTo, changed);
    if (Object.keys(content).length > 0) events.push({ type: 'm.receipt', content });
  }
  if (allowsEvent(filter, { type: 'm.typing', sender: undefined })) {
    const typing = typists.in(room);
    const isNews = after === undefined ? typing.users.length > 0 : typing.position > after && typing.position <= upTo;
    if (isNews) events.push({ type: 'm.typing', content: { user_ids: [...typing.users] } });
  }
  return events;
}

async function receiptsOf(
  rooms: Rooms,
  room: RoomNum,
  user: UserId,
  after: Position | undefined,
  upTo: Position,
  changed: ReadonlySet<string> | 'all',
): Promise<JsonObject> {
  // Keys are event ids, receipt types and user ids: all checked identifiers, none can be `__proto__`.
  const content: ReceiptContent = {};
  let count = 0;
  for await (const [[, type, reader, thread], receipt] of rooms.store.range(receipts, { prefix: [room] })) {
    if (receipt.position > upTo || (after !== undefined && receipt.position <= after)) continue;
    if (type === 'm.read.private' && reader !== user) continue;
    if (changed !== 'all' && !changed.has(reader)) continue;
    if (++count > MOST_RECEIPTS) break;
    content[receipt.eventId] ??= {};
    const byType = content[receipt.eventId]!;
    byType[type] ??= {};
    byType[type]![reader] = { ts: receipt.ts, ...(thread === '' ? {} : { thread_id: thread }) };
  }
  return content as unknown as JsonObject;
}
