import type { EventId } from '#core/ids.js';
import { type Keyspace, text, type ValueCodec } from '#store/keyspace.js';
import type { Migration } from '#store/migrations.js';
import { eventNums } from '#store/schema.js';
import { findSent, rememberSent } from '#store/sent-transactions.js';

/** What format 1 held in place of `sentTransactions`: a row for each transaction, for ever. */
export const oldTransactions: Keyspace<[user: string, device: string, path: string, txn: string], EventId> = {
  id: 22,
  name: 'transactions',
  keyParts: ['userId', 'deviceId', 'path', 'txnId'],
  purpose: "The event that a device's transaction id made on a path.",
  writer: 'store/migration-2.ts',
  value: text as ValueCodec<EventId>,
};

const ROWS_AT_ONCE = 500;

/** Each commit takes out the rows that it has carried over, so what is left is where it goes on. */
export const sentTransactionsTogether: Migration = {
  to: 2,
  purpose: 'keeps the newest transaction ids of each device together',
  async run({ store }) {
    let rows = await store.list(oldTransactions, { limit: ROWS_AT_ONCE });
    while (rows.length > 0) {
      await store.commit((tx) => {
        for (const [key, event] of rows) {
          const [user, device, path, id] = key;
          const num = tx.get(eventNums, [event]);
          if (num !== undefined) rememberSent(tx, findSent(tx, { user, device, path, id }), num);
          tx.delete(oldTransactions, key);
        }
      });
      // From the beginning LevelDB would pass by all that was taken out, each time anew.
      rows = await store.list(oldTransactions, { gt: rows.at(-1)![0], limit: ROWS_AT_ONCE });
    }
  },
};
