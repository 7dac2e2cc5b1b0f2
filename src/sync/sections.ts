import type { RoomEventFilter, SyncFilter } from '#core/filter.js';
import { allowsRoomEvent, trimFields } from '#core/filter.js';
import type { UserId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { toClientEvent } from '#rooms/client-form.js';
import { shownTo } from '#rooms/erasure.js';
import type { Rooms } from '#rooms/rooms.js';
import { visibleEvents } from '#rooms/visibility.js';
import type { StoredEvent } from '#store/events.js';
import { log, type Membership, members, type RoomHead, rooms as roomHeads, timeline } from '#store/schema.js';
import type { EventNum, Order, Position, RoomNum, StateRoot } from '#store/types.js';
import type { LazyMembers } from '#sync/lazy-members.js';

/** Most state events that one room's section gathers between two turns of the event loop. */
const STATE_SLICE = 500;
/** How many raw timeline rows are looked at for each event that a page may hold: filters and visibility drop some. */
const LOOK_PER_EVENT = 10;

export interface Viewer {
  readonly user: UserId;
  readonly device: string;
  /** `user device`: names the pair in memory. */
  readonly pair: string;
}

/**
 * Whether the state of a room is told as it is after the timeline instead of before it; `unstable` for clients that ask by
 * the name of the proposal (MSC4222) and know the answer's field only by that.
 */
export type StateAfter = boolean | 'unstable';

/** Name of the field that carries the state of a room. */
export function stateField({ useStateAfter }: { readonly useStateAfter: StateAfter }): string {
  if (useStateAfter === 'unstable') return 'org.matrix.msc4222.state_after';
  return useStateAfter ? 'state_after' : 'state';
}

/** What all room sections of one answer share. */
export interface Span {
  readonly viewer: Viewer;
  /** Where the client is; undefined for an initial sync. */
  readonly since: Position | undefined;
  /** Where it will be: the token of the answer. */
  readonly upTo: Position;
  readonly filter: SyncFilter;
  readonly fullState: boolean;
  readonly useStateAfter: StateAfter;
  readonly ignored: ReadonlySet<string>;
  /** Room sections are written to text as soon as they are made. */
  readonly asText?: boolean;
}

export interface TimelineSection {
  readonly events: readonly JsonObject[];
  readonly limited: boolean;
  readonly prev_batch: string;
}
export interface RoomSection {
  readonly timeline: TimelineSection;
  readonly state: readonly JsonObject[];
  /** Where it was asked for, and the client is new to the room, missed events, or is told of a change of members. */
  readonly summary?: Summary;
}

/** State of a room as it stood once everything up to `position` was taken in. */
export async function rootAt(rooms: Rooms, room: RoomNum, head: RoomHead, position: Position): Promise<StateRoot> {
  if (position >= head.tip) return head.state;
  const [last] = await rooms.store.list(timeline, { prefix: [room], lte: [position], reverse: true, limit: 1 });
  if (last === undefined) return 0;
  const [[, order], num] = last;
  const fact = rooms.store.get(log, [order]);
  if (fact?.kind === 'event' && fact.state !== undefined) return fact.state;
  return rooms.events.get(rooms.store, num)?.stateAfter ?? 0;
}

/** Newest visible events of a room in (`after`, `upTo`], oldest first, and where the page before them starts. */
export async function newestEvents(
  rooms: Rooms,
  room: RoomNum,
  span: Span,
  after: Order | undefined,
  upTo: Order,
  limit: number,
): Promise<{ events: StoredEvent[]; limited: boolean; before: Order }> {
  const filter = span.filter.room.timeline;
  const found: StoredEvent[] = [];
  let limited = false;
  let looked = 0;
  let before: Order = upTo;
  const rows = rooms.store.range(timeline, {
    prefix: [room],
    lte: [upTo],
    ...(after === undefined ? {} : { gt: [after] }),
    reverse: true,
  });
  let slice: { order: Order; num: EventNum }[] = [];
  const take = async (): Promise<boolean> => {
    const stored = slice.flatMap(({ num }) => rooms.events.get(rooms.store, num) ?? []);
    const visible = new Set(visibleEvents(rooms, span.viewer.user, room, stored));
    for (const [index, event] of stored.entries()) {
      if (!visible.has(event) || !isWanted(event, filter, span.ignored)) continue;
      if (found.length === limit) {
        limited = true;
        return true;
      }
      found.push(event);
      before = slice[index]!.order - 1;
    }
    slice = [];
    return false;
  };
  for await (const [[, order], num] of rows) {
    slice.push({ order, num });
    looked++;
    if (slice.length >= Math.max(20, Math.min(limit, 200)) && (await take())) break;
    if (looked > Math.max(1_000, limit * LOOK_PER_EVENT)) {
      limited = true;
      before = order - 1;
      break;
    }
  }
  if (!limited) await take();
  if (!limited && found.length === 0) before = after ?? upTo;
  return { events: found.reverse(), limited, before };
}

function isWanted(event: StoredEvent, filter: RoomEventFilter, ignored: ReadonlySet<string>): boolean {
  if (event.pdu.state_key === undefined && ignored.has(event.pdu.sender)) return false;
  return allowsRoomEvent(filter, event.pdu);
}

/**
 * Timeline and state of a room for a span (client-server API, Syncing). `joinedSince`: whether the client already holds
 * the room's state at `since`. `last` bounds what a user who left may see.
 */
export async function roomSection(
  rooms: Rooms,
  lazy: LazyMembers,
  room: RoomNum,
  head: RoomHead,
  span: Span,
  options: {
    readonly joinedSince: boolean;
    readonly last?: Order;
    readonly withState: boolean;
    readonly withSummary?: boolean;
  },
): Promise<RoomSection> {
  const upTo = Math.min(span.upTo, options.last ?? span.upTo);
  const known = options.joinedSince && span.since !== undefined;
  const after = known ? span.since : undefined;
  const limit = span.filter.room.timeline.limit;
  const page = await newestEvents(rooms, room, span, after, upTo, limit);
  const events = page.events;
  const first = events[0];
  const endRoot = await rootAt(rooms, room, head, upTo);
  let startRoot = endRoot;
  if (!span.useStateAfter && first !== undefined) startRoot = first.stateBefore;

  const state = new Map<string, EventNum>();
  if (options.withState) {
    const baseRoot = known && !span.fullState ? await rootAt(rooms, room, head, span.since!) : 0;
    await gatherState(rooms, lazy, room, span, baseRoot, startRoot, events, state);
  }
  const inTimeline = new Set(events.map((event) => event.num));
  const stateEvents: JsonObject[] = [];
  let membersChanged = false;
  let made = 0;
  for (const num of state.values()) {
    // With `state_after` the timeline's own state events belong to the state as well.
    if (!span.useStateAfter && inTimeline.has(num)) continue;
    const stored = rooms.events.get(rooms.store, num);
    if (stored === undefined || !allowsRoomEvent(span.filter.room.state, stored.pdu)) continue;
    if (stored.pdu.type === 'm.room.member') membersChanged = true;
    stateEvents.push(presentEvent(rooms, stored, span));
    if (++made % STATE_SLICE === 0) await new Promise<void>((next) => setImmediate(next));
  }
  membersChanged ||= events.some((event) => event.pdu.type === 'm.room.member' && event.pdu.state_key !== undefined);
  // Coming into a room is a gap, whatever the page holds: the client has nothing of before.
  const limited = page.limited || (span.since !== undefined && !options.joinedSince);
  const summary =
    options.withSummary && (after === undefined || membersChanged || page.limited)
      ? await summaryOf(rooms, room, head, span.viewer.user)
      : undefined;
  if (summary !== undefined && span.filter.room.state.lazyLoadMembers) {
    for (const stored of unsentMembers(rooms, lazy, room, span, startRoot, summary['m.heroes'])) {
      if (state.has(`m.room.member\0${stored.pdu.state_key}`)) continue;
      if (!span.useStateAfter && inTimeline.has(stored.num)) continue;
      if (allowsRoomEvent(span.filter.room.state, stored.pdu)) stateEvents.push(presentEvent(rooms, stored, span));
    }
  }
  return {
    timeline: {
      // A client that missed nothing has seen for itself what relates to what.
      events: events.map((event) => presentEvent(rooms, event, span, limited)),
      limited,
      // Where an initial sync gives a room whole, nothing lies before; the token then names this moment, which is what
      // /members?at= asks for.
      prev_batch: String(span.since === undefined && !page.limited ? upTo : page.before),
    },
    state: stateEvents,
    ...(summary !== undefined && { summary }),
  };
}

/** An event in the form that the filter asks for (client-server API, Filtering: `event_format`, `event_fields`). */
export function presentEvent(rooms: Rooms, stored: StoredEvent, span: Span, withRelations = false): JsonObject {
  const { filter, viewer } = span;
  if (filter.eventFormat === 'federation') {
    return trimFields(shownTo(rooms, rooms.store, stored, viewer.user).json, filter.eventFields);
  }
  const event = toClientEvent(rooms, stored, {
    viewer: viewer.user,
    device: viewer.device,
    withoutRoomId: true,
    withoutRelations: !withRelations,
  });
  return trimFields(event, filter.eventFields);
}

/** Collects the state events that lie between two roots, lazy-loading members where the filter asks for it. */
async function gatherState(
  rooms: Rooms,
  lazy: LazyMembers,
  room: RoomNum,
  span: Span,
  from: StateRoot,
  to: StateRoot,
  timelineEvents: readonly StoredEvent[],
  into: Map<string, EventNum>,
): Promise<void> {
  const { store, trees } = rooms;
  const lazily = span.filter.room.state.lazyLoadMembers;
  const { user, pair } = span.viewer;
  const full = from === 0;
  let seen = 0;
  for (const [type, stateKey, num] of full ? trees.entries(store, to) : trees.changed(store, from, to)) {
    if (++seen % STATE_SLICE === 0) await new Promise<void>((next) => setImmediate(next));
    // A client that starts from nothing gets members as they speak; one that was away is told of each that changed.
    if (lazily && full && type === 'm.room.member' && stateKey !== user) continue;
    into.set(`${type}\0${stateKey}`, num);
    if (lazily && type === 'm.room.member') lazy.sent(pair, room, stateKey, num, span.upTo);
  }
  if (!lazily) return;
  const senders = new Set(timelineEvents.map((event) => event.pdu.sender));
  for (const { pdu, num } of unsentMembers(rooms, lazy, room, span, to, senders)) {
    into.set(`m.room.member\0${pdu.state_key}`, num);
  }
}

/** The member events of `users` in the state `root` that the client does not surely hold; they count as sent then. */
function unsentMembers(
  rooms: Rooms,
  lazy: LazyMembers,
  room: RoomNum,
  span: Span,
  root: StateRoot,
  users: Iterable<string>,
): StoredEvent[] {
  const { store, trees } = rooms;
  const { pair } = span.viewer;
  const always = span.filter.room.state.includeRedundantMembers || span.fullState;
  const unsent: StoredEvent[] = [];
  for (const user of users) {
    const num = trees.get(store, root, 'm.room.member', user);
    if (num === undefined || (!always && lazy.has(pair, room, user, num, span.since))) continue;
    const stored = rooms.events.get(store, num);
    if (stored === undefined) continue;
    unsent.push(stored);
    lazy.sent(pair, room, user, num, span.upTo);
  }
  return unsent;
}

/** `summary` of a joined room in /sync. */
export interface Summary extends JsonObject {
  readonly 'm.heroes': string[];
  readonly 'm.joined_member_count': number;
  readonly 'm.invited_member_count': number;
}

/** Members and former members among whom heroes are sought. */
export const MAX_HEROES_SOUGHT = 200;

/** Who may be a hero of a room. */
export interface HeroChoice {
  readonly user: string;
  /** Their member event. */
  readonly event: EventNum;
  readonly membership: string;
}

/** Up to five of those by whom a room without a name is named: who is there or invited, or else who was. */
export function heroesAmong(others: readonly HeroChoice[]): readonly HeroChoice[] {
  const byAge = others.toSorted((a, b) => a.event - b.event);
  const here = byAge.filter(({ membership }) => membership === 'join' || membership === 'invite');
  const gone = byAge.filter(({ membership }) => membership === 'leave' || membership === 'ban');
  return (here.length > 0 ? here : gone).slice(0, 5);
}

/** Heroes and counts (client-server API, `summary` of a joined room in /sync). */
export async function summaryOf(rooms: Rooms, room: RoomNum, head: RoomHead, user: UserId): Promise<Summary> {
  let heroes: string[] = [];
  const named =
    rooms.trees.get(rooms.store, head.state, 'm.room.name', '') !== undefined ||
    rooms.trees.get(rooms.store, head.state, 'm.room.canonical_alias', '') !== undefined;
  if (!named) {
    const rows = await rooms.store.list(members, { prefix: [room], limit: MAX_HEROES_SOUGHT });
    const others = rows.filter(([[, member]]) => member !== user);
    heroes = heroesAmong(others.map(([[, member], row]) => ({ ...row, user: member }))).map((hero) => hero.user);
  }
  return {
    'm.heroes': heroes,
    'm.joined_member_count': head.joined,
    'm.invited_member_count': head.invited,
  };
}

/** Whether `user` was joined to the room at `position`: whether a client that was there already holds the room. */
export async function wasJoinedAt(
  rooms: Rooms,
  room: RoomNum,
  head: RoomHead,
  user: UserId,
  membership: Membership,
  position: Position,
): Promise<boolean> {
  if (membership.position <= position) return membership.membership === 'join';
  const root = await rootAt(rooms, room, head, position);
  const num = rooms.trees.get(rooms.store, root, 'm.room.member', user);
  const stored = num === undefined ? undefined : rooms.events.get(rooms.store, num);
  return stored?.pdu.content['membership'] === 'join';
}

/** The head of a room by number. */
export function headOf(rooms: Rooms, room: RoomNum): RoomHead | undefined {
  return rooms.store.get(roomHeads, [room]);
}
