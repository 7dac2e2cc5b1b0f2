import type { UserId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { type PushDelivery, pushBadges, pushDeliveries, pushers, pushes } from '#store/schema.js';
import type { EventNum, Store, Tx } from '#store/types.js';

/** Rows taken out in one transaction. */
const SLICE = 500;

/** Called once a pusher has something to do that is durable. */
export type PushListener = (user: UserId, pusher: number) => void;

/** Queues an event for the pushers of `user`, in the transaction that appends it. */
export function queuePush(
  tx: Tx,
  user: UserId,
  event: EventNum,
  push: { readonly tweaks: JsonObject; readonly ts: number },
  onQueued: PushListener,
): void {
  for (const { id, enabled } of tx.get(pushers, [user]) ?? []) {
    if (!enabled) continue;
    tx.put(pushes, [user, id, event], push);
    tx.afterCommit(() => onQueued(user, id));
  }
}

/** Notes for the pushers of `user` that the number of unread events changed without a new one. */
export function queueBadge(tx: Tx, user: UserId, onQueued: PushListener): void {
  for (const { id, enabled, noBadge } of tx.get(pushers, [user]) ?? []) {
    if (!enabled || noBadge) continue;
    tx.put(pushBadges, [user, id], tx.position());
    tx.afterCommit(() => onQueued(user, id));
  }
}

/** Takes out queued events that were delivered or are wanted no more. */
export function takeOut(tx: Tx, user: UserId, pusher: number, events: readonly EventNum[]): void {
  for (const event of events) tx.delete(pushes, [user, pusher, event]);
}

/** Takes out the note about the unread count, unless the count changed again since `noted`. */
export function takeOutBadge(tx: Tx, user: UserId, pusher: number, noted: number): void {
  if (tx.get(pushBadges, [user, pusher]) === noted) tx.delete(pushBadges, [user, pusher]);
}

/** Notes how delivery stands; for a pusher that has gone meanwhile nothing is noted. */
export function putDelivery(tx: Tx, user: UserId, pusher: number, delivery: PushDelivery): void {
  if (tx.get(pushers, [user])?.some(({ id }) => id === pusher)) tx.put(pushDeliveries, [user, pusher], delivery);
}

/** Lets a pusher that was set anew try at once. */
export function forgetFailure(tx: Tx, user: UserId, pusher: number): void {
  const { failing, ...rest } = tx.get(pushDeliveries, [user, pusher]) ?? {};
  if (failing !== undefined) tx.put(pushDeliveries, [user, pusher], rest);
}

/** Drops what is kept of a pusher's delivery but for its queue, which `dropQueue` takes. */
export function forgetDelivery(tx: Tx, user: UserId, pusher: number): void {
  tx.delete(pushBadges, [user, pusher]);
  tx.delete(pushDeliveries, [user, pusher]);
}

/** Drops queued events of a pusher, all but the `keep` newest. */
export async function dropQueue(store: Store, user: UserId, pusher: number, keep = 0): Promise<void> {
  let upTo: EventNum = Number.MAX_SAFE_INTEGER;
  if (keep > 0) {
    const kept = await store.list(pushes, { prefix: [user, pusher], reverse: true, limit: keep + 1 });
    const last = kept[keep];
    if (last === undefined) return;
    upTo = last[0][2];
  }
  for (;;) {
    const rows = await store.list(pushes, { prefix: [user, pusher], lte: [upTo], limit: SLICE });
    if (rows.length > 0) {
      const events = rows.map(([[, , event]]) => event);
      await store.commit((tx) => takeOut(tx, user, pusher, events));
    }
    if (rows.length < SLICE) return;
  }
}

/** Every pusher that has something queued, those included that are gone. */
export async function* queuedPushers(store: Store): AsyncGenerator<readonly [user: UserId, pusher: number]> {
  let after: [string, number, number] | undefined;
  for (;;) {
    const [row] = await store.list(pushes, { ...(after === undefined ? {} : { gt: after }), limit: 1 });
    if (row === undefined) break;
    const [[user, pusher]] = row;
    yield [user as UserId, pusher];
    after = [user, pusher, Number.MAX_SAFE_INTEGER];
  }
  for await (const [[user, pusher]] of store.range(pushBadges)) yield [user as UserId, pusher];
}
