import type { App } from '#api/app.js';
import { MatrixError } from '#core/errors.js';
import type { JsonObject } from '#core/json-value.js';
import { own } from '#core/json-value.js';
import { anyObject, integer, literal, object, optional, string } from '#core/schema.js';
import type { Caller, RequestInfo } from '#http/endpoint.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import { type Dialect, parseRequest } from '#sync/sliding/request.js';
import { slidingSync } from '#sync/sliding/sliding.js';

const presence = optional(literal('online', 'offline', 'unavailable'));

async function answer(
  app: App,
  caller: Caller,
  body: JsonObject,
  query: { readonly pos?: string | undefined; readonly timeout?: number | undefined },
  dialect: Dialect,
  asked: 'online' | 'offline' | 'unavailable',
  request: RequestInfo,
): Promise<JsonObject> {
  const parsed = { ...parseRequest(body, query, dialect, caller.user), asText: true };
  const viewer = { user: caller.user, device: caller.device, pair: `${caller.user} ${caller.device}` };
  const end = app.users.presences.syncing(caller.user, asked);
  try {
    return await slidingSync(app.sync, viewer, parsed, dialect, request.signal);
  } finally {
    end();
  }
}

/** What is new, room by room, as far as the client can show it (MSC4186, Simplified Sliding Sync). */
export const slidingSyncEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'slidingSync',
    method: 'POST',
    path: '/_matrix/client/v4/sync',
    caller: 'user',
    limit: 'read',
    whileSuspended: true,
    body: () => anyObject,
    bodyLimit: 1 << 20,
    async handle(app: App, { caller, body, request }) {
      const asked = own(body, 'set_presence') ?? 'online';
      if (asked !== 'online' && asked !== 'offline' && asked !== 'unavailable') {
        throw new MatrixError('M_INVALID_PARAM', "'set_presence' must be online, offline or unavailable");
      }
      return answer(app, caller, body, {}, 'stable', asked, request);
    },
  }),
  endpoint({
    id: 'simplifiedSlidingSync',
    method: 'POST',
    path: '/_matrix/client/unstable/org.matrix.simplified_msc3575/sync',
    caller: 'user',
    limit: 'read',
    whileSuspended: true,
    query: () =>
      object({ pos: optional(string()), timeout: optional(integer({ minimum: 0 })), set_presence: presence }),
    body: () => anyObject,
    bodyLimit: 1 << 20,
    async handle(app: App, { caller, query, body, request }) {
      return answer(app, caller, body, query, 'unstable', query.set_presence ?? 'online', request);
    },
  }),
];
