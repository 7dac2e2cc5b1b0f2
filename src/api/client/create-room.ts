import type { App } from '#api/app.js';
import { anyObject, array, boolean, literal, object, optional, string, userId } from '#core/schema.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import { type CreateRoomBody, createRoom } from '#rooms/create.js';
import { addAliasIn, publishIn } from '#rooms/directory.js';

/** Room for some hundred events of initial state. */
const BODY_LIMIT = 1 << 20;

/** Rooms come into being (client-server API, Creation). */
export const createRoomEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'createRoom',
    method: 'POST',
    path: '/_matrix/client/v3/createRoom',
    caller: 'user',
    limit: 'create',
    body: () =>
      object({
        visibility: optional(literal('public', 'private')),
        room_alias_name: optional(string()),
        name: optional(string()),
        topic: optional(string()),
        invite: optional(array(userId)),
        invite_3pid: optional(array(anyObject)),
        room_version: optional(string()),
        creation_content: optional(anyObject),
        initial_state: optional(array(object({ type: string(), state_key: optional(string()), content: anyObject }))),
        preset: optional(literal('private_chat', 'trusted_private_chat', 'public_chat')),
        is_direct: optional(boolean),
        power_level_content_override: optional(anyObject),
      }),
    bodyLimit: BODY_LIMIT,
    exactNumbers: true,
    async handle({ rooms }: App, { caller, body }) {
      const room_id = await createRoom(rooms, {
        creator: caller.user,
        // The schema gives absent keys as undefined in its type only: what came over the wire has no such keys.
        body: body as CreateRoomBody,
        reserveAlias: addAliasIn,
        publish: (tx, room) => publishIn(rooms, tx, room),
      });
      return { room_id };
    },
  }),
];
