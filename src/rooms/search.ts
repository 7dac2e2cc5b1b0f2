import { predecessorOf } from '#core/event/content.js';
import type { Pdu } from '#core/event/pdu.js';
import { allowsRoom, allowsRoomEvent, type RoomEventFilter } from '#core/filter.js';
import type { RoomId, UserId } from '#core/ids.js';
import { hasPhrase, parseWordQuery, type WordQuery, wordsOf } from '#core/words.js';
import { isErasedFor } from '#rooms/erasure.js';
import { ignoredBy } from '#rooms/ignored.js';
import { findRoom, type Room, type Rooms, roomByNum, storedStateAt } from '#rooms/rooms.js';
import { searchableText } from '#rooms/search-index.js';
import { visibilityFor } from '#rooms/visibility.js';
import type { StoredEvent } from '#store/events.js';
import { memberships, postings, redactions } from '#store/schema.js';
import type { EventNum, Order, RoomNum } from '#store/types.js';
import { atOnce } from '#util/at-once.js';

/** Newest occurrences of a word that are looked at in one room, and matches looked at over all rooms. */
const ROOM_ROWS = 4_096;
const FIRST_ROWS = 256;
const MAX_MATCHES = 10_000;
/** Matches that each room may have of these, however many rooms there are, before any may have more. */
const LEAST_SHARE = 16;
/** Rooms whose index is read side by side. */
const ROOMS_AT_ONCE = 4;
/** Matches, or occurrences of a word, between two turns of the event loop. */
const SLICE = 100;
/** Upgrades followed back from a room that the filter names. */
const MAX_PREDECESSORS = 20;
/** Length of a text, in words, that counts as usual: see `rankOf`. */
const USUAL_LENGTH = 12;

/** Types of event that can be found. */
export type SearchedType = 'm.room.message' | 'm.room.name' | 'm.room.topic';

export interface SearchQuery {
  readonly term: string;
  readonly types: ReadonlySet<SearchedType>;
  readonly filter: RoomEventFilter;
  readonly orderBy: 'rank' | 'recent';
  /** Matches looked at over all rooms; `MAX_MATCHES` where absent. */
  readonly mostMatches?: number;
}

/** An event that was found; the higher the rank, the better it matches. */
export interface Hit {
  readonly event: StoredEvent;
  readonly rank: number;
}

export interface SearchResult {
  /** All that was found, in the order asked for; what lies beyond the bounds of one search is not in it. */
  readonly hits: readonly Hit[];
  /** The words that were looked for. */
  readonly words: readonly string[];
}

/**
 * Searches the rooms that `viewer` is in or was, as far as they may see (client-server API, Server side search). Rooms
 * whose messages are encrypted are left out, and so is what ignored users sent. Where the filter names rooms, those that
 * they replaced are searched as well.
 */
export async function searchEvents(rooms: Rooms, viewer: UserId, query: SearchQuery): Promise<SearchResult> {
  const parsed = parseWordQuery(query.term);
  if (parsed.words.length === 0) return { hits: [], words: [] };
  const filter = withPredecessors(rooms, query.filter);
  const ignored = ignoredBy(rooms.store, viewer);
  const searched = await searchedRooms(rooms, viewer, filter);
  const hits: Hit[] = [];
  let looked = 0;
  for (const { num, sees } of await newestMatches(rooms, viewer, searched, parsed.words, query.mostMatches)) {
    if (++looked % SLICE === 0) await new Promise<void>((next) => setImmediate(next));
    const event = rooms.events.get(rooms.store, num);
    if (event === undefined || !query.types.has(event.pdu.type as SearchedType)) continue;
    if (ignored.has(event.pdu.sender) || !allowsRoomEvent(filter, event.pdu) || !sees(event)) continue;
    // Redacted while this search ran.
    if (rooms.store.has(redactions, [event.pdu.event_id])) continue;
    if (isErasedFor(rooms, rooms.store, event, viewer)) continue;
    const rank = rankOf(event.pdu, parsed);
    if (rank > 0) hits.push({ event, rank });
  }
  return { hits: hits.sort(query.orderBy === 'recent' ? byTime : byRank), words: parsed.words };
}

function byTime(a: Hit, b: Hit): number {
  return b.event.order - a.event.order || b.event.num - a.event.num;
}

function byRank(a: Hit, b: Hit): number {
  return b.rank - a.rank || byTime(a, b);
}

/**
 * How well a text matches, between 0 (a phrase is not in it) and 1: words that come often count for more, the less so the
 * longer the text is (the term frequency of BM25; rarity of words says nothing, since all of them must be there).
 */
function rankOf(pdu: Pdu, { words, phrases }: WordQuery): number {
  const text = [...wordsOf(searchableText(pdu) ?? '')];
  if (!phrases.every((phrase) => hasPhrase(text, phrase))) return 0;
  const saturation = 1.2 * (0.25 + (0.75 * text.length) / USUAL_LENGTH);
  let sum = 0;
  for (const word of words) {
    const times = text.filter((other) => other === word).length;
    sum += times / (times + saturation);
  }
  return sum / words.length;
}

