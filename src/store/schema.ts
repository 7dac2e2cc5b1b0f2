import type { DeviceId, EventId, RoomId, UserId } from '#core/ids.js';
import type { JsonObject, JsonValue } from '#core/json-value.js';
import { eventRow, type StoredEvent } from '#store/event-row.js';
import {
  bytes,
  immutableJson,
  integer,
  json,
  type KeyPart,
  type Keyspace,
  latin1,
  presence,
  text,
  type ValueCodec,
} from '#store/keyspace.js';
import type { EventNum, Fact, Order, Position, RoomNum, StateRoot } from '#store/types.js';

/**
 * The catalogue: every kind of row on disk, one entry each. docs/STORE.md is made from it, `tidy` checks that only the
 * declared writer puts rows, and `runnel check` walks it. Numbers are for ever: a keyspace that goes leaves a gap.
 */
const catalogue: Keyspace<readonly KeyPart[], unknown>[] = [];

function keyspace<K extends readonly KeyPart[], V>(
  id: number,
  name: string,
  keyParts: readonly string[],
  value: ValueCodec<V>,
  about: Pick<Keyspace<K, V>, 'purpose' | 'writer' | 'derivedFrom' | 'cacheBytes' | 'held'>,
): Keyspace<K, V> {
  const made: Keyspace<K, V> = { id, name, keyParts, value, ...about };
  catalogue.push(made as unknown as Keyspace<readonly KeyPart[], unknown>);
  return made;
}

/** Every keyspace there is, in order of id. */
export const KEYSPACES: readonly Keyspace<readonly KeyPart[], unknown>[] = catalogue;

// ---- 1 … 9: the store itself -------------------------------------------------------------------------------------

/** Keys: `format`, `server_name`, `signing_key`, `positions`, `created_ts`, `migration` … */
export const meta = keyspace<[name: string], JsonValue>(1, 'meta', ['name'], json(), {
  purpose: 'What this database is: format version, server name, fingerprint of the signing key, reserved positions.',
  writer: 'store/db.ts',
});
export const journal = keyspace<[sequence: number], { check: number; bytes: number; content: number }>(
  2,
  'journal',
  ['sequence'],
  json(),
  {
    purpose: 'One row a physical batch with a running check, so that a batch lost inside the log is noticed on open.',
    writer: 'store/commit.ts',
  },
);
export const log = keyspace<[position: Position], Fact>(3, 'log', ['position'], immutableJson(), {
  purpose: 'The one log: what happened, in order. A fact that a newer one replaces is taken out.',
  writer: 'store/transaction.ts',
  // The newest few, which every sync that they wake asks for.
  cacheBytes: 1 << 16,
});

// ---- 10 … 39: rooms -----------------------------------------------------------------------------------------------

export const roomNums = keyspace<[room: RoomId], RoomNum>(10, 'roomNums', ['roomId'], integer, {
  purpose: 'Small number of a room, which keys use in place of its id.',
  writer: 'rooms/append.ts',
  cacheBytes: 1 << 18,
});
export interface RoomHead {
  readonly id: RoomId;
  readonly version: string;
  /** Events without known children: the parents of the next local event. Never empty. */
  readonly extremities: readonly EventId[];
  /** Room state after all extremities. */
  readonly state: StateRoot;
  /** Largest depth known. */
  readonly depth: number;
  /** Position of the newest event. */
  readonly tip: Position;
  /** Current members by membership, all servers. */
  readonly joined: number;
  readonly invited: number;
  /** Order of the oldest event held; backfilled events go below it. */
  readonly oldest: Order;
}
export const rooms = keyspace<[room: RoomNum], RoomHead>(11, 'rooms', ['roomNum'], immutableJson(), {
  purpose: 'Head of a room: version, forward extremities, current state, tip.',
  writer: 'rooms/append.ts',
  cacheBytes: 1 << 21,
});
/**
 * Value layout is `store/event-row.ts`'s own: a small header and the canonical bytes of the PDU.
 */
