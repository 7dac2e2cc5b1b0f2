import { foldCase } from '#core/case-fold.js';
import type { UserId } from '#core/ids.js';
import { type Rooms, roomByNum } from '#rooms/rooms.js';
import { localMembers } from '#rooms/roster.js';
import { summaryOf } from '#rooms/summary.js';
import { rooms as heads, memberships, users as userRows } from '#store/schema.js';
import type { RoomNum, Store } from '#store/types.js';
import { findUser } from '#users/accounts.js';
import { memberProfile } from '#users/profile.js';
import { nextTurn } from '#util/steps.js';

/** Matches up to which each is asked for its rooms. */
const FEW = 100;
/** Rows between two turns of the event loop. */
const SLICE = 500;
const MAX_TERMS = 10;

/** A user as the directory shows them. */
export interface DirectoryUser {
  readonly user_id: UserId;
  readonly display_name?: string;
  readonly avatar_url?: string;
}

/** A user with what they are found by, case folded. */
interface Entry {
  readonly shown: DirectoryUser;
  readonly id: string;
  readonly localpart: string;
  readonly name: string;
}

/**
 * Local users by id and name, in memory: read from the accounts at the first search, and kept up to date by the log.
 * Names are those of the profile: what someone calls themselves in one room is for that room alone.
 */
export class UserDirectory {
  readonly #store: Store;
  readonly #stop: (() => void)[];
  #entries: Map<UserId, Entry> | undefined;
  #loading: Promise<Map<UserId, Entry>> | undefined;

  constructor(store: Store) {
    this.#store = store;
    this.#stop = [
      store.onCommitted((entries) => {
        for (const { fact } of entries) {
          if (fact.kind === 'profile' && this.#entries !== undefined) this.#read(this.#entries, fact.user as UserId);
        }
      }),
      store.onReset(() => {
        this.#entries = undefined;
        this.#loading = undefined;
      }),
    ];
  }

  /** Ends following the log. */
  close(): void {
    for (const stop of this.#stop) stop();
  }

  /** Users whose id or name has every part of `term` in it, whatever the case; the best matches first. */
  async matching(term: string): Promise<DirectoryUser[]> {
    const parts = foldCase(term).split(/\s+/).filter(Boolean).slice(0, MAX_TERMS);
    if (parts.length === 0) return [];
    const whole = foldCase(term).trim();
    const found: { readonly entry: Entry; readonly rank: number }[] = [];
    for (const entry of (await this.#all()).values()) {
      if (parts.every((part) => contains(entry, part))) found.push({ entry, rank: rankOf(entry, whole) });
    }
    found.sort((a, b) => b.rank - a.rank || (a.entry.id < b.entry.id ? -1 : 1));
    return found.map(({ entry }) => entry.shown);
  }

  async #all(): Promise<Map<UserId, Entry>> {
    if (this.#loading === undefined && this.#entries !== undefined) return this.#entries;
    this.#loading ??= this.#load();
    return await this.#loading;
  }

  async #load(): Promise<Map<UserId, Entry>> {
    // Set before the rows are read: what changes meanwhile is read again by its fact.
    const entries = new Map<UserId, Entry>();
    this.#entries = entries;
    let read = 0;
    try {
      for await (const [[user]] of this.#store.range(userRows)) {
        if (++read % SLICE === 0) await nextTurn();
        this.#read(entries, user as UserId);
      }
    } catch (error) {
      this.#entries = undefined;
      throw error;
    } finally {
      this.#loading = undefined;
    }
    return entries;
  }

  #read(entries: Map<UserId, Entry>, user: UserId): void {
    const row = findUser(this.#store, user);
    if (row === undefined || row.guest || row.deactivated) {
      entries.delete(user);
      return;
    }
    const { displayname, avatar_url } = memberProfile(this.#store, user);
    const id = foldCase(user);
    entries.set(user, {
      shown: {
        user_id: user,
        ...(displayname === undefined ? {} : { display_name: displayname }),
        ...(avatar_url === undefined ? {} : { avatar_url }),
      },
      id,
      localpart: id.slice(1, id.indexOf(':')),
      name: foldCase(displayname ?? ''),
    });
  }
}

/** The server's name is in every id, so that it counts only where an id is meant. */
function contains({ id, localpart, name }: Entry, part: string): boolean {
  if (name.includes(part)) return true;
  return part.startsWith('@') || part.includes(':') ? id.includes(part) : localpart.includes(part);
}

/** Whole ids and names before beginnings, beginnings before beginnings of words, and these before anything else. */
function rankOf({ id, localpart, name, shown }: Entry, whole: string): number {
  const profile = shown.display_name === undefined ? 0 : shown.avatar_url === undefined ? 0.1 : 0.2;
  if (id === whole || localpart === whole || name === whole) return 3 + profile;
  if (id.startsWith(whole) || localpart.startsWith(whole) || name.startsWith(whole)) return 2 + profile;
  return (name.includes(` ${whole}`) ? 1 : 0) + profile;
}

/**
 * Searches the user directory (client-server API, User directory): other local users who share a room with `searcher`, or
 * are in a room that anyone may join or read. `limited` where there are more than `limit`.
 */
export async function searchUsers(
  rooms: Rooms,
  directory: UserDirectory,
  searcher: UserId,
  term: string,
  limit: number,
): Promise<{ readonly results: readonly DirectoryUser[]; readonly limited: boolean }> {
  const matches = await directory.matching(term);
  const own = new Set<RoomNum>();
  for await (const room of joinedRooms(rooms.store, searcher)) own.add(room);
  const open = new Map<RoomNum, boolean>();
  const isOpen = (num: RoomNum): boolean => {
    let known = open.get(num);
    if (known === undefined) {
      const summary = summaryOf(rooms, roomByNum(rooms.store, num));
      known = summary.join_rule === 'public' || summary.world_readable;
      open.set(num, known);
    }
    return known;
  };
  const fits = (room: RoomNum): boolean => own.has(room) || isOpen(room);
  const known = matches.length > FEW ? await membersOfRooms(rooms, fits) : undefined;
  const results: DirectoryUser[] = [];
  for (const match of matches) {
    const { user_id: user } = match;
    if (user === searcher || known?.has(user) === false || findUser(rooms.store, user)?.deactivated) continue;
    if (known === undefined && !(await isInAny(rooms.store, user, fits))) continue;
    if (results.length >= limit) return { results, limited: true };
    results.push(match);
  }
  return { results, limited: false };
}

/** Local users joined to rooms that fit: for many matches cheaper than to ask for each of them. */
async function membersOfRooms(rooms: Rooms, fits: (room: RoomNum) => boolean): Promise<ReadonlySet<string>> {
  const users = new Set<string>();
  let looked = 0;
  for await (const [[room], head] of rooms.store.range(heads)) {
    if (++looked % SLICE === 0) await nextTurn();
    if (head.joined === 0 || !fits(room)) continue;
    for (const user of localMembers(rooms.store, room)) users.add(user);
  }
  return users;
}

async function isInAny(store: Store, user: UserId, fits: (room: RoomNum) => boolean): Promise<boolean> {
  for await (const room of joinedRooms(store, user)) if (fits(room)) return true;
  return false;
}

async function* joinedRooms(store: Store, user: string): AsyncGenerator<RoomNum> {
  for await (const [[, room], row] of store.range(memberships, { prefix: [user] })) {
    if (row.membership === 'join') yield room;
  }
}
