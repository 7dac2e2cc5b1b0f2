import { MatrixError } from '#core/errors.js';
import { eventSignature } from '#core/event/build.js';
import { membershipOf } from '#core/event/content.js';
import { parsePdu } from '#core/event/format.js';
import type { Pdu, RawPdu } from '#core/event/pdu.js';
import { type EventId, type RoomId, type ServerName, UserId } from '#core/ids.js';
import { type JsonObject, own } from '#core/json-value.js';
import { withSignature } from '#core/signing.js';
import { appendEvent } from '#rooms/append.js';
import { judgeEvent, makeTemplate } from '#rooms/authorize.js';
import { checkPdus } from '#rooms/check-pdus.js';
import { type Federation, hostedRoom } from '#rooms/federation.js';
import { restrictedJoin } from '#rooms/restricted-join.js';
import { memberOf, type Room, type Rooms } from '#rooms/rooms.js';
import { hasState } from '#rooms/state-at.js';
import { authChainOf, stateEvents, wireForm } from '#rooms/wire-form.js';
import type { Reader, StateRoot, Tx } from '#store/types.js';

/** A user of another server who wants to join a room that this one is in. */
export interface JoinRequest {
  readonly origin: ServerName;
  readonly roomId: RoomId;
  readonly userId: UserId;
  /** Room versions that the other server knows. */
  readonly versions: readonly string[];
}

/**
 * A template of the join event (server-server API, GET make_join). Errors: M_NOT_FOUND the room is not known here ·
 * M_FORBIDDEN the user is not of that server, or may not join · M_INCOMPATIBLE_ROOM_VERSION ·
 * M_UNABLE_TO_AUTHORISE_JOIN, M_UNABLE_TO_GRANT_JOIN for restricted rooms: another server may be able to.
 */
export async function makeJoin(federation: Federation, request: JoinRequest): Promise<JsonObject> {
  const { rooms } = federation;
  const { origin, roomId, userId, versions } = request;
  checkSender(userId, origin);
  return rooms.store.commit((tx) => {
    const room = hostedRoom(federation, tx, roomId, origin);
    const { version } = room.rules;
    if (!versions.includes(version)) {
      throw new MatrixError('M_INCOMPATIBLE_ROOM_VERSION', 'The room has a version that your server does not support', {
        extra: { room_version: version },
      });
    }
    const by = authoriser(rooms, tx, room, userId);
    const { json, verdict } = makeTemplate(rooms, tx, room, {
      type: 'm.room.member',
      state_key: userId,
      sender: userId,
      content: {
        membership: 'join',
        ...(by === undefined ? {} : { join_authorised_via_users_server: by }),
      },
    });
    if (!verdict.allow) throw new MatrixError('M_FORBIDDEN', verdict.reason);
    return { room_version: version, event: { ...json, origin: rooms.serverName } };
  });
}

/** Who lets the user in to a restricted room; undefined where nobody needs to. */
function authoriser(rooms: Rooms, reader: Reader, room: Room, user: UserId): UserId | undefined {
  const found = restrictedJoin(rooms, reader, room, user, memberOf(reader, room, user)?.membership);
  switch (found) {
    case 'needless':
      return undefined;
    case 'unmet':
      throw new MatrixError('M_FORBIDDEN', 'The user is in none of the rooms that let one join this room');
    case 'unknown':
      throw new MatrixError('M_UNABLE_TO_AUTHORISE_JOIN', 'This server can not tell whether the user may join');
    case 'noInviter':
      throw new MatrixError('M_UNABLE_TO_GRANT_JOIN', 'No user of this server may invite to this room');
    default:
      return found.by;
  }
}

function checkSender(user: UserId, origin: ServerName): void {
  if (UserId.serverName(user) === origin) return;
  throw new MatrixError('M_FORBIDDEN', 'The user is not of your server');
}

/** A signed join event as it came. */
export interface SignedJoin {
  readonly origin: ServerName;
  readonly roomId: RoomId;
  readonly eventId: EventId;
  readonly event: RawPdu;
}

/**
 * Takes a join event into its room and gives the room's state before it, with all that authorises it (server-server API,
 * PUT send_join). The same event again gets the same answer. Errors, with nothing kept or signed: M_INVALID_PARAM the
 * event is not such a join or not rightly signed · M_FORBIDDEN it is not allowed · M_NOT_FOUND · those of a restricted room.
 */
