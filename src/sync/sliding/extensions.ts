import { MatrixError } from '#core/errors.js';
import { NO_SYNC_FILTER } from '#core/filter.js';
import type { RoomId } from '#core/ids.js';
import { type JsonObject, type JsonValue, own, ownObject, ownString } from '#core/json-value.js';
import type { Position } from '#store/types.js';
import { AccountData } from '#sync/account-data.js';
import type { Changes } from '#sync/changes.js';
import { ephemeralOf } from '#sync/ephemeral.js';
import { listsBetween } from '#sync/key-changes.js';
import type { Span } from '#sync/sections.js';
import type { WantedRoom } from '#sync/sliding/lists.js';
import type { Sync } from '#sync/sync.js';
import { subscriptionPage } from '#sync/thread-subscriptions.js';
import type { UserView } from '#sync/views.js';

const MOST_TO_DEVICE = 100;
/** Rooms whose receipts are read between two turns of the event loop. */
const ROOM_SLICE = 100;
const THREADS = 'io.element.msc4308.thread_subscriptions';

/** A room of the answer, with the place from which its extensions tell on: undefined where the client has nothing. */
export interface ExtendedRoom {
  readonly wanted: WantedRoom;
  readonly after: Position | undefined;
}

export interface Extended {
  readonly body: JsonObject;
  readonly news: boolean;
}

function enabled(extensions: JsonObject, name: string): JsonObject | undefined {
  const config = ownObject(extensions, name);
  return config !== undefined && own(config, 'enabled') === true ? config : undefined;
}

/** Whether an extension's own `lists` and `rooms` let a room through; both are everything where absent. */
function lets(config: JsonObject, wanted: WantedRoom): boolean {
  const allows = (key: 'lists' | 'rooms', names: readonly string[]): boolean => {
    const value = own(config, key);
    if (value === undefined || value === null) return true;
    if (!Array.isArray(value)) return false;
    return value.some((one) => one === '*' || (typeof one === 'string' && names.includes(one)));
  };
  if (own(config, 'lists') === undefined && own(config, 'rooms') === undefined) return true;
  return (wanted.lists.length > 0 && allows('lists', wanted.lists)) || allows('rooms', [wanted.head.id]);
}

/**
 * The extensions of a sliding sync that are switched on: to-device (MSC3885), e2ee (MSC3884), account data (MSC3959),
 * receipts (MSC3960), typing (MSC3961) and thread subscriptions (MSC4308).
 */
export async function extend(
  layer: Sync,
  view: UserView,
  span: Span,
  changes: Changes | undefined,
  rooms: readonly ExtendedRoom[],
  extensions: JsonObject,
): Promise<Extended> {
  const body: Record<string, JsonValue> = {};
  let news = false;
  const put = (name: string, value: JsonValue, isNews: boolean): void => {
    body[name] = value;
    news ||= isNews;
  };
  const toDevice = enabled(extensions, 'to_device');
  if (toDevice !== undefined) {
    const { events, nextBatch } = await inboxOf(layer, span, toDevice);
    put('to_device', { next_batch: nextBatch, events }, events.length > 0);
  }
  if (enabled(extensions, 'e2ee') !== undefined) {
    const { value, isNews } = await encryptionOf(layer, view, span, changes);
    put('e2ee', value, isNews);
  }
  const wantsData = enabled(extensions, 'account_data');
  if (wantsData !== undefined) {
    const data = new AccountData(
      layer.rooms.store,
      layer.sources.accountDataOf,
      { ...span, filter: NO_SYNC_FILTER },
      changes,
    );
    const global = await data.global();
    const byRoom: [string, JsonValue][] = [];
    for (const { wanted, after } of rooms) {
      if (changes !== undefined && after !== undefined && !changes.accountData.has(wanted.head.id)) continue;
      if (!lets(wantsData, wanted)) continue;
      const events = await data.ofRoom(wanted.head.id, after === undefined);
      if (events.length > 0) byRoom.push([wanted.head.id, events]);
    }
    if (global.length > 0 || byRoom.length > 0) {
      put('account_data', { global, rooms: Object.fromEntries(byRoom) }, true);
    }
  }
  for (const [name, type] of [
    ['receipts', 'm.receipt'],
    ['typing', 'm.typing'],
  ] as const) {
    const config = enabled(extensions, name);
    if (config === undefined) continue;
    const byRoom = await ephemeralByRoom(layer, span, changes, rooms, config, type);
    if (byRoom.length > 0) put(name, { rooms: Object.fromEntries(byRoom) }, true);
  }
  const threads = enabled(extensions, THREADS);
  if (threads !== undefined) {
    const value = await threadsOf(layer, span, threads);
    if (value !== undefined) put(THREADS, value, true);
  }
  return { body, news };
}

