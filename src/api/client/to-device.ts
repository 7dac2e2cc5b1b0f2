import type { App } from '#api/app.js';
import { anyObject, object, string } from '#core/schema.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import { sendToDevice } from '#users/to-device.js';

/** Keys for some hundred devices in one request; ten times as much is refused. */
const BODY_LIMIT = 4 << 20;

/** Messages between devices (client-server API, Send-to-device messaging). */
export const toDeviceEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'sendToDevice',
    method: 'PUT',
    path: '/_matrix/client/v3/sendToDevice/{eventType}/{txnId}',
    caller: 'guest',
    limit: 'send',
    params: () => object({ eventType: string(), txnId: string() }),
    body: () => object({ messages: anyObject }),
    bodyLimit: BODY_LIMIT,
    whileSuspended: true,
    async handle({ users }: App, { caller, params, body }) {
      await sendToDevice(users, caller, params.eventType, params.txnId, body.messages);
      return {};
    },
  }),
];