export const events = keyspace<[num: EventNum], StoredEvent>(12, 'events', ['num'], eventRow, {
  purpose: 'Every event held, whole, with its outcome, its place and the room state before and after it.',
  writer: 'store/events.ts',
  // Parsed events take some four times the bytes counted here.
  cacheBytes: 1 << 21,
});
export const eventNums = keyspace<[event: EventId], EventNum>(13, 'eventNums', ['eventId'], integer, {
  purpose: 'Number of an event by its id.',
  writer: 'store/events.ts',
  derivedFrom: 'events',
  cacheBytes: 1 << 19,
});
export const timeline = keyspace<[room: RoomNum, order: Order], EventNum>(
  14,
  'timeline',
  ['roomNum', 'order'],
  integer,
  {
    purpose: 'Accepted events of a room in the order that clients page through.',
    writer: 'store/events.ts',
    derivedFrom: 'events',
    // A page of a sync, of the rooms that something happens in: for certain of 1,500 with nine events each.
    held: { rows: 24, bytes: 4 << 20, whole: false },
  },
);
export const stateNodes = keyspace<[node: number], Buffer>(15, 'stateNodes', ['node'], bytes, {
  purpose: 'Nodes of the persistent trees that hold room states; snapshots share all nodes that are equal.',
  writer: 'store/state.ts',
});
export const stateKeyNums = keyspace<[type: string, stateKey: string], number>(
  16,
  'stateKeyNums',
  ['type', 'stateKey'],
  integer,
  {
    purpose: 'Small number of a (type, state_key), which tree nodes use.',
    writer: 'store/state.ts',
    cacheBytes: 1 << 19,
  },
);
export const stateKeys = keyspace<[num: number], [type: string, stateKey: string]>(17, 'stateKeys', ['num'], json(), {
  purpose: 'The (type, state_key) that a small number stands for.',
  writer: 'store/state.ts',
  derivedFrom: 'stateKeyNums',
  cacheBytes: 1 << 19,
});
export interface Member {
  readonly membership: 'join' | 'invite' | 'knock' | 'leave' | 'ban';
  /** The member event; 0 where it is not held here. */
  readonly event: EventNum;
  readonly displayname?: string;
  readonly avatarUrl?: string;
}
export const members = keyspace<[room: RoomNum, user: string], Member>(18, 'members', ['roomNum', 'userId'], json(), {
  purpose: 'Membership now of every user that a room has a member event for.',
  writer: 'store/members.ts',
  derivedFrom: 'rooms, events',
  cacheBytes: 1 << 18,
  held: { rows: 100, bytes: 1 << 20, whole: true },
});
export interface Membership {
  readonly membership: Member['membership'];
  /** Where in the log it became so: what a sync from before it must tell. */
  readonly position: Position;
  readonly event: EventNum;
  /** The membership before this one, for room sections of sync. */
  readonly previous?: Member['membership'];
  /** The user forgot the room: it is in no list, and its history is closed. */
  readonly forgotten?: true;
  /** Stripped state that came with an invite or was gathered for a knock (client-server API, Stripped state). */
  readonly stripped?: readonly JsonObject[];
}
export const memberships = keyspace<[user: string, room: RoomNum], Membership>(
  19,
  'memberships',
  ['userId', 'roomNum'],
  json(),
  {
    purpose: "A local user's membership in each room, with its position in the log.",
    writer: 'store/members.ts',
    derivedFrom: 'rooms, events',
    // Each initial sync asks for all of a user's: some 220 bytes a room.
    cacheBytes: 1 << 20,
  },
);
export const redactions = keyspace<[event: EventId], EventId>(
  20,
  'redactions',
  ['eventId'],
  text as ValueCodec<EventId>,
  {
    purpose: 'The redaction that took effect on an event.',
    writer: 'rooms/redactions.ts',
    derivedFrom: 'events',
    // Of what is new it is known that nothing has redacted it.
    cacheBytes: 1 << 17,
  },
);
export interface Relation {
  readonly event: EventNum;
  readonly relType: string;
  readonly type: string;
  readonly sender: string;
}
export const relations = keyspace<[parent: EventId, order: Order], Relation>(
  21,
  'relations',
  ['parentEventId', 'order'],
  json(),
  { purpose: 'Events that relate to an event by m.relates_to.', writer: 'rooms/relations.ts', derivedFrom: 'events' },
);
export interface AliasTarget {
  readonly roomId: RoomId;
  readonly creator: string;
}
export const aliases = keyspace<[alias: string], AliasTarget>(23, 'aliases', ['alias'], json(), {
  purpose: 'Room that a local alias points at.',
  writer: 'rooms/directory.ts',
});
export const roomAliases = keyspace<[room: string, alias: string], true>(
  24,
  'roomAliases',
  ['roomId', 'alias'],
  presence,
  { purpose: 'Local aliases of a room.', writer: 'rooms/directory.ts', derivedFrom: 'aliases' },
);
export const published = keyspace<[room: string], { readonly since: number }>(25, 'published', ['roomId'], json(), {
  purpose: 'Rooms listed in the public directory.',
  writer: 'rooms/directory.ts',
});
export interface Receipt {
  readonly eventId: EventId;
  /** Milliseconds since the epoch. */
  readonly ts: number;
  readonly position: Position;
  /** Order in the timeline of the event read; receipts never move back. */
  readonly order: Order;
}
export const receipts = keyspace<[room: RoomNum, type: string, user: string, thread: string], Receipt>(
  26,
  'receipts',
  ['roomNum', 'type', 'userId', 'thread'],
  json(),
  {
    purpose: 'Newest receipt of a user in a room by type and thread ("" unthreaded, "main", or the root event id).',
    writer: 'rooms/ephemeral.ts',
    held: { rows: 100, bytes: 1 << 20, whole: true },
  },
);
export const timestamps = keyspace<[room: RoomNum, ts: number, order: Order], EventNum>(
  27,
  'timestamps',
  ['roomNum', 'ts', 'order'],
  integer,
  {
    purpose: 'Events of a room by origin_server_ts, to jump to a date.',
    writer: 'store/events.ts',
    derivedFrom: 'events',
  },
);

export const awaitedRedactions = keyspace<[event: EventId], readonly EventId[]>(
  31,
  'awaitedRedactions',
  ['eventId'],
  json(),
  {
    purpose: 'Redactions that came before the event they redact.',
    writer: 'rooms/redactions.ts',
    derivedFrom: 'events',
  },
);
export interface Echo {
  readonly device?: string;
  readonly txnId?: string;
  /** It was a delayed event (MSC4140). */
  readonly delayId?: string;
}
export const echoes = keyspace<[num: EventNum], Echo>(29, 'echoes', ['num'], json(), {
  purpose: 'Device and transaction id, or delay id, that sent an event, so that whoever sent it knows its echo.',
  writer: 'rooms/append.ts',
});

export const annotations = keyspace<[parent: EventId, sender: string, type: string, key: string], EventNum>(
  30,
  'annotations',
  ['parentEventId', 'sender', 'type', 'key'],
  integer,
  {
    purpose: 'Annotations (reactions) by who made them with what, so that none is made twice.',
    writer: 'rooms/relations.ts',
    derivedFrom: 'events',
  },
);

export const rosters = keyspace<[room: RoomNum, chunk: number], readonly string[]>(
  28,
  'rosters',
  ['roomNum', 'chunk'],
  json(),
  {
    purpose: 'Local users joined to a room, in small chunks that a transaction can read one by one.',
    writer: 'rooms/roster.ts',
    derivedFrom: 'members',
    cacheBytes: 1 << 20,
  },
);

