import { membershipOf } from '#core/event/content.js';
import { type ServerName, UserId } from '#core/ids.js';
import type { Rooms } from '#rooms/rooms.js';
import { sightOf } from '#rooms/server-history.js';
import type { StoredEvent } from '#store/events.js';
import { isServerIn, serversIn } from '#store/members.js';
import { type Destination, destinations, outboundCursor } from '#store/schema.js';
import type { LogEntry, Position, Reader, Tx } from '#store/types.js';

/** Rows of the log read at a time. */
const LOG_SLICE = 500;
/** Servers in one room that are told of its events. */
const MAX_SERVERS = 10_000;
/** The cursor is stored without need once it is this far behind, so that a start has little to look through. */
const STORE_CURSOR_EVERY = 5_000;

/**
 * Which servers have yet to be told of something. One cursor follows the log for all of them; a server has a row only
 * while its queue is not empty, and the row says from where in the log it is to be read: an event that a thousand servers
 * are to hear of is in no queue a thousand times.
 */
export class Destinations {
  readonly #rooms: Rooms;
  #cursor: Position | undefined;

  constructor(rooms: Rooms) {
    this.#rooms = rooms;
  }

  /** Reads the log up to its tip. Gives the servers that have something to be told now and may have had nothing before. */
  async follow(): Promise<ReadonlySet<ServerName>> {
    const { store } = this.#rooms;
    const concerned = new Set<ServerName>();
    if (this.#cursor === undefined) {
      const stored = store.get(outboundCursor, ['federation']);
      this.#cursor = stored ?? store.tip;
      // Where there never was a cursor nobody was in the rooms yet.
      const first = this.#cursor;
      if (stored === undefined) await store.commit((tx) => tx.put(outboundCursor, ['federation'], first));
    }
    for (;;) {
      const { tip } = store;
      const entries = await store.log(this.#cursor, tip, LOG_SLICE);
      const firsts = await this.#firstFor(entries);
      const isLast = entries.length < LOG_SLICE;
      const upTo = isLast ? tip : entries.at(-1)!.position;
      const behind = upTo - cursorOf(store);
      if (firsts.size > 0 || behind > STORE_CURSOR_EVERY) {
        await store.commit((tx) => {
          for (const [server, position] of firsts) {
            if (!tx.has(destinations, [server])) tx.put(destinations, [server], { after: position - 1 });
          }
          tx.put(outboundCursor, ['federation'], upTo);
        });
      }
      this.#cursor = upTo;
      for (const server of firsts.keys()) concerned.add(server);
      if (isLast) return concerned;
    }
  }

  /** By server, the first of the entries that it is to hear of. */
  async #firstFor(entries: readonly LogEntry[]): Promise<ReadonlyMap<ServerName, Position>> {
    const firsts = new Map<ServerName, Position>();
    for (const entry of entries) {
      const event = sentOut(this.#rooms, entry);
      if (event === undefined) continue;
      const servers = await serversIn(this.#rooms.store, event.room, MAX_SERVERS);
      const removed = removedFrom(event);
      for (const server of removed === undefined ? servers : [...servers, removed]) {
        const name = server as ServerName;
        if (!firsts.has(name) && isFor(this.#rooms, event, name)) firsts.set(name, entry.position);
      }
    }
    return firsts;
  }
}

/** Up to where the log was looked through: what stands behind it is in nobody's queue yet. */
export function cursorOf(reader: Reader): Position {
  return reader.get(outboundCursor, ['federation']) ?? 0;
}

/** Events that a server has yet to be told, at most `limit`, and up to where in the log that is all. */
export async function nextFor(
  rooms: Rooms,
  server: ServerName,
  after: Position,
  upTo: Position,
  limit: number,
): Promise<{ readonly events: readonly StoredEvent[]; readonly upTo: Position }> {
  const events: StoredEvent[] = [];
  let from = after;
  for (;;) {
    const entries = await rooms.store.log(from, upTo, LOG_SLICE);
    for (const entry of entries) {
      from = entry.position;
      const event = sentOut(rooms, entry);
      if (event === undefined || !(await maySee(rooms, event, server))) continue;
      events.push(event);
      if (events.length === limit) return { events, upTo: from };
    }
    if (entries.length < LOG_SLICE) return { events, upTo };
  }
}

/** The event of a log row, where this server is the one that tells others of it. */
function sentOut(rooms: Rooms, { position, fact }: LogEntry): StoredEvent | undefined {
  if (fact.kind !== 'event') return undefined;
  const event = rooms.events.get(rooms.store, position);
  if (event === undefined || event.outcome !== 'accepted') return undefined;
  return fact.relay || UserId.serverName(event.pdu.sender) === rooms.serverName ? event : undefined;
}

/** The server of a user whom the event removed from the room: it is told, though it may have nobody there any more. */
function removedFrom({ pdu }: StoredEvent): ServerName | undefined {
  if (pdu.type !== 'm.room.member' || !UserId.is(pdu.state_key)) return undefined;
  const membership = membershipOf(pdu);
  return membership === 'leave' || membership === 'ban' ? UserId.serverName(pdu.state_key) : undefined;
}

/** Whether a server is to be told of an event, as far as its place in the room goes. */
function isFor(rooms: Rooms, event: StoredEvent, server: ServerName): boolean {
  if (server === rooms.serverName || server === UserId.serverName(event.pdu.sender)) return false;
  return isServerIn(rooms.store, event.room, server) || removedFrom(event) === server;
}

/** Also where the server came to the room later: only what its users may see. */
async function maySee(rooms: Rooms, event: StoredEvent, server: ServerName): Promise<boolean> {
  if (!isFor(rooms, event, server)) return false;
  return removedFrom(event) === server || (await sightOf(rooms, event.room, server).of(event)) === 'full';
}

/** Notes where a server's queue stands; undefined where it is empty. */
export function putDestination(tx: Tx, server: ServerName, row: Destination | undefined): void {
  if (row === undefined) tx.delete(destinations, [server]);
  else tx.put(destinations, [server], row);
}