async function inboxOf(
  layer: Sync,
  span: Span,
  config: JsonObject,
): Promise<{ readonly events: JsonObject[]; readonly nextBatch: string }> {
  const { user, device } = span.viewer;
  const since = ownString(config, 'since');
  if (since !== undefined && !/^\d{1,16}$/.test(since)) {
    throw new MatrixError('M_INVALID_PARAM', "'since' of to_device is no token of this server");
  }
  const after = since === undefined ? 0 : Number(since);
  if (after > layer.rooms.store.tip) throw new MatrixError('M_INVALID_PARAM', "'since' of to_device lies ahead");
  // Presenting the token of a page says that the page arrived.
  if (after > 0) await layer.sources.acknowledge(user, device, after);
  const asked = own(config, 'limit');
  const limit = typeof asked === 'number' && asked > 0 ? Math.min(Math.floor(asked), MOST_TO_DEVICE) : MOST_TO_DEVICE;
  const page = await layer.sources.inbox(user, device, after, span.upTo, limit);
  const last = page.length === limit ? page.at(-1)!.position : span.upTo;
  return { events: page.map(({ event }) => event), nextBatch: String(last) };
}

async function encryptionOf(
  layer: Sync,
  view: UserView,
  span: Span,
  changes: Changes | undefined,
): Promise<{ readonly value: JsonObject; readonly isNews: boolean }> {
  const { user, device } = span.viewer;
  const counts = layer.sources.keyCounts(user, device);
  const value: Record<string, JsonValue> = {
    device_one_time_keys_count: counts.oneTime,
    device_unused_fallback_key_types: [...counts.unusedFallback],
  };
  if (span.since === undefined || changes === undefined) return { value, isNews: false };
  const lists = await listsBetween(layer, view, span.since, span.upTo, changes);
  const isNews = lists.changed.length > 0 || lists.left.length > 0;
  if (isNews) value['device_lists'] = { changed: [...lists.changed], left: [...lists.left] };
  return { value, isNews: isNews || counts.position > span.since };
}

async function ephemeralByRoom(
  layer: Sync,
  span: Span,
  changes: Changes | undefined,
  rooms: readonly ExtendedRoom[],
  config: JsonObject,
  type: 'm.receipt' | 'm.typing',
): Promise<[RoomId, JsonValue][]> {
  const found: [RoomId, JsonValue][] = [];
  let looked = 0;
  for (const { wanted, after } of rooms) {
    if (wanted.membership.membership !== 'join' || !lets(config, wanted)) continue;
    const isBehind = after === undefined || (span.since !== undefined && after < span.since);
    const changed = isBehind || changes?.receipts === undefined ? 'all' : (changes.receipts.get(wanted.room) ?? 'none');
    const isStill =
      type === 'm.receipt' ? changed === 'none' : after !== undefined && layer.typing.in(wanted.room).position <= after;
    if (isStill) continue;
    if (++looked % ROOM_SLICE === 0) await new Promise<void>((next) => setImmediate(next));
    const events = await ephemeralOf(
      layer.rooms,
      layer.typing,
      wanted.room,
      span.viewer.user,
      after,
      span.upTo,
      NO_SYNC_FILTER.room.ephemeral,
      type === 'm.receipt' ? changed : 'none',
    );
    const event = events.find((one) => one['type'] === type);
    if (event !== undefined) found.push([wanted.head.id, event]);
  }
  return found;
}

async function threadsOf(layer: Sync, span: Span, config: JsonObject): Promise<JsonObject | undefined> {
  const asked = own(config, 'limit');
  const limit = typeof asked === 'number' && asked >= 1 ? Math.floor(asked) : undefined;
  const { body, end } = await subscriptionPage(layer.rooms.store, span.viewer.user, span.since ?? 0, span.upTo, limit);
  if (Object.keys(body).length === 0 && end === undefined) return undefined;
  return { ...body, ...(end === undefined ? {} : { prev_batch: String(end) }) };
}
