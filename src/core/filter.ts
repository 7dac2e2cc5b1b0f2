import { MatrixError } from '#core/errors.js';
import { compileGlob, type Glob } from '#core/glob.js';
import { RoomId, UserId } from '#core/ids.js';
import { isObject, type JsonObject, type JsonValue, own } from '#core/json-value.js';
import { parsePropertyPath } from '#core/property-path.js';

/** Filters (client-server API, Filtering), checked and compiled once for many events. */

/** Most events that a filter's `limit` can ask for; larger limits are taken as this. */
export const MAX_LIMIT = 1000;
/** Events of a room's timeline in a sync whose filter names no limit. */
export const DEFAULT_TIMELINE_LIMIT = 10;
/** Most entries of a list in a filter. */
const MAX_ENTRIES = 5000;
/** Most event types with a `*` in one list. */
const MAX_WILDCARDS = 200;
/** Longest type, relation type or path, in UTF-16 units. */
const MAX_TEXT_LENGTH = 512;

interface TypeSet {
  readonly exact: ReadonlySet<string>;
  readonly globs: readonly Glob[];
}

/** Absent lists let everything through; an empty list of what to include lets nothing through. */
export interface EventFilter {
  /** 0 to `MAX_LIMIT`, or undefined where the filter names none. */
  readonly limit: number | undefined;
  readonly types: TypeSet | undefined;
  readonly notTypes: TypeSet | undefined;
  readonly senders: ReadonlySet<string> | undefined;
  readonly notSenders: ReadonlySet<string> | undefined;
}

export interface RoomsFilter {
  readonly rooms: ReadonlySet<string> | undefined;
  readonly notRooms: ReadonlySet<string> | undefined;
}

export interface RoomEventFilter extends EventFilter, RoomsFilter {
  readonly lazyLoadMembers: boolean;
  readonly includeRedundantMembers: boolean;
  readonly unreadThreadNotifications: boolean;
  readonly containsUrl: boolean | undefined;
  /** `rel_type` of the event's own relation (MSC3874). */
  readonly relTypes: ReadonlySet<string> | undefined;
  readonly notRelTypes: ReadonlySet<string> | undefined;
  /** Events to which one of these users, or a relation of one of these types, relates. The caller looks that up. */
  readonly relatedBySenders: ReadonlySet<string> | undefined;
  readonly relatedByRelTypes: ReadonlySet<string> | undefined;
}

export interface RoomFilter extends RoomsFilter {
  readonly includeLeave: boolean;
  readonly ephemeral: RoomEventFilter;
  readonly state: RoomEventFilter;
  /** Its limit is `DEFAULT_TIMELINE_LIMIT` where the filter names none. */
  readonly timeline: RoomEventFilter & { readonly limit: number };
  readonly accountData: RoomEventFilter;
}

export interface SyncFilter {
  /** Undefined: whole events. */
  readonly eventFields: EventFields | undefined;
  readonly eventFormat: 'client' | 'federation';
  readonly presence: EventFilter;
  readonly accountData: EventFilter;
  readonly room: RoomFilter;
}

/** A tree of property names; `true` where the property is wanted whole. */
export interface EventFields {
  readonly fields: ReadonlyMap<string, EventFields | true>;
}

/** What a filter looks at: a `Pdu`, a client event, an EDU, or a row of account data. */
export interface FilterableEvent {
  readonly type: string;
  readonly sender?: string | undefined;
  readonly content?: JsonValue | undefined;
}

export interface FilterableRoomEvent extends FilterableEvent {
  readonly room_id: string;
}

function bad(message: string): MatrixError {
  return new MatrixError('M_BAD_JSON', message);
}

function objectAt(json: JsonObject, key: string): JsonObject {
  const value = own(json, key);
  if (value === undefined) return {};
  if (!isObject(value)) throw bad(`'${key}' must be an object`);
  return value;
}

function flag(json: JsonObject, key: string): boolean | undefined {
  const value = own(json, key);
  if (value !== undefined && typeof value !== 'boolean') throw bad(`'${key}' must be a boolean`);
  return value;
}

function texts(json: JsonObject, key: string): readonly string[] | undefined {
  const value = own(json, key);
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) throw bad(`'${key}' must be an array`);
  if (value.length > MAX_ENTRIES) throw new MatrixError('M_INVALID_PARAM', `'${key}' has too many entries`);
  return value.map((entry: JsonValue) => {
    if (typeof entry !== 'string') throw bad(`'${key}' must hold strings`);
    if (entry.length > MAX_TEXT_LENGTH) throw new MatrixError('M_INVALID_PARAM', `An entry of '${key}' is too long`);
    return entry;
  });
}

