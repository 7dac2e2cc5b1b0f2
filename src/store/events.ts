import type { EventId } from '#core/ids.js';
import { type RoomVersion, roomRules } from '#core/room-versions.js';
import type { StoredEvent } from '#store/event-row.js';
import { eventNums, events, rooms, timeline, timestamps } from '#store/schema.js';
import type { EventNum, Order, Reader, RoomNum, Store, Tx } from '#store/types.js';
import { assert } from '#util/assert.js';

export type { StoredEvent } from '#store/event-row.js';

/** What `put` is given: the room's version is read from its head. */
export type NewEvent = Omit<StoredEvent, 'version'>;

/**
 * Events by number and by id, with their timeline and timestamp rows. Parsed events are cached by the store itself,
 * rightly for committed and for latest readers alike.
 */
export class Events {
  /** The event with a number. */
  get(reader: Reader, num: EventNum): StoredEvent | undefined {
    return reader.get(events, [num]);
  }

  /** The number of the event `id`, if it is held with any outcome. */
  numOf(reader: Reader, id: EventId): EventNum | undefined {
    return reader.get(eventNums, [id]);
  }

  /** The event `id`. */
  byId(reader: Reader, id: EventId): StoredEvent | undefined {
    const num = this.numOf(reader, id);
    return num === undefined ? undefined : this.get(reader, num);
  }

  /** The events with these numbers that are held, in the order given. */
  many(reader: Reader, nums: readonly EventNum[]): StoredEvent[] {
    return nums.flatMap((num) => this.get(reader, num) ?? []);
  }

  /**
   * Stores an event, or stores it anew with another outcome or place under the number it has. Accepted events get their
   * rows in the timeline and by timestamp. The head of its room must exist. `fresh`: it was made here just now, so that it
   * can not be held, and the search for it, which is the dearest read of a send, is spared.
   */
  put(tx: Tx, event: NewEvent, fresh = false): StoredEvent {
    const { num, room, order, outcome, stateBefore, stateAfter, pdu } = event;
    if (!fresh) this.#leavePlace(tx, event);
    // Field by field, as `eventRow` decodes them: all events have one hidden class then, wherever they come from.
    const version = versionOf(tx, room);
    const stored = Object.freeze({ num, room, version, order, outcome, stateBefore, stateAfter, pdu });
    tx.put(events, [num], stored);
    tx.put(eventNums, [pdu.event_id], num);
    if (event.outcome === 'accepted') {
      tx.put(timeline, [room, order], num);
      tx.put(timestamps, [room, pdu.origin_server_ts, order], num);
    }
    return stored;
  }

  /** Takes the rows of the event's old place out, where it is held already. */
  #leavePlace(tx: Tx, { num, pdu }: NewEvent): void {
    const known = this.numOf(tx, pdu.event_id);
    assert(known === undefined || known === num, 'an event can not get a second number');
    const old = known === undefined ? undefined : this.get(tx, num);
    if (old !== undefined) unplace(tx, old);
  }

  /**
   * Accepted events of a room in order of the timeline, from its rows: (order, number). `reverse` begins with the newest.
   */
  timeline(
    store: Store,
    room: RoomNum,
    span: { readonly after?: Order; readonly before?: Order; readonly upTo?: Order; readonly reverse?: boolean },
  ): AsyncIterable<[order: Order, num: EventNum]> {
    return timelineRows(store, room, span);
  }
}

async function* timelineRows(
  store: Store,
  room: RoomNum,
  span: { readonly after?: Order; readonly before?: Order; readonly upTo?: Order; readonly reverse?: boolean },
): AsyncGenerator<[order: Order, num: EventNum], void, undefined> {
  const { after, before, upTo, reverse } = span;
  const rows = store.range(timeline, {
    prefix: [room],
    ...(after === undefined ? {} : { gt: [after] }),
    ...(before === undefined ? {} : { lt: [before] }),
    ...(upTo === undefined ? {} : { lte: [upTo] }),
    ...(reverse === undefined ? {} : { reverse }),
  });
  for await (const [[, order], num] of rows) yield [order, num];
}

function unplace(tx: Tx, old: StoredEvent): void {
  if (old.outcome !== 'accepted') return;
  tx.delete(timeline, [old.room, old.order]);
  tx.delete(timestamps, [old.room, old.pdu.origin_server_ts, old.order]);
}

function versionOf(reader: Reader, room: RoomNum): RoomVersion {
  const head = reader.get(rooms, [room]);
  const rules = head === undefined ? undefined : roomRules(head.version);
  assert(rules !== undefined, `room ${room} has no head with a known version`);
  return rules.version;
}

/** Rows looked at between two transactions of a rebuild. */
const REBUILD_ROWS = 500;

/**
 * Makes event numbers, timelines and timestamps anew from the events: puts what is missing, deletes what leads nowhere.
 * Returns how many rows changed.
 */
export async function rebuildEventRows(store: Store): Promise<number> {
  let changed = 0;
  let batch: ((tx: Tx) => void)[] = [];
  const flush = async (): Promise<void> => {
    const jobs = batch;
    batch = [];
    changed += jobs.length;
    await store.commit((tx) => {
      for (const job of jobs) job(tx);
    });
  };
  const later = async (job: (tx: Tx) => void): Promise<void> => {
    if (batch.push(job) >= REBUILD_ROWS) await flush();
  };
  for await (const [[id], num] of store.range(eventNums)) {
    if (store.get(events, [num])?.pdu.event_id !== id) await later((tx) => tx.delete(eventNums, [id]));
  }
  for await (const [[room, order], num] of store.range(timeline)) {
    const event = store.get(events, [num]);
    if (event?.outcome === 'accepted' && event.room === room && event.order === order) continue;
    await later((tx) => tx.delete(timeline, [room, order]));
  }
  for await (const [[room, ts, order], num] of store.range(timestamps)) {
    const event = store.get(events, [num]);
    if (event?.outcome === 'accepted' && event.room === room && event.pdu.origin_server_ts === ts) continue;
    await later((tx) => tx.delete(timestamps, [room, ts, order]));
  }
  await flush();
  for await (const [[num], { pdu, room, order, outcome }] of store.range(events)) {
    if (store.get(eventNums, [pdu.event_id]) !== num) await later((tx) => tx.put(eventNums, [pdu.event_id], num));
    if (outcome !== 'accepted') continue;
    const ts = pdu.origin_server_ts;
    if (store.get(timeline, [room, order]) !== num) await later((tx) => tx.put(timeline, [room, order], num));
    if (store.get(timestamps, [room, ts, order]) !== num)
      await later((tx) => tx.put(timestamps, [room, ts, order], num));
  }
  await flush();
  return changed;
}