/** A place in the chain cover of a room's auth events: see core/state/auth-index.ts. */
export interface ChainPlaceRow {
  readonly chain: number;
  readonly sequence: number;
}
export const authPlaces = keyspace<[event: EventId], ChainPlaceRow>(32, 'authPlaces', ['eventId'], json(), {
  purpose: 'Place of a state event in the chain cover of its room, which state resolution asks.',
  writer: 'rooms/auth-index.ts',
  derivedFrom: 'events',
});
export const authChains = keyspace<[chain: number], { type: string; state_key: string; length: number }>(
  33,
  'authChains',
  ['chain'],
  json(),
  {
    purpose: 'A chain of the cover: events of one (type, state_key), each citing the one below.',
    writer: 'rooms/auth-index.ts',
    derivedFrom: 'events',
  },
);
export interface ChainNodeRow {
  readonly event: EventId;
  readonly links: readonly ChainPlaceRow[];
  readonly linksBelow: number;
  readonly citations: number;
}
export const authNodes = keyspace<[chain: number, sequence: number], ChainNodeRow>(
  34,
  'authNodes',
  ['chain', 'sequence'],
  json(),
  {
    purpose: 'What stands at a place of the chain cover, and what it cites on other chains.',
    writer: 'rooms/auth-index.ts',
    derivedFrom: 'events',
  },
);
export const authCitations = keyspace<[chain: number, sequence: number, n: number], ChainPlaceRow>(
  35,
  'authCitations',
  ['chain', 'sequence', 'n'],
  json(),
  {
    purpose: 'Which places cite a place of the chain cover.',
    writer: 'rooms/auth-index.ts',
    derivedFrom: 'events',
  },
);

/** Fixed-width entries, oldest event first; `store/sent-transactions.ts` reads and writes them. */
export const sentTransactions = keyspace<[user: string, device: string, bucket: number], string>(
  36,
  'sentTransactions',
  ['userId', 'deviceId', 'bucket'],
  latin1,
  {
    purpose:
      'The events that the newest transaction ids of a device made, so that a repeated request makes no second one.',
    writer: 'store/sent-transactions.ts',
    cacheBytes: 1 << 18,
  },
);

// ---- 40 … 59: people ----------------------------------------------------------------------------------------------

export interface User {
  /** Argon2id in PHC form; absent where the account has no password. */
  readonly passwordHash?: string;
  /** Milliseconds since the epoch. */
  readonly createdTs: number;
  readonly admin?: true;
  readonly guest?: true;
  readonly deactivated?: true;
  readonly erased?: true;
  /** Where in the log the account was erased: who joined a room later is not shown what the user said. */
  readonly erasedAt?: Position;
  readonly locked?: true;
  readonly suspended?: true;
  readonly appservice?: string;
  /** Versions of the terms that the user agreed to when registering, by id. */
  readonly terms?: Readonly<Record<string, string>>;
}
export const users = keyspace<[user: string], User>(40, 'users', ['userId'], json(), {
  purpose: 'Local accounts, deactivated ones included: a name is never given out twice.',
  writer: 'users/accounts.ts',
  cacheBytes: 1 << 19,
});
export interface Device {
  readonly displayName?: string;
  /** Milliseconds since the epoch. */
  readonly createdTs: number;
  readonly lastSeenTs?: number;
  readonly lastSeenIp?: string;
  readonly userAgent?: string;
  /** Where in the log it was made: what lies before that in its inbox was for a deleted device of the same id. */
  readonly position?: Position;
}
export const devices = keyspace<[user: string, device: string], Device>(41, 'devices', ['userId', 'deviceId'], json(), {
  purpose: 'Devices of a user.',
  writer: 'users/devices.ts',
});
export interface AccessToken {
  readonly user: UserId;
  readonly device: DeviceId;
  /** Milliseconds since the epoch; absent for tokens that do not expire. */
  readonly expiresTs?: number;
  /** Hash of the refresh token of the same pair. */
  readonly refresh?: string;
  /** Hash of the refresh token that made this pair, until the pair is first used: that token is then spent. */
  readonly replaces?: string;
}
export const accessTokens = keyspace<[hash: string], AccessToken>(42, 'accessTokens', ['sha256'], json(), {
  purpose: 'Sessions by the hash of their access token; tokens themselves are never stored.',
  writer: 'users/tokens.ts',
  cacheBytes: 1 << 20,
});
export interface RefreshToken {
  readonly user: UserId;
  readonly device: DeviceId;
  /** Hash of the access token made with it. */
  readonly access: string;
  /** Replaced by a pair that is in use: whoever shows it again has stolen it, or was stolen from. */
  readonly spent?: true;
}
export const refreshTokens = keyspace<[hash: string], RefreshToken>(43, 'refreshTokens', ['sha256'], json(), {
  purpose: 'Refresh tokens by hash; the last spent ones of a device are kept, to notice when one is shown again.',
  writer: 'users/tokens.ts',
});
export interface DeviceTokens {
  /** Hashes of access tokens, of live refresh tokens, and of spent refresh tokens; each oldest first, and few. */
  readonly access: readonly string[];
  readonly refresh: readonly string[];
  readonly spent: readonly string[];
}
export const deviceTokens = keyspace<[user: string, device: string], DeviceTokens>(
  44,
  'deviceTokens',
  ['userId', 'deviceId'],
  json(),
  {
    purpose: 'Tokens of a device in one row, so that one transaction revokes them all.',
    writer: 'users/tokens.ts',
    derivedFrom: 'accessTokens, refreshTokens',
  },
);
export interface LoginToken {
  readonly user: UserId;
  readonly expiresTs: number;
}
export const loginTokens = keyspace<[hash: string], LoginToken>(45, 'loginTokens', ['sha256'], json(), {
  purpose: 'One-time tokens for m.login.token.',
  writer: 'users/sessions.ts',
});
export interface RegistrationToken {
  /** How often it may be used in all, uses under way (`pending`) included; absent for unlimited. */
  readonly usesAllowed?: number;
  readonly pending: number;
  readonly completed: number;
  readonly expiresTs?: number;
  readonly createdTs: number;
  /** The account made with it becomes an administrator (the first start's token). */
  readonly admin?: true;
}
export const registrationTokens = keyspace<[token: string], RegistrationToken>(
  46,
  'registrationTokens',
  ['token'],
  json(),
  { purpose: 'Registration tokens with their uses and expiry.', writer: 'users/registration-tokens.ts' },
);
export interface UiaSession {
  readonly createdTs: number;
  /** Bound to the user (absent when registering), the request and the hash of its body without `auth`. */
  readonly user?: string;
  readonly method: string;
  readonly path: string;
  readonly bodyHash: string;
  readonly completed: readonly string[];
  /** Registration token that the session holds one pending use of. */
  readonly token?: string;
}
export const uiaSessions = keyspace<[id: string], UiaSession>(47, 'uiaSessions', ['session'], json(), {
  purpose: 'User-interactive authentication under way; holds no secret of the request.',
  writer: 'users/uia.ts',
});
export const profiles = keyspace<[user: string, field: string], JsonValue>(
  48,
  'profiles',
  ['userId', 'field'],
  json(),
  {
    purpose: 'Profile fields of local users, displayname and avatar_url among them.',
    writer: 'users/profile.ts',
  },
);
export interface AccountDatum {
  readonly content: JsonObject;
  readonly position: Position;
}
export const accountData = keyspace<[user: string, room: string, type: string], AccountDatum>(
  49,
  'accountData',
  ['userId', 'roomId', 'type'],
  json(),
  {
    purpose: 'Account data, global where roomId is "" and of a room otherwise; tags, push rules and read markers too.',
    writer: 'users/account-data.ts',
    cacheBytes: 1 << 18,
  },
);
export const filters = keyspace<[user: string, id: string], JsonObject>(50, 'filters', ['userId', 'filterId'], json(), {
  purpose: 'Stored sync filters; the id is made from the content, so a filter stored twice has one id.',
  writer: 'users/filters.ts',
});
export interface PresenceState {
  readonly presence: 'online' | 'offline' | 'unavailable' | 'busy';
  readonly statusMsg?: string;
  readonly lastActiveTs: number;
}
export const presences = keyspace<[user: string], PresenceState>(51, 'presences', ['userId'], json(), {
  purpose: 'What a local user last said of their presence.',
  writer: 'users/presence.ts',
});
export interface ToDeviceMessage {
  readonly type: string;
  readonly sender: string;
  readonly content: JsonObject;
}
export const toDevice = keyspace<[user: string, device: string, position: Position], ToDeviceMessage>(
  52,
  'toDevice',
  ['userId', 'deviceId', 'position'],
  json(),
  {
    purpose: 'Inbox of a device: messages stay until a sync with a later token acknowledges them.',
    writer: 'users/to-device.ts',
  },
);
export const deviceLists = keyspace<[user: string], Position>(53, 'deviceLists', ['userId'], integer, {
  purpose: "Where in the log a user's devices or keys last changed.",
  writer: 'users/device-lists.ts',
});
export const reports = keyspace<[position: Position], JsonObject>(54, 'reports', ['position'], json(), {
  purpose: 'What users reported to the administrators.',
  writer: 'users/reports.ts',
});

