import type { App } from '#api/app.js';
import { gapParameter } from '#api/client/parameters.js';
import { integer, literal, object, optional, roomId, string } from '#core/schema.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import { toClientEvent } from '#rooms/client-form.js';
import { ignoredBy } from '#rooms/ignored.js';
import { listThreads } from '#rooms/threads.js';

const DEFAULT_LIMIT = 5;
const MAX_LIMIT = 100;

/** The threads of a room (client-server API, Querying threads in a room). */
export const threadEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'getThreadRoots',
    method: 'GET',
    path: '/_matrix/client/v1/rooms/{roomId}/threads',
    aliases: ['/_matrix/client/unstable/org.matrix.msc3856/rooms/{roomId}/threads'],
    caller: 'user',
    limit: 'read',
    params: () => object({ roomId }),
    query: () =>
      object({
        include: optional(literal('all', 'participated')),
        limit: optional(integer({ minimum: 1 })),
        from: optional(string()),
      }),
    async handle({ rooms }: App, { caller, params, query }) {
      const { roots, end } = await listThreads(rooms, caller.user, params.roomId, {
        participated: query.include === 'participated',
        limit: Math.min(query.limit ?? DEFAULT_LIMIT, MAX_LIMIT),
        ...(query.from === undefined ? {} : { from: gapParameter(rooms, query.from) }),
      });
      const ignored = ignoredBy(rooms.store, caller.user);
      const chunk = roots.map((root) =>
        toClientEvent(rooms, root, {
          viewer: caller.user,
          device: caller.device,
          // So that a thread by someone whom the user ignores is there, as it would be for a client that sums up itself.
          emptied: ignored.has(root.pdu.sender),
        }),
      );
      return { chunk, ...(end === undefined ? {} : { next_batch: String(end) }) };
    },
  }),
];
