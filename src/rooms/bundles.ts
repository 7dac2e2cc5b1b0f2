import type { EventId } from '#core/ids.js';
import { type Aggregate, aggregates, bundled, type Chain, threadOrders, threadSenders } from '#store/schema.js';
import type { EventNum, Order, Reader, RoomNum, Tx } from '#store/types.js';
import { assert } from '#util/assert.js';

/** Relations that the server sums up for clients (client-server API, Aggregations of child events). */
export const BUNDLED = ['m.replace', 'm.reference', 'm.thread'] as const;
export type BundledType = (typeof BUNDLED)[number];

export function isBundled(relType: string): relType is BundledType {
  return (BUNDLED as readonly string[]).includes(relType);
}

/** An event that stands in a chain. */
export interface Child {
  readonly event: EventNum;
  readonly order: Order;
  readonly sender: string;
  /** The room of the child; a parent elsewhere is none. */
  readonly room: RoomNum;
}

/**
 * Takes an event into the chain of its parent and kind. Chains are kept because a transaction, and whoever writes an
 * event for a client, reads by key alone: from the parent's one row the children are walked from either end.
 */
export function addToBundle(tx: Tx, parent: EventId, relType: BundledType, child: Child): void {
  const row = tx.get(aggregates, [parent]);
  if (row !== undefined && row.room !== child.room) return;
  const chain = row?.chains[relType];
  const { order, event } = child;
  // What comes live goes behind the last, history that is filled in before the first.
  let before: Order | undefined = chain?.last;
  while (before !== undefined && before > order) before = tx.get(bundled, [parent, relType, before])?.before;
  const after = before === undefined ? chain?.first : tx.get(bundled, [parent, relType, before])?.after;
  tx.put(bundled, [parent, relType, order], { event, ...links(before, after) });
  if (before !== undefined) relink(tx, parent, relType, before, { after: order });
  if (after !== undefined) relink(tx, parent, relType, after, { before: order });
  const next: Chain = {
    count: (chain?.count ?? 0) + 1,
    first: before === undefined ? order : chain!.first,
    last: after === undefined ? order : chain!.last,
  };
  putChain(tx, parent, child.room, relType, chain, next);
  if (relType === 'm.thread') countSender(tx, parent, child.sender, 1);
}

/** Takes an event out again. */
export function removeFromBundle(tx: Tx, parent: EventId, relType: BundledType, child: Child): void {
  const held = tx.get(bundled, [parent, relType, child.order]);
  const chain = tx.get(aggregates, [parent])?.chains[relType];
  if (held?.event !== child.event || chain === undefined) return;
  tx.delete(bundled, [parent, relType, child.order]);
  if (held.before !== undefined) relink(tx, parent, relType, held.before, { after: held.after });
  if (held.after !== undefined) relink(tx, parent, relType, held.after, { before: held.before });
  const next: Chain = {
    count: chain.count - 1,
    first: held.before === undefined ? (held.after ?? chain.first) : chain.first,
    last: held.after === undefined ? (held.before ?? chain.last) : chain.last,
  };
  putChain(tx, parent, child.room, relType, chain, next);
  if (relType === 'm.thread') countSender(tx, parent, child.sender, -1);
}

function links(before: Order | undefined, after: Order | undefined): { before?: Order; after?: Order } {
  return { ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) };
}

function relink(
  tx: Tx,
  parent: EventId,
  relType: BundledType,
  order: Order,
  change: { readonly before?: Order | undefined } | { readonly after?: Order | undefined },
): void {
  const row = tx.get(bundled, [parent, relType, order]);
  assert(row !== undefined, 'a chain is whole');
  const next = { before: row.before, after: row.after, ...change };
  tx.put(bundled, [parent, relType, order], { event: row.event, ...links(next.before, next.after) });
}

function putChain(
  tx: Tx,
  parent: EventId,
  room: RoomNum,
  relType: BundledType,
  old: Chain | undefined,
  next: Chain,
): void {
  const { [relType]: _, ...others } = tx.get(aggregates, [parent])?.chains ?? {};
  const chains: Aggregate['chains'] = next.count === 0 ? others : { ...others, [relType]: next };
  if (Object.keys(chains).length === 0) tx.delete(aggregates, [parent]);
  else tx.put(aggregates, [parent], { room, chains });
  if (relType !== 'm.thread') return;
  if (old !== undefined) tx.delete(threadOrders, [room, old.last]);
  if (next.count > 0) tx.put(threadOrders, [room, next.last], parent);
}

function countSender(tx: Tx, root: EventId, sender: string, by: 1 | -1): void {
  const count = (tx.get(threadSenders, [root, sender]) ?? 0) + by;
  if (count <= 0) tx.delete(threadSenders, [root, sender]);
  else tx.put(threadSenders, [root, sender], count);
}

/** The chains of children that `parent` has in `room`; undefined where it has none. */
export function chainsOf(reader: Reader, parent: EventId, room: RoomNum): Aggregate['chains'] | undefined {
  const row = reader.get(aggregates, [parent]);
  return row?.room === room ? row.chains : undefined;
}

/** Children of one kind from the newest on, or from the oldest. */
export function* walkChain(
  reader: Reader,
  parent: EventId,
  relType: BundledType,
  chain: Chain,
  from: 'newest' | 'oldest',
): Generator<EventNum> {
  let order: Order | undefined = from === 'newest' ? chain.last : chain.first;
  while (order !== undefined) {
    const row: { event: EventNum; before?: Order; after?: Order } | undefined = reader.get(bundled, [
      parent,
      relType,
      order,
    ]);
    if (row === undefined) return;
    yield row.event;
    order = from === 'newest' ? row.before : row.after;
  }
}

/** How many replies a user has in a thread. */
export function repliesOf(reader: Reader, root: EventId, user: string): number {
  return reader.get(threadSenders, [root, user]) ?? 0;
}
