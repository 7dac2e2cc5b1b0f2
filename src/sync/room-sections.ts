import { allowsRoom } from '#core/filter.js';
import type { RoomId } from '#core/ids.js';
import { JsonSlabs, stringifyJson } from '#core/json-text.js';
import { type JsonObject, JsonText } from '#core/json-value.js';
import { type Membership, type RoomHead, roomNums, unread } from '#store/schema.js';
import type { RoomNum } from '#store/types.js';
import type { AccountData } from '#sync/account-data.js';
import type { Changes } from '#sync/changes.js';
import { ephemeralOf } from '#sync/ephemeral.js';
import { isUnwantedInvite, shownStripped } from '#sync/invites.js';
import { headOf, roomSection, type Span, stateField, wasJoinedAt } from '#sync/sections.js';
import type { Sync } from '#sync/sync.js';
import type { UserView } from '#sync/views.js';
import { atOnce } from '#util/at-once.js';

/** Rooms of one answer read side by side: what is not in memory waits for the thread pool three or four times a room. */
const ROOMS_AT_ONCE = 4;

/** Rooms between two turns of the event loop: what is in memory needs no other wait. */
const ROOM_SLICE = 50;

type Section = JsonObject | JsonText;

/** The room sections of one answer. */
export interface RoomSections {
  /** By kind of section and id of room; `JsonText` where the span asks for it. */
  readonly body: JsonObject;
  readonly news: boolean;
  /** Rooms that the viewer came into, and that they left, in the span. */
  readonly entered: Set<RoomNum>;
  readonly departed: Set<RoomNum>;
}

/** Sections of the rooms that have something to tell in the span (client-server API, Syncing: `rooms`). */
export async function roomSections(
  layer: Sync,
  view: UserView,
  span: Span,
  changes: Changes | undefined,
  data: AccountData,
): Promise<RoomSections> {
  const join: Record<string, Section> = {};
  const invite: Record<string, Section> = {};
  const knock: Record<string, Section> = {};
  const leave: Record<string, Section> = {};
  // All rooms at once can be many; news are few.
  const slabs = span.since === undefined || span.fullState ? new JsonSlabs() : undefined;
  const written = (section: JsonObject): Section => {
    if (!span.asText) return section;
    return slabs === undefined ? new JsonText(stringifyJson(section)) : slabs.write(section);
  };
  const entered = new Set<RoomNum>();
  const departed = new Set<RoomNum>();
  let done = 0;
  let pause: Promise<void> | undefined;
  await atOnce(candidateRooms(layer, view, span, changes), ROOMS_AT_ONCE, async (room) => {
    if (++done % ROOM_SLICE === 0) pause = new Promise((next) => setImmediate(next));
    await pause;
    const membership = view.rooms.get(room);
    const head = headOf(layer.rooms, room);
    if (membership === undefined || head === undefined) return;
    // Other devices must learn that the room was left, however soon it was forgotten.
    if (membership.forgotten && (span.since === undefined || span.fullState)) return;
    if (!allowsRoom(span.filter.room, head.id)) return;
    const isNew = span.since === undefined || membership.position > span.since;
    switch (await membershipIn(layer, span, room, head, membership)) {
      case 'join': {
        const joinedSince =
          span.since !== undefined &&
          (await wasJoinedAt(layer.rooms, room, head, span.viewer.user, membership, span.since));
        if (!joinedSince) entered.add(room);
        const section = await joinedRoom(layer, span, room, head, joinedSince, changes, data);
        if (section !== undefined) join[head.id] = written(section);
        break;
      }
      case 'invite': {
        if (!(isNew || span.fullState) || isUnwantedInvite(layer.rooms.store, span.viewer.user, membership)) break;
        invite[head.id] = written({ invite_state: { events: shownStripped(layer.rooms, head, membership) } });
        break;
      }
      case 'knock':
        if (isNew || span.fullState)
          knock[head.id] = written({ knock_state: { events: shownStripped(layer.rooms, head, membership) } });
        break;
      case 'leave':
      case 'ban': {
        const wasJoined =
          span.since !== undefined &&
          (await wasJoinedAt(layer.rooms, room, head, span.viewer.user, membership, span.since));
        if (membership.forgotten && !wasJoined) break;
        if (wasJoined) departed.add(room);
        const section = await leftRoom(layer, span, room, head, membership, isNew, wasJoined, data);
        if (section !== undefined) leave[head.id] = written(section);
        break;
      }
      case undefined:
        break;
    }
  });
  const parts = { join, invite, knock, leave };
  const filled = Object.entries(parts).filter(([, section]) => Object.keys(section).length > 0);
  return { body: Object.fromEntries(filled) as unknown as JsonObject, news: filled.length > 0, entered, departed };
}

