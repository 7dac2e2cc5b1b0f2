import { neededAuthKeys } from '#core/auth/needed.js';
import { MatrixError } from '#core/errors.js';
import { buildPdu } from '#core/event/build.js';
import { referenceHash } from '#core/event/hash.js';
import type { Draft, Pdu } from '#core/event/pdu.js';
import type { EventId, RoomId, ServerName, UserId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { signingKeyFromSeed } from '#core/signing.js';
import { appendEvent } from '#rooms/append.js';
import { judgeEvent } from '#rooms/authorize.js';
import { changeMembership } from '#rooms/membership.js';
import { findRoom, openRooms, type RoomHooks, type Rooms, storedStateAt } from '#rooms/rooms.js';
import { sendEvent } from '#rooms/send.js';
import { stateAfterEvents } from '#rooms/state-at.js';
import { Events, type StoredEvent } from '#store/events.js';
import { StateTrees } from '#store/state.js';
import { openTestStore, type TestStore } from '#store/testing.js';
import { encodeBase64 } from '#util/base64.js';
import { seededRandom } from '#util/random.js';

export interface TestRooms extends TestStore {
  readonly rooms: Rooms;
}

/** An empty store of the server `test` with its rooms opened, for tests; closed and removed at the end of `await using`. */
export async function openTestRooms(hooks: Partial<RoomHooks> = {}): Promise<TestRooms> {
  const test = await openTestStore();
  return { ...test, rooms: roomsOn(test, hooks), [Symbol.asyncDispose]: () => test[Symbol.asyncDispose]() };
}

/** The layer of rooms on a store that is open already: after a restart in a test. */
export function roomsOn(test: Pick<TestStore, 'store' | 'clock'>, hooks: Partial<RoomHooks> = {}): Rooms {
  return openRooms({
    store: test.store,
    events: new Events(),
    trees: new StateTrees(),
    clock: test.clock,
    random: seededRandom('rooms'),
    serverName: 'test' as ServerName,
    signingKey: signingKeyFromSeed(Buffer.alloc(32, 7)),
    defaultRoomVersion: '12',
    hooks,
  });
}

/** `@name:test`. */
export function user(name: string): UserId {
  return `@${name}:test` as UserId;
}

/** Sends a text message. */
export function say(rooms: Rooms, roomId: RoomId, sender: UserId, body: string): Promise<EventId> {
  return sendEvent(rooms, { roomId, sender, type: 'm.room.message', content: { msgtype: 'm.text', body } });
}

/** Sets a piece of state with an empty state key. */
export function setState(
  rooms: Rooms,
  roomId: RoomId,
  sender: UserId,
  type: string,
  content: JsonObject,
): Promise<EventId> {
  return sendEvent(rooms, { roomId, sender, type, stateKey: '', content });
}

/** Changes the sender's own membership. */
export function go(rooms: Rooms, roomId: RoomId, who: UserId, action: 'join' | 'leave' | 'knock'): Promise<EventId> {
  return changeMembership(rooms, { roomId, sender: who, target: who, action });
}

/** What `promise` is refused with: the error code, or the value where it is not. */
export async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof MatrixError) return error.errcode;
    throw error;
  }
}

/** Makes an event on `prev`, wherever in the graph that is, as another server would. */
export function forge(rooms: Rooms, roomId: RoomId, draft: Draft, prev: readonly EventId[]): Promise<Pdu> {
  return rooms.store.commit((tx) => {
    const room = findRoom(tx, roomId)!;
    const before = stateAfterEvents(rooms, tx, room, prev);
    const authEvents = neededAuthKeys(draft, room.rules).flatMap(
      ({ type, state_key }) => storedStateAt(rooms, tx, before, type, state_key)?.pdu.event_id ?? [],
    );
    const parents = prev.map((id) => rooms.events.byId(tx, id)!.pdu);
    return buildPdu(draft, {
      rules: room.rules,
      roomId,
      prevEvents: prev,
      authEvents,
      depth: Math.max(...parents.map((parent) => parent.depth)) + 1,
      originServerTs: rooms.clock.now(),
      serverName: rooms.serverName,
      key: rooms.signingKey,
      opaqueId: rooms.random.token(12),
      prevHashes: (id) => encodeBase64(referenceHash(rooms.events.byId(tx, id)!.pdu.json, room.rules)),
    });
  });
}

/** Judges an event and takes it in. */
export function takeIn(rooms: Rooms, roomId: RoomId, pdu: Pdu, live = true): Promise<StoredEvent> {
  return rooms.store.commit((tx) => {
    const room = findRoom(tx, roomId)!;
    const { outcome, stateBefore } = judgeEvent(rooms, tx, room, pdu);
    return appendEvent(rooms, tx, room, pdu, { outcome, stateBefore, live }).stored;
  });
}

export async function attach(
  rooms: Rooms,
  roomId: RoomId,
  draft: Draft,
  prev: readonly EventId[],
): Promise<StoredEvent> {
  return takeIn(rooms, roomId, await forge(rooms, roomId, draft, prev));
}