/** Rooms to search, those with the newest events first. */
async function searchedRooms(rooms: Rooms, viewer: UserId, filter: RoomEventFilter): Promise<Room[]> {
  const found: Room[] = [];
  for await (const [[, num], row] of rooms.store.range(memberships, { prefix: [viewer] })) {
    if (row.forgotten || row.membership === 'invite' || row.membership === 'knock') continue;
    const room = roomByNum(rooms.store, num);
    if (!allowsRoom(filter, room.head.id)) continue;
    if (rooms.trees.get(rooms.store, room.head.state, 'm.room.encryption', '') === undefined) found.push(room);
  }
  return found.sort((a, b) => b.head.tip - a.head.tip);
}

/** The filter with the rooms that its rooms replaced. */
function withPredecessors(rooms: Rooms, filter: RoomEventFilter): RoomEventFilter {
  if (filter.rooms === undefined) return filter;
  const all = new Set(filter.rooms);
  for (const id of filter.rooms) {
    let room = findRoom(rooms.store, id as RoomId);
    for (let step = 0; room !== undefined && step < MAX_PREDECESSORS; step++) {
      const create = storedStateAt(rooms, rooms.store, room.head.state, 'm.room.create', '')?.pdu;
      const before = create && predecessorOf(create)?.roomId;
      room = before === undefined ? undefined : findRoom(rooms.store, before);
      if (room !== undefined) all.add(room.head.id);
    }
  }
  return { ...filter, rooms: all };
}

/** The place of an event with all of the words, and its number. */
type Match = readonly [order: Order, num: EventNum];

interface VisibleMatch {
  readonly num: EventNum;
  /** Whether the viewer may see an event of its room. */
  readonly sees: (event: StoredEvent) => boolean;
}

/**
 * Events with all of the words, the newest `most` over all rooms. Each room may give its share first, so that one with very
 * many does not hide what is newer in another; what is left then goes to those that have more, first in the list first.
 */
async function newestMatches(
  rooms: Rooms,
  viewer: UserId,
  searched: readonly Room[],
  words: readonly string[],
  most = MAX_MATCHES,
): Promise<readonly VisibleMatch[]> {
  const share = Math.max(LEAST_SHARE, Math.floor(most / Math.max(1, searched.length)));
  const lists = [...(await atOnce(searched, ROOMS_AT_ONCE, (room) => matchesIn(rooms, room.num, words, share)))];
  let left = most - lists.reduce((sum, list) => sum + list.length, 0);
  for (const [index, list] of lists.entries()) {
    if (left <= 0) break;
    if (list.length < share) continue;
    lists[index] = await matchesIn(rooms, searched[index]!.num, words, share + left);
    left -= lists[index].length - list.length;
  }
  const all = lists.flatMap((list, index) => {
    if (list.length === 0) return [];
    const { sees } = visibilityFor(rooms, rooms.store, searched[index]!.num, viewer);
    return list.map(([order, num]) => ({ order, num, sees }));
  });
  return all.sort((a, b) => b.order - a.order).slice(0, most);
}

/**
 * Events of a room with all of the words, newest first, `most` of them. Of each word more and more occurrences are read until
 * one has no more: the rarest is then known whole, and the others are only asked whether they stand there too.
 */
async function matchesIn(
  rooms: Rooms,
  room: RoomNum,
  words: readonly string[],
  most: number,
): Promise<readonly Match[]> {
  // Each occurrence of a single word is a match.
  const first = words.length === 1 ? Math.min(FIRST_ROWS, most) : FIRST_ROWS;
  let rarest: readonly Match[] = [];
  let chosen = 0;
  for (let limit = first; limit <= ROOM_ROWS; limit *= 4) {
    const lists = [];
    for (const [index, word] of words.entries()) {
      const rows = await rooms.store.list(postings, { prefix: [room, word], reverse: true, limit });
      const list = rows.map(([[, , order], num]): Match => [order, num]);
      if (list.length < limit) return matching(rooms, room, words, index, list, most);
      lists.push(list);
    }
    // None is whole: the one that reaches back farthest is the rarest.
    const reach = lists.map((list) => list.at(-1)![0]);
    chosen = reach.indexOf(Math.min(...reach));
    rarest = lists[chosen]!;
    if (words.length === 1 && rarest.length >= most) break;
  }
  return matching(rooms, room, words, chosen, rarest, most);
}

/** Those of `list`, the occurrences of the word at `known`, where the other words stand too; the first `most` of them. */
async function matching(
  rooms: Rooms,
  room: RoomNum,
  words: readonly string[],
  known: number,
  list: readonly Match[],
  most: number,
): Promise<readonly Match[]> {
  const others = words.filter((_, index) => index !== known);
  if (others.length === 0) return list.slice(0, most);
  const found: Match[] = [];
  for (const [index, match] of list.entries()) {
    if (found.length >= most) break;
    if (index % SLICE === SLICE - 1) await new Promise<void>((next) => setImmediate(next));
    if (others.every((word) => rooms.store.has(postings, [room, word, match[0]]))) found.push(match);
  }
  return found;
}