/** Rooms that may have something to tell; all of the user's where that isn't known. */
function candidateRooms(layer: Sync, view: UserView, span: Span, changes: Changes | undefined): Iterable<RoomNum> {
  if (changes?.rooms === undefined || span.fullState) return [...view.rooms.keys()];
  const found = new Set<RoomNum>(changes.rooms);
  for (const room of changes.receipts?.keys() ?? []) if (view.rooms.has(room)) found.add(room);
  for (const room of changes.unread ?? []) found.add(room);
  for (const roomId of changes.accountData.keys()) {
    const room = roomId === '' ? undefined : layer.rooms.store.get(roomNums, [roomId as RoomId]);
    if (room !== undefined) found.add(room);
  }
  for (const [room, membership] of view.rooms) {
    const typed = membership.membership === 'join' ? layer.typing.in(room).position : 0;
    if (span.since !== undefined && typed > span.since && typed <= span.upTo) found.add(room);
  }
  return found;
}

/** The membership as it stood at the end of the span: a later one is for the next answer to tell. */
async function membershipIn(
  layer: Sync,
  span: Span,
  room: RoomNum,
  head: RoomHead,
  membership: Membership,
): Promise<Membership['membership'] | undefined> {
  if (membership.position <= span.upTo) return membership.membership;
  const joined = await wasJoinedAt(layer.rooms, room, head, span.viewer.user, membership, span.upTo);
  return joined ? 'join' : undefined;
}

async function joinedRoom(
  layer: Sync,
  span: Span,
  room: RoomNum,
  head: RoomHead,
  joinedSince: boolean,
  changes: Changes | undefined,
  accountData: AccountData,
): Promise<JsonObject | undefined> {
  const { rooms } = layer;
  const user = span.viewer.user;
  const after = joinedSince ? span.since : undefined;
  const section = await roomSection(rooms, layer.lazy, room, head, span, {
    joinedSince,
    withState: true,
    withSummary: true,
  });
  const everything = after === undefined;
  const ephemeral = await ephemeralOf(
    rooms,
    layer.typing,
    room,
    user,
    after,
    span.upTo,
    span.filter.room.ephemeral,
    everything || changes?.receipts === undefined ? 'all' : (changes.receipts.get(room) ?? 'none'),
  );
  const data = await accountData.ofRoom(head.id, everything);
  const isNews =
    everything ||
    span.fullState ||
    section.timeline.events.length > 0 ||
    section.timeline.limited ||
    section.state.length > 0 ||
    ephemeral.length > 0 ||
    data.length > 0 ||
    changes?.unread === undefined ||
    changes.unread.has(room);
  if (!isNews) return undefined;
  return {
    ...(section.summary !== undefined && { summary: section.summary }),
    [stateField(span)]: { events: section.state },
    timeline: { ...section.timeline },
    ephemeral: { events: ephemeral },
    account_data: { events: data },
    ...unreadSection(layer, span, room),
  };
}

/** Unread counts of a room, threads apart where the filter asks for it (client-server API, Receiving notifications). */
function unreadSection(layer: Sync, span: Span, room: RoomNum): JsonObject {
  const counts = layer.rooms.store.get(unread, [span.viewer.user, room])?.threads ?? {};
  const apart = span.filter.room.timeline.unreadThreadNotifications;
  let notify = 0;
  let highlight = 0;
  const threads: Record<string, JsonObject> = {};
  for (const [thread, count] of Object.entries(counts)) {
    if (apart && thread !== 'main') {
      if (count.notify > 0 || count.highlight > 0) {
        threads[thread] = { notification_count: count.notify, highlight_count: count.highlight };
      }
      continue;
    }
    notify += count.notify;
    highlight += count.highlight;
  }
  return {
    unread_notifications: { notification_count: notify, highlight_count: highlight },
    ...(Object.keys(threads).length > 0 ? { unread_thread_notifications: threads } : {}),
  };
}

async function leftRoom(
  layer: Sync,
  span: Span,
  room: RoomNum,
  head: RoomHead,
  membership: Membership,
  isNew: boolean,
  wasJoined: boolean,
  accountData: AccountData,
): Promise<JsonObject | undefined> {
  const asked = span.since === undefined || span.fullState;
  if (asked ? !span.filter.room.includeLeave && !(span.fullState && isNew && span.since !== undefined) : !isNew) {
    return undefined;
  }
  const stored = layer.rooms.events.get(layer.rooms.store, membership.event);
  const last = stored?.order ?? membership.position;
  // Whoever was never in the room learns of their own leave and nothing else.
  const wasIn = wasJoined || membership.previous === 'join';
  const section = await roomSection(layer.rooms, layer.lazy, room, head, span, {
    joinedSince: span.since !== undefined && (wasJoined || !wasIn),
    last,
    withState: wasIn,
  });
  const data = await accountData.ofRoom(head.id, true);
  return {
    [stateField(span)]: { events: section.state },
    timeline: { ...section.timeline },
    account_data: { events: data },
  };
}
