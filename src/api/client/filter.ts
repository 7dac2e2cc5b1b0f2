import type { App } from '#api/app.js';
import { MatrixError } from '#core/errors.js';
import { parseSyncFilter } from '#core/filter.js';
import { anyObject, object, string, userId } from '#core/schema.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import { findFilter, storeFilter } from '#users/filters.js';

/** Stored filters (client-server API, Filtering). */
export const filterEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'defineFilter',
    method: 'POST',
    path: '/_matrix/client/v3/user/{userId}/filter',
    caller: 'guest',
    limit: 'account',
    params: () => object({ userId }),
    body: () => anyObject,
    whileSuspended: true,
    async handle({ users }: App, { caller, params, body }) {
      if (caller.user !== params.userId) throw new MatrixError('M_FORBIDDEN', 'This belongs to another user');
      parseSyncFilter(body);
      return { filter_id: await storeFilter(users, caller.user, body) };
    },
  }),
  endpoint({
    id: 'getFilter',
    method: 'GET',
    path: '/_matrix/client/v3/user/{userId}/filter/{filterId}',
    caller: 'guest',
    limit: 'read',
    params: () => object({ userId, filterId: string() }),
    async handle({ users }: App, { caller, params }) {
      if (caller.user !== params.userId) throw new MatrixError('M_FORBIDDEN', 'This belongs to another user');
      const filter = findFilter(users, caller.user, params.filterId);
      if (filter === undefined) throw new MatrixError('M_NOT_FOUND', 'There is no such filter');
      return filter;
    },
  }),
];
