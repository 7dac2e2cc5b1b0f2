import { MatrixError } from '#core/errors.js';
import { historyVisibilityOf, membershipOf } from '#core/event/content.js';
import { type EventId, type RoomId, type ServerName, UserId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { eventVisibleToServer, type ServerVisibility, visibleToAll } from '#core/visibility.js';
import { type Federation, sharedRoom } from '#rooms/federation.js';
import { type Room, type Rooms, roomByNum, storedStateAt } from '#rooms/rooms.js';
import { authChainOf, redactedWireForm, stateEvents, wireForm } from '#rooms/wire-form.js';
import type { StoredEvent } from '#store/events.js';
import { isServerIn, membersOf } from '#store/members.js';
import type { RoomNum } from '#store/types.js';

/** Events that one request may ask for at most. */
const MAX_BACKFILL = 100;
const MAX_MISSING = 20;
/** Where to begin and end: ids beyond these are not looked at. */
const MAX_IDS = 100;
/** Events looked at for one request. */
const MAX_STEPS = 500;
/** Users of one server that are asked about where history is not shared. */
const MAX_USERS = 1_000;

/** What one server may see of one room. */
export interface ServerSight {
  of(event: StoredEvent): Promise<ServerVisibility>;
}

/** What `server` may see of a room, by the state at each event; see `eventVisibleToServer`. */
export function sightOf(rooms: Rooms, room: RoomNum, server: ServerName): ServerSight {
  const reader = rooms.store;
  let users: Promise<readonly UserId[]> | undefined;
  return {
    async of(event) {
      const inRoom = isServerIn(reader, room, server);
      const [before, after] = [event.stateBefore, event.stateAfter].map((root) =>
        historyVisibilityOf(storedStateAt(rooms, reader, root, 'm.room.history_visibility', '')?.pdu),
      );
      const view = { visibilityBefore: before!, visibilityAfter: after!, inRoom, memberships: [] as string[] };
      if (visibleToAll(before!, inRoom) || visibleToAll(after!, inRoom)) return eventVisibleToServer(view);
      users ??= usersOf(rooms, room, server);
      for (const user of await users) {
        for (const root of [event.stateBefore, event.stateAfter]) {
          const membership = membershipOf(storedStateAt(rooms, reader, root, 'm.room.member', user)?.pdu);
          if (membership !== undefined) view.memberships.push(membership);
        }
      }
      return eventVisibleToServer(view);
    },
  };
}

/** Users of a server that the room has a member event of. */
async function usersOf(rooms: Rooms, room: RoomNum, server: ServerName): Promise<readonly UserId[]> {
  const found: UserId[] = [];
  for await (const [user] of membersOf(rooms.store, room)) {
    if (UserId.is(user) && UserId.serverName(user) === server) found.push(user);
    if (found.length >= MAX_USERS) break;
  }
  return found;
}

/** An event for a server that may see it whole (server-server API, GET event). M_NOT_FOUND otherwise; M_FORBIDDEN. */
export async function eventForServer(federation: Federation, origin: ServerName, id: EventId): Promise<JsonObject> {
  const { rooms } = federation;
  const stored = rooms.events.byId(rooms.store, id);
  if (stored === undefined || stored.outcome === 'rejected') throw notFound();
  const { head } = roomByNum(rooms.store, stored.room);
  sharedRoom(federation, rooms.store, head.id, origin);
  // An outlier has no state to go by; it is shown for what it is there for: the state that needs it.
  const isShown = stored.outcome === 'outlier' || (await sightOf(rooms, stored.room, origin).of(stored)) === 'full';
  if (!isShown) throw notFound();
  return transaction(rooms, [wireForm(rooms, rooms.store, stored)]);
}

/** Room state before an event, and what authorises it. */
interface StateBefore {
  readonly state: readonly StoredEvent[];
  readonly chain: readonly StoredEvent[];
}

function stateBefore(federation: Federation, origin: ServerName, roomId: RoomId, id: EventId): StateBefore {
  const { rooms } = federation;
  const room = sharedRoom(federation, rooms.store, roomId, origin);
  const event = placedEvent(rooms, room, id);
  const state = stateEvents(rooms, rooms.store, event.stateBefore);
  return { state, chain: authChainOf(rooms, rooms.store, state) };
}

/** An event that has a place in the room's graph, and state. */
function placedEvent(rooms: Rooms, room: Room, id: EventId): StoredEvent {
  const stored = rooms.events.byId(rooms.store, id);
  if (stored?.room !== room.num || stored.outcome === 'rejected' || stored.outcome === 'outlier') throw notFound();
  return stored;
}

/** The room's state before an event (server-server API, GET state). M_FORBIDDEN, M_NOT_FOUND. */
export function stateForServer(federation: Federation, origin: ServerName, roomId: RoomId, id: EventId): JsonObject {
  const { state, chain } = stateBefore(federation, origin, roomId, id);
  const { rooms } = federation;
  const { store } = rooms;
  return {
    pdus: state.map((one) => wireForm(rooms, store, one)),
    auth_chain: chain.map((one) => wireForm(rooms, store, one)),
  };
}

/** As `stateForServer`, by ids (server-server API, GET state_ids). */
export function stateIdsForServer(federation: Federation, origin: ServerName, roomId: RoomId, id: EventId): JsonObject {
  const { state, chain } = stateBefore(federation, origin, roomId, id);
  return { pdu_ids: state.map(({ pdu }) => pdu.event_id), auth_chain_ids: chain.map(({ pdu }) => pdu.event_id) };
}

/** All events that authorise an event (server-server API, GET event_auth). M_FORBIDDEN, M_NOT_FOUND. */
export function authChainForServer(
  federation: Federation,
  origin: ServerName,
  roomId: RoomId,
  id: EventId,
): JsonObject {
  const { rooms } = federation;
  const room = sharedRoom(federation, rooms.store, roomId, origin);
  const stored = rooms.events.byId(rooms.store, id);
  if (stored?.room !== room.num || stored.outcome === 'rejected') throw notFound();
  return { auth_chain: authChainOf(rooms, rooms.store, [stored]).map((one) => wireForm(rooms, rooms.store, one)) };
}

/** What a server asks for that lacks events between two ends. */
export interface MissingRequest {
  readonly roomId: RoomId;
  readonly latest: readonly EventId[];
  readonly earliest: readonly EventId[];
  readonly limit: number;
  readonly minDepth: number;
}

/**
 * The events before `latest` and behind `earliest`, nearest to `latest` first found, given oldest first (server-server
 * API, POST get_missing_events): those that the server may not see redacted. M_FORBIDDEN.
 */
export async function missingForServer(
  federation: Federation,
  origin: ServerName,
  request: MissingRequest,
): Promise<JsonObject> {
  const { rooms } = federation;
  const room = sharedRoom(federation, rooms.store, request.roomId, origin);
  const latest = request.latest.slice(0, MAX_IDS);
  const ends = new Set([...request.earliest.slice(0, MAX_IDS), ...latest]);
  const found = walkBack(rooms, room, latest, {
    limit: Math.min(MAX_MISSING, Math.max(0, request.limit)),
    isEnd: (event) => ends.has(event.pdu.event_id) || event.pdu.depth < request.minDepth,
    skipFirst: true,
  });
  return { events: await visibleForms(rooms, room, origin, found.reverse()) };
}

/** Events at and before some, newest first (server-server API, GET backfill). M_FORBIDDEN. */
export async function backfillForServer(
  federation: Federation,
  origin: ServerName,
  roomId: RoomId,
  from: readonly EventId[],
  limit: number,
): Promise<JsonObject> {
  const { rooms } = federation;
  const room = sharedRoom(federation, rooms.store, roomId, origin);
  const found = walkBack(rooms, room, from.slice(0, MAX_IDS), {
    limit: Math.min(MAX_BACKFILL, Math.max(0, limit)),
    isEnd: () => false,
    skipFirst: false,
  });
  return transaction(rooms, await visibleForms(rooms, room, origin, found));
}

interface Walk {
  readonly limit: number;
  /** The walk does not take this event, and does not go past it. */
  readonly isEnd: (event: StoredEvent) => boolean;
  /** The events that the walk begins with are not taken. */
  readonly skipFirst: boolean;
}

/** Walks the room's graph backwards from `first`, the deepest events first. */
function walkBack(rooms: Rooms, room: Room, first: readonly EventId[], walk: Walk): StoredEvent[] {
  const seen = new Set<EventId>(first);
  const read = (ids: readonly EventId[]): StoredEvent[] =>
    ids.flatMap((id) => {
      const stored = rooms.events.byId(rooms.store, id);
      const isPlaced = stored?.room === room.num && stored.outcome !== 'outlier';
      return isPlaced ? [stored] : [];
    });
  const parentsOf = (event: StoredEvent): StoredEvent[] => {
    const fresh = event.pdu.prev_events.filter((id) => !seen.has(id));
    for (const id of fresh) seen.add(id);
    return read(fresh);
  };
  let border = read(first);
  if (walk.skipFirst) border = border.flatMap(parentsOf);
  const found: StoredEvent[] = [];
  for (let step = 0; step < MAX_STEPS && found.length < walk.limit; step++) {
    border.sort((a, b) => a.pdu.depth - b.pdu.depth || a.num - b.num);
    const event = border.pop();
    if (event === undefined) break;
    if (walk.isEnd(event)) continue;
    if (event.outcome !== 'rejected') found.push(event);
    border.push(...parentsOf(event));
  }
  return found;
}

/** The events as the server may see them: whole, redacted, or not at all. */
async function visibleForms(
  rooms: Rooms,
  room: Room,
  origin: ServerName,
  events: readonly StoredEvent[],
): Promise<JsonObject[]> {
  const sight = sightOf(rooms, room.num, origin);
  const forms: JsonObject[] = [];
  for (const event of events) {
    const visibility = await sight.of(event);
    if (visibility === 'full') forms.push(wireForm(rooms, rooms.store, event));
    else if (visibility === 'redacted') forms.push(redactedWireForm(rooms, event));
  }
  return forms;
}

function transaction(rooms: Rooms, pdus: readonly JsonObject[]): JsonObject {
  return { origin: rooms.serverName, origin_server_ts: rooms.clock.now(), pdus };
}

function notFound(): MatrixError {
  return new MatrixError('M_NOT_FOUND', 'No such event, or none that your server may see');
}
