import type { App } from '#api/app.js';
import { MatrixError } from '#core/errors.js';
import { isObject, type JsonObject, type JsonValue, own } from '#core/json-value.js';
import {
  anyObject,
  array,
  boolean,
  integer,
  literal,
  nullable,
  object,
  optional,
  roomAlias,
  roomId,
  string,
} from '#core/schema.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import { addAlias, isPublished, needAlias, readAliases, removeAlias, setPublished } from '#rooms/directory.js';
import { listPublicRooms, type PublicRoomsPage, type PublicRoomsQuery } from '#rooms/public-rooms.js';

const ofAlias = object({ roomAlias });
const ofRoom = object({ roomId });
const paging = { since: optional(string()), limit: optional(integer({ minimum: 0 })) };
const MAX_TYPES = 100;

/** The directory of `server`, which can only be this one's own. */
function list(app: App, server: string | undefined, query: PublicRoomsQuery): Promise<PublicRoomsPage> {
  if (server !== undefined && server !== app.serverName) {
    throw new MatrixError('M_FORBIDDEN', "This server does not federate: other servers' rooms can not be listed");
  }
  // A limit of nought is how some clients ask for the default.
  return listPublicRooms(app.rooms, query.limit === 0 ? { ...query, limit: undefined } : query);
}

function searchTerm(filter: JsonObject | undefined): string | undefined {
  const term: JsonValue | undefined = filter && own(filter, 'generic_search_term');
  if (term === undefined || term === null) return undefined;
  if (typeof term !== 'string') throw new MatrixError('M_BAD_JSON', "'generic_search_term' must be a string");
  return term;
}

function roomTypes(filter: JsonObject | undefined): readonly (string | null)[] | undefined {
  const types = isObject(filter) ? own(filter, 'room_types') : undefined;
  if (types === undefined || types === null) return undefined;
  const valid =
    Array.isArray(types) &&
    types.length <= MAX_TYPES &&
    types.every((type) => type === null || typeof type === 'string');
  if (!valid) throw new MatrixError('M_BAD_JSON', "'room_types' must be a short list of strings and null");
  return types as readonly (string | null)[];
}

/** Aliases and the public directory (client-server API, Room aliases; Published room directory). */
export const directoryEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'getRoomIdByAlias',
    method: 'GET',
    path: '/_matrix/client/v3/directory/room/{roomAlias}',
    caller: 'none',
    limit: 'read',
    params: () => ofAlias,
    async handle({ rooms, serverName }: App, { params }) {
      return { room_id: needAlias(rooms.store, params.roomAlias).roomId, servers: [serverName] };
    },
  }),
  endpoint({
    id: 'setRoomAlias',
    method: 'PUT',
    path: '/_matrix/client/v3/directory/room/{roomAlias}',
    caller: 'user',
    limit: 'account',
    params: () => ofAlias,
    body: () => object({ room_id: roomId, servers: optional(array(string())) }),
    async handle({ rooms }: App, { caller, params, body }) {
      await addAlias(rooms, caller.user, params.roomAlias, body.room_id);
      return {};
    },
  }),
  endpoint({
    id: 'deleteRoomAlias',
    method: 'DELETE',
    path: '/_matrix/client/v3/directory/room/{roomAlias}',
    caller: 'user',
    limit: 'account',
    params: () => ofAlias,
    async handle({ rooms }: App, { caller, params }) {
      await removeAlias(rooms, caller.user, params.roomAlias, { admin: caller.admin });
      return {};
    },
  }),
  endpoint({
    id: 'getLocalAliases',
    method: 'GET',
    path: '/_matrix/client/v3/rooms/{roomId}/aliases',
    aliases: ['/_matrix/client/unstable/org.matrix.msc2432/rooms/{roomId}/aliases'],
    caller: 'user',
    limit: 'read',
    params: () => ofRoom,
    async handle({ rooms }: App, { caller, params }) {
      return { aliases: await readAliases(rooms, caller.user, params.roomId) };
    },
  }),
  endpoint({
    id: 'getRoomVisibilityOnDirectory',
    method: 'GET',
    path: '/_matrix/client/v3/directory/list/room/{roomId}',
    caller: 'none',
    limit: 'read',
    params: () => ofRoom,
    async handle({ rooms }: App, { params }) {
      return { visibility: isPublished(rooms, params.roomId) ? 'public' : 'private' };
    },
  }),
  endpoint({
    id: 'setRoomVisibilityOnDirectory',
    method: 'PUT',
    path: '/_matrix/client/v3/directory/list/room/{roomId}',
    caller: 'user',
    limit: 'account',
    params: () => ofRoom,
    body: () => object({ visibility: optional(literal('public', 'private')) }),
    async handle({ rooms }: App, { caller, params, body }) {
      const listed = body.visibility !== 'private';
      await setPublished(rooms, caller.user, params.roomId, listed, { admin: caller.admin });
      return {};
    },
  }),
  endpoint({
    id: 'getPublicRooms',
    method: 'GET',
    path: '/_matrix/client/v3/publicRooms',
    caller: 'none',
    limit: 'search',
    query: () => object({ ...paging, server: optional(string()) }),
    async handle(app: App, { query }) {
      return list(app, query.server, { since: query.since, limit: query.limit });
    },
  }),
  endpoint({
    id: 'queryPublicRooms',
    method: 'POST',
    path: '/_matrix/client/v3/publicRooms',
    caller: 'user',
    limit: 'search',
    query: () => object({ server: optional(string()) }),
    body: () =>
      object({
        ...paging,
        filter: optional(nullable(anyObject)),
        include_all_networks: optional(boolean),
        third_party_instance_id: optional(nullable(string())),
      }),
    whileSuspended: true,
    async handle(app: App, { query, body }) {
      if (typeof body.third_party_instance_id === 'string') {
        if (body.include_all_networks) {
          throw new MatrixError(
            'M_INVALID_PARAM',
            "'include_all_networks' and 'third_party_instance_id' exclude each other",
          );
        }
        // There are no bridged networks here, so none of them has rooms.
        return { chunk: [], total_room_count_estimate: 0 };
      }
      const filter = body.filter ?? undefined;
      return list(app, query.server, {
        since: body.since,
        limit: body.limit,
        search: searchTerm(filter),
        types: roomTypes(filter),
      });
    },
  }),
];
