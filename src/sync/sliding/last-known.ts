// What someone who left a room is told of its members: as it was when they left, and nothing of who came and went since
// (client-server API, Room history visibility).
import { membershipOf } from '#core/event/content.js';
import type { UserId } from '#core/ids.js';
import { type JsonObject, ownString } from '#core/json-value.js';
import { shownTo } from '#rooms/erasure.js';
import type { Rooms } from '#rooms/rooms.js';
import { members, type RoomHead } from '#store/schema.js';
import type { EventNum, RoomNum, StateRoot } from '#store/types.js';
import { type HeroChoice, heroesAmong, MAX_HEROES_SOUGHT } from '#sync/sections.js';

const membershipIn = (rooms: Rooms, num: EventNum | undefined): string | undefined =>
  num === undefined ? undefined : membershipOf(rooms.events.get(rooms.store, num)?.pdu);

/** How many were joined and invited in the state `root`, which was the room's before. */
export function countsThen(
  rooms: Rooms,
  head: RoomHead,
  root: StateRoot,
): { readonly joined: number; readonly invited: number } {
  let { joined, invited } = head;
  for (const { type, before, after } of rooms.trees.diff(rooms.store, root, head.state)) {
    if (type !== 'm.room.member') continue;
    const was = membershipIn(rooms, before);
    const is = membershipIn(rooms, after);
    joined += Number(was === 'join') - Number(is === 'join');
    invited += Number(was === 'invite') - Number(is === 'invite');
  }
  return { joined, invited };
}

/** Heroes of the state `root` (MSC4186, `heroes`), with the names that they had. */
export async function heroesThen(rooms: Rooms, room: RoomNum, root: StateRoot, viewer: UserId): Promise<JsonObject[]> {
  const { store, trees, events } = rooms;
  const choice: HeroChoice[] = [];
  for (const [[, user]] of await store.list(members, { prefix: [room], limit: MAX_HEROES_SOUGHT })) {
    const event = trees.get(store, root, 'm.room.member', user);
    const membership = membershipIn(rooms, event);
    if (user !== viewer && event !== undefined && membership !== undefined) choice.push({ user, event, membership });
  }
  return heroesAmong(choice).map(({ user, event }) => {
    const stored = events.get(store, event);
    const content = stored === undefined ? {} : shownTo(rooms, store, stored, viewer).content;
    const displayname = ownString(content, 'displayname');
    const avatar = ownString(content, 'avatar_url');
    return {
      user_id: user,
      ...(displayname === undefined ? {} : { displayname }),
      ...(avatar === undefined ? {} : { avatar_url: avatar }),
    };
  });
}
