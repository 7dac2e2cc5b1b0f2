import type { App } from '#api/app.js';
import { tokenParameter } from '#api/client/parameters.js';
import { eventId, integer, literal, object, optional, roomId, string } from '#core/schema.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import { subscriptionPage } from '#sync/thread-subscriptions.js';
import { getSubscription, subscribe, unsubscribe } from '#users/thread-subscriptions.js';

const path = '/_matrix/client/unstable/io.element.msc4306/rooms/{roomId}/thread/{threadRootId}/subscription';
const params = object({ roomId, threadRootId: eventId });

/** Which threads a user cares about (MSC4306), and those that a sliding sync had no place for (MSC4308). */
export const threadSubscriptionEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'msc4306Subscribe',
    method: 'PUT',
    path,
    caller: 'user',
    limit: 'send',
    params: () => params,
    body: () => object({ automatic: optional(eventId) }),
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
    params: () => params,
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
    params: () => params,
    async handle({ rooms }: App, { caller, params }) {
      return getSubscription(rooms, caller.user, params.roomId, params.threadRootId);
    },
  }),
  endpoint({
    id: 'msc4308GetSubscriptions',
    method: 'GET',
    path: '/_matrix/client/unstable/io.element.msc4308/thread_subscriptions',
    caller: 'user',
    limit: 'read',
    query: () =>
      object({
        dir: literal('b'),
        from: optional(string()),
        to: optional(string()),
        limit: optional(integer({ minimum: 1 })),
      }),
    async handle({ rooms }: App, { caller, query }) {
      const from = query.from === undefined ? rooms.store.tip : tokenParameter(rooms, 'from', query.from);
      // `to` is the `pos` of a sliding sync, which begins with the position that it stands for.
      const to = query.to === undefined ? 0 : tokenParameter(rooms, 'to', query.to.split('_')[0]!);
      const { body, end } = await subscriptionPage(rooms.store, caller.user, to, from, query.limit);
      return { ...body, ...(end === undefined ? {} : { end: String(end) }) };
    },
  }),
];
