import { ServerName } from '#core/ids.js';
import { type Check, rowCheck } from '#store/checks.js';
import { destinations, events, outboundCursor } from '#store/schema.js';

/** What must hold of the rows that this layer writes. */
export const OUTBOUND_CHECKS: readonly Check[] = [
  rowCheck(outboundCursor, function* ({ reserved }, [name], position) {
    if (name !== 'federation') yield 'is of nobody';
    if (position > reserved) yield 'lies past the reserved positions';
  }),
  rowCheck(destinations, function* ({ store }, [server], { after, txn }) {
    if (!ServerName.is(server)) yield 'is of no server';
    if (after > (store.get(outboundCursor, ['federation']) ?? 0)) yield 'is ahead of the cursor';
    for (const num of txn?.events ?? []) if (!store.has(events, [num])) yield `event ${num} is not held`;
  }),
];
