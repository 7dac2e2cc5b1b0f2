import type { SyncFilter } from '#core/filter.js';
import type { UserId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import type { Typing } from '#rooms/ephemeral.js';
import type { Rooms } from '#rooms/rooms.js';
import type { Position, RoomNum } from '#store/types.js';
import { AccountData, ignoredUsers } from '#sync/account-data.js';
import { changesBetween } from '#sync/changes.js';
import { type DeviceLists, deviceListChanges } from '#sync/device-lists.js';
import type { HeldAnswers } from '#sync/held-answers.js';
import type { LazyMembers } from '#sync/lazy-members.js';
import { presenceSection } from '#sync/presence.js';
import { roomSections } from '#sync/room-sections.js';
import { headOf, type Span, type StateAfter, type Viewer } from '#sync/sections.js';
import type { UserView, Views } from '#sync/views.js';
import type { KeyCounts } from '#users/keys/one-time-keys.js';
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
  readonly held: HeldAnswers;
  readonly clock: Clock;
  readonly sources: SyncSources;
}

export interface SyncRequest {
  readonly viewer: Viewer;
  readonly since: Position | undefined;
  readonly filter: SyncFilter;
  readonly fullState: boolean;
  readonly useStateAfter: StateAfter;
  /** Sections of rooms stand in the answer as `JsonText`: an initial sync of many rooms would be too much as objects. */
  readonly asText?: boolean;
  /** Names the request among the user's: an initial sync that is asked for again in the same words is given again. */
  readonly repeatKey?: string;
  /** Milliseconds. */
  readonly timeoutMs: number;
  /** Aborts when the client goes or the server stops: the answer is then what there is. */
  readonly signal: AbortSignal;
}

const MOST_TO_DEVICE = 100;

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
      if (since === undefined && request.repeatKey !== undefined) {
        return await initialAnswer(layer, view, request, request.repeatKey, upTo);
      }
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

/** The answer to an initial sync, made or given again. */
async function initialAnswer(
  layer: Sync,
  view: UserView,
  request: SyncRequest,
  repeatKey: string,
  tip: Position,
): Promise<JsonObject> {
  const { viewer } = request;
  const key = `${viewer.pair} ${repeatKey}`;
  const known = await layer.held.find(key, view.lastChange);
  if (known !== undefined) return { ...known, ...countsOf(layer.sources.keyCounts(viewer.user, viewer.device)) };
  const { body, upTo } = await buildAnswer(layer, view, request, tip);
  // To-device messages are there until they are acknowledged: by an answer to another request, perhaps.
  if (body['to_device'] === undefined) void layer.held.keep(key, body, upTo);
  return body;
}

async function buildAnswer(
  layer: Sync,
  view: UserView,
  request: SyncRequest,
  tip: Position,
): Promise<{ body: JsonObject; news: boolean; upTo: Position }> {
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
    asText: request.asText ?? false,
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
    upTo,
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
