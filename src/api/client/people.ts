import type { App } from '#api/app.js';
import { MatrixError } from '#core/errors.js';
import type { UserId } from '#core/ids.js';
import { integer, object, optional, string, userId } from '#core/schema.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import { mutualRooms } from '#rooms/mutual.js';
import { searchUsers } from '#users/user-directory.js';

const DEFAULT_LIMIT = 10;
const MAX_LIMIT = 50;
const MAX_TERM = 1_000;
/** Mutual rooms of one answer. */
const PAGE = 500;

const query = object({ user_id: userId, from: optional(string()) });

/** The mutual rooms' token is the number of a room, with a letter that keeps it apart from tokens of other lists. */
async function mutual({ rooms }: App, user: UserId, other: UserId, from: string | undefined) {
  if (user === other) throw new MatrixError('M_INVALID_PARAM', "'user_id' is your own");
  const [, after] = /^m(\d{1,15})$/.exec(from ?? '') ?? [];
  if (from !== undefined && after === undefined) throw new MatrixError('M_INVALID_PARAM', "'from' is no token");
  return mutualRooms(rooms, user, other, { limit: PAGE, ...(after === undefined ? {} : { after: Number(after) }) });
}

/** Finding people (client-server API, User directory, Mutual rooms). */
export const peopleEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'searchUserDirectory',
    method: 'POST',
    path: '/_matrix/client/v3/user_directory/search',
    caller: 'user',
    limit: 'search',
    whileSuspended: true,
    body: () => object({ search_term: string({ maxLength: MAX_TERM }), limit: optional(integer({ minimum: 0 })) }),
    handle: ({ rooms, users }: App, { caller, body }) =>
      // A limit of nought is how some clients ask for the default.
      searchUsers(
        rooms,
        users.directory,
        caller.user,
        body.search_term,
        Math.min(body.limit || DEFAULT_LIMIT, MAX_LIMIT),
      ),
  }),
  endpoint({
    id: 'getMutualRooms',
    method: 'GET',
    path: '/_matrix/client/v1/mutual_rooms',
    caller: 'user',
    limit: 'read',
    query: () => query,
    async handle(app: App, { caller, query }) {
      const { end, ...page } = await mutual(app, caller.user, query.user_id, query.from);
      return { ...page, ...(end === undefined ? {} : { next_batch: `m${end}` }) };
    },
  }),
  endpoint({
    id: 'getMutualRoomsUnstable',
    method: 'GET',
    path: '/_matrix/client/unstable/uk.half-shot.msc2666/user/mutual_rooms',
    caller: 'user',
    limit: 'read',
    query: () => object({ user_id: userId, batch_token: optional(string()) }),
    async handle(app: App, { caller, query }) {
      const { end, ...page } = await mutual(app, caller.user, query.user_id, query.batch_token);
      return { ...page, ...(end === undefined ? {} : { next_batch_token: `m${end}` }) };
    },
  }),
];