function textSet(json: JsonObject, key: string): ReadonlySet<string> | undefined {
  const list = texts(json, key);
  return list === undefined ? undefined : new Set(list);
}

function idSet(json: JsonObject, key: string, is: (text: string) => boolean): ReadonlySet<string> | undefined {
  const list = texts(json, key);
  for (const entry of list ?? []) {
    if (!is(entry)) throw new MatrixError('M_INVALID_PARAM', `'${key}' holds something that is no id of its kind`);
  }
  return list === undefined ? undefined : new Set(list);
}

function typeSet(json: JsonObject, key: string): TypeSet | undefined {
  const list = texts(json, key);
  if (list === undefined) return undefined;
  const [exact, wild] = [new Set<string>(), new Set<string>()];
  for (const type of list) (type.includes('*') ? wild : exact).add(type);
  if (wild.size > MAX_WILDCARDS) throw new MatrixError('M_INVALID_PARAM', `'${key}' has too many wildcards`);
  return { exact, globs: [...wild].map((type) => compileGlob(type, { fold: 'none', wildcards: 'star' })) };
}

function limitOf(json: JsonObject): number | undefined {
  const value = own(json, 'limit');
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isInteger(value)) throw bad("'limit' must be an integer");
  if (value < 0) throw new MatrixError('M_INVALID_PARAM', "'limit' must be positive");
  return Math.min(value, MAX_LIMIT);
}

function requireObject(json: JsonValue): JsonObject {
  if (!isObject(json)) throw bad('A filter must be an object');
  return json;
}

/** Checks and compiles an EventFilter. Throws M_BAD_JSON on wrong types, M_INVALID_PARAM on wrong ids and sizes. */
export function parseEventFilter(json: JsonValue): EventFilter {
  const filter = requireObject(json);
  return {
    limit: limitOf(filter),
    types: typeSet(filter, 'types'),
    notTypes: typeSet(filter, 'not_types'),
    senders: idSet(filter, 'senders', UserId.is),
    notSenders: idSet(filter, 'not_senders', UserId.is),
  };
}

function parseRooms(filter: JsonObject): RoomsFilter {
  return { rooms: idSet(filter, 'rooms', RoomId.is), notRooms: idSet(filter, 'not_rooms', RoomId.is) };
}

/** Checks and compiles a RoomEventFilter, as /messages, /context and /search take it. Throws like `parseEventFilter`. */
export function parseRoomEventFilter(json: JsonValue): RoomEventFilter {
  const filter = requireObject(json);
  return {
    ...parseEventFilter(filter),
    ...parseRooms(filter),
    lazyLoadMembers: flag(filter, 'lazy_load_members') ?? false,
    includeRedundantMembers: flag(filter, 'include_redundant_members') ?? false,
    unreadThreadNotifications: flag(filter, 'unread_thread_notifications') ?? false,
    containsUrl: flag(filter, 'contains_url'),
    relTypes: textSet(filter, 'rel_types') ?? textSet(filter, 'org.matrix.msc3874.rel_types'),
    notRelTypes: textSet(filter, 'not_rel_types') ?? textSet(filter, 'org.matrix.msc3874.not_rel_types'),
    relatedBySenders: idSet(filter, 'related_by_senders', UserId.is),
    relatedByRelTypes: textSet(filter, 'related_by_rel_types'),
  };
}

function parseRoomFilter(filter: JsonObject): RoomFilter {
  const timeline = parseRoomEventFilter(objectAt(filter, 'timeline'));
  return {
    ...parseRooms(filter),
    includeLeave: flag(filter, 'include_leave') ?? false,
    ephemeral: parseRoomEventFilter(objectAt(filter, 'ephemeral')),
    state: parseRoomEventFilter(objectAt(filter, 'state')),
    timeline: { ...timeline, limit: timeline.limit ?? DEFAULT_TIMELINE_LIMIT },
    accountData: parseRoomEventFilter(objectAt(filter, 'account_data')),
  };
}

/** A tree of the paths. A path below one that is wanted whole adds nothing. */
function compileFields(paths: readonly string[]): EventFields {
  const root = new Map<string, EventFields | true>();
  for (const path of paths) {
    const names = parsePropertyPath(path);
    let node = root;
    for (const [i, name] of names.entries()) {
      const child = node.get(name);
      if (child === true) break;
      if (i === names.length - 1) {
        node.set(name, true);
        break;
      }
      const next = (child?.fields as Map<string, EventFields | true> | undefined) ?? new Map();
      if (child === undefined) node.set(name, { fields: next });
      node = next;
    }
  }
  return { fields: root };
}

