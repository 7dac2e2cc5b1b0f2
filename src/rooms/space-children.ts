import { RoomId } from '#core/ids.js';
import { own, ownString } from '#core/json-value.js';
import { shownTo } from '#rooms/erasure.js';
import type { Room, Rooms } from '#rooms/rooms.js';
import { spaceChildren } from '#store/schema.js';
import type { StateDifference } from '#store/state.js';
import type { RoomNum, Tx } from '#store/types.js';

/** Children of one space that are looked at. */
const MAX_CHILDREN = 2_000;
const MAX_ORDER_LENGTH = 50;
const ORDER = /^[\x20-\x7e]*$/;

/** Keeps the children of a room findable by themselves: its state can be walked only as a whole, members and all. */
export function followSpaceChildren(tx: Tx, room: RoomNum, changes: readonly StateDifference[]): void {
  for (const { type, stateKey, after } of changes) {
    if (type !== 'm.space.child') continue;
    if (after === undefined) tx.delete(spaceChildren, [room, stateKey]);
    else tx.put(spaceChildren, [room, stateKey], after);
  }
}

/** A child of a space, with its event as stripped state and the time that it was sent. */
export interface SpaceChild {
  readonly roomId: RoomId;
  readonly suggested: boolean;
  readonly order: string | undefined;
  readonly event: {
    readonly type: string;
    readonly state_key: string;
    readonly sender: string;
    readonly content: object;
    readonly origin_server_ts: number;
  };
}

/** The children of a space in the order that clients show them (client-server API, Ordering of children within a space). */
export async function childrenOf(rooms: Rooms, room: Room): Promise<SpaceChild[]> {
  const children: SpaceChild[] = [];
  for await (const [[, id], num] of rooms.store.range(spaceChildren, { prefix: [room.num], limit: MAX_CHILDREN })) {
    const stored = rooms.events.get(rooms.store, num);
    const roomId = RoomId.parse(id);
    if (stored === undefined || roomId === undefined) continue;
    const { type, sender, content, origin_server_ts } = shownTo(rooms, rooms.store, stored, undefined);
    // Without servers to ask, or once redacted, a child is none (m.space.child).
    if (!Array.isArray(own(content, 'via'))) continue;
    const order = ownString(content, 'order');
    children.push({
      roomId,
      suggested: own(content, 'suggested') === true,
      order: order !== undefined && order.length <= MAX_ORDER_LENGTH && ORDER.test(order) ? order : undefined,
      event: { type, state_key: id, sender, content, origin_server_ts },
    });
  }
  return children.sort(compare);
}

function compare(a: SpaceChild, b: SpaceChild): number {
  if (a.order !== b.order) {
    if (a.order === undefined) return 1;
    if (b.order === undefined) return -1;
    return a.order < b.order ? -1 : 1;
  }
  const apart = a.event.origin_server_ts - b.event.origin_server_ts;
  return apart !== 0 ? apart : a.roomId < b.roomId ? -1 : 1;
}
