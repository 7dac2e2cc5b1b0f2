import type { UserId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { toClientEvent } from '#rooms/client-form.js';
import { type Rooms, storedStateAt } from '#rooms/rooms.js';
import type { StoredEvent } from '#store/events.js';
import type { StateRoot } from '#store/types.js';

/** Events written between two turns of the event loop. */
const SLICE = 500;

/** Events in client format for a user's device, without holding up others when there are many. */
export async function clientEvents(
  rooms: Rooms,
  events: readonly StoredEvent[],
  { user, device }: { readonly user: UserId; readonly device: string },
): Promise<JsonObject[]> {
  const written: JsonObject[] = [];
  for (const stored of events) {
    if (written.length % SLICE === SLICE - 1) await new Promise<void>((next) => setImmediate(next));
    written.push(toClientEvent(rooms, stored, { viewer: user, device }));
  }
  return written;
}

/** Member events, in the state `root`, of those who sent `events` (client-server API, Lazy-loading room members). */
export function lazyMembers(rooms: Rooms, root: StateRoot, events: readonly StoredEvent[]): StoredEvent[] {
  const senders = new Set(events.map(({ pdu }) => pdu.sender));
  return [...senders].flatMap((sender) => storedStateAt(rooms, rooms.store, root, 'm.room.member', sender) ?? []);
}