export interface UserTask {
  /** Tells one request from the next of the same kind. */
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly sinceTs: number;
}
export const userTasks = keyspace<[user: string, task: 'deactivate' | 'profile'], UserTask>(
  55,
  'userTasks',
  ['userId', 'task'],
  json(),
  {
    purpose: 'Work on many rooms for one user that is under way: leaving them all, or showing a changed profile.',
    writer: 'users/tasks.ts',
  },
);
export const toDeviceTxns = keyspace<[user: string, device: string], readonly string[]>(
  56,
  'toDeviceTxns',
  ['userId', 'deviceId'],
  json(),
  {
    purpose: 'Short hashes of the newest sendToDevice transactions of a device, so that a repeat sends nothing twice.',
    writer: 'users/to-device.ts',
  },
);

export interface FirstToken {
  /** The token; absent once there was an account, however it was made. */
  readonly token?: string;
}
export const firstTokens = keyspace<[], FirstToken>(57, 'firstTokens', [], json(), {
  purpose: 'One row: the one-time registration token of the first start, or that its time is over.',
  writer: 'users/registration-tokens.ts',
});

// ---- 60 … 69: unread counts ---------------------------------------------------------------------------------------

export interface Notice {
  readonly highlight?: true;
  /** Thread root event id, or "main". */
  readonly thread: string;
}
export const notices = keyspace<[user: string, room: RoomNum, order: Order], Notice>(
  60,
  'notices',
  ['userId', 'roomNum', 'order'],
  json(),
  {
    purpose: 'Unread events that notify a user, until a receipt passes them.',
    writer: 'sync/unread.ts',
    derivedFrom: 'events',
  },
);
export interface UnreadCounts {
  /** By thread ("main" included): notifying and highlighting events not read yet. */
  readonly threads: Readonly<Record<string, { readonly notify: number; readonly highlight: number }>>;
  readonly position: Position;
  /** Where the user came into the room: notices before it belong to an earlier stay and count for nothing. */
  readonly from: Order;
}
export const unread = keyspace<[user: string, room: RoomNum], UnreadCounts>(
  61,
  'unread',
  ['userId', 'roomNum'],
  immutableJson(),
  {
    purpose: 'Sums over notices, so that a sync reads one row a room.',
    writer: 'sync/unread.ts',
    derivedFrom: 'notices',
    cacheBytes: 1 << 19,
  },
);

// ---- 90 … 109: finding things -------------------------------------------------------------------------------------

