import type { UserId } from '#core/ids.js';
import type { JsonObject, JsonValue } from '#core/json-value.js';
import { textOfState } from '#rooms/erasure.js';
import type { Rooms } from '#rooms/rooms.js';
import type { StoredEvent } from '#store/events.js';
import { members, type RoomHead, timeline, unread } from '#store/schema.js';
import type { EventNum, Order, Position, RoomNum, StateRoot } from '#store/types.js';
import { shownStripped } from '#sync/invites.js';
import type { LazyMembers } from '#sync/lazy-members.js';
import { newestEvents, presentEvent, rootAt, type Span, summaryOf } from '#sync/sections.js';
import type { Sent } from '#sync/sliding/connection.js';
import { countsThen, heroesThen } from '#sync/sliding/last-known.js';
import type { WantedRoom } from '#sync/sliding/lists.js';
import { type Dialect, wantsState } from '#sync/sliding/request.js';

/** Events that make a room rise in a list (MSC4186, `bump_stamp`). */
const BUMPS: ReadonlySet<string> = new Set([
  'm.room.create',
  'm.room.message',
  'm.room.encrypted',
  'm.sticker',
  'm.call.invite',
  'm.poll.start',
  'm.beacon_info',
]);
/** How far back the newest of them is looked for. */
const BUMP_LOOK = 100;

export interface RoomAnswer {
  readonly body: JsonObject;
  readonly timelineLimit: number;
}

export interface RoomContext {
  readonly rooms: Rooms;
  readonly lazy: LazyMembers;
  /** Names the connection among those whose lazily loaded members are remembered. */
  readonly lazyName: string;
  /** Numbers of the answer that the client holds, and of this one. */
  readonly counter: number;
  readonly dialect: Dialect;
  readonly direct: ReadonlySet<string>;
  /** Where the connection as a whole was: events after it are live. */
  readonly since: Position | undefined;
}

/** Why there is something to tell of a room. */
export interface RoomNews {
  /** Something happened in it, or the client has nothing of it. */
  readonly changed: boolean;
  /** More of its timeline is asked for than was sent. */
  readonly expanded: boolean;
  /** Other state is asked for than was sent. */
  readonly widened: boolean;
}

const isInside = ({ membership }: WantedRoom): boolean =>
  membership.membership === 'join' || membership.previous === 'join';

/**
 * What is new of a room to a connection that was sent `sent` of it; undefined where nothing is. Its counts are not read where
 * `isCounted` says that they are as they were.
 */
export function roomNews(
  { rooms, dialect }: RoomContext,
  span: Span,
  wanted: WantedRoom,
  sent: Sent | undefined,
  isCounted: boolean,
): RoomNews | undefined {
  if (sent === undefined) return { changed: true, expanded: false, widened: false };
  const { room, head, membership, config } = wanted;
  const inside = isInside(wanted);
  const changed = (membership.membership === 'join' ? head.tip : membership.position) > sent.upTo;
  const expanded = inside && config.timelineLimit > sent.timelineLimit;
  const widened = inside && sent.state !== config.stateName;
  if (changed || expanded || widened) return { changed, expanded, widened };
  if (!inside || dialect === 'stable' || isCounted) return undefined;
  const counted = rooms.store.get(unread, [span.viewer.user, room])?.position ?? 0;
  return counted > sent.upTo ? { changed, expanded, widened } : undefined;
}

/** What the client is told of one room that has news (MSC4186, Room results). */
export async function roomAnswer(
  context: RoomContext,
  span: Span,
  wanted: WantedRoom,
  sent: Sent | undefined,
  news: RoomNews,
): Promise<RoomAnswer> {
  if (isInside(wanted)) return insideAnswer(context, span, wanted, sent, news);
  const { membership } = wanted;
  const stripped = shownStripped(context.rooms, wanted.head, membership);
  return {
    timelineLimit: wanted.config.timelineLimit,
    body: {
      ...common(context, wanted, membership.position),
      initial: true,
      [context.dialect === 'stable' ? 'stripped_state' : 'invite_state']: stripped,
    },
  };
}

function common(context: RoomContext, wanted: WantedRoom, bumpStamp: Position | undefined): JsonObject {
  return {
    ...(bumpStamp === undefined ? {} : { bump_stamp: bumpStamp }),
    membership: wanted.membership.membership,
    ...(wanted.lists.length === 0 ? {} : { lists: wanted.lists }),
    ...(context.direct.has(wanted.head.id) ? { is_dm: true } : {}),
  };
}

