import { MatrixError } from '#core/errors.js';
import { historyVisibilityOf, membershipOf } from '#core/event/content.js';
import type { EventId, RoomId, UserId } from '#core/ids.js';
import { eventVisibleToUser, type ViewerState, visibleToAll } from '#core/visibility.js';
import { isWithheld } from '#rooms/redactions.js';
import { findRoom, notInRoom, type Room, type Rooms, storedStateAt } from '#rooms/rooms.js';
import type { StoredEvent } from '#store/events.js';
import { memberships } from '#store/schema.js';
import type { Order, Reader, RoomNum, StateRoot } from '#store/types.js';

/** Member events looked back at to find when a user was joined last. */
const MAX_STEPS = 200;

/** What one user may see of one room; see `visibilityFor`. */
export interface Visibility {
  /** Whether the user may see `event`. Events that are not accepted, or are withheld, are shown to nobody. */
  sees(event: StoredEvent): boolean;
  /**
   * Order in the timeline at which the user was last joined: infinite while they are, minus infinity where they never
   * were or forgot the room, otherwise the place of the event that ended it.
   */
  readonly joinedUntil: Order;
}

/** What `viewer` (undefined: someone without an account) may see of a room, by the state at each event. */
export function visibilityFor(rooms: Rooms, reader: Reader, room: RoomNum, viewer: UserId | undefined): Visibility {
  const joinedUntil = viewer === undefined ? -Infinity : lastJoined(rooms, reader, room, viewer);
  const states = new Map<StateRoot, ViewerState>();
  const stateAt = (root: StateRoot): ViewerState => {
    let state = states.get(root);
    if (state === undefined) {
      state = viewerState(rooms, reader, root, viewer, joinedUntil);
      states.set(root, state);
    }
    return state;
  };
  return {
    joinedUntil,
    sees(event) {
      if (event.outcome !== 'accepted' || event.room !== room || isWithheld(rooms, reader, event)) return false;
      const joinedSince = event.order < joinedUntil;
      const before = stateAt(event.stateBefore);
      if (visibleToAll(before.visibility, joinedSince)) return true;
      if (viewer === undefined) return visibleToAll(stateAt(event.stateAfter).visibility, false);
      return eventVisibleToUser({
        event: event.pdu,
        user: viewer,
        before,
        after: event.stateAfter === event.stateBefore ? before : stateAt(event.stateAfter),
        joinedSince,
      });
    },
  };
}

function viewerState(
  rooms: Rooms,
  reader: Reader,
  root: StateRoot,
  viewer: UserId | undefined,
  joinedUntil: Order,
): ViewerState {
  const visibility = historyVisibilityOf(storedStateAt(rooms, reader, root, 'm.room.history_visibility', '')?.pdu);
  // Who was never joined, or forgot the room, sees what everyone sees, and their own member events.
  const membership =
    viewer === undefined ? undefined : membershipOf(storedStateAt(rooms, reader, root, 'm.room.member', viewer)?.pdu);
  return { visibility, membership: membership === 'join' && joinedUntil === -Infinity ? 'leave' : membership };
}

/** Where in the timeline a local user was last joined; see `Visibility.joinedUntil`. */
function lastJoined(rooms: Rooms, reader: Reader, room: RoomNum, user: UserId): Order {
  const row = reader.get(memberships, [user, room]);
  if (row === undefined || row.forgotten) return -Infinity;
  if (row.membership === 'join') return Infinity;
  let event = rooms.events.get(reader, row.event);
  for (let step = 0; event !== undefined && step < MAX_STEPS; step++) {
    const before = storedStateAt(rooms, reader, event.stateBefore, 'm.room.member', user);
    if (membershipOf(before?.pdu) === 'join') return event.order;
    event = before;
  }
  return -Infinity;
}

/** Whether `viewer` may see one event; for several of a room take `visibilityFor`. */
export function isVisible(rooms: Rooms, reader: Reader, viewer: UserId | undefined, event: StoredEvent): boolean {
  return visibilityFor(rooms, reader, event.room, viewer).sees(event);
}

/** Those of `events`, all of one room, that `viewer` may see, in their order. Looks at committed rows. */
export function visibleEvents(
  rooms: Rooms,
  viewer: UserId | undefined,
  room: RoomNum,
  events: readonly StoredEvent[],
): StoredEvent[] {
  const { sees } = visibilityFor(rooms, rooms.store, room, viewer);
  return events.filter((event) => sees(event));
}

/** A room that a user may read, and as far as they may. */
export interface Access {
  readonly room: Room;
  readonly visibility: Visibility;
  /** The member may see what comes as well, now; false for one who left, and for one who looks in from outside. */
  readonly joined: boolean;
  /** Newest order that can be theirs to see: infinite for members and where anyone may look in. */
  readonly until: Order;
  /** The room state that is theirs to read: the current one, or for one who left that when they left. */
  readonly root: StateRoot;
}

/**
 * The room as `viewer` may read it: members, those who were (up to when they left), and anyone while it is world
 * readable. M_FORBIDDEN otherwise, and for unknown rooms alike.
 */
export function readableRoom(rooms: Rooms, roomId: RoomId, viewer: UserId | undefined): Access {
  const reader = rooms.store;
  const room = findRoom(reader, roomId);
  if (room === undefined) throw notInRoom();
  const visibility = visibilityFor(rooms, reader, room.num, viewer);
  const { joinedUntil } = visibility;
  if (joinedUntil === Infinity) return { room, visibility, joined: true, until: Infinity, root: room.head.state };
  if (joinedUntil !== -Infinity && viewer !== undefined) {
    const left = leaveOf(rooms, reader, room.num, viewer, joinedUntil);
    return { room, visibility, joined: false, until: joinedUntil, root: left.stateAfter };
  }
  const current = storedStateAt(rooms, reader, room.head.state, 'm.room.history_visibility', '')?.pdu;
  if (historyVisibilityOf(current) !== 'world_readable') throw notInRoom();
  return { room, visibility, joined: false, until: Infinity, root: room.head.state };
}

/** The member event that ended a user's last time in the room. */
function leaveOf(rooms: Rooms, reader: Reader, room: RoomNum, user: UserId, order: Order): StoredEvent {
  let event = rooms.events.get(reader, reader.get(memberships, [user, room])?.event ?? 0);
  while (event !== undefined && event.order !== order) {
    event = storedStateAt(rooms, reader, event.stateBefore, 'm.room.member', user);
  }
  if (event === undefined) throw notInRoom();
  return event;
}

/**
 * An event of a room for one who may see it (client-server API, GET event). M_NOT_FOUND for everything else: unknown
 * rooms and events, events of other rooms, and those that history visibility hides.
 */
export function getEvent(rooms: Rooms, viewer: UserId | undefined, roomId: RoomId, eventId: EventId): StoredEvent {
  const room = findRoom(rooms.store, roomId);
  const stored = room && getEventById(rooms, viewer, eventId);
  if (stored === undefined || stored.room !== room?.num) throw noSuchEvent();
  return stored;
}

/** An event of whatever room, as `getEvent`. */
export function getEventById(rooms: Rooms, viewer: UserId | undefined, eventId: EventId): StoredEvent {
  const stored = rooms.events.byId(rooms.store, eventId);
  if (stored === undefined || !isVisible(rooms, rooms.store, viewer, stored)) throw noSuchEvent();
  return stored;
}

function noSuchEvent(): MatrixError {
  return new MatrixError('M_NOT_FOUND', 'No such event, or none that you may see');
}
