import type { App } from '#api/app.js';
import { federationOf } from '#api/federation/parameters.js';
import { MatrixError } from '#core/errors.js';
import { any, array, object, optional, string } from '#core/schema.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import { receiveEdu } from '#rooms/receive-edus.js';
import { MAX_EDUS, MAX_PDUS, receiveTransaction } from '#rooms/transactions.js';

/** A whole transaction: 50 events of 64 KiB and 100 EDUs as large, in bytes. */
const BODY_LIMIT = 14 << 20;
/** Longest transaction id: it is kept. */
const MAX_TXN_ID = 255;

/** What other servers send (server-server API, Transactions). */
export const federationTransactionEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'sendTransaction',
    method: 'PUT',
    path: '/_matrix/federation/v1/send/{txnId}',
    caller: 'server',
    limit: 'federation',
    params: () => object({ txnId: string({ maxLength: MAX_TXN_ID }) }),
    body: () => object({ pdus: optional(array(any)), edus: optional(array(any)) }),
    bodyLimit: BODY_LIMIT,
    exactNumbers: true,
    async handle(app: App, { caller, params, body }) {
      const { pdus = [], edus = [] } = body;
      if (pdus.length > MAX_PDUS || edus.length > MAX_EDUS) {
        throw new MatrixError('M_BAD_JSON', `A transaction has at most ${MAX_PDUS} PDUs and ${MAX_EDUS} EDUs`);
      }
      const federation = federationOf(app);
      return receiveTransaction(federation, { origin: caller, txnId: params.txnId, pdus, edus }, (origin, edu) =>
        receiveEdu(federation, app.sync.typing, origin, edu),
      );
    },
  }),
];
