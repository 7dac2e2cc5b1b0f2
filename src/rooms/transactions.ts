import { MatrixError } from '#core/errors.js';
import type { RawPdu } from '#core/event/pdu.js';
import { RoomId, type ServerName } from '#core/ids.js';
import { isObject, type JsonObject, own } from '#core/json-value.js';
import { checkPdus } from '#rooms/check-pdus.js';
import { aclAllows, type Federation } from '#rooms/federation.js';
import type { Budget } from '#rooms/gaps.js';
import { receiveEvent } from '#rooms/receive.js';
import { findRoom, type Room } from '#rooms/rooms.js';
import { isHosted } from '#rooms/roster.js';
import { type ReceivedTransaction, receivedTransactions } from '#store/schema.js';
import { StoreError } from '#store/store-error.js';
import { atOnce } from '#util/at-once.js';
import { LaneFullError } from '#util/lanes.js';

/** Largest transaction (server-server API, Transactions). */
export const MAX_PDUS = 50;
export const MAX_EDUS = 100;
/** Transactions of a server whose answers are kept. A server sends one at a time, and repeats only that. */
const KEPT_TRANSACTIONS = 20;
/** Rooms of one transaction that are worked on at once. */
const ROOMS_AT_ONCE = 10;
/** What may be asked of other servers for one transaction: so many questions, and for so long. */
const MAX_REQUESTS = 100;
const MAX_ASKING_MS = 40_000;
/** Longest reason that is kept of an event that was not taken. */
const MAX_REASON = 200;

/** A transaction of another server, as it came. */
export interface IncomingTransaction {
  readonly origin: ServerName;
  readonly txnId: string;
  readonly pdus: readonly unknown[];
  readonly edus: readonly unknown[];
}

/** Takes in an EDU, or leaves it; rejects for nothing that stands in one. */
export type TakeEdu = (origin: ServerName, edu: JsonObject) => Promise<void>;

type Results = Record<string, string>;

/**
 * Takes in a transaction (server-server API, PUT send): each event by itself, those of one room in their order, and the
 * EDUs. Resolves, once all of it is durable, with the answer's body. One that was answered before gets the same answer, and
 * one that is being worked on is joined. M_LIMIT_EXCEEDED where too much waits: the server is to come again.
 */
export function receiveTransaction(
  federation: Federation,
  transaction: IncomingTransaction,
  takeEdu: TakeEdu,
): Promise<object> {
  const { origin, txnId } = transaction;
  const key = `${origin} ${txnId}`;
  const running = federation.underWay.get(key);
  if (running !== undefined) return running;
  const { latest } = federation.rooms.store;
  const before = latest.get(receivedTransactions, [origin])?.find((one) => one.txnId === txnId);
  if (before !== undefined) return Promise.resolve(answerOf(before.results));
  federation.health.answered(origin);
  for (const heard of federation.onHeardFrom) heard(origin);
  const working = work(federation, transaction, takeEdu).finally(() => federation.underWay.delete(key));
  federation.underWay.set(key, working);
  return working;
}

async function work(federation: Federation, transaction: IncomingTransaction, takeEdu: TakeEdu): Promise<object> {
  const { origin, txnId, pdus, edus } = transaction;
  const { rooms } = federation;
  const results: Results = {};
  const over = new AbortController();
  const timer = rooms.clock.after(MAX_ASKING_MS, () => over.abort());
  const budget: Budget = { requestsLeft: MAX_REQUESTS, signal: over.signal };
  try {
    await atOnce(byRoom(pdus), ROOMS_AT_ONCE, async ([roomId, raws]) => {
      const room = findRoom(rooms.store.latest, roomId);
      // Without the room's version not even the ids of its events are known.
      if (room === undefined) return;
      await federation.lanes.run(room.num, () => receiveInto(federation, room, origin, raws, budget, results));
    });
  } catch (error) {
    if (error instanceof LaneFullError) throw new MatrixError('M_LIMIT_EXCEEDED', 'Too many transactions are waiting');
    throw error;
  } finally {
    timer.cancel();
  }
  for (const edu of edus) if (isObject(edu)) await takeEdu(origin, edu);
  await rooms.store.commit((tx) => {
    const kept: readonly ReceivedTransaction[] = tx.get(receivedTransactions, [origin]) ?? [];
    tx.put(receivedTransactions, [origin], [...kept.slice(1 - KEPT_TRANSACTIONS), { txnId, results }]);
  });
  return answerOf(results);
}

/** Events by the room that they say they belong to; what says nothing of that can not be an event. */
function byRoom(pdus: readonly unknown[]): ReadonlyMap<RoomId, readonly RawPdu[]> {
  const rooms = new Map<RoomId, RawPdu[]>();
  for (const raw of pdus) {
    const roomId = isObject(raw) ? RoomId.parse(own(raw, 'room_id')) : undefined;
    if (roomId === undefined) continue;
    const raws = rooms.get(roomId) ?? [];
    raws.push(raw as RawPdu);
    rooms.set(roomId, raws);
  }
  return rooms;
}

async function receiveInto(
  federation: Federation,
  room: Room,
  origin: ServerName,
  raws: readonly RawPdu[],
  budget: Budget,
  results: Results,
): Promise<void> {
  const { rooms } = federation;
  const checked = await checkPdus(federation.keyring, room.rules, raws);
  for (const one of checked) {
    const id = 'pdu' in one ? one.pdu.event_id : one.id;
    // The room as the events before this one left it.
    const now = findRoom(rooms.store.latest, room.head.id) ?? room;
    let reason: string | undefined;
    if (!isHosted(rooms.store.latest, now)) reason = 'no user of this server is in the room';
    else if (!aclAllows(federation, rooms.store.latest, now, origin)) reason = 'your server is denied by the room';
    else {
      try {
        reason = await receiveEvent({ federation, room: now, origin, budget }, one);
      } catch (error) {
        // One event must not keep those after it from coming in. A disk that refuses is another matter: all come again.
        if (error instanceof StoreError) throw error;
        federation.log.error('An event of another server could not be taken in.', { origin, event: id, error });
        reason = 'it could not be processed';
      }
    }
    if (id !== undefined && (reason !== undefined || !(id in results)))
      results[id] = (reason ?? '').slice(0, MAX_REASON);
  }
}

function answerOf(results: Results): object {
  const pdus = Object.entries(results).map(([id, reason]) => [id, reason === '' ? {} : { error: reason }] as const);
  return { pdus: Object.fromEntries(pdus) };
}
