import type { App } from '#api/app.js';
import { array, object, optional, roomId, string, userId } from '#core/schema.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import { upgradeRoom } from '#rooms/upgrade.js';

const MAX_CREATORS = 100;

/** Rooms get a successor of another version (client-server API, Room upgrades). */
export const upgradeEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'upgradeRoom',
    method: 'POST',
    path: '/_matrix/client/v3/rooms/{roomId}/upgrade',
    caller: 'user',
    limit: 'create',
    params: () => object({ roomId }),
    body: () =>
      object({ new_version: string(), additional_creators: optional(array(userId, { maxItems: MAX_CREATORS })) }),
    async handle({ rooms }: App, { caller, params, body }) {
      const replacement_room = await upgradeRoom(rooms, {
        roomId: params.roomId,
        user: caller.user,
        version: body.new_version,
        ...(body.additional_creators === undefined ? {} : { additionalCreators: body.additional_creators }),
      });
      return { replacement_room };
    },
  }),
];
