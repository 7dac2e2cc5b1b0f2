import { MatrixError } from '#core/errors.js';
import type { EventId, RoomId, UserId } from '#core/ids.js';
import { relatesTo } from '#rooms/relations.js';
import type { Rooms } from '#rooms/rooms.js';
import { getEvent } from '#rooms/visibility.js';
import {
  rooms as roomHeads,
  type ThreadSubscription,
  threadSubscribers,
  threadSubscriptionLog,
  threadSubscriptions,
} from '#store/schema.js';
import type { Position, Reader, RoomNum, Store, Tx } from '#store/types.js';
import type { Users } from '#users/users.js';

/** Threads that one user may have a subscription row for. */
const MAX_THREADS = 50_000;
const PURGED_AT_ONCE = 1_000;

/**
 * Subscribes a user to a thread (MSC4306): by hand, or by `cause`, the newest event of the thread that a client takes for
 * a reason to. A subscription by hand stays one.
 *
 * Errors: M_NOT_FOUND for a root that is not there or may not be seen, M_NOT_IN_THREAD, M_CONFLICTING_UNSUBSCRIPTION where
 * the user unsubscribed when `cause` was there already, M_RESOURCE_LIMIT_EXCEEDED.
 */
export async function subscribe(
  rooms: Rooms,
  user: UserId,
  roomId: RoomId,
  root: EventId,
  cause: EventId | undefined,
): Promise<void> {
  const { room } = getEvent(rooms, user, roomId, root);
  const causeNum = cause === undefined ? undefined : numberInThread(rooms, user, roomId, root, cause);
  await rooms.store.commit((tx) => {
    const before = tx.get(threadSubscriptions, [user, room, root]);
    if (causeNum === undefined) {
      if (before?.state !== 'manual') put(tx, user, room, root, 'manual', before);
      return;
    }
    if (before?.state === 'manual' || before?.state === 'automatic') return;
    if (before !== undefined && causeNum < before.position) {
      throw new MatrixError(
        'IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION',
        'You unsubscribed from this thread when that event was there already',
      );
    }
    put(tx, user, room, root, 'automatic', before);
  });
}

function numberInThread(rooms: Rooms, user: UserId, roomId: RoomId, root: EventId, cause: EventId): number {
  const refusal = new MatrixError('IO.ELEMENT.MSC4306.M_NOT_IN_THREAD', 'The event is not in this thread');
  let stored: ReturnType<typeof getEvent>;
  try {
    stored = getEvent(rooms, user, roomId, cause);
  } catch (error) {
    throw error instanceof MatrixError ? refusal : error;
  }
  const relation = relatesTo(stored.pdu);
  if (relation?.relType !== 'm.thread' || relation.parent !== root) throw refusal;
  return stored.num;
}

/** Unsubscribes a user from a thread; one without a subscription is left as it is. M_NOT_FOUND as for `subscribe`. */
export async function unsubscribe(rooms: Rooms, user: UserId, roomId: RoomId, root: EventId): Promise<void> {
  const { room } = getEvent(rooms, user, roomId, root);
  await rooms.store.commit((tx) => {
    const before = tx.get(threadSubscriptions, [user, room, root]);
    if (before !== undefined && before.state !== 'unsubscribed') put(tx, user, room, root, 'unsubscribed', before);
  });
}

/** A user's subscription to a thread; M_NOT_FOUND where there is none, or no such thread that the user may see. */
export function getSubscription(
  rooms: Rooms,
  user: UserId,
  roomId: RoomId,
  root: EventId,
): { readonly automatic: boolean } {
  const { room } = getEvent(rooms, user, roomId, root);
  const row = rooms.store.get(threadSubscriptions, [user, room, root]);
  if (row === undefined || row.state === 'unsubscribed') {
    throw new MatrixError('M_NOT_FOUND', 'You are not subscribed to this thread');
  }
  return { automatic: row.state === 'automatic' };
}

function put(
  tx: Tx,
  user: UserId,
  room: RoomNum,
  root: EventId,
  state: ThreadSubscription['state'],
  before: ThreadSubscription | undefined,
): void {
  if (before === undefined) {
    const count = tx.get(threadSubscribers, [user]) ?? 0;
    if (count >= MAX_THREADS) {
      throw new MatrixError('M_RESOURCE_LIMIT_EXCEEDED', `You subscribed to ${MAX_THREADS} threads already`);
    }
    tx.put(threadSubscribers, [user], count + 1);
  } else {
    tx.delete(threadSubscriptionLog, [user, before.position]);
    tx.retract(before.position);
  }
  const position = tx.position();
  tx.put(threadSubscriptions, [user, room, root], { state, position });
  tx.put(threadSubscriptionLog, [user, position], { room, root });
  tx.fact(position, { kind: 'threadSubscription', user });
}

/**
 * Whether the user is subscribed to a thread, for push rules. Undefined for users who never used thread subscriptions:
 * the specification, which knows none, has their clients notified of every thread.
 */
export function subscribedTo(reader: Reader, user: UserId, room: RoomNum, root: EventId): boolean | undefined {
  if (!reader.has(threadSubscribers, [user])) return undefined;
  const row = reader.get(threadSubscriptions, [user, room, root]);
  return row !== undefined && row.state !== 'unsubscribed';
}

/** A change of a thread subscription, for the sliding-sync extension (MSC4308). `bumpStamp` grows with each change. */
export interface SubscriptionChange {
  readonly roomId: RoomId;
  readonly root: EventId;
  readonly state: ThreadSubscription['state'];
  readonly bumpStamp: Position;
}

/**
 * Thread subscriptions of a user that last changed in (`from`, `to`], newest first, at most `limit`. Where there are
 * more, `end` is the `to` of the next page.
 */
export async function subscriptionChanges(
  store: Store,
  user: UserId,
  from: Position,
  to: Position,
  limit: number,
): Promise<{ readonly changes: readonly SubscriptionChange[]; readonly end?: Position }> {
  const rows = await store.list(threadSubscriptionLog, {
    prefix: [user],
    gt: [from],
    lte: [to],
    reverse: true,
    limit: limit + 1,
  });
  const page = rows.slice(0, limit);
  const changes: SubscriptionChange[] = [];
  for (const [[, position], { room, root }] of page) {
    const row = store.get(threadSubscriptions, [user, room, root]);
    const roomId = store.get(roomHeads, [room])?.id;
    // One that changed again after the rows were listed is told of by its newer row.
    if (row === undefined || row.position !== position || roomId === undefined) continue;
    changes.push({ roomId, root, state: row.state, bumpStamp: position });
  }
  const last = page.at(-1);
  return { changes, ...(rows.length > page.length && last !== undefined ? { end: last[0][1] - 1 } : {}) };
}

/** Deletes all thread subscriptions of a deactivated account. */
export async function purgeThreadSubscriptions(users: Users, user: UserId): Promise<void> {
  for (;;) {
    const rows = await users.store.list(threadSubscriptionLog, { prefix: [user], limit: PURGED_AT_ONCE });
    if (rows.length === 0) break;
    await users.store.commit((tx) => {
      for (const [key, { room, root }] of rows) {
        tx.delete(threadSubscriptionLog, key);
        tx.delete(threadSubscriptions, [user, room, root]);
        tx.retract(key[1]);
      }
    });
  }
  if (users.store.has(threadSubscribers, [user]))
    await users.store.commit((tx) => tx.delete(threadSubscribers, [user]));
}