/** Children of one kind, by their orders in the timeline. */
export interface Chain {
  readonly count: number;
  readonly first: Order;
  readonly last: Order;
}
export interface Aggregate {
  readonly room: RoomNum;
  readonly chains: { readonly [K in 'm.replace' | 'm.reference' | 'm.thread']?: Chain };
}
export const aggregates = keyspace<[parent: EventId], Aggregate>(90, 'aggregates', ['parentEventId'], json(), {
  purpose: 'What bundled relations an event has: how many of each kind, and where their chains begin and end.',
  writer: 'rooms/bundles.ts',
  derivedFrom: 'relations',
  cacheBytes: 1 << 18,
});
export interface ChainLink {
  readonly event: EventNum;
  readonly before?: Order;
  readonly after?: Order;
}
export const bundled = keyspace<[parent: EventId, relType: string, order: Order], ChainLink>(
  91,
  'bundled',
  ['parentEventId', 'relType', 'order'],
  json(),
  {
    purpose: 'An edit, reference or thread reply of an event, with its neighbours of the same kind.',
    writer: 'rooms/bundles.ts',
    derivedFrom: 'relations',
  },
);
export const threadSenders = keyspace<[root: EventId, user: string], number>(
  92,
  'threadSenders',
  ['rootEventId', 'userId'],
  integer,
  { purpose: 'How many replies a user has in a thread.', writer: 'rooms/bundles.ts', derivedFrom: 'relations' },
);
export const threadOrders = keyspace<[room: RoomNum, order: Order], EventId>(
  93,
  'threadOrders',
  ['roomNum', 'order'],
  text as ValueCodec<EventId>,
  { purpose: 'Threads of a room by their newest reply.', writer: 'rooms/bundles.ts', derivedFrom: 'relations' },
);
export const spaceChildren = keyspace<[room: RoomNum, child: string], EventNum>(
  94,
  'spaceChildren',
  ['roomNum', 'childRoomId'],
  integer,
  {
    purpose: 'm.space.child events of the current state of a room.',
    writer: 'rooms/space-children.ts',
    derivedFrom: 'rooms, events',
  },
);
export const postings = keyspace<[room: RoomNum, word: string, order: Order], EventNum>(
  95,
  'postings',
  ['roomNum', 'word', 'order'],
  integer,
  {
    purpose: 'Words of messages, room names and topics, for search; those of redacted events are gone.',
    writer: 'rooms/search-index.ts',
    derivedFrom: 'events, redactions',
  },
);
export interface ReadNotice {
  readonly room: RoomNum;
  readonly order: Order;
  readonly highlight?: true;
}
export const readNotices = keyspace<[user: string, chunk: number], readonly ReadNotice[]>(
  96,
  'readNotices',
  ['userId', 'chunk'],
  json(),
  {
    purpose: 'Events that notified a user and that they have read since, the newest few hundred, in small chunks.',
    writer: 'sync/notifications.ts',
  },
);
export const readNoticeHeads = keyspace<[user: string], number>(97, 'readNoticeHeads', ['userId'], integer, {
  purpose: "Newest chunk of a user's read notices.",
  writer: 'sync/notifications.ts',
  derivedFrom: 'readNotices',
});

// ---- 110 … 119: media ---------------------------------------------------------------------------------------------

export interface MediaRow {
  /** Local user who uploaded it; absent for what the server itself fetched for a link preview. */
  readonly uploader?: UserId;
  /** Milliseconds since the epoch. */
  readonly createdTs: number;
  /** When it was last asked for, to within a day. */
  readonly accessedTs: number;
  /** What is there; absent while an asynchronous upload has yet to come. */
  readonly content?: { readonly sha256: string; readonly size: number };
  readonly contentType: string;
  readonly filename?: string;
  /** Until when an asynchronous upload may come. */
  readonly expiresTs?: number;
  /** Uploaded while the unauthenticated endpoints were open: they go on serving it. */
  readonly open?: true;
}
export const media = keyspace<[origin: string, id: string], MediaRow>(110, 'media', ['origin', 'mediaId'], json(), {
  purpose: 'What an mxc:// URI stands for.',
  writer: 'media/rows.ts',
  cacheBytes: 1 << 18,
});
export interface StoredThumbnail {
  /** Width, height, method and whether animated: the tail of its file's name. */
  readonly variant: string;
  readonly contentType: string;
  readonly size: number;
}
export interface MediaContent {
  readonly size: number;
  /** Rows of `media` with this content: the file goes with the last one. */
  readonly references: number;
  readonly thumbnails: readonly StoredThumbnail[];
  /** An administrator withdrew it: nobody gets it, under whichever URI. */
  readonly quarantined?: true;
}
export const mediaContents = keyspace<[sha256: string], MediaContent>(111, 'mediaContents', ['sha256'], json(), {
  purpose: 'Files in the media directory, by SHA-256 of what is in them, with the thumbnails that lie beside.',
  writer: 'media/rows.ts',
});
export interface MediaUsage {
  readonly bytes: number;
  readonly files: number;
  /** Asynchronous uploads that have yet to come. */
  readonly pending: readonly { readonly id: string; readonly expiresTs: number }[];
}
export const mediaUsage = keyspace<[user: string], MediaUsage>(112, 'mediaUsage', ['userId'], json(), {
  purpose: 'What a user has uploaded in sum, for quotas; "" stands for link previews.',
  writer: 'media/rows.ts',
  derivedFrom: 'media',
});
export interface PreviewRow {
  readonly url: string;
  /** Milliseconds since the epoch. */
  readonly fetchedTs: number;
  /** Open Graph properties; absent where the page could not be had. */
  readonly properties?: JsonObject;
}
export const urlPreviews = keyspace<[digest: string], PreviewRow>(113, 'urlPreviews', ['sha256'], json(), {
  purpose: 'Link previews made lately, by hash of the URL, failures included.',
  writer: 'media/preview-cache.ts',
});

// ---- 120 … 139: what today's clients use beyond the specification, and moderation -----------------------------------

export interface ThreadSubscription {
  readonly state: 'automatic' | 'manual' | 'unsubscribed';
  /** Where in the log it became so. */
  readonly position: Position;
}
export const threadSubscriptions = keyspace<[user: string, room: RoomNum, root: EventId], ThreadSubscription>(
  120,
  'threadSubscriptions',
  ['userId', 'roomNum', 'rootEventId'],
  json(),
  {
    purpose: 'Threads that a user subscribed to or unsubscribed from (MSC4306).',
    writer: 'users/thread-subscriptions.ts',
  },
);
export const threadSubscriptionLog = keyspace<
  [user: string, position: Position],
  { readonly room: RoomNum; readonly root: EventId }
