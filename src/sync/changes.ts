import type { UserId } from '#core/ids.js';
import { accountData } from '#store/schema.js';
import type { Position, RoomNum, Store } from '#store/types.js';
import type { UserView, Views } from '#sync/views.js';

/** Up to so many log entries are walked one by one; for a longer absence each stream is asked for itself. */
const WALK_LIMIT = 4_096;

/**
 * What happened in a span of the log, as far as it can concern one user: names only, the streams read the rest.
 * `undefined` in place of a set says "not known: look at all".
 */
export interface Changes {
  /** Rooms with new events or a new membership of the user. */
  readonly rooms: ReadonlySet<RoomNum> | undefined;
  /** Users whose receipts moved, by room. */
  readonly receipts: ReadonlyMap<RoomNum, ReadonlySet<string>> | undefined;
  readonly unread: ReadonlySet<RoomNum> | undefined;
  /** Types of account data that changed, by room id, "" for global. */
  readonly accountData: ReadonlyMap<string, ReadonlySet<string>>;
  readonly presence: ReadonlySet<string> | undefined;
  readonly deviceLists: ReadonlySet<string> | undefined;
  /** Rooms in which a local user's membership changed, with that user. */
  readonly memberships: ReadonlyMap<RoomNum, ReadonlySet<string>> | undefined;
}

function add<K, V>(map: Map<K, Set<V>>, key: K, value: V): void {
  const set = map.get(key);
  if (set === undefined) map.set(key, new Set([value]));
  else set.add(value);
}

/** Gathers what changed for `view` in (`after`, `upTo`]. Reads nothing from disk after a short absence. */
export async function changesBetween(
  store: Store,
  views: Views,
  view: UserView,
  roomIdOf: (room: RoomNum) => string | undefined,
  after: Position,
  upTo: Position,
): Promise<Changes> {
  const entries = await views.entries(after, upTo, WALK_LIMIT);
  if (entries === undefined) return scanChanges(store, view, after);
  const rooms = new Set<RoomNum>();
  const unread = new Set<RoomNum>();
  const receipts = new Map<RoomNum, Set<string>>();
  const accountDataOf = new Map<string, Set<string>>();
  const presence = new Set<string>();
  const deviceLists = new Set<string>();
  const memberships = new Map<RoomNum, Set<string>>();
  for (const { fact } of entries) {
    switch (fact.kind) {
      case 'event':
        if (view.rooms.has(fact.room)) rooms.add(fact.room);
        break;
      case 'membership':
        if (fact.user === view.user) rooms.add(fact.room);
        add(memberships, fact.room, fact.user);
        break;
      case 'receipt':
        if (!fact.private || fact.user === view.user) add(receipts, fact.room, fact.user);
        break;
      case 'unread':
        if (fact.user === view.user) unread.add(fact.room);
        break;
      case 'accountData':
        if (fact.user === view.user) {
          const roomId = fact.room === undefined ? '' : roomIdOf(fact.room);
          if (roomId !== undefined) add(accountDataOf, roomId, fact.type);
        }
        break;
      case 'presence':
        presence.add(fact.user);
        break;
      case 'deviceList':
        if (fact.only === undefined || fact.only === view.user) deviceLists.add(fact.user);
        break;
      // Typing has a position of its own in memory; to-device messages, key counts and thread subscriptions are
      // read from their tables.
      case 'typing':
      case 'toDevice':
      case 'keyCounts':
      case 'profile':
      case 'threadSubscription':
        break;
    }
  }
  return { rooms, receipts, unread, accountData: accountDataOf, presence, deviceLists, memberships };
}

/** After a long absence: account data is read whole, everything else is left to be looked at room by room. */
async function scanChanges(store: Store, view: UserView, after: Position): Promise<Changes> {
  const accountDataOf = new Map<string, Set<string>>();
  for await (const [[, roomId, type], datum] of store.range(accountData, { prefix: [view.user as UserId] })) {
    if (datum.position > after) add(accountDataOf, roomId, type);
  }
  return {
    rooms: undefined,
    receipts: undefined,
    unread: undefined,
    accountData: accountDataOf,
    presence: undefined,
    deviceLists: undefined,
    memberships: undefined,
  };
}
