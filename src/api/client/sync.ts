import type { App } from '#api/app.js';
import { jsonParameter, tokenParameter } from '#api/client/parameters.js';
import { MatrixError } from '#core/errors.js';
import { NO_SYNC_FILTER, parseSyncFilter, type SyncFilter } from '#core/filter.js';
import type { UserId } from '#core/ids.js';
import { boolean, integer, literal, object, optional, string } from '#core/schema.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import type { StateAfter } from '#sync/sections.js';
import { sync } from '#sync/sync.js';
import { findFilter } from '#users/filters.js';

/** The filter that a sync names by id or gives as JSON. */
function filterOf({ users }: App, user: UserId, text: string | undefined): SyncFilter {
  if (text === undefined) return NO_SYNC_FILTER;
  if (text.startsWith('{')) return parseSyncFilter(jsonParameter('filter', text));
  const stored = findFilter(users, user, text);
  if (stored === undefined) throw new MatrixError('M_INVALID_PARAM', 'There is no such filter');
  return parseSyncFilter(stored);
}

/** What is new (client-server API, Syncing). */
export const syncEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'sync',
    method: 'GET',
    path: '/_matrix/client/v3/sync',
    caller: 'guest',
    limit: 'read',
    query: () =>
      object({
        filter: optional(string()),
        since: optional(string()),
        full_state: optional(boolean),
        set_presence: optional(literal('online', 'offline', 'unavailable')),
        timeout: optional(integer({ minimum: 0 })),
        use_state_after: optional(boolean),
        'org.matrix.msc4222.use_state_after': optional(boolean),
      }),
    async handle(app: App, { caller, query, request }) {
      const since = query.since === undefined ? undefined : tokenParameter(app.rooms, 'since', query.since);
      const filter = filterOf(app, caller.user, query.filter);
      const useStateAfter: StateAfter =
        query.use_state_after === true || (query['org.matrix.msc4222.use_state_after'] === true && 'unstable');
      const end = app.users.presences.syncing(caller.user, query.set_presence ?? 'online');
      try {
        return await sync(app.sync, {
          viewer: { user: caller.user, device: caller.device, pair: `${caller.user} ${caller.device}` },
          since,
          filter,
          fullState: query.full_state ?? false,
          useStateAfter,
          asText: true,
          repeatKey: JSON.stringify([query.filter, query.timeout, useStateAfter]),
          timeoutMs: query.timeout ?? 0,
          signal: request.signal,
        });
      } finally {
        end();
      }
    },
  }),
];
