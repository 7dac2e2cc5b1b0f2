import type { App } from '#api/app.js';
import { tokenParameter } from '#api/client/parameters.js';
import { MatrixError } from '#core/errors.js';
import { boolean, eventId, integer, object, optional, roomId, string } from '#core/schema.js';
import type { Caller } from '#http/endpoint.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import { toClientEvent } from '#rooms/client-form.js';
import { getEventById } from '#rooms/visibility.js';
import { eventStream } from '#sync/event-stream.js';
import { initialSync, roomInitialSync } from '#sync/initial.js';
import type { Viewer } from '#sync/sections.js';

/** Messages of each room where the client names no number, and the most. */
const DEFAULT_LIMIT = 10;
const MAX_LIMIT = 100;
/** How long the stream waits where the client does not say. */
const DEFAULT_WAIT_MS = 30_000;

const limit = optional(integer({ minimum: 0 }));
const limitOf = (asked: number | undefined): number => Math.min(asked ?? DEFAULT_LIMIT, MAX_LIMIT);

function viewerOf({ user, device }: Caller): Viewer {
  return { user, device, pair: `${user} ${device}` };
}

/** What came before /sync, deprecated but for looking into rooms (client-server API, Syncing, Room previews). */
export const eventEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    // `getEvents` too: the specification tells the two apart by whether a room is named.
    id: 'peekEvents',
    method: 'GET',
    path: '/_matrix/client/v3/events',
    caller: 'guest',
    limit: 'read',
    query: () =>
      object({
        from: optional(string()),
        timeout: optional(integer({ minimum: 0 })),
        room_id: optional(roomId),
      }),
    async handle(app: App, { caller, query, request }) {
      if (caller.guest && query.room_id === undefined) {
        throw new MatrixError('M_MISSING_PARAM', "Guests follow one room at a time: 'room_id' is missing");
      }
      const from = query.from === undefined ? undefined : tokenParameter(app.rooms, 'from', query.from);
      const end = app.users.presences.syncing(caller.user, 'online');
      try {
        return await eventStream(app.sync, {
          viewer: viewerOf(caller),
          from,
          roomId: query.room_id,
          timeoutMs: query.timeout ?? DEFAULT_WAIT_MS,
          signal: request.signal,
        });
      } finally {
        end();
      }
    },
  }),
  endpoint({
    id: 'getOneEvent',
    method: 'GET',
    path: '/_matrix/client/v3/events/{eventId}',
    caller: 'user',
    limit: 'read',
    params: () => object({ eventId }),
    async handle({ rooms }: App, { caller, params }) {
      const stored = getEventById(rooms, caller.user, params.eventId);
      return toClientEvent(rooms, stored, { viewer: caller.user, device: caller.device });
    },
  }),
  endpoint({
    id: 'initialSync',
    method: 'GET',
    path: '/_matrix/client/v3/initialSync',
    caller: 'user',
    limit: 'read',
    query: () => object({ limit, archived: optional(boolean) }),
    async handle({ sync }: App, { caller, query }) {
      return initialSync(sync, viewerOf(caller), { limit: limitOf(query.limit), archived: query.archived ?? false });
    },
  }),
  endpoint({
    id: 'roomInitialSync',
    method: 'GET',
    path: '/_matrix/client/v3/rooms/{roomId}/initialSync',
    caller: 'guest',
    limit: 'read',
    params: () => object({ roomId }),
    // Not in the specification; Synapse has it, and what pages takes a limit everywhere else.
    query: () => object({ limit }),
    async handle({ sync }: App, { caller, params, query }) {
      return roomInitialSync(sync, viewerOf(caller), params.roomId, limitOf(query.limit));
    },
  }),
];
