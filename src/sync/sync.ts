import { allowsRoom, type SyncFilter } from '#core/filter.js';
import type { RoomId, UserId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import type { Typing } from '#rooms/ephemeral.js';
import type { Rooms } from '#rooms/rooms.js';
import { type Membership, type RoomHead, roomNums, unread } from '#store/schema.js';
import type { Position, RoomNum } from '#store/types.js';
import { AccountData, ignoredUsers } from '#sync/account-data.js';
import { type Changes, changesBetween } from '#sync/changes.js';
import { type DeviceLists, deviceListChanges } from '#sync/device-lists.js';
import { ephemeralOf } from '#sync/ephemeral.js';
import { isUnwantedInvite, shownStripped } from '#sync/invites.js';
import type { LazyMembers } from '#sync/lazy-members.js';
import { presenceSection } from '#sync/presence.js';
import {
  headOf,
  roomSection,
  type Span,
  type StateAfter,
  stateField,
  type Viewer,
  wasJoinedAt,
} from '#sync/sections.js';
import type { UserView, Views } from '#sync/views.js';
import type { KeyCounts } from '#users/keys/one-time-keys.js';
import { atOnce } from '#util/at-once.js';
import type { Clock } from '#util/clock.js';

/** Longest that a sync waits, whatever the client asks. */
const LONGEST_WAIT_MS = 120_000;

/** What sync reads besides rooms: the layer of users answers. */
export interface SyncSources {
  /** Every type of global and room account data whose content isn't stored but computed, such as push rules. */
  readonly accountDataOf: (user: UserId, roomId: string, type: string, stored: JsonObject | undefined) => JsonObject;
  /** To-device messages of a device in (`after`, `upTo`], oldest first, at most `limit`. */
  readonly inbox: (
    user: UserId,
    device: string,
    after: Position,
    upTo: Position,
    limit: number,
  ) => Promise<readonly { readonly position: Position; readonly event: JsonObject }[]>;
  /** The device has everything up to `upTo`: its messages up to there go. */
  readonly acknowledge: (user: UserId, device: string, upTo: Position) => Promise<void>;
  /** Presence event of a user as others see it, with the position at which it last changed. */
  readonly presenceOf: (user: string) => { readonly position: Position; readonly event: JsonObject } | undefined;
  /** Users whose presence is known. */
  readonly presentUsers: () => Iterable<string>;
  readonly keyCounts: (user: UserId, device: string) => KeyCounts;
}

/** The opened layer of sync. */
export interface Sync {
  readonly rooms: Rooms;
  readonly typing: Typing;
  readonly views: Views;
  readonly lazy: LazyMembers;
  readonly clock: Clock;
  readonly sources: SyncSources;
}

export interface SyncRequest {
  readonly viewer: Viewer;
  readonly since: Position | undefined;
  readonly filter: SyncFilter;
  readonly fullState: boolean;
  readonly useStateAfter: StateAfter;
  /** Milliseconds. */
  readonly timeoutMs: number;
  /** Aborts when the client goes or the server stops: the answer is then what there is. */
  readonly signal: AbortSignal;
}

const MOST_TO_DEVICE = 100;
/** Rooms of one answer read side by side: each waits for the thread pool three or four times. */
const ROOMS_AT_ONCE = 4;

/**
 * Answers a /v3/sync: at once when there is something to tell, it is the first, or no time was given; otherwise when
 * something comes or time is up. Reads no row of any room while nothing happened that concerns the user.
 */
export async function sync(layer: Sync, request: SyncRequest): Promise<JsonObject> {
  const { views, clock, rooms } = layer;
  const { viewer, since } = request;
  const view = await views.get(viewer.user);
  if (since !== undefined) await layer.sources.acknowledge(viewer.user, viewer.device, since);
  const deadlineMs = clock.monotonicMs() + Math.min(request.timeoutMs, LONGEST_WAIT_MS);
  const ends = new AbortController();
  const end = (): void => ends.abort();
  request.signal.addEventListener('abort', end, { once: true });
  const timer = clock.after(Math.max(0, deadlineMs - clock.monotonicMs()), end);
  try {
    let from = since;
    for (;;) {
      const upTo = rooms.store.tip;
      if (since === undefined || request.fullState || (from !== undefined && view.lastChange > from)) {
        const answer = await buildAnswer(layer, view, request, upTo);
        if (answer.news || since === undefined || request.fullState) return answer.body;
      }
      // What was looked at and concerned nobody here need not be looked at again.
      from = upTo;
      if (request.timeoutMs <= 0 || ends.signal.aborted || request.signal.aborted) break;
      await views.wait(view, upTo, ends.signal);
    }
    return emptyAnswer(layer, viewer, from ?? rooms.store.tip);
  } finally {
    timer.cancel();
    request.signal.removeEventListener('abort', end);
  }
}

/** What a device has left of keys: in every answer, the explicit zero is what makes a client upload new ones. */
function countsOf(counts: KeyCounts): JsonObject {
  return {
    device_one_time_keys_count: counts.oneTime,
    device_unused_fallback_key_types: [...counts.unusedFallback],
  };
}

function emptyAnswer(layer: Sync, viewer: Viewer, token: Position): JsonObject {
  return { next_batch: String(token), ...countsOf(layer.sources.keyCounts(viewer.user, viewer.device)) };
}

async function buildAnswer(
  layer: Sync,
  view: UserView,
  request: SyncRequest,
  tip: Position,
): Promise<{ body: JsonObject; news: boolean }> {
  const { rooms, sources } = layer;
  const { viewer, since, filter } = request;
  const inbox = await sources.inbox(viewer.user, viewer.device, since ?? 0, tip, MOST_TO_DEVICE + 1);
  // One integer is the token of all streams, and presenting it acknowledges the inbox: when a page of messages does
  // not hold them all, the answer as a whole reaches only as far as the page.
  const page = inbox.slice(0, MOST_TO_DEVICE);
  const upTo = inbox.length > page.length ? page.at(-1)!.position : tip;
  const roomIdOf = (room: RoomNum): string | undefined => headOf(rooms, room)?.id;
  const changes =
    since === undefined ? undefined : await changesBetween(rooms.store, layer.views, view, roomIdOf, since, upTo);
  const span: Span = {
    viewer,
    since,
    upTo,
    filter,
    fullState: request.fullState,
    useStateAfter: request.useStateAfter,
    ignored: ignoredUsers(rooms.store, viewer.user),
  };
  const data = new AccountData(rooms.store, sources.accountDataOf, span, changes);
  const sections = await roomSections(layer, view, span, changes, data);
  const global = await data.global();
  const devices: DeviceLists =
    since === undefined || changes === undefined
      ? { changed: [], left: [], met: new Set() }
      : await deviceListChanges(rooms, view, since, upTo, changes, sections.entered, sections.departed);
  const presence = presenceSection(layer, view, span, changes, devices.met);
  const counts = sources.keyCounts(viewer.user, viewer.device);
  const news =
    (since !== undefined && counts.position > since) ||
    sections.news ||
    global.length > 0 ||
    presence.length > 0 ||
    page.length > 0 ||
    devices.changed.length > 0 ||
    devices.left.length > 0;
  return {
    news,
    body: {
      next_batch: String(upTo),
      ...(sections.news ? { rooms: sections.body } : {}),
      ...(global.length > 0 ? { account_data: { events: global } } : {}),
      ...(presence.length > 0 ? { presence: { events: presence } } : {}),
      ...(page.length > 0 ? { to_device: { events: page.map(({ event }) => event) } } : {}),
      ...(devices.changed.length > 0 || devices.left.length > 0
        ? { device_lists: { changed: devices.changed, left: devices.left } }
        : {}),
      ...countsOf(counts),
    } as unknown as JsonObject,
  };
}

interface RoomSections {
  readonly body: JsonObject;
  readonly news: boolean;
  /** Rooms that the viewer came into, and that they left, in the span. */
  readonly entered: Set<RoomNum>;
  readonly departed: Set<RoomNum>;
}

async function roomSections(
  layer: Sync,
  view: UserView,
  span: Span,
  changes: Changes | undefined,
  data: AccountData,
): Promise<RoomSections> {
  const join: Record<string, JsonObject> = {};
  const invite: Record<string, JsonObject> = {};
  const knock: Record<string, JsonObject> = {};
  const leave: Record<string, JsonObject> = {};
  const entered = new Set<RoomNum>();
  const departed = new Set<RoomNum>();
  await atOnce(candidateRooms(layer, view, span, changes), ROOMS_AT_ONCE, async (room) => {
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
        if (section !== undefined) join[head.id] = section;
        break;
      }
      case 'invite': {
        if (!(isNew || span.fullState) || isUnwantedInvite(layer.rooms.store, span.viewer.user, membership)) break;
        invite[head.id] = { invite_state: { events: shownStripped(layer.rooms, head, membership) } };
        break;
      }
      case 'knock':
        if (isNew || span.fullState)
          knock[head.id] = { knock_state: { events: shownStripped(layer.rooms, head, membership) } };
        break;
      case 'leave':
      case 'ban': {
        const wasJoined =
          span.since !== undefined &&
          (await wasJoinedAt(layer.rooms, room, head, span.viewer.user, membership, span.since));
        if (membership.forgotten && !wasJoined) break;
        if (wasJoined) departed.add(room);
        const section = await leftRoom(layer, span, room, head, membership, isNew, wasJoined, data);
        if (section !== undefined) leave[head.id] = section;
        break;
      }
      case undefined:
        break;
    }
  });
  const parts = { join, invite, knock, leave };
  const filled = Object.entries(parts).filter(([, section]) => Object.keys(section).length > 0);
  return { body: Object.fromEntries(filled), news: filled.length > 0, entered, departed };
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
