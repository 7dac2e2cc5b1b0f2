import type { App } from '#api/app.js';
import { eventId, nullable, object, optional, roomId, string, userId } from '#core/schema.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import { report } from '#users/reports.js';

const body = object({ reason: optional(nullable(string())) });
const reasonGiven = object({ reason: string() });

/** Telling the administrators (client-server API, Reporting content). */
export const reportEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'reportEvent',
    method: 'POST',
    path: '/_matrix/client/v3/rooms/{roomId}/report/{eventId}',
    caller: 'user',
    limit: 'account',
    params: () => object({ roomId, eventId }),
    body: () => body,
    async handle({ users, rooms }: App, { caller, params, body }) {
      const about = { room: params.roomId, event: params.eventId };
      await report(users, rooms, caller.user, about, body.reason ?? undefined);
      return {};
    },
  }),
  endpoint({
    id: 'reportRoom',
    method: 'POST',
    path: '/_matrix/client/v3/rooms/{roomId}/report',
    caller: 'user',
    limit: 'account',
    params: () => object({ roomId }),
    body: () => reasonGiven,
    async handle({ users, rooms }: App, { caller, params, body }) {
      await report(users, rooms, caller.user, { room: params.roomId }, body.reason);
      return {};
    },
  }),
  endpoint({
    id: 'reportUser',
    method: 'POST',
    path: '/_matrix/client/v3/users/{userId}/report',
    caller: 'user',
    limit: 'account',
    params: () => object({ userId }),
    body: () => reasonGiven,
    async handle({ users, rooms }: App, { caller, params, body }) {
      await report(users, rooms, caller.user, { reportedUser: params.userId }, body.reason);
      return {};
    },
  }),
];