async function insideAnswer(
  context: RoomContext,
  span: Span,
  wanted: WantedRoom,
  sent: Sent | undefined,
  { changed, expanded, widened }: RoomNews,
): Promise<RoomAnswer> {
  const { rooms } = context;
  const { room, head, membership, config } = wanted;
  const gone = membership.membership !== 'join';
  const last = gone ? (rooms.events.get(rooms.store, membership.event)?.order ?? membership.position) : span.upTo;
  const upTo = Math.min(span.upTo, last);
  const counts = rooms.store.get(unread, [span.viewer.user, room]);
  const after: Order | undefined = sent === undefined || expanded ? undefined : sent.upTo;
  const page = await newestEvents(rooms, room, span, after, upTo, config.timelineLimit);
  const endRoot = await rootAt(rooms, room, head, upTo);
  const baseRoot = sent === undefined ? 0 : await rootAt(rooms, room, head, sent.upTo);
  const state = requiredState(context, wanted, baseRoot, endRoot, widened, page.events, page.limited);
  const types = changedTypes(rooms, baseRoot, endRoot);
  const live = page.events.filter((event) => context.since !== undefined && event.order > context.since).length;
  const bump = newestBump(page.events) ?? (sent === undefined ? await bumpBefore(rooms, room, upTo) : undefined);
  const present = (event: StoredEvent): JsonObject => presentEvent(rooms, event, span, page.limited);
  const body: JsonObject = {
    ...common(
      context,
      wanted,
      gone ? membership.position : (bump ?? (sent === undefined ? membership.position : undefined)),
    ),
    ...(sent === undefined ? { initial: true } : {}),
    ...(expanded ? { [context.dialect === 'stable' ? 'expanded_timeline' : 'unstable_expanded_timeline']: true } : {}),
    ...(await description(context, span, wanted, endRoot, types, sent === undefined)),
    ...(state.nums.length + state.stubs.length > 0
      ? {
          required_state: [
            ...rooms.events.many(rooms.store, state.nums).map((event) => presentEvent(rooms, event, span)),
            ...state.stubs,
          ],
        }
      : {}),
    timeline: page.events.map(present),
    prev_batch: String(page.before),
    ...(page.limited ? { limited: true } : {}),
    num_live: live,
    ...(context.dialect === 'unstable' ? unreadCounts(counts?.threads ?? {}) : {}),
  };
  return { body, timelineLimit: Math.max(config.timelineLimit, changed ? 0 : (sent?.timelineLimit ?? 0)) };
}

interface RequiredState {
  readonly nums: EventNum[];
  /** Pieces that are gone. */
  readonly stubs: JsonObject[];
}

function requiredState(
  context: RoomContext,
  wanted: WantedRoom,
  baseRoot: StateRoot,
  endRoot: StateRoot,
  widened: boolean,
  events: readonly StoredEvent[],
  limited: boolean,
): RequiredState {
  const { rooms, lazy, lazyName, counter } = context;
  const { config, room } = wanted;
  const found = new Map<string, EventNum>();
  const stubs: JsonObject[] = [];
  const keyOf = (type: string, stateKey: string): string => `${type}\0${stateKey}`;
  if (baseRoot === 0 || widened) {
    const exact = config.include.every((pattern) => pattern.type !== undefined && pattern.stateKey !== undefined);
    if (exact) {
      for (const { type = '', stateKey = '' } of config.include) {
        const num = rooms.trees.get(rooms.store, endRoot, type, stateKey);
        if (num !== undefined && wantsState(config, type, stateKey)) found.set(keyOf(type, stateKey), num);
      }
    } else {
      for (const [type, stateKey, num] of rooms.trees.entries(rooms.store, endRoot)) {
        if (wantsState(config, type, stateKey)) found.set(keyOf(type, stateKey), num);
      }
    }
  }
  if (baseRoot !== 0 && baseRoot !== endRoot) {
    for (const { type, stateKey, after } of rooms.trees.diff(rooms.store, baseRoot, endRoot)) {
      // Whoever misses nothing hears of every member that changed, and can keep a list of them.
      const asMember = config.lazyMembers && !limited && type === 'm.room.member';
      if (!asMember && !wantsState(config, type, stateKey)) continue;
      if (after === undefined) stubs.push({ type, state_key: stateKey });
      else found.set(keyOf(type, stateKey), after);
    }
  }
  if (config.lazyMembers) {
    const spoke = new Set<string>();
    for (const { pdu } of events) {
      spoke.add(pdu.sender);
      if (pdu.type === 'm.room.member' && pdu.state_key !== undefined) spoke.add(pdu.state_key);
    }
    for (const user of spoke) {
      const num = rooms.trees.get(rooms.store, endRoot, 'm.room.member', user);
      if (num === undefined) continue;
      const known = baseRoot !== 0 && lazy.has(lazyName, room, user, num, counter);
      if (!known) found.set(keyOf('m.room.member', user), num);
      lazy.sent(lazyName, room, user, num, counter + 1);
    }
  }
  return { nums: [...found.values()], stubs };
}

