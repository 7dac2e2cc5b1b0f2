import type { App } from '#api/app.js';
import { gapParameter, readRoomFilter } from '#api/client/parameters.js';
import { NO_ROOM_EVENT_FILTER } from '#core/filter.js';
import { eventId, integer, literal, object, optional, roomId, string } from '#core/schema.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import { clientEvents, lazyMembers } from '#rooms/client-events.js';
import { toClientEvent } from '#rooms/client-form.js';
import { filteredPage } from '#rooms/filtered-page.js';
import { stateIn } from '#rooms/members.js';
import { eventByTimestamp, eventContext } from '#rooms/timeline.js';
import { getEvent } from '#rooms/visibility.js';
import { wantedBy } from '#users/ignored.js';

const DEFAULT_LIMIT = 10;
/** Most events of one page. */
const MAX_LIMIT = 1_000;
const MAX_CONTEXT = 100;
const ofEvent = object({ roomId, eventId });
const limit = optional(integer({ minimum: 0 }));

/** What was said in a room (client-server API, Getting events for a room). */
export const historyEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'getRoomEvents',
    method: 'GET',
    path: '/_matrix/client/v3/rooms/{roomId}/messages',
    caller: 'guest',
    limit: 'read',
    params: () => object({ roomId }),
    query: () =>
      object({
        from: optional(string()),
        to: optional(string()),
        // Required by the specification; clients that leave it out are taken to page forwards.
        dir: optional(literal('b', 'f')),
        limit,
        filter: optional(string()),
      }),
    async handle({ rooms }: App, { caller, params, query }) {
      const filter = query.filter === undefined ? NO_ROOM_EVENT_FILTER : readRoomFilter(query.filter);
      const page = await filteredPage(rooms, caller.user, params.roomId, filter, {
        dir: query.dir ?? 'f',
        wanted: wantedBy(rooms.store, caller.user, filter),
        // A filter's own limit stands where the request gives none.
        limit: Math.min(query.limit ?? filter.limit ?? DEFAULT_LIMIT, MAX_LIMIT),
        ...(query.from === undefined ? {} : { from: gapParameter(rooms, query.from) }),
        ...(query.to === undefined ? {} : { to: gapParameter(rooms, query.to) }),
      });
      const first = page.events[0];
      const state =
        filter.lazyLoadMembers && first !== undefined ? lazyMembers(rooms, first.stateAfter, page.events) : [];
      return {
        start: query.from ?? String(page.start),
        ...(page.end === undefined ? {} : { end: String(page.end) }),
        chunk: await clientEvents(rooms, page.events, caller),
        ...(state.length === 0 ? {} : { state: await clientEvents(rooms, state, caller) }),
      };
    },
  }),
  endpoint({
    id: 'getEventContext',
    method: 'GET',
    path: '/_matrix/client/v3/rooms/{roomId}/context/{eventId}',
    caller: 'guest',
    limit: 'read',
    params: () => ofEvent,
    query: () => object({ limit, filter: optional(string()) }),
    async handle({ rooms }: App, { caller, params, query }) {
      const filter = query.filter === undefined ? NO_ROOM_EVENT_FILTER : readRoomFilter(query.filter);
      const context = await eventContext(rooms, caller.user, params.roomId, params.eventId, {
        limit: Math.min(query.limit ?? filter.limit ?? DEFAULT_LIMIT, MAX_CONTEXT),
        wanted: wantedBy(rooms.store, caller.user, filter),
      });
      const { before, event, after, root } = context;
      const state = filter.lazyLoadMembers
        ? [
            ...(await stateIn(rooms, root)).filter(({ pdu }) => pdu.type !== 'm.room.member'),
            ...lazyMembers(rooms, root, [...before, event, ...after]),
          ]
        : await stateIn(rooms, root);
      return {
        start: String(context.start),
        end: String(context.end),
        event: toClientEvent(rooms, event, { viewer: caller.user, device: caller.device }),
        events_before: await clientEvents(rooms, before, caller),
        events_after: await clientEvents(rooms, after, caller),
        state: await clientEvents(rooms, state, caller),
      };
    },
  }),
  endpoint({
    id: 'getOneRoomEvent',
    method: 'GET',
    path: '/_matrix/client/v3/rooms/{roomId}/event/{eventId}',
    caller: 'guest',
    limit: 'read',
    params: () => ofEvent,
    async handle({ rooms }: App, { caller, params }) {
      const stored = getEvent(rooms, caller.user, params.roomId, params.eventId);
      return toClientEvent(rooms, stored, { viewer: caller.user, device: caller.device });
    },
  }),
  endpoint({
    id: 'getEventByTimestamp',
    method: 'GET',
    path: '/_matrix/client/v1/rooms/{roomId}/timestamp_to_event',
    aliases: ['/_matrix/client/unstable/org.matrix.msc3030/rooms/{roomId}/timestamp_to_event'],
    caller: 'user',
    limit: 'read',
    params: () => object({ roomId }),
    query: () => object({ ts: integer({ minimum: 0 }), dir: literal('b', 'f') }),
    async handle({ rooms }: App, { caller, params, query }) {
      const { pdu } = await eventByTimestamp(rooms, caller.user, params.roomId, query.ts, query.dir);
      return { event_id: pdu.event_id, origin_server_ts: pdu.origin_server_ts };
    },
  }),
];