>(121, 'threadSubscriptionLog', ['userId', 'position'], json(), {
  purpose: 'Thread subscriptions of a user in the order of their last change.',
  writer: 'users/thread-subscriptions.ts',
  derivedFrom: 'threadSubscriptions',
});
export const threadSubscribers = keyspace<[user: string], number>(122, 'threadSubscribers', ['userId'], integer, {
  purpose: 'How many threads a user has a subscription row for: whether they use thread subscriptions at all.',
  writer: 'users/thread-subscriptions.ts',
  derivedFrom: 'threadSubscriptions',
  cacheBytes: 1 << 16,
});

// ---- 140 … 149: sliding sync --------------------------------------------------------------------------------------

export interface SlidingConnection {
  /** Names this life of the connection: tokens of an earlier one are unknown. */
  readonly generation: string;
  /** Number of the newest answer. */
  readonly counter: number;
  /** Where in the log the answer before the newest one reached, and the newest one. */
  readonly positions: readonly [before: Position, newest: Position];
  /** Milliseconds since the epoch. */
  readonly usedTs: number;
}
export const slidingConnections = keyspace<[user: string, device: string], Readonly<Record<string, SlidingConnection>>>(
  140,
  'slidingConnections',
  ['userId', 'deviceId'],
  json(),
  {
    purpose: "A device's sliding sync connections by name.",
    writer: 'sync/sliding/connection.ts',
  },
);
/** What was sent of a room, and by which answer. */
export interface SlidingSent {
  readonly at: number;
  readonly upTo: Position;
  readonly timelineLimit: number;
  /** Short hash of the state that was asked for. */
  readonly state: string;
  /** What stood before that answer, for as long as the client may not have received it. */
  readonly before?: Omit<SlidingSent, 'before'>;
}
export const slidingRooms = keyspace<
  [user: string, device: string, connection: string, bucket: number],
  { readonly generation: string; readonly rooms: Readonly<Record<string, SlidingSent>> }
>(141, 'slidingRooms', ['userId', 'deviceId', 'connection', 'bucket'], json(), {
  purpose: 'What a sliding sync connection was sent of each room, in buckets of rooms.',
  writer: 'sync/sliding/connection.ts',
});

export interface DelayedEvent {
  readonly user: UserId;
  readonly room: RoomId;
  readonly type: string;
  readonly stateKey?: string;
  readonly redacts?: EventId;
  /** Canonical JSON, in which numbers keep their form. */
  readonly content: string;
  readonly delayMs: number;
  /** When it was scheduled or last restarted, in milliseconds since the epoch. */
  readonly scheduledTs: number;
  /** `origin_server_ts` that it is to have. */
  readonly ts?: number;
  readonly txn?: { readonly device: string; readonly path: string; readonly id: string };
  /** Absent while it is scheduled. With neither an event nor an error it was cancelled. */
  readonly outcome?: {
    readonly ts: number;
    readonly event?: EventId;
    readonly error?: { readonly errcode: string; readonly error: string };
  };
}
export const delayedEvents = keyspace<[id: string], DelayedEvent>(123, 'delayedEvents', ['delayId'], json(), {
  purpose: 'Events to be sent later (MSC4140), and for a week those that were sent, cancelled or refused.',
  writer: 'users/delayed-events.ts',
});
export const delayedDue = keyspace<[ts: number, id: string], true>(124, 'delayedDue', ['ts', 'delayId'], presence, {
  purpose: 'When delayed events are due, and when those that are over may be forgotten.',
  writer: 'users/delayed-events.ts',
  derivedFrom: 'delayedEvents',
});
export const delayedOf = keyspace<[user: string, id: string], true>(125, 'delayedOf', ['userId', 'delayId'], presence, {
  purpose: 'Delayed events of a user.',
  writer: 'users/delayed-events.ts',
  derivedFrom: 'delayedEvents',
});
export const delayedTxns = keyspace<[user: string, device: string, path: string, txn: string], string>(
  126,
  'delayedTxns',
  ['userId', 'deviceId', 'path', 'txnId'],
  text,
  {
    purpose: "The delayed event that a device's transaction id made on a path, as long as its row is held.",
    writer: 'users/delayed-events.ts',
    derivedFrom: 'delayedEvents',
  },
);
/** How many of a user's delayed events are scheduled. */
export const delayedCounts = keyspace<[user: string], number>(127, 'delayedCounts', ['userId'], integer, {
  purpose: 'How many delayed events of a user are scheduled, for the limit on them.',
  writer: 'users/delayed-events.ts',
  derivedFrom: 'delayedEvents',
});

// ---- 70 … 79: end-to-end encryption ---------------------------------------------------------------------------------

export const deviceKeys = keyspace<[user: string, device: string], JsonObject>(
  70,
  'deviceKeys',
  ['userId', 'deviceId'],
  json(),
  {
    purpose: 'Identity keys of a device, as its client signed them.',
    writer: 'users/keys/device-keys.ts',
  },
);
export const oneTimeKeys = keyspace<
  [user: string, device: string, algorithm: string, sequence: number],
  { readonly id: string; readonly key: JsonValue }
