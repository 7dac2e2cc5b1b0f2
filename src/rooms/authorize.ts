import { type AuthState, checkAuthEvents, checkEventAuth } from '#core/auth/check.js';
import { neededAuthKeys } from '#core/auth/needed.js';
import { MatrixError } from '#core/errors.js';
import { buildPdu, eventTemplate, type Place } from '#core/event/build.js';
import { pduFromTrusted } from '#core/event/format.js';
import { referenceHash } from '#core/event/hash.js';
import type { Draft, Pdu, RawPdu, StateKey, Verdict } from '#core/event/pdu.js';
import { EventId, RoomId } from '#core/ids.js';
import { type Room, type Rooms, stateAt, storedStateAt } from '#rooms/rooms.js';
import { stateAfterEvents } from '#rooms/state-at.js';
import type { Reader, StateRoot, Tx } from '#store/types.js';
import { assert } from '#util/assert.js';
import { encodeBase64 } from '#util/base64.js';

/** Parents of a local event at most: a PDU may have 20, and fewer join a wide fork as well. */
const MAX_PARENTS = 10;

/** An event of this server that its room allows, ready to be appended. */
export interface LocalEvent {
  readonly pdu: Pdu;
  readonly stateBefore: StateRoot;
}

/**
 * Makes the PDU of `draft` at the tip of the room, hashed, and signed where it is state, and asks the authorisation rules. Throws
 * M_FORBIDDEN with the rule's reason, M_TOO_LARGE, or M_BAD_JSON for content that the room version can not hold.
 */
export function makeLocalEvent(rooms: Rooms, tx: Tx, room: Room, draft: Draft): LocalEvent {
  const { stateBefore, place } = placeAtTip(rooms, tx, room, draft);
  const pdu = buildPdu(draft, place);
  const verdict = checkEventAuth(pdu, room.rules, stateAt(rooms, tx, stateBefore));
  if (!verdict.allow) throw new MatrixError('M_FORBIDDEN', verdict.reason);
  return { pdu, stateBefore };
}

/**
 * An event at the tip of the room for another server to complete and sign: neither hashed nor signed here, and without
 * an id. With what the authorisation rules say of it.
 */
export function makeTemplate(
  rooms: Rooms,
  tx: Tx,
  room: Room,
  draft: Draft,
): { readonly json: RawPdu; readonly verdict: Verdict } {
  const { stateBefore, place } = placeAtTip(rooms, tx, room, draft);
  const { event_id: _, hashes: _hashes, signatures: _signatures, ...json } = eventTemplate(draft, place);
  // Only redactions of versions 1 and 2 are judged by their own id, and a template is none.
  const pdu = pduFromTrusted(json, room.rules, EventId.of('$template'));
  return { json, verdict: checkEventAuth(pdu, room.rules, stateAt(rooms, tx, stateBefore)) };
}

function placeAtTip(
  rooms: Rooms,
  tx: Tx,
  room: Room,
  draft: Draft,
): { readonly stateBefore: StateRoot; readonly place: Place } {
  const { head, rules } = room;
  const prevEvents = head.extremities.slice(-MAX_PARENTS);
  const stateBefore =
    prevEvents.length === head.extremities.length ? head.state : stateAfterEvents(rooms, tx, room, prevEvents);
  const authEvents = authEventIds(rooms, tx, stateBefore, neededAuthKeys(draft, rules));
  return { stateBefore, place: placeOf(rooms, tx, room, draft, prevEvents, authEvents) };
}

function authEventIds(rooms: Rooms, tx: Tx, root: StateRoot, keys: readonly StateKey[]): EventId[] {
  const ids: EventId[] = [];
  for (const { type, state_key } of keys) {
    const stored = storedStateAt(rooms, tx, root, type, state_key);
    if (stored !== undefined) ids.push(stored.pdu.event_id);
  }
  return ids;
}

