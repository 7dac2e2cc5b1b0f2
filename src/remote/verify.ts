import { ServerName } from '#core/ids.js';
import { type Check, rowCheck } from '#store/checks.js';
import { serverKeys } from '#store/schema.js';

/** What must hold of the rows that this layer writes. */
export const REMOTE_CHECKS: readonly Check[] = [
  rowCheck(serverKeys, function* (_ground, [server], keys) {
    if (!ServerName.is(server)) yield 'is of no server';
    for (const [id, { publicKey, validUntilTs, expiredTs }] of Object.entries(keys)) {
      if (typeof publicKey !== 'string') yield `has no key under ${id}`;
      if ((validUntilTs === undefined) === (expiredTs === undefined)) yield `does not say how long ${id} is valid`;
    }
  }),
];