/** Types of state that differ, and whether all do because there was nothing before. */
function changedTypes(rooms: Rooms, from: StateRoot, to: StateRoot): ReadonlySet<string> {
  const types = new Set<string>();
  if (from === 0 || from === to) return types;
  for (const { type } of rooms.trees.diff(rooms.store, from, to)) types.add(type);
  return types;
}

/** Name, avatar, heroes and counts: all at first, later what changed. */
async function description(
  context: RoomContext,
  span: Span,
  wanted: WantedRoom,
  root: StateRoot,
  changed: ReadonlySet<string>,
  initial: boolean,
): Promise<JsonObject> {
  const { rooms } = context;
  const { room, head, membership } = wanted;
  const text = (type: string, key: string): string | undefined =>
    textOfState(rooms, rooms.store, root, span.viewer.user, [type, key]);
  const found: Record<string, JsonValue> = {};
  const name = text('m.room.name', 'name');
  if (initial || changed.has('m.room.name')) {
    if (name !== undefined && name !== '') found['name'] = name;
    else if (!initial) found['name'] = null;
  }
  if (initial || changed.has('m.room.avatar')) {
    const avatar = text('m.room.avatar', 'url');
    if (avatar !== undefined && avatar !== '') found['avatar'] = avatar;
    else if (!initial) found['avatar'] = null;
  }
  const isUnnamed = name === undefined || name === '';
  const membersChanged = initial || changed.has('m.room.member');
  const isGone = membership.membership !== 'join';
  if (membersChanged) {
    const { joined, invited } = isGone ? countsThen(rooms, head, root) : head;
    found['joined_count'] = joined;
    found['invited_count'] = invited;
  }
  if (isUnnamed && (membersChanged || changed.has('m.room.name'))) {
    const { user } = span.viewer;
    found['heroes'] = await (isGone ? heroesThen(rooms, room, root, user) : heroesNow(rooms, room, head, user));
    // Unnamed rooms are named by their heroes where a client asks for a name at once.
    if (initial && context.dialect === 'unstable') {
      const alias = text('m.room.canonical_alias', 'alias');
      if (alias !== undefined) found['name'] = alias;
    }
  }
  return found;
}

async function heroesNow(rooms: Rooms, room: RoomNum, head: RoomHead, viewer: UserId): Promise<JsonObject[]> {
  const summary = await summaryOf(rooms, room, head, viewer);
  return summary['m.heroes'].map((user) => {
    const row = rooms.store.get(members, [room, user]);
    return {
      user_id: user,
      ...(row?.displayname === undefined ? {} : { displayname: row.displayname }),
      ...(row?.avatarUrl === undefined ? {} : { avatar_url: row.avatarUrl }),
    };
  });
}

function newestBump(events: readonly StoredEvent[]): Position | undefined {
  return events.findLast((event) => BUMPS.has(event.pdu.type))?.num;
}

async function bumpBefore(rooms: Rooms, room: number, upTo: Order): Promise<Position | undefined> {
  const rows = await rooms.store.list(timeline, { prefix: [room], lte: [upTo], reverse: true, limit: BUMP_LOOK });
  for (const [, num] of rows) if (BUMPS.has(rooms.events.get(rooms.store, num)?.pdu.type ?? '')) return num;
  return undefined;
}

function unreadCounts(
  threads: Readonly<Record<string, { readonly notify: number; readonly highlight: number }>>,
): JsonObject {
  let notify = 0;
  let highlight = 0;
  for (const count of Object.values(threads)) {
    notify += count.notify;
    highlight += count.highlight;
  }
  return { notification_count: notify, highlight_count: highlight };
}
