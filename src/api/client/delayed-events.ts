import type { App } from '#api/app.js';
import { transaction } from '#api/client/parameters.js';
import { MatrixError } from '#core/errors.js';
import { EventId } from '#core/ids.js';
import { own } from '#core/json-value.js';
import { anyObject, integer, literal, object, optional, roomId, string } from '#core/schema.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import type { DelayedAction } from '#users/delayed-events.js';

const BASE = '/_matrix/client/unstable/org.matrix.msc4140';
/** Larger than the largest event, so that what is too large gets its own answer. */
const BODY_LIMIT = 1 << 18;
const ACTIONS: readonly DelayedAction[] = ['send', 'cancel', 'restart'];

/** Events that are sent later unless they are cancelled (MSC4140). */
export const delayedEventEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'msc4140Schedule',
    method: 'PUT',
    path: `${BASE}/rooms/{roomId}/delayed_event/{eventType}/{txnId}`,
    caller: 'guest',
    limit: 'send',
    params: () => object({ roomId, eventType: string(), txnId: string() }),
    body: () => object({ delay_ms: integer(), state_key: optional(string()), content: anyObject }),
    bodyLimit: BODY_LIMIT,
    exactNumbers: true,
    async handle({ delayed }: App, { caller, params, body }) {
      const redacts = params.eventType === 'm.room.redaction' ? EventId.parse(own(body.content, 'redacts')) : undefined;
      const request = {
        roomId: params.roomId,
        sender: caller.user,
        device: caller.device,
        type: params.eventType,
        content: body.content,
        txn: transaction(`rooms/${params.roomId}/delayed_event/${params.eventType}`, params.txnId),
        ...(body.state_key !== undefined && { stateKey: body.state_key }),
        ...(redacts !== undefined && { redacts }),
      };
      return { delay_id: await delayed.schedule(request, body.delay_ms) };
    },
  }),
  endpoint({
    id: 'msc4140List',
    method: 'GET',
    path: `${BASE}/delayed_events`,
    caller: 'guest',
    limit: 'read',
    async handle({ delayed }: App, { caller }) {
      return { delayed_events: await delayed.list(caller.user) };
    },
  }),
  endpoint({
    id: 'msc4140Get',
    method: 'GET',
    path: `${BASE}/delayed_events/{delayId}`,
    caller: 'guest',
    limit: 'read',
    params: () => object({ delayId: string() }),
    async handle({ delayed }: App, { caller, params }) {
      return delayed.get(caller.user, params.delayId);
    },
  }),
  // Without an access token, as call servers use them: the delay id itself is the secret.
  ...ACTIONS.map((action) =>
    endpoint({
      id: `msc4140Act_${action}`,
      method: 'POST',
      path: `${BASE}/delayed_events/{delayId}/${action}`,
      caller: 'none',
      limit: 'read',
      params: () => object({ delayId: string() }),
      async handle({ delayed }: App, { params }) {
        await delayed.act(params.delayId, action);
        return {};
      },
    }),
  ),
  endpoint({
    id: 'msc4140Act',
    method: 'POST',
    path: `${BASE}/delayed_events/{delayId}`,
    caller: 'none',
    limit: 'read',
    params: () => object({ delayId: string() }),
    body: () => object({ action: optional(literal(...ACTIONS)) }),
    async handle({ delayed }: App, { params, body }) {
      if (body.action === undefined) throw new MatrixError('M_MISSING_PARAM', "'action' is missing");
      await delayed.act(params.delayId, body.action);
      return {};
    },
  }),
];