>(71, 'oneTimeKeys', ['userId', 'deviceId', 'algorithm', 'sequence'], json(), {
  purpose: 'One-time keys in the order of upload: those nobody has claimed yet, and the last ones that were.',
  writer: 'users/keys/one-time-keys.ts',
});
export interface KeyQueue {
  /** By algorithm: the keys held are those from `first` up to, but without, `next`. */
  readonly algorithms: Readonly<Record<string, { readonly first: number; readonly next: number }>>;
  /** By algorithm: the key to hand out when the others are gone, and whether it was handed out. */
  readonly fallback: Readonly<Record<string, { readonly id: string; readonly key: JsonValue; readonly used?: true }>>;
  /** Where a key was last handed out: the device is told its counts from there on. */
  readonly position: Position;
}
export const keyQueues = keyspace<[user: string, device: string], KeyQueue>(
  72,
  'keyQueues',
  ['userId', 'deviceId'],
  json(),
  {
    purpose: "Heads of a device's queues of one-time keys, and its fallback keys.",
    writer: 'users/keys/one-time-keys.ts',
    cacheBytes: 1 << 18,
  },
);
export const oneTimeKeyIds = keyspace<[user: string, device: string, keyId: string], number>(
  73,
  'oneTimeKeyIds',
  ['userId', 'deviceId', 'keyId'],
  integer,
  {
    purpose: 'Place of a one-time key in its queue by `algorithm:id`, so that an id stands for one key.',
    writer: 'users/keys/one-time-keys.ts',
    derivedFrom: 'oneTimeKeys',
  },
);
export type CrossSigningRole = 'master' | 'self_signing' | 'user_signing';
export const crossSigningKeys = keyspace<[user: string, role: CrossSigningRole], JsonObject>(
  74,
  'crossSigningKeys',
  ['userId', 'role'],
  json(),
  { purpose: "A user's cross-signing keys, as their client uploaded them.", writer: 'users/keys/cross-signing.ts' },
);
export const keySignatures = keyspace<[user: string, keyId: string, signer: string], Readonly<Record<string, string>>>(
  75,
  'keySignatures',
  ['userId', 'keyId', 'signerId'],
  json(),
  {
    purpose: 'Checked signatures of one user on a device or master key, by the id of the key that made them.',
    writer: 'users/keys/signatures.ts',
  },
);
export interface BackupVersion {
  readonly algorithm: string;
  readonly authData: JsonObject;
  /** Grows with each change. */
  readonly etag: number;
  readonly count: number;
  readonly deleted?: true;
}
export const backups = keyspace<[user: string], { readonly current?: number; readonly last: number }>(
  76,
  'backups',
  ['userId'],
  json(),
  { purpose: "Newest version of a user's key backup.", writer: 'users/keys/backup.ts' },
);
export const backupVersions = keyspace<[user: string, version: number], BackupVersion>(
  77,
  'backupVersions',
  ['userId', 'version'],
  json(),
  { purpose: 'Versions of key backups.', writer: 'users/keys/backup.ts' },
);
export const backupSessions = keyspace<[user: string, version: number, room: string, session: string], JsonObject>(
  78,
  'backupSessions',
  ['userId', 'version', 'roomId', 'sessionId'],
  json(),
  { purpose: 'Backed up, encrypted room keys.', writer: 'users/keys/backup.ts' },
);
export interface DehydratedDevice {
  readonly device: DeviceId;
  /** What its owner needs to bring it back to life, encrypted by a key that the server never sees. */
  readonly data: JsonObject;
}
export const dehydratedDevices = keyspace<[user: string], DehydratedDevice>(
  79,
  'dehydratedDevices',
  ['userId'],
  json(),
  {
    purpose: 'The one device of a user that gathers messages while none of their clients is there (MSC3814).',
    writer: 'users/keys/dehydrated.ts',
  },
);
export const signedUsers = keyspace<[signer: string, user: string], Position>(
  80,
  'signedUsers',
  ['signerId', 'userId'],
  integer,
  {
    purpose: "Where in the log a user last signed another one's master key, which only they themselves hear of.",
    writer: 'users/keys/signatures.ts',
  },
);
export const inboxCounts = keyspace<[user: string, device: string], number>(
  81,
  'inboxCounts',
  ['userId', 'deviceId'],
  integer,
  {
    purpose: 'How many messages an inbox holds.',
    writer: 'users/to-device.ts',
    derivedFrom: 'toDevice',
    cacheBytes: 1 << 16,
  },
);
export const keyedDevices = keyspace<[user: string], readonly string[]>(82, 'keyedDevices', ['userId'], json(), {
  purpose: 'Devices of a user that have identity keys, in one row, so that a key query makes point reads only.',
  writer: 'users/keys/device-keys.ts',
  derivedFrom: 'deviceKeys',
  cacheBytes: 1 << 18,
});

export const openIdTokens = keyspace<[hash: string], { readonly user: UserId; readonly expiresTs: number }>(
  128,
  'openIdTokens',
  ['sha256'],
  json(),
  { purpose: 'Tokens by which other services ask this server who a user is.', writer: 'users/openid.ts' },
);
export const serverNoticeRooms = keyspace<[user: string], RoomId>(
  129,
  'serverNoticeRooms',
  ['userId'],
  text as ValueCodec<RoomId>,
  { purpose: 'The room in which a user gets notices of the server.', writer: 'users/server-notices.ts' },
);

// ---- 150 … 154: push ----------------------------------------------------------------------------------------------

