import type { App } from '#api/app.js';
import { eventId, object, optional, roomId } from '#core/schema.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import { getSubscription, subscribe, unsubscribe } from '#users/thread-subscriptions.js';

const path = '/_matrix/client/unstable/io.element.msc4306/rooms/{roomId}/thread/{threadRootId}/subscription';
const params = object({ roomId, threadRootId: eventId });

/** Which threads a user cares about (MSC4306). */
export const threadSubscriptionEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'msc4306Subscribe',
    method: 'PUT',
    path,
    caller: 'user',
    limit: 'send',
    params,
    body: object({ automatic: optional(eventId) }),
    whileSuspended: true,
    async handle({ rooms }: App, { caller, params, body }) {
      await subscribe(rooms, caller.user, params.roomId, params.threadRootId, body.automatic);
      return {};
    },
  }),
  endpoint({
    id: 'msc4306Unsubscribe',
    method: 'DELETE',
    path,
    caller: 'user',
    limit: 'send',
    params,
    whileSuspended: true,
    async handle({ rooms }: App, { caller, params }) {
      await unsubscribe(rooms, caller.user, params.roomId, params.threadRootId);
      return {};
    },
  }),
  endpoint({
    id: 'msc4306GetSubscription',
    method: 'GET',
    path,
    caller: 'user',
    limit: 'read',
    params,
    async handle({ rooms }: App, { caller, params }) {
      return getSubscription(rooms, caller.user, params.roomId, params.threadRootId);
    },
  }),
];