/**
 * Checks and compiles a filter for sync (POST /user/{userId}/filter, GET /sync). Unknown keys are let be.
 * Throws M_BAD_JSON on wrong types, M_INVALID_PARAM on wrong ids and sizes.
 */
export function parseSyncFilter(json: JsonValue): SyncFilter {
  const filter = requireObject(json);
  const format = own(filter, 'event_format') ?? 'client';
  if (format !== 'client' && format !== 'federation') throw bad("'event_format' must be client or federation");
  const fields = texts(filter, 'event_fields') ?? [];
  return {
    eventFields: fields.length === 0 ? undefined : compileFields(fields),
    eventFormat: format,
    presence: parseEventFilter(objectAt(filter, 'presence')),
    accountData: parseEventFilter(objectAt(filter, 'account_data')),
    room: parseRoomFilter(objectAt(filter, 'room')),
  };
}

/** Filters that let everything through. */
export const NO_SYNC_FILTER: SyncFilter = parseSyncFilter({});
export const NO_ROOM_EVENT_FILTER: RoomEventFilter = parseRoomEventFilter({});

function hasType(set: TypeSet, type: string): boolean {
  return set.exact.has(type) || set.globs.some((glob) => glob.matchesFolded(type));
}

/** Whether a list to exclude and a list to include let `value` through; no value is in no list. */
function listsAllow(
  included: ReadonlySet<string> | undefined,
  excluded: ReadonlySet<string> | undefined,
  value: string | undefined,
): boolean {
  if (value === undefined) return included === undefined;
  return excluded?.has(value) !== true && (included === undefined || included.has(value));
}

/** Whether the filter lets events of the room through. */
export function allowsRoom(filter: RoomsFilter, room: string): boolean {
  return listsAllow(filter.rooms, filter.notRooms, room);
}

/** Whether the filter lets events of the type through: to be asked before anything is read. */
export function allowsType(filter: EventFilter, type: string): boolean {
  if (filter.notTypes !== undefined && hasType(filter.notTypes, type)) return false;
  return filter.types === undefined || hasType(filter.types, type);
}

/** Whether the filter lets nothing through, whatever the event. */
export function allowsNothing(filter: EventFilter & Partial<RoomsFilter>): boolean {
  const isEmpty = (set: ReadonlySet<string> | undefined): boolean => set?.size === 0;
  if (filter.types !== undefined && filter.types.exact.size + filter.types.globs.length === 0) return true;
  return isEmpty(filter.senders) || isEmpty(filter.rooms) || filter.notTypes?.globs.some(isStar) === true;
}

/** Only a pattern of stars alone matches the empty type and this one. */
function isStar(glob: Glob): boolean {
  return glob.matchesFolded('') && glob.matchesFolded('\0');
}

function relationType(content: JsonObject): string | undefined {
  const relation = own(content, 'm.relates_to');
  const type = isObject(relation) ? own(relation, 'rel_type') : undefined;
  return typeof type === 'string' ? type : undefined;
}

/** Whether an EventFilter lets the event through. */
export function allowsEvent(filter: EventFilter, event: FilterableEvent): boolean {
  return allowsType(filter, event.type) && listsAllow(filter.senders, filter.notSenders, event.sender);
}

/**
 * Whether a RoomEventFilter lets an event of a room through. `related_by_rel_types` and `related_by_senders` rest on
 * other events and are the caller's to check; lazy loading too.
 */
export function allowsRoomEvent(filter: RoomEventFilter, event: FilterableRoomEvent): boolean {
  if (!allowsRoom(filter, event.room_id) || !allowsEvent(filter, event)) return false;
  const { containsUrl, relTypes, notRelTypes } = filter;
  if (containsUrl === undefined && relTypes === undefined && notRelTypes === undefined) return true;
  const content = isObject(event.content) ? event.content : {};
  if (containsUrl !== undefined && containsUrl !== (own(content, 'url') !== undefined)) return false;
  return listsAllow(relTypes, notRelTypes, relationType(content));
}

/** The event with only the properties that `fields` names (`event_fields` of a filter). Undefined: the event itself. */
export function trimFields(event: JsonObject, fields: EventFields | undefined): JsonObject {
  if (fields === undefined) return event;
  const kept: [string, JsonValue][] = [];
  for (const [name, below] of fields.fields) {
    const value = own(event, name);
    if (value === undefined) continue;
    if (below === true) kept.push([name, value]);
    else if (isObject(value)) kept.push([name, trimFields(value, below)]);
  }
  return Object.fromEntries(kept);
}