function placeOf(
  rooms: Rooms,
  tx: Tx,
  room: Room,
  draft: Draft,
  prevEvents: readonly EventId[],
  authEvents: readonly EventId[],
): Place {
  const isHashRoot = room.rules.roomIdIsHash && draft.type === 'm.room.create';
  return {
    rules: room.rules,
    roomId: isHashRoot ? undefined : room.head.id,
    prevEvents,
    authEvents,
    depth: room.head.depth + 1,
    originServerTs: draft.origin_server_ts ?? rooms.clock.now(),
    serverName: rooms.serverName,
    key: rooms.signingKey,
    // State is given to other servers in great numbers at once, messages one by one.
    signsLater: draft.state_key === undefined,
    opaqueId: room.rules.eventIdFormat === 'server' ? rooms.random.token(18).replaceAll('_', '-') : '',
    prevHashes: (id) => hashOf(rooms, tx, room, id),
  };
}

/** The reference hash that versions 1 and 2 write beside each id in prev_events and auth_events. */
function hashOf(rooms: Rooms, reader: Reader, room: Room, id: EventId): string {
  const stored = rooms.events.byId(reader, id);
  assert(stored !== undefined, `parent ${id} is not held`);
  return encodeBase64(referenceHash(stored.pdu.json, room.rules));
}

/** What becomes of an event whose parents and auth events are held here. */
export interface Judgement {
  readonly outcome: 'accepted' | 'softFailed' | 'rejected';
  readonly stateBefore: StateRoot;
  /** Why it is not accepted. */
  readonly reason?: string;
}

/**
 * Judges an event that may attach anywhere in the room's graph (server-server API, Checks performed on receipt of a
 * PDU, 4 to 6): by its auth events and by the state before it, or it is rejected; by the room's current state, or it is
 * soft-failed. Format, signatures and hash were checked before. `stateBefore` is what its prev_events resolve to; it must
 * be given where they are not all held.
 */
export function judgeEvent(
  rooms: Rooms,
  tx: Tx,
  room: Room,
  pdu: Pdu,
  stateBefore: StateRoot = stateAfterEvents(rooms, tx, room, pdu.prev_events),
): Judgement {
  const verdicts = [
    () => judgeByAuthEvents(rooms, tx, room, pdu),
    () => checkEventAuth(pdu, room.rules, stateAt(rooms, tx, stateBefore)),
  ];
  for (const verdict of verdicts) {
    const result = verdict();
    if (!result.allow) return { outcome: 'rejected', stateBefore, reason: result.reason };
  }
  const now = checkEventAuth(pdu, room.rules, stateAt(rooms, tx, room.head.state));
  return now.allow ? { outcome: 'accepted', stateBefore } : { outcome: 'softFailed', stateBefore, reason: now.reason };
}

/** What an event's own auth events say of it, and whether they are a proper list of such. */
export function judgeByAuthEvents(rooms: Rooms, reader: Reader, room: Room, pdu: Pdu): Verdict {
  const authEvents = pdu.auth_events.map((id) => rooms.events.byId(reader, id)?.pdu);
  const rejected = (id: EventId): boolean => rooms.events.byId(reader, id)?.outcome === 'rejected';
  const list = checkAuthEvents(pdu, authEvents, rejected, room.rules);
  return list.allow ? checkEventAuth(pdu, room.rules, authState(rooms, reader, pdu, authEvents, room)) : list;
}

/** The state that an event's auth events make; from version 12 on the create event is implied by the room id. */
function authState(
  rooms: Rooms,
  reader: Reader,
  pdu: Pdu,
  authEvents: readonly (Pdu | undefined)[],
  room: Room,
): AuthState {
  const create = room.rules.roomIdIsHash
    ? rooms.events.byId(reader, RoomId.createEventId(pdu.room_id))?.pdu
    : undefined;
  return (type, stateKey) =>
    create !== undefined && type === 'm.room.create' && stateKey === ''
      ? create
      : authEvents.find((event) => event?.type === type && event.state_key === stateKey);
}
