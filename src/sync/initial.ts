// What clients were given before there was /sync: everything at once (client-server API, GET initialSync).
import { MatrixError } from '#core/errors.js';
import { NO_ROOM_EVENT_FILTER, NO_SYNC_FILTER } from '#core/filter.js';
import type { RoomId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { clientEvents } from '#rooms/client-events.js';
import { toClientEvent } from '#rooms/client-form.js';
import { isPublished } from '#rooms/directory.js';
import { stateIn } from '#rooms/members.js';
import { rootAt } from '#rooms/state-at.js';
import { pageTimeline } from '#rooms/timeline.js';
import { type Membership, memberships, roomNums } from '#store/schema.js';
import type { Position, RoomNum } from '#store/types.js';
import { AccountData, ignoredUsers } from '#sync/account-data.js';
import { isUnwantedInvite } from '#sync/invites.js';
import { presenceSection } from '#sync/presence.js';
import { headOf, type Span, type Viewer } from '#sync/sections.js';
import type { Sync } from '#sync/sync.js';
import { wantedBy } from '#users/ignored.js';
import { atOnce } from '#util/at-once.js';

/** Rooms read side by side. */
const ROOMS_AT_ONCE = 4;

export interface InitialQuery {
  /** Most messages of each room. */
  readonly limit: number;
  /** Tells of the rooms that the user left as well. */
  readonly archived: boolean;
}

function initialSpan(layer: Sync, viewer: Viewer, upTo: Position): Span {
  return {
    viewer,
    since: undefined,
    upTo,
    filter: NO_SYNC_FILTER,
    fullState: false,
    useStateAfter: false,
    ignored: ignoredUsers(layer.rooms.store, viewer.user),
  };
}

/** All rooms of a user with their state and newest messages, and the token from which `eventStream` goes on. */
export async function initialSync(layer: Sync, viewer: Viewer, query: InitialQuery): Promise<JsonObject> {
  const view = await layer.views.get(viewer.user);
  const span = initialSpan(layer, viewer, layer.rooms.store.tip);
  const data = new AccountData(layer.rooms.store, layer.sources.accountDataOf, span, undefined);
  const rooms: JsonObject[] = [];
  await atOnce([...view.rooms], ROOMS_AT_ONCE, async ([room, membership]) => {
    const section = await roomInfo(layer, span, room, membership, query, data);
    if (section !== undefined) rooms.push(section);
  });
  return {
    end: String(span.upTo),
    rooms,
    presence: presenceSection(layer, view, span, undefined, new Set()),
    account_data: await data.global(),
  };
}

async function roomInfo(
  layer: Sync,
  span: Span,
  room: RoomNum,
  row: Membership,
  query: InitialQuery,
  data: AccountData,
): Promise<JsonObject | undefined> {
  const { rooms } = layer;
  const { user, device } = span.viewer;
  const roomId = headOf(rooms, room)?.id;
  if (roomId === undefined || row.forgotten) return undefined;
  const { membership } = row;
  switch (membership) {
    case 'knock':
      return undefined;
    case 'invite': {
      if (isUnwantedInvite(rooms.store, user, row)) return undefined;
      const stored = rooms.events.get(rooms.store, row.event);
      const invite = stored && { invite: toClientEvent(rooms, stored, { viewer: user, device }) };
      return { room_id: roomId, membership, ...invite };
    }
    case 'leave':
    case 'ban':
      if (!query.archived) return undefined;
  }
  try {
    return { room_id: roomId, membership, ...(await contentsOf(layer, span, roomId, query.limit, data)) };
  } catch (error) {
    // Who was never in the room learns that the invite or the ban ended it, and nothing else.
    if (error instanceof MatrixError && error.errcode === 'M_FORBIDDEN') return { room_id: roomId, membership };
    throw error;
  }
}

/**
 * One room for a member, a former one, or whoever looks into a world-readable room (client-server API, GET initialSync of
 * a room). M_FORBIDDEN for everyone else, and for unknown rooms alike.
 */
export async function roomInitialSync(layer: Sync, viewer: Viewer, roomId: RoomId, limit: number): Promise<JsonObject> {
  const span = initialSpan(layer, viewer, layer.rooms.store.tip);
  const data = new AccountData(layer.rooms.store, layer.sources.accountDataOf, span, undefined);
  const contents = await contentsOf(layer, span, roomId, limit, data);
  const { store } = layer.rooms;
  const row = store.get(memberships, [viewer.user, store.get(roomNums, [roomId])!]);
  const known = row !== undefined && !row.forgotten && row.membership !== 'knock';
  return { room_id: roomId, ...(known && { membership: row.membership }), ...contents };
}

/** Newest messages, state and account data of a room as they were at the end of the span. */
async function contentsOf(
  layer: Sync,
  span: Span,
  roomId: RoomId,
  limit: number,
  data: AccountData,
): Promise<JsonObject> {
  const { rooms } = layer;
  const { viewer, upTo } = span;
  const page = await pageTimeline(rooms, viewer.user, roomId, {
    dir: 'b',
    from: upTo,
    limit,
    wanted: wantedBy(rooms.store, viewer.user, NO_ROOM_EVENT_FILTER),
  });
  const { access } = page;
  const root = access.until === Infinity ? await rootAt(rooms, access.room.num, upTo) : access.root;
  return {
    messages: {
      ...(page.end === undefined ? {} : { start: String(page.end) }),
      end: String(Math.min(upTo, access.until)),
      chunk: await clientEvents(rooms, [...page.events].reverse(), viewer),
    },
    state: await clientEvents(rooms, await stateIn(rooms, root), viewer),
    visibility: isPublished(rooms, roomId) ? 'public' : 'private',
    account_data: await data.ofRoom(roomId, true),
  };
}
