import { MatrixError } from '#core/errors.js';
import { RoomId } from '#core/ids.js';
import { stringifyJson } from '#core/json-text.js';
import { isObject, type JsonObject, type JsonValue, own, ownString } from '#core/json-value.js';
import { digest } from '#util/digest.js';

/** Most lists and subscriptions of one request (MSC4186). */
const MOST_LISTS = 100;
const MOST_SUBSCRIPTIONS = 100;
/** Most state patterns of one room config. */
const MOST_PATTERNS = 200;
const MOST_TIMELINE = 200;

/** One pattern of `required_state`; an absent part matches everything. */
export interface StatePattern {
  readonly type: string | undefined;
  readonly stateKey: string | undefined;
}

/** What of a room is wanted. */
export interface RoomConfig {
  readonly timelineLimit: number;
  readonly include: readonly StatePattern[];
  readonly exclude: readonly StatePattern[];
  /** Members of those who speak, as they speak. */
  readonly lazyMembers: boolean;
  /** Short name of what state is asked for: another name means that more may be wanted. */
  readonly stateName: string;
}

export interface ListFilters {
  readonly isDm: boolean | undefined;
  readonly isEncrypted: boolean | undefined;
  readonly isInvited: boolean | undefined;
  readonly spaces: readonly string[] | undefined;
  readonly roomTypes: readonly (string | null)[] | undefined;
  readonly notRoomTypes: readonly (string | null)[] | undefined;
  readonly tags: readonly string[] | undefined;
  readonly notTags: readonly string[] | undefined;
}

export interface ListConfig extends RoomConfig {
  /** Inclusive windows into the list; undefined for the whole list. */
  readonly ranges: readonly (readonly [first: number, last: number])[] | undefined;
  readonly filters: ListFilters;
}

export interface SlidingRequest {
  readonly connId: string;
  readonly pos: string | undefined;
  readonly timeoutMs: number;
  readonly lists: ReadonlyMap<string, ListConfig>;
  readonly subscriptions: ReadonlyMap<RoomId, RoomConfig>;
  readonly extensions: JsonObject;
  /** What is told of rooms stands in the answer as `JsonText`: very many rooms would be too much as objects. */
  readonly asText?: boolean;
}

/** The stable form (/v4/sync), or the one that clients speak under `org.matrix.simplified_msc3575`. */
export type Dialect = 'stable' | 'unstable';

function bad(message: string): MatrixError {
  return new MatrixError('M_INVALID_PARAM', message);
}

function integerAt(json: JsonObject, key: string, fallback: number): number {
  const value = own(json, key);
  if (value === undefined) return fallback;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw bad(`'${key}' must be an integer`);
  return value;
}

function booleanAt(json: JsonObject, key: string): boolean | undefined {
  const value = own(json, key);
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'boolean') throw bad(`'${key}' must be a boolean`);
  return value;
}

function textAt(json: JsonObject, key: string): string | undefined {
  const value = own(json, key);
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw bad(`'${key}' must be a string`);
  return value;
}

/** An object, empty where there is none. */
function objectAt(json: JsonObject, key: string): JsonObject {
  const value = own(json, key);
  if (value === undefined || value === null) return {};
  if (!isObject(value)) throw bad(`'${key}' must be an object`);
  return value;
}

function textsAt(json: JsonObject, key: string): readonly string[] | undefined {
  const value = own(json, key);
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value) || !value.every((one) => typeof one === 'string'))
    throw bad(`'${key}' must be a list of strings`);
  return value as readonly string[];
}

function typesAt(json: JsonObject, key: string): readonly (string | null)[] | undefined {
  const value = own(json, key);
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value) || !value.every((one) => one === null || typeof one === 'string')) {
    throw bad(`'${key}' must be a list of strings and nulls`);
  }
  return value as readonly (string | null)[];
}

