import type { UserId } from '#core/ids.js';
import type { Position, RoomNum } from '#store/types.js';
import { type Changes, changesBetween } from '#sync/changes.js';
import { type DeviceLists, deviceListChanges } from '#sync/device-lists.js';
import { headOf, wasJoinedAt } from '#sync/sections.js';
import type { Sync } from '#sync/sync.js';
import type { UserView } from '#sync/views.js';

/** Device lists between two places of the log, where no sections of rooms are built besides. */
export async function listsBetween(
  layer: Sync,
  view: UserView,
  since: Position,
  upTo: Position,
  changes: Changes,
): Promise<DeviceLists> {
  const entered = new Set<RoomNum>();
  const departed = new Set<RoomNum>();
  for (const room of changes.rooms ?? view.rooms.keys()) {
    const membership = view.rooms.get(room);
    const head = headOf(layer.rooms, room);
    if (membership === undefined || head === undefined || membership.position <= since) continue;
    const was = await wasJoinedAt(layer.rooms, room, head, view.user, membership, since);
    if (membership.membership === 'join' && !was) entered.add(room);
    else if (membership.membership !== 'join' && was) departed.add(room);
  }
  return deviceListChanges(layer.rooms, view, since, upTo, changes, entered, departed);
}

/** Whose devices changed between two sync tokens, and who shares no room any more (GET /keys/changes). */
export async function keyChanges(
  layer: Sync,
  user: UserId,
  from: Position,
  to: Position,
): Promise<{ readonly changed: readonly string[]; readonly left: readonly string[] }> {
  const view = await layer.views.get(user);
  const roomIdOf = (room: RoomNum): string | undefined => headOf(layer.rooms, room)?.id;
  const changes = await changesBetween(layer.rooms.store, layer.views, view, roomIdOf, from, to);
  const { changed, left } = await listsBetween(layer, view, from, to, changes);
  return { changed, left };
}
