import type { EventId } from '#core/ids.js';
import { BUNDLED, type BundledType, isBundled } from '#rooms/bundles.js';
import { type Check, type CheckGround, type DerivedRow, derivedRow, derivedWhole, strayCheck } from '#store/checks.js';
import { untyped } from '#store/kv.js';
import {
  aggregates,
  bundled,
  type Chain,
  events,
  type Relation,
  relations,
  threadOrders,
  threadSenders,
} from '#store/schema.js';
import type { Order, RoomNum, Store } from '#store/types.js';

interface Child extends Relation {
  readonly order: Order;
}

/** The children of each event that has any, in order of the timeline: those of one event at a time are in memory. */
async function* families(store: Store): AsyncGenerator<[parent: EventId, children: readonly Child[]], void, undefined> {
  let parent: EventId | undefined;
  let children: Child[] = [];
  for await (const [[of, order], relation] of store.range(relations)) {
    if (!isBundled(relation.relType)) continue;
    if (parent !== of) {
      if (parent !== undefined) yield [parent, children];
      parent = of;
      children = [];
    }
    children.push({ ...relation, order });
  }
  if (parent !== undefined) yield [parent, children];
}

/** The rows that the chains of children make, as `rooms/bundles.ts` keeps them. */
async function* bundleRows({ store }: CheckGround): AsyncGenerator<DerivedRow, void, undefined> {
  const roomOf = (child: Child | undefined): RoomNum | undefined =>
    child === undefined ? undefined : store.get(events, [child.event])?.room;
  for await (const [parent, all] of families(store)) {
    // Where the parent is not held, children may be in several rooms: those of the room that was first count.
    const known = store.get(aggregates, [parent])?.room;
    const room = all.some((child) => roomOf(child) === known) ? known : roomOf(all[0]);
    if (room === undefined) continue;
    const children = all.filter((child) => roomOf(child) === room);
    const chains: Partial<Record<BundledType, Chain>> = {};
    for (const type of BUNDLED) {
      const chain = children.filter(({ relType }) => relType === type);
      const [first, last] = [chain[0], chain.at(-1)];
      if (first === undefined || last === undefined) continue;
      chains[type] = { count: chain.length, first: first.order, last: last.order };
      yield* linkRows(parent, type, chain);
      if (type === 'm.thread') yield* threadRows(parent, room, chain, last.order);
    }
    yield derivedRow(aggregates, [parent], { room, chains });
  }
}

function* linkRows(parent: EventId, type: BundledType, chain: readonly Child[]): Generator<DerivedRow> {
  for (const [at, { event, order }] of chain.entries()) {
    const before = chain[at - 1]?.order;
    const after = chain[at + 1]?.order;
    yield derivedRow(bundled, [parent, type, order], {
      event,
      ...(before === undefined ? {} : { before }),
      ...(after === undefined ? {} : { after }),
    });
  }
}

function* threadRows(root: EventId, room: RoomNum, chain: readonly Child[], last: Order): Generator<DerivedRow> {
  const replies = new Map<string, number>();
  for (const { sender } of chain) replies.set(sender, (replies.get(sender) ?? 0) + 1);
  for (const [sender, count] of replies) yield derivedRow(threadSenders, [root, sender], count);
  yield derivedRow(threadOrders, [room, last], root);
}

async function hasReply(store: Store, root: EventId, user: string): Promise<boolean> {
  for await (const [, { relType, sender }] of store.range(relations, { prefix: [root] })) {
    if (relType === 'm.thread' && sender === user) return true;
  }
  return false;
}

/** Chains of edits, references and thread replies, which relations make. */
export const BUNDLE_CHECKS: readonly Check[] = [
  derivedWhole([untyped(aggregates), untyped(bundled), untyped(threadSenders), untyped(threadOrders)], bundleRows),
  strayCheck(bundled, 'any relation', ({ store }, [parent, relType, order], { event }) => {
    const relation = store.get(relations, [parent, order]);
    return relation?.event === event && relation.relType === relType;
  }),
  strayCheck(aggregates, 'any relation', ({ store }, [parent], { chains }) =>
    Object.entries(chains).some(([type, { first }]) => store.has(bundled, [parent, type, first])),
  ),
  strayCheck(threadSenders, 'any reply', ({ store }, [root, user]) => hasReply(store, root, user)),
  strayCheck(threadOrders, 'any thread', ({ store }, [room, order], root) => {
    const row = store.get(aggregates, [root]);
    return row?.room === room && row.chains['m.thread']?.last === order;
  }),
];