function patternsOf(value: JsonValue | undefined, key: string): StatePattern[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length > MOST_PATTERNS) throw bad(`'${key}' must be a list of patterns`);
  return value.map((pattern) => {
    if (!isObject(pattern)) throw bad(`'${key}' must hold objects`);
    return { type: ownString(pattern, 'type'), stateKey: ownString(pattern, 'state_key') };
  });
}

/** `required_state` of the older form: pairs with `*` as wildcard, `$ME`, and `$LAZY` for members as they speak. */
function pairsOf(value: JsonValue | undefined, user: string): Pick<RoomConfig, 'include' | 'lazyMembers'> {
  if (value === undefined) return { include: [], lazyMembers: false };
  if (!Array.isArray(value) || value.length > MOST_PATTERNS) throw bad("'required_state' must be a list of pairs");
  const include: StatePattern[] = [];
  let lazyMembers = false;
  for (const pair of value) {
    if (!Array.isArray(pair) || typeof pair[0] !== 'string' || typeof pair[1] !== 'string') {
      throw bad("'required_state' must hold pairs of strings");
    }
    const [type, stateKey] = pair as [string, string];
    if (type === 'm.room.member' && stateKey === '$LAZY') lazyMembers = true;
    else {
      include.push({
        type: type === '*' ? undefined : type,
        stateKey: stateKey === '*' ? undefined : stateKey === '$ME' ? user : stateKey,
      });
    }
  }
  return { include, lazyMembers };
}

function roomConfig(json: JsonObject, dialect: Dialect, user: string): RoomConfig {
  const timelineLimit = Math.min(integerAt(json, 'timeline_limit', 0), MOST_TIMELINE);
  const required = own(json, 'required_state');
  if (dialect === 'unstable' || Array.isArray(required)) {
    const pairs = pairsOf(required, user);
    // All state with lazily loaded members means all but the members: those come as they speak.
    const exclude: StatePattern[] = [];
    return named({ timelineLimit, exclude, ...pairs });
  }
  if (required !== undefined && !isObject(required)) throw bad("'required_state' must be an object");
  const wanted = required ?? {};
  return named({
    timelineLimit,
    include: patternsOf(own(wanted, 'include'), 'include'),
    exclude: patternsOf(own(wanted, 'exclude'), 'exclude'),
    lazyMembers: booleanAt(wanted, 'lazy_members') ?? false,
  });
}

function rangesOf(json: JsonObject): ListConfig['ranges'] {
  const single = own(json, 'range');
  const several = own(json, 'ranges') ?? (single === undefined ? undefined : [single]);
  if (several === undefined || several === null) return undefined;
  if (!Array.isArray(several)) throw bad("'ranges' must be a list");
  return several.map((range) => {
    if (!Array.isArray(range) || range.length !== 2) throw bad('A range must be a pair');
    const [first, last] = range as [JsonValue, JsonValue];
    if (
      !Number.isSafeInteger(first) ||
      !Number.isSafeInteger(last) ||
      Number(first) < 0 ||
      Number(last) < Number(first)
    ) {
      throw bad('A range must be a pair of integers in order');
    }
    return [Number(first), Number(last)] as const;
  });
}

function filtersOf(json: JsonObject): ListFilters {
  const filters = objectAt(json, 'filters');
  return {
    isDm: booleanAt(filters, 'is_dm'),
    isEncrypted: booleanAt(filters, 'is_encrypted'),
    isInvited: booleanAt(filters, 'is_invited') ?? booleanAt(filters, 'is_invite'),
    spaces: textsAt(filters, 'spaces'),
    roomTypes: typesAt(filters, 'room_types'),
    notRoomTypes: typesAt(filters, 'not_room_types'),
    tags: textsAt(filters, 'tags'),
    notTags: textsAt(filters, 'not_tags'),
  };
}

/**
 * Reads a request of either dialect. `query` holds what the older form puts in the query. Throws M_INVALID_PARAM for
 * what MSC4186 forbids.
 */
