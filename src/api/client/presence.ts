import type { App } from '#api/app.js';
import { MatrixError } from '#core/errors.js';
import { literal, nullable, object, optional, string, userId } from '#core/schema.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import { getPresence, setPresence } from '#users/presence.js';

const params = object({ userId });

/** Who is here (client-server API, Presence). */
export const presenceEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'setPresence',
    method: 'PUT',
    path: '/_matrix/client/v3/presence/{userId}/status',
    caller: 'user',
    limit: 'account',
    params: () => params,
    body: () =>
      object({
        presence: literal('online', 'offline', 'unavailable', 'busy'),
        status_msg: optional(nullable(string())),
      }),
    async handle({ users }: App, { caller, params, body }) {
      if (caller.user !== params.userId) throw new MatrixError('M_FORBIDDEN', 'One can only speak for oneself');
      await setPresence(users, caller.user, body.presence, body.status_msg ?? undefined);
      return {};
    },
  }),
  endpoint({
    id: 'getPresence',
    method: 'GET',
    path: '/_matrix/client/v3/presence/{userId}/status',
    caller: 'user',
    limit: 'read',
    params: () => params,
    async handle({ users }: App, { caller, params }) {
      return await getPresence(users, caller.user, params.userId);
    },
  }),
];
