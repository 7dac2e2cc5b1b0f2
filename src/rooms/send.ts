import { MatrixError } from '#core/errors.js';
import type { Draft } from '#core/event/pdu.js';
import { type DeviceId, EventId, type RoomId, type UserId } from '#core/ids.js';
import { type JsonObject, own } from '#core/json-value.js';
import { noteDelayId } from '#rooms/append.js';
import { appendDraft, sameJson } from '#rooms/append-local.js';
import { checkContent, checkRelation } from '#rooms/check-content.js';
import { changeMembershipIn, type MembershipAction } from '#rooms/membership.js';
import { checkRedaction } from '#rooms/redactions.js';
import { joinedRoom, type Origin, type Room, type Rooms, storedStateAt } from '#rooms/rooms.js';
import { findSent, rememberSent } from '#store/sent-transactions.js';
import type { Tx } from '#store/types.js';
import { assert } from '#util/assert.js';

/** A request's transaction id, for the path that it was made on (client-server API, Transaction identifiers). */
export interface Txn {
  /** Path without the transaction id: the same id on another path is another request. */
  readonly path: string;
  readonly id: string;
}

export interface SendRequest {
  readonly roomId: RoomId;
  readonly sender: UserId;
  readonly device?: DeviceId;
  readonly type: string;
  /** Makes it a state event. */
  readonly stateKey?: string;
  readonly content: JsonObject;
  readonly txn?: Txn;
  /** `origin_server_ts` in milliseconds since the epoch, for application services; the clock where absent. */
  readonly ts?: number;
  /** The event that an m.room.redaction redacts. */
  readonly redacts?: EventId;
  /** It was a delayed event of this id. */
  readonly delayId?: string;
}

/**
 * Sends an event into a room (client-server API, Sending events to a room) and gives its id once it is durable. The
 * same transaction id of the same device on the same path gives the event it made before; state with the content it
 * has already, from the same sender, gives the current event.
 *
 * Errors: M_FORBIDDEN not joined, no power, or m.room.create; M_BAD_JSON, M_TOO_LARGE, M_INVALID_PARAM content;
 * M_BAD_ALIAS; M_DUPLICATE_ANNOTATION; M_UNKNOWN 400 relation to an unknown event, thread from a related event.
 */
export async function sendEvent(rooms: Rooms, request: SendRequest): Promise<EventId> {
  return rooms.store.commit((tx) => sendEventIn(rooms, tx, request));
}

/** As `sendEvent`, as a part of a larger transaction. */
export function sendEventIn(rooms: Rooms, tx: Tx, request: SendRequest): EventId {
  const { sender, device, txn } = request;
  const sent = txn && findSent(tx, { user: sender, device: device ?? '', ...txn });
  const before = sent?.event === undefined ? undefined : rooms.events.get(tx, sent.event);
  if (before !== undefined) return before.pdu.event_id;
  const id = request.type === 'm.room.member' ? sendMember(rooms, tx, request) : sendOther(rooms, tx, request);
  if (request.delayId !== undefined) noteDelayId(tx, id, request.delayId);
  if (sent !== undefined) {
    const num = rooms.events.numOf(tx, id);
    assert(num !== undefined, 'what was just sent is held');
    rememberSent(tx, sent, num);
  }
  return id;
}

function sendOther(rooms: Rooms, tx: Tx, request: SendRequest): EventId {
  const { sender, type, stateKey, content } = request;
  const room = joinedRoom(tx, request.roomId, sender);
  if (type === 'm.room.create') {
    throw new MatrixError('M_BAD_STATE', 'A room has one create event', { status: 400 });
  }
  checkContent(rooms, tx, room, request);
  if (stateKey !== undefined) {
    const same = sameState(rooms, tx, room, sender, type, stateKey, content);
    if (same !== undefined) return same;
  }
  checkRelation(rooms, tx, room, request);
  const draft = draftOf(request);
  if (type === 'm.room.redaction') checkRedaction(rooms, tx, room, draft);
  return appendDraft(rooms, tx, room, draft, originOf(request)).stored.pdu.event_id;
}

function draftOf(request: SendRequest): Draft {
  const redacts =
    request.redacts ??
    (request.type === 'm.room.redaction' ? EventId.parse(own(request.content, 'redacts')) : undefined);
  return {
    type: request.type,
    sender: request.sender,
    content: request.content,
    ...(request.stateKey === undefined ? {} : { state_key: request.stateKey }),
    ...(redacts === undefined ? {} : { redacts }),
    ...(request.ts === undefined ? {} : { origin_server_ts: request.ts }),
  };
}

export function originOf(request: { readonly device?: DeviceId; readonly txn?: Txn }): Origin | undefined {
  if (request.device === undefined || request.txn === undefined) return undefined;
  return { device: request.device, txnId: request.txn.id };
}

/** The current event of this state if it says the same and comes from the same sender: sending it again is a no-op. */
function sameState(
  rooms: Rooms,
  tx: Tx,
  room: Room,
  sender: UserId,
  type: string,
  stateKey: string,
  content: JsonObject,
): EventId | undefined {
  const current = storedStateAt(rooms, tx, room.head.state, type, stateKey)?.pdu;
  if (current === undefined || current.sender !== sender) return undefined;
  return sameJson(current.content, content) ? current.event_id : undefined;
}

/** m.room.member by the state endpoint: the membership verbs decide, with the content that the client gave. */
function sendMember(rooms: Rooms, tx: Tx, request: SendRequest): EventId {
  const target = request.stateKey;
  if (target === undefined) throw new MatrixError('M_BAD_JSON', 'm.room.member must be a state event');
  const membership = own(request.content, 'membership');
  const action = actionOf(membership, target === request.sender);
  if (action === undefined) throw new MatrixError('M_BAD_JSON', "'membership' is missing or not valid");
  return changeMembershipIn(rooms, tx, {
    roomId: request.roomId,
    sender: request.sender,
    target: target as UserId,
    action,
    content: request.content,
    ...(request.ts === undefined ? {} : { ts: request.ts }),
  });
}

function actionOf(membership: unknown, own: boolean): MembershipAction | undefined {
  switch (membership) {
    case 'join':
    case 'invite':
    case 'knock':
    case 'ban':
      return membership;
    case 'leave':
      return own ? 'leave' : 'remove';
    default:
      return undefined;
  }
}
