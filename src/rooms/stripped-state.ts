import { strippedState } from '#core/event/client-event.js';
import type { JsonObject } from '#core/json-value.js';
import { shownTo } from '#rooms/erasure.js';
import { type Room, type Rooms, storedStateAt } from '#rooms/rooms.js';
import type { EventNum, Reader, StateRoot } from '#store/types.js';

/** What stripped state shows of a room, so that one who could join knows it (client-server API, Stripped state). */
const SHOWN = [
  'm.room.create',
  'm.room.name',
  'm.room.avatar',
  'm.room.topic',
  'm.room.join_rules',
  'm.room.canonical_alias',
  'm.room.encryption',
] as const;

/** Stripped state of the room at `root`: the events that identify it, as far as they are set. */
export function strippedStateAt(rooms: Rooms, reader: Reader, root: StateRoot): JsonObject[] {
  return SHOWN.flatMap((type) => {
    const stored = storedStateAt(rooms, reader, root, type, '');
    return stored === undefined ? [] : [strippedState(shownTo(rooms, reader, stored, undefined))];
  });
}

/** What an invited or knocking user is told: the room, who invites, and the invite or knock itself. */
export function strippedStateFor(rooms: Rooms, reader: Reader, room: Room, member: EventNum): JsonObject[] {
  const state = strippedStateAt(rooms, reader, room.head.state);
  const own = rooms.events.get(reader, member);
  if (own === undefined) return state;
  if (own.pdu.sender !== own.pdu.state_key) {
    const sender = storedStateAt(rooms, reader, room.head.state, 'm.room.member', own.pdu.sender);
    if (sender !== undefined) state.push(strippedState(shownTo(rooms, reader, sender, undefined)));
  }
  state.push(strippedState(own.pdu));
  return state;
}