/** A pusher of the kind `http` (client-server API, POST pushers/set). */
export interface Pusher {
  /** The position at which it was made: names its queue. */
  readonly id: number;
  readonly appId: string;
  readonly pushkey: string;
  readonly appDisplayName: string;
  readonly deviceDisplayName: string;
  readonly profileTag?: string;
  readonly lang: string;
  /** As the client gave it, `url` among it. */
  readonly data: JsonObject;
  /** The device that made it: it goes with that device. */
  readonly device: DeviceId;
  readonly enabled: boolean;
  /** The client counts what is unread itself (MSC4076). */
  readonly noBadge?: true;
  /** When it was last set, in milliseconds since the epoch. */
  readonly ts: number;
}
export const pushers = keyspace<[user: string], readonly Pusher[]>(150, 'pushers', ['userId'], json(), {
  purpose: 'Pushers of a user, all in one row, since every event that notifies them asks for them.',
  writer: 'users/pushers.ts',
  cacheBytes: 1 << 19,
});
export const pusherUsers = keyspace<[app: string, pushkey: string], readonly UserId[]>(
  151,
  'pusherUsers',
  ['appId', 'pushkey'],
  json(),
  {
    purpose: 'Users with a pusher of an app and pushkey: one who comes without `append` takes it from the others.',
    writer: 'users/pushers.ts',
    derivedFrom: 'pushers',
  },
);
export interface QueuedPush {
  readonly tweaks: JsonObject;
  /** Milliseconds since the epoch. */
  readonly ts: number;
}
export const pushes = keyspace<[user: string, pusher: number, event: EventNum], QueuedPush>(
  152,
  'pushes',
  ['userId', 'pusher', 'eventNum'],
  json(),
  {
    purpose: 'Events that a pusher has yet to tell its gateway about.',
    writer: 'users/push-queue.ts',
  },
);
export const pushBadges = keyspace<[user: string, pusher: number], Position>(
  153,
  'pushBadges',
  ['userId', 'pusher'],
  integer,
  {
    purpose: 'Where the unread count last changed that a pusher has yet to tell its gateway about.',
    writer: 'users/push-queue.ts',
  },
);
export interface PushDelivery {
  /** The unread count that the gateway was told last. */
  readonly badge?: number;
  /** While the gateway does not take pushes: since when, why, and when it is tried again. Milliseconds since the epoch. */
  readonly failing?: {
    readonly sinceTs: number;
    readonly retryTs: number;
    readonly waitMs: number;
    readonly why: string;
  };
}
export const pushDeliveries = keyspace<[user: string, pusher: number], PushDelivery>(
  154,
  'pushDeliveries',
  ['userId', 'pusher'],
  json(),
  { purpose: 'How delivery to a gateway stands.', writer: 'users/push-queue.ts' },
);

/** Work on many events that is under way. */
export type BulkRedaction =
  /** Everything that `user` sent in (`after`, `upTo`] counts as redacted by the member event `by` (MSC4293). */
  | {
      readonly kind: 'sender';
      readonly room: RoomNum;
      readonly user: string;
      readonly by: EventId;
      readonly after: Order;
      readonly upTo: Order;
    }
  /** What relates to `parent` after an order is redacted (MSC3912); how is in `relatedRedactions`. */
  | { readonly kind: 'relations'; readonly parent: EventId; readonly after?: Order }
  /** One event that came later and relates to `parent`. */
  | { readonly kind: 'event'; readonly parent: EventId; readonly event: EventId };
export const bulkRedactions = keyspace<[position: Position], BulkRedaction>(
  130,
  'bulkRedactions',
  ['position'],
  json(),
  { purpose: 'Redactions of many events that are under way.', writer: 'rooms/bulk-redactions.ts' },
);
export interface RelatedRedaction {
  readonly room: RoomId;
  readonly sender: UserId;
  /** Types of relations, or "*". */
  readonly relTypes: readonly string[];
  readonly reason?: string;
}
export const relatedRedactions = keyspace<[parent: EventId], RelatedRedaction>(
  131,
  'relatedRedactions',
  ['parentEventId'],
  json(),
  {
    purpose: 'Events that were redacted with what relates to them, also with what still comes (MSC3912).',
    writer: 'rooms/bulk-redactions.ts',
  },
);

// ---- 160 … 169: other servers -------------------------------------------------------------------------------------

/** By key id. `fetchedTs` is when the key was last told, in milliseconds since the epoch; the rest is `PublishedKey`. */
export type ServerKeys = Readonly<
  Record<
    string,
    {
      readonly publicKey: string;
      readonly validUntilTs?: number;
      readonly expiredTs?: number;
      readonly fetchedTs: number;
    }
  >
>;
export const serverKeys = keyspace<[server: string], ServerKeys>(160, 'serverKeys', ['serverName'], json(), {
  purpose: 'Public signing keys of another server, current and former ones, as it told them.',
  writer: 'remote/keyring.ts',
  cacheBytes: 1 << 19,
});
/** What became of one transaction of another server. */
export interface ReceivedTransaction {
  readonly txnId: string;
  /** By event id: why it was not taken, or an empty string. */
  readonly results: Readonly<Record<string, string>>;
}
export const receivedTransactions = keyspace<[server: string], readonly ReceivedTransaction[]>(
  161,
  'receivedTransactions',
  ['serverName'],
  json(),
  {
    purpose: 'The last transactions of another server and what was answered, so that a repeated one is not done twice.',
    writer: 'rooms/transactions.ts',
  },
);
export const roomServers = keyspace<[room: RoomNum, server: string], number>(
  162,
  'roomServers',
  ['roomNum', 'serverName'],
  integer,
  {
    purpose: 'How many users of another server are joined to a room.',
    writer: 'store/members.ts',
    derivedFrom: 'members',
  },
);
export const outboundCursor = keyspace<[name: 'federation'], Position>(163, 'outboundCursor', ['name'], integer, {
  purpose: 'Up to where the log was looked through for what other servers must be told: it stands in `destinations`.',
  writer: 'outbound/destinations.ts',
});
export interface Destination {
  /** What lies at or before this in the log was sent, or did not concern the server. */
  readonly after: Position;
  /** The transaction that is being sent: it is repeated as it is until the server takes it. */
  readonly txn?: {
    readonly id: string;
    /** Milliseconds since the epoch. */
    readonly ts: number;
    readonly events: readonly EventNum[];
    /** What `after` becomes once it was taken. */
    readonly upTo: Position;
  };
  /** While the server takes nothing: since when, and when it is tried again. Milliseconds since the epoch. */
  readonly failing?: { readonly sinceTs: number; readonly retryTs: number; readonly waitMs: number };
}
export const destinations = keyspace<[server: string], Destination>(164, 'destinations', ['serverName'], json(), {
  purpose: 'Where the queue of another server stands that has yet to be told of something in the log.',
  writer: 'outbound/destinations.ts',
});