export async function acceptJoin(federation: Federation, join: SignedJoin): Promise<JsonObject> {
  const { rooms } = federation;
  const room = hostedRoom(federation, rooms.store.latest, join.roomId, join.origin);
  const pdu = await checkedJoin(federation, room, join);
  const { event, stateBefore } = await rooms.store.commit((tx) => takeIn(federation, tx, join, pdu));
  const state = stateEvents(rooms, rooms.store.latest, stateBefore);
  const chain = authChainOf(rooms, rooms.store.latest, [event, ...state]);
  return {
    origin: rooms.serverName,
    state: state.map((one) => wireForm(rooms, rooms.store.latest, one)),
    auth_chain: chain.map((one) => wireForm(rooms, rooms.store.latest, one)),
    event: event.pdu.json,
    members_omitted: false,
  };
}

function takeIn(federation: Federation, tx: Tx, join: SignedJoin, pdu: Pdu) {
  const { rooms } = federation;
  const room = hostedRoom(federation, tx, join.roomId, join.origin);
  const known = rooms.events.byId(tx, pdu.event_id);
  if (known !== undefined && known.outcome !== 'outlier') {
    if (known.outcome === 'accepted') return { event: known, stateBefore: known.stateBefore };
    throw new MatrixError('M_FORBIDDEN', 'The join was refused before');
  }
  const isHeld = (id: EventId, asParent: boolean): boolean => {
    const stored = rooms.events.byId(tx, id);
    return stored !== undefined && stored.room === room.num && (!asParent || hasState(stored));
  };
  const held = pdu.prev_events.every((id) => isHeld(id, true)) && pdu.auth_events.every((id) => isHeld(id, false));
  if (!held || pdu.prev_events.length === 0 || known !== undefined) {
    throw new MatrixError('M_INVALID_PARAM', 'The event refers to events that are not known here');
  }
  const judged = judgeEvent(rooms, tx, room, pdu);
  if (judged.outcome !== 'accepted') {
    throw new MatrixError('M_FORBIDDEN', judged.reason ?? 'The join is not allowed');
  }
  const stateBefore: StateRoot = judged.stateBefore;
  const { stored } = appendEvent(rooms, tx, room, pdu, { stateBefore, outcome: 'accepted', relay: true });
  return { event: stored, stateBefore };
}

/** The join event, checked by itself, with this server's signature where one of its users lets the member in. */
async function checkedJoin(federation: Federation, room: Room, join: SignedJoin): Promise<Pdu> {
  const { rooms, keyring } = federation;
  const parsed = parsePdu(join.event, room.rules);
  if (!('pdu' in parsed)) throw invalid(`The event is ${parsed.problem}`);
  const { pdu } = parsed;
  if (pdu.event_id !== join.eventId) throw invalid('The event has another id than the path');
  if (pdu.room_id !== join.roomId) throw invalid('The event is of another room');
  if (pdu.type !== 'm.room.member' || membershipOf(pdu) !== 'join') throw invalid('The event is no join');
  if (pdu.state_key !== pdu.sender) throw invalid('The event is of another member than its sender');
  if (UserId.serverName(pdu.sender) !== join.origin) throw invalid('The sender is not of your server');
  const by = own(pdu.content, 'join_authorised_via_users_server');
  const isOurs = room.rules.restrictedJoin && UserId.is(by) && UserId.serverName(by) === rooms.serverName;
  if (isOurs) authoriser(rooms, rooms.store.latest, room, pdu.sender);
  const event = isOurs ? signed(rooms, room, pdu) : pdu.json;
  const [checked] = await checkPdus(keyring, room.rules, [event]);
  if (checked === undefined || !('pdu' in checked)) throw invalid(`The event can not be taken: ${checked?.problem}`);
  if (checked.rejected !== undefined) throw invalid(checked.rejected);
  return checked.pdu;
}

function signed({ serverName, signingKey }: Rooms, room: Room, pdu: Pdu): RawPdu {
  return withSignature(pdu.json, serverName, signingKey.id, eventSignature(pdu.json, room.rules, signingKey));
}

function invalid(message: string): MatrixError {
  return new MatrixError('M_INVALID_PARAM', message);
}
