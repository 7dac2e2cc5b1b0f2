import type { App } from '#api/app.js';
import { tokenParameter } from '#api/client/parameters.js';
import { integer, object, optional, string } from '#core/schema.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import { toClientEvent } from '#rooms/client-form.js';
import { listNotifications } from '#sync/notifications.js';

const DEFAULT_LIMIT = 20;
const MAX_LIMIT = 500;

/** What the user was notified of (client-server API, Listing notifications). */
export const notificationEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'getNotifications',
    method: 'GET',
    path: '/_matrix/client/v3/notifications',
    caller: 'user',
    limit: 'read',
    query: () =>
      object({
        from: optional(string()),
        limit: optional(integer({ minimum: 0 })),
        only: optional(string()),
      }),
    async handle({ rooms }: App, { caller, query }) {
      const page = await listNotifications(rooms, caller.user, {
        limit: Math.min(query.limit || DEFAULT_LIMIT, MAX_LIMIT),
        onlyHighlights: query.only === 'highlight',
        ...(query.from === undefined ? {} : { before: tokenParameter(rooms, 'from', query.from) }),
      });
      const notifications = page.notifications.map(({ event, highlight, read }) => ({
        actions: ['notify', ...(highlight ? [{ set_tweak: 'highlight' }] : [])],
        event: toClientEvent(rooms, event, { viewer: caller.user, device: caller.device, withoutRoomId: true }),
        read,
        room_id: event.pdu.room_id,
        ts: event.pdu.origin_server_ts,
      }));
      return { notifications, ...(page.end === undefined ? {} : { next_token: String(page.end) }) };
    },
  }),
];
