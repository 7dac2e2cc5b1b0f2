import { MatrixError } from '#core/errors.js';
import type { Pdu } from '#core/event/pdu.js';
import type { DeviceId, RoomId, ServerName, UserId } from '#core/ids.js';
import { type RoomRules, type RoomVersion, roomRules } from '#core/room-versions.js';
import type { SigningKey } from '#core/signing.js';
import type { Events, StoredEvent } from '#store/events.js';
import { type Member, members, type RoomHead, rooms as roomHeads, roomNums } from '#store/schema.js';
import type { StateTrees } from '#store/state.js';
import type { Reader, RoomNum, StateRoot, Store, Tx } from '#store/types.js';
import { assert } from '#util/assert.js';
import type { Clock } from '#util/clock.js';
import type { Random } from '#util/random.js';

/** What member events carry of a profile. */
export interface MemberProfile {
  readonly displayname?: string;
  readonly avatar_url?: string;
}

/** What the append of an event tells those who watch it, besides the event. */
export interface AppendContext {
  /** The room with the event taken in. */
  readonly room: Room;
  /** Room state before and after the whole append, which resolving a fork may have changed in more than one place. */
  readonly stateBefore: StateRoot;
  readonly stateAfter: StateRoot;
  /** The event came live; false where it fills in history. */
  readonly live: boolean;
}

/**
 * Called inside the transaction that appends an event, once everything of the event is written: layers above count
 * unread events and the like in the same transaction. Must not throw for any event, and must not append events.
 */
export type EventObserver = (tx: Tx, stored: StoredEvent, context: AppendContext) => void;

/** What the rooms ask of the layers above. */
export interface RoomHooks {
  /** The profile that a local user's next member event carries. */
  profileOf(reader: Reader, user: UserId): MemberProfile;
  /** Whether `alias` points at `room`: asked for each alias that m.room.canonical_alias names anew. */
  aliasPointsAt(reader: Reader, alias: string, room: RoomId): boolean;
  /** Whether a local user exists and may be invited by `sender`; throws what the sender shall be told otherwise. */
  checkInvite(reader: Reader, sender: UserId, target: UserId, room: RoomId): void;
  /** Throws where a local user must not reject the invite to `room`. */
  checkRejection(reader: Reader, user: UserId, room: RoomId): void;
}

/** The opened layer of rooms: what every verb of this folder takes first. */
export interface Rooms {
  readonly store: Store;
  readonly events: Events;
  readonly trees: StateTrees;
  readonly clock: Clock;
  readonly random: Random;
  readonly serverName: ServerName;
  readonly signingKey: SigningKey;
  readonly defaultRoomVersion: RoomVersion;
  readonly hooks: RoomHooks;
  readonly observers: EventObserver[];
  /** Called once bulk redactions were noted (`rooms/bulk-redactions.ts`). */
  readonly onBulkRedaction: (() => void)[];
}

/** What reading the events and states of rooms takes, without the rest of the layer. */
export type RoomGraph = Pick<Rooms, 'events' | 'trees'>;

/** Opens the layer. Nothing runs by itself here: the verbs are called from outside. */
export function openRooms(
  parts: Omit<Rooms, 'observers' | 'onBulkRedaction' | 'hooks'> & { readonly hooks?: Partial<RoomHooks> },
): Rooms {
  return {
    ...parts,
    observers: [],
    onBulkRedaction: [],
    hooks: {
      profileOf: () => ({}),
      aliasPointsAt: () => false,
      checkInvite: () => {},
      checkRejection: () => {},
      ...parts.hooks,
    },
  };
}

/** A room that is held here, at one moment. */
export interface Room {
  readonly num: RoomNum;
  readonly head: RoomHead;
  readonly rules: RoomRules;
}

/** The device and transaction that made an event, for the echo to it. */
export interface Origin {
  readonly device: DeviceId;
  readonly txnId: string;
}

/** The room `roomId` as `reader` sees it, or undefined where it is not held here. */
export function findRoom(reader: Reader, roomId: RoomId): Room | undefined {
  const num = reader.get(roomNums, [roomId]);
  return num === undefined ? undefined : roomByNum(reader, num);
}

/** The room with a number, which must exist. */
export function roomByNum(reader: Reader, num: RoomNum): Room {
  const head = reader.get(roomHeads, [num]);
  assert(head !== undefined, `room ${num} has no head`);
  const rules = roomRules(head.version);
  assert(rules !== undefined, `room ${num} has an unknown version`);
  return { num, head, rules };
}

/** Membership of `user` in the room now; undefined where the room has no member event for them. */
export function memberOf(reader: Reader, room: Room, user: string): Member | undefined {
  return reader.get(members, [room.num, user]);
}

/** An unknown room and one that the caller is not in get the same answer, so that none can be probed for. */
export function notInRoom(): MatrixError {
  return new MatrixError('M_FORBIDDEN', 'You are not in this room, or it is not known here');
}

/** The room, which `user` must be joined to; M_FORBIDDEN otherwise. */
export function joinedRoom(reader: Reader, roomId: RoomId, user: UserId): Room {
  const room = findRoom(reader, roomId);
  if (room === undefined || memberOf(reader, room, user)?.membership !== 'join') throw notInRoom();
  return room;
}

/** The piece of state (`type`, `stateKey`) in the snapshot `root`, as stored. */
export function storedStateAt(
  rooms: RoomGraph,
  reader: Reader,
  root: StateRoot,
  type: string,
  stateKey: string,
): StoredEvent | undefined {
  const num = rooms.trees.get(reader, root, type, stateKey);
  return num === undefined ? undefined : rooms.events.get(reader, num);
}

/** The piece of state as authorisation sees it: whole, whatever was redacted since. */
export function stateAt(
  rooms: Rooms,
  reader: Reader,
  root: StateRoot,
): (type: string, stateKey: string) => Pdu | undefined {
  return (type, stateKey) => storedStateAt(rooms, reader, root, type, stateKey)?.pdu;
}
