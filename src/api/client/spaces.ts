import type { App } from '#api/app.js';
import { MatrixError } from '#core/errors.js';
import type { RoomAlias, RoomId, UserId } from '#core/ids.js';
import {
  array,
  boolean,
  integer,
  object,
  oneOf,
  optional,
  roomAlias,
  roomId,
  serverName,
  string,
} from '#core/schema.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import { needAlias } from '#rooms/directory.js';
import { spaceHierarchy } from '#rooms/hierarchy.js';
import { findRoom, memberOf, type Rooms } from '#rooms/rooms.js';
import { mayPreview, summaryOf } from '#rooms/summary.js';

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 100;

function summary(rooms: Rooms, viewer: UserId | undefined, named: RoomId | RoomAlias): object {
  const id = named.startsWith('#') ? needAlias(rooms.store, named as RoomAlias).roomId : (named as RoomId);
  const room = findRoom(rooms.store, id);
  // A room that the caller may not preview is answered like one that does not exist.
  if (room === undefined || !mayPreview(rooms, room, viewer)) {
    throw new MatrixError('M_NOT_FOUND', 'No such room, or none that you may preview');
  }
  if (viewer === undefined) return summaryOf(rooms, room);
  return { ...summaryOf(rooms, room), membership: memberOf(rooms.store, room, viewer)?.membership ?? 'leave' };
}

const named = oneOf(roomId, roomAlias);
const via = object({ via: optional(array(serverName, { maxItems: 50 })) });
const unstable = '/_matrix/client/unstable/im.nheko.summary';

/** What rooms are, for one who is not in them (client-server API, Spaces; Room previews). */
export const spaceEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'getSpaceHierarchy',
    method: 'GET',
    path: '/_matrix/client/v1/rooms/{roomId}/hierarchy',
    aliases: ['/_matrix/client/unstable/org.matrix.msc2946/rooms/{roomId}/hierarchy'],
    caller: 'guest',
    limit: 'read',
    params: () => object({ roomId }),
    query: () =>
      object({
        suggested_only: optional(boolean),
        limit: optional(integer({ minimum: 1 })),
        max_depth: optional(integer({ minimum: 0 })),
        from: optional(string()),
      }),
    handle: ({ rooms }: App, { caller, params, query }) =>
      spaceHierarchy(rooms, caller.user, params.roomId, {
        suggestedOnly: query.suggested_only ?? false,
        maxDepth: query.max_depth,
        limit: Math.min(query.limit ?? DEFAULT_LIMIT, MAX_LIMIT),
        from: query.from,
      }),
  }),
  endpoint({
    id: 'getRoomSummary',
    method: 'GET',
    path: '/_matrix/client/v1/room_summary/{roomIdOrAlias}',
    aliases: [`${unstable}/summary/{roomIdOrAlias}`, `${unstable}/rooms/{roomIdOrAlias}/summary`],
    caller: 'user?',
    limit: 'read',
    params: () => object({ roomIdOrAlias: named }),
    query: () => via,
    handle: async ({ rooms }: App, { caller, params }) => summary(rooms, caller?.user, params.roomIdOrAlias),
  }),
];