export function parseRequest(
  body: JsonObject,
  query: { readonly pos?: string | undefined; readonly timeout?: number | undefined },
  dialect: Dialect,
  user: string,
): SlidingRequest {
  const lists = new Map<string, ListConfig>();
  for (const [name, list] of Object.entries(objectAt(body, 'lists'))) {
    if (!isObject(list)) throw bad('A list must be an object');
    lists.set(name, { ...roomConfig(list, dialect, user), ranges: rangesOf(list), filters: filtersOf(list) });
  }
  if (lists.size > MOST_LISTS) throw bad(`A request may have at most ${MOST_LISTS} lists`);
  const subscriptions = new Map<RoomId, RoomConfig>();
  for (const [room, config] of Object.entries(objectAt(body, 'room_subscriptions'))) {
    if (!isObject(config) || !RoomId.is(room)) throw bad('A subscription must be an object under a room id');
    subscriptions.set(room, roomConfig(config, dialect, user));
  }
  if (subscriptions.size > MOST_SUBSCRIPTIONS)
    throw bad(`A request may have at most ${MOST_SUBSCRIPTIONS} subscriptions`);
  const connId = textAt(body, 'conn_id') ?? '';
  if (connId.length > 255) throw bad("'conn_id' is too long");
  const pos = dialect === 'stable' ? textAt(body, 'pos') : (query.pos ?? textAt(body, 'pos'));
  const timeoutMs =
    dialect === 'stable' ? integerAt(body, 'timeout', 0) : (query.timeout ?? integerAt(body, 'timeout', 0));
  return { connId, pos, timeoutMs, lists, subscriptions, extensions: objectAt(body, 'extensions') };
}

/** The config that gives what any of `configs` gives (MSC4186, Combining room configs). */
export function combine(configs: readonly RoomConfig[]): RoomConfig {
  const [first, ...rest] = configs;
  if (first === undefined) return named({ timelineLimit: 0, include: [], exclude: [], lazyMembers: false });
  if (rest.length === 0) return first;
  return named({
    timelineLimit: Math.max(...configs.map((config) => config.timelineLimit)),
    include: configs.flatMap((config) => config.include),
    // Only what every config leaves out is left out of all of them together.
    exclude: first.exclude.filter((pattern) =>
      rest.every((config) => config.exclude.some((one) => same(one, pattern))),
    ),
    lazyMembers: configs.some((config) => config.lazyMembers),
  });
}

const same = (a: StatePattern, b: StatePattern): boolean => a.type === b.type && a.stateKey === b.stateKey;

const matches = (pattern: StatePattern, type: string, stateKey: string): boolean =>
  (pattern.type === undefined || pattern.type === type) &&
  (pattern.stateKey === undefined || pattern.stateKey === stateKey);

/** Whether a piece of state is asked for, members that load lazily aside. */
export function wantsState(config: RoomConfig, type: string, stateKey: string): boolean {
  if (config.exclude.some((pattern) => matches(pattern, type, stateKey))) return false;
  return config.include.some((pattern) => {
    if (!matches(pattern, type, stateKey)) return false;
    // Where members load lazily, a pattern must name them to have them all.
    return !(config.lazyMembers && type === 'm.room.member' && pattern.stateKey === undefined);
  });
}

function named(config: Omit<RoomConfig, 'stateName'>): RoomConfig {
  const patterns = (list: readonly StatePattern[]): string[] =>
    list.map(({ type, stateKey }) => JSON.stringify([type ?? null, stateKey ?? null])).sort();
  const state = JSON.stringify([patterns(config.include), patterns(config.exclude), config.lazyMembers]);
  return { ...config, stateName: digest(state).slice(0, 10) };
}

/** Names what a request asks for of rooms: the same name, the same rooms. Where the client is makes no part of it. */
export function askedName({ lists, subscriptions, extensions }: SlidingRequest, dialect: Dialect): string {
  const ofRooms = Object.entries(extensions).filter(([name]) => name !== 'to_device');
  return digest(stringifyJson([dialect, [...lists], [...subscriptions], ofRooms] as unknown as JsonValue));
}
