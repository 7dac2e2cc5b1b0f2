import type { App } from '#api/app.js';
import { federationOf } from '#api/federation/parameters.js';
import { array, eventId, integer, object, optional, roomId } from '#core/schema.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import {
  authChainForServer,
  backfillForServer,
  eventForServer,
  missingForServer,
  stateForServer,
  stateIdsForServer,
} from '#rooms/server-history.js';

const MAX_MISSING = 10;
const anyNumber = integer({ minimum: 0 });

/** What other servers read of rooms that they are in (server-server API, Retrieving events; Backfilling). */
export const federationHistoryEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'getEvent',
    method: 'GET',
    path: '/_matrix/federation/v1/event/{eventId}',
    caller: 'server',
    limit: 'federation',
    params: () => object({ eventId }),
    async handle(app: App, { caller, params }) {
      return eventForServer(federationOf(app), caller, params.eventId);
    },
  }),
  endpoint({
    id: 'getRoomState',
    method: 'GET',
    path: '/_matrix/federation/v1/state/{roomId}',
    caller: 'server',
    limit: 'federation',
    params: () => object({ roomId }),
    query: () => object({ event_id: eventId }),
    async handle(app: App, { caller, params, query }) {
      return stateForServer(federationOf(app), caller, params.roomId, query.event_id);
    },
  }),
  endpoint({
    id: 'getRoomStateIds',
    method: 'GET',
    path: '/_matrix/federation/v1/state_ids/{roomId}',
    caller: 'server',
    limit: 'federation',
    params: () => object({ roomId }),
    query: () => object({ event_id: eventId }),
    async handle(app: App, { caller, params, query }) {
      return stateIdsForServer(federationOf(app), caller, params.roomId, query.event_id);
    },
  }),
  endpoint({
    id: 'getEventAuth',
    method: 'GET',
    path: '/_matrix/federation/v1/event_auth/{roomId}/{eventId}',
    caller: 'server',
    limit: 'federation',
    params: () => object({ roomId, eventId }),
    async handle(app: App, { caller, params }) {
      return authChainForServer(federationOf(app), caller, params.roomId, params.eventId);
    },
  }),
  endpoint({
    id: 'getMissingPreviousEvents',
    method: 'POST',
    path: '/_matrix/federation/v1/get_missing_events/{roomId}',
    caller: 'server',
    limit: 'federation',
    params: () => object({ roomId }),
    body: () =>
      object({
        earliest_events: array(eventId),
        latest_events: array(eventId),
        limit: optional(anyNumber),
        min_depth: optional(anyNumber),
      }),
    async handle(app: App, { caller, params, body }) {
      return missingForServer(federationOf(app), caller, {
        roomId: params.roomId,
        latest: body.latest_events,
        earliest: body.earliest_events,
        limit: body.limit ?? MAX_MISSING,
        minDepth: body.min_depth ?? 0,
      });
    },
  }),
  endpoint({
    id: 'backfillRoom',
    method: 'GET',
    path: '/_matrix/federation/v1/backfill/{roomId}',
    caller: 'server',
    limit: 'federation',
    params: () => object({ roomId }),
    query: () => object({ v: array(eventId), limit: anyNumber }),
    async handle(app: App, { caller, params, query }) {
      return backfillForServer(federationOf(app), caller, params.roomId, query.v, query.limit);
    },
  }),
];
