import type { App } from '#api/app.js';
import { federationOf } from '#api/federation/parameters.js';
import { anyObject, array, eventId, object, optional, roomId, string, userId } from '#core/schema.js';
import { type Endpoint, endpoint, Reply } from '#http/endpoint.js';
import { acceptJoin, makeJoin } from '#rooms/host-join.js';

/** Larger than the largest event, in bytes: what is too large gets its own answer. */
const BODY_LIMIT = 1 << 18;

/** Other servers' users join rooms of this one (server-server API, Joining Rooms). */
export const federationJoinEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'makeJoin',
    method: 'GET',
    path: '/_matrix/federation/v1/make_join/{roomId}/{userId}',
    caller: 'server',
    limit: 'federation',
    params: () => object({ roomId, userId }),
    query: () => object({ ver: optional(array(string(), { maxItems: 100 })) }),
    async handle(app: App, { caller, params, query }) {
      const versions = query.ver ?? ['1'];
      return makeJoin(federationOf(app), { origin: caller, ...params, versions });
    },
  }),
  endpoint({
    id: 'sendJoinV1',
    method: 'PUT',
    path: '/_matrix/federation/v1/send_join/{roomId}/{eventId}',
    caller: 'server',
    limit: 'federation',
    params: () => object({ roomId, eventId }),
    body: () => anyObject,
    bodyLimit: BODY_LIMIT,
    exactNumbers: true,
    async handle(app: App, { caller, params, body }) {
      const answer = await acceptJoin(federationOf(app), { origin: caller, ...params, event: body });
      return new Reply(200, [200, answer]);
    },
  }),
  endpoint({
    id: 'sendJoinV2',
    method: 'PUT',
    path: '/_matrix/federation/v2/send_join/{roomId}/{eventId}',
    caller: 'server',
    limit: 'federation',
    params: () => object({ roomId, eventId }),
    body: () => anyObject,
    bodyLimit: BODY_LIMIT,
    exactNumbers: true,
    async handle(app: App, { caller, params, body }) {
      return acceptJoin(federationOf(app), { origin: caller, ...params, event: body });
    },
  }),
];
