import type { App } from '#api/app.js';
import { delayQuery, transaction } from '#api/client/parameters.js';
import { MatrixError } from '#core/errors.js';
import { EventId, type RoomId } from '#core/ids.js';
import { type JsonObject, ownString } from '#core/json-value.js';
import { anyObject, array, eventId, nullable, object, optional, roomId, string } from '#core/schema.js';
import { type Caller, type Endpoint, endpoint } from '#http/endpoint.js';
import { redactEvent } from '#rooms/redact.js';
import { findRoom } from '#rooms/rooms.js';
import { sendEvent } from '#rooms/send.js';

/** Larger than the largest event, so that what is too large gets its own answer. */
const BODY_LIMIT = 1 << 18;
const relTypes = optional(array(string(), { maxItems: 100 }));

/** A suspended account may still take back what it said itself (client-server API, Account suspension). */
function checkSuspended(app: App, caller: Caller, target: EventId | undefined): void {
  if (!caller.suspended) return;
  const stored = target === undefined ? undefined : app.rooms.events.byId(app.rooms.store.latest, target);
  if (stored?.pdu.sender === caller.user) return;
  throw new MatrixError('M_USER_SUSPENDED', 'This account is suspended: it may redact its own events only');
}

async function send(
  app: App,
  caller: Caller,
  {
    roomId: room,
    eventType: type,
    txnId,
  }: { readonly roomId: RoomId; readonly eventType: string; readonly txnId: string },
  content: JsonObject,
  delayMs: number | undefined,
) {
  const redaction = type === 'm.room.redaction';
  const redacts = redaction ? EventId.parse(ownString(content, 'redacts')) : undefined;
  checkSuspended(app, caller, redacts);
  const request = {
    roomId: room,
    sender: caller.user,
    device: caller.device,
    type,
    // Where a version keeps `redacts` in the content, building the event puts it there.
    content: redaction ? withoutRedacts(content) : content,
    txn: transaction(`rooms/${room}/send/${type}`, txnId),
    ...(redacts === undefined ? {} : { redacts }),
  };
  if (delayMs !== undefined) return { delay_id: await app.delayed.schedule(request, delayMs) };
  const event_id = await sendEvent(app.rooms, request);
  const num = findRoom(app.rooms.store, room)?.num;
  if (num !== undefined && !redaction) app.sync.typing.stop(num, caller.user);
  app.users.presences.active(caller.user);
  return { event_id };
}

function withoutRedacts({ redacts: _, ...rest }: JsonObject): JsonObject {
  return rest;
}

/** Message events and redactions (client-server API, Sending events to a room; Redactions). */
export const sendEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'sendMessage',
    method: 'PUT',
    path: '/_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}',
    caller: 'guest',
    limit: 'send',
    params: () => object({ roomId, eventType: string(), txnId: string() }),
    query: () => object(delayQuery),
    body: () => anyObject,
    bodyLimit: BODY_LIMIT,
    exactNumbers: true,
    whileSuspended: true,
    async handle(app: App, { caller, params, query, body }) {
      return send(app, caller, params, body, query['org.matrix.msc4140.delay']);
    },
  }),
  endpoint({
    id: 'redactEvent',
    method: 'PUT',
    path: '/_matrix/client/v3/rooms/{roomId}/redact/{eventId}/{txnId}',
    caller: 'user',
    limit: 'send',
    params: () => object({ roomId, eventId, txnId: string() }),
    body: () =>
      object({
        reason: optional(nullable(string())),
        with_rel_types: relTypes,
        'org.matrix.msc3912.with_relations': relTypes,
      }),
    bodyLimit: BODY_LIMIT,
    whileSuspended: true,
    async handle(app: App, { caller, params, body }) {
      checkSuspended(app, caller, params.eventId);
      const event_id = await redactEvent(app.rooms, {
        roomId: params.roomId,
        eventId: params.eventId,
        sender: caller.user,
        device: caller.device,
        txn: transaction(`rooms/${params.roomId}/redact/${params.eventId}`, params.txnId),
        relTypes: body.with_rel_types ?? body['org.matrix.msc3912.with_relations'] ?? [],
        ...(typeof body.reason === 'string' ? { reason: body.reason } : {}),
      });
      return { event_id };
    },
  }),
];
