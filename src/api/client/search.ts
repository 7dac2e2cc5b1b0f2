import type { App } from '#api/app.js';
import { MatrixError } from '#core/errors.js';
import { parseRoomEventFilter } from '#core/filter.js';
import type { RoomId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { anyObject, array, boolean, type Infer, integer, literal, object, optional, string } from '#core/schema.js';
import { type Caller, type Endpoint, endpoint } from '#http/endpoint.js';
import { clientEvents } from '#rooms/client-events.js';
import { toClientEvent } from '#rooms/client-form.js';
import { stateIn } from '#rooms/members.js';
import { type Rooms, storedStateAt } from '#rooms/rooms.js';
import { type Hit, type SearchedType, searchEvents } from '#rooms/search.js';
import { eventContext } from '#rooms/timeline.js';
import { readableRoom } from '#rooms/visibility.js';
import { wantedBy } from '#users/ignored.js';

const DEFAULT_LIMIT = 10;
const MAX_LIMIT = 100;
const DEFAULT_CONTEXT = 5;
const MAX_CONTEXT = 20;

const TYPES: Readonly<Record<string, SearchedType>> = {
  'content.body': 'm.room.message',
  'content.name': 'm.room.name',
  'content.topic': 'm.room.topic',
};

const around = optional(integer({ minimum: 0 }));
const roomEvents = object({
  search_term: string(),
  keys: optional(array(literal('content.body', 'content.name', 'content.topic'), { maxItems: 10 })),
  filter: optional(anyObject),
  order_by: optional(literal('recent', 'rank')),
  event_context: optional(object({ before_limit: around, after_limit: around, include_profile: optional(boolean) })),
  include_state: optional(boolean),
  groupings: optional(
    object({ group_by: optional(array(object({ key: literal('room_id', 'sender') }), { maxItems: 10 })) }),
  ),
});
type Criteria = Infer<typeof roomEvents>;
type GroupKey = 'room_id' | 'sender';

/** Where a page ended, and in which group. By time that is a place, which what is said later does not move. */
interface Batch {
  readonly group?: { readonly key: GroupKey; readonly value: string };
  readonly after: { readonly order: number; readonly num: number } | { readonly passed: number };
}

const GROUP_CODES = { a: undefined, r: 'room_id', s: 'sender' } as const;

function writeBatch({ group, after }: Batch): string {
  const place = 'passed' in after ? `${after.passed}` : `${after.order}_${after.num}`;
  const code = group === undefined ? 'a' : group.key === 'room_id' ? 'r' : 's';
  return `${code}${place}.${Buffer.from(group?.value ?? '').toString('base64url')}`;
}

function parseBatch(token: string, orderBy: 'rank' | 'recent'): Batch {
  const [, code, first, second, value] = /^([ars])(-?\d{1,16})(?:_(\d{1,16}))?\.([\w-]{0,400})$/.exec(token) ?? [];
  const isPlace = second !== undefined;
  if (code === undefined || isPlace !== (orderBy === 'recent')) {
    throw new MatrixError('M_INVALID_PARAM', "'next_batch' is no token of this search");
  }
  const key = GROUP_CODES[code as keyof typeof GROUP_CODES];
  return {
    ...(key === undefined ? {} : { group: { key, value: Buffer.from(value ?? '', 'base64url').toString() } }),
    after: isPlace ? { order: Number(first), num: Number(second) } : { passed: Number(first) },
  };
}

function isBehind({ event }: Hit, index: number, { after }: Batch): boolean {
  if ('passed' in after) return index >= after.passed;
  return event.order < after.order || (event.order === after.order && event.num < after.num);
}

function groupValue({ event }: Hit, key: GroupKey): string {
  return key === 'room_id' ? event.pdu.room_id : event.pdu.sender;
}

async function search(app: App, caller: Caller, criteria: Criteria, from: string | undefined): Promise<JsonObject> {
  const { rooms } = app;
  const orderBy = criteria.order_by ?? 'rank';
  const filter = parseRoomEventFilter(criteria.filter ?? {});
  const limit = Math.min(filter.limit ?? DEFAULT_LIMIT, MAX_LIMIT);
  const batch = from === undefined ? undefined : parseBatch(from, orderBy);
  const { hits, words } = await searchEvents(rooms, caller.user, {
    term: criteria.search_term,
    types: new Set((criteria.keys ?? Object.keys(TYPES)).map((key) => TYPES[key]!)),
    filter,
    orderBy,
  });
  const group = batch?.group;
  const page = hits
    .map((hit, index) => ({ hit, index }))
    .filter(({ hit, index }) => batch === undefined || isBehind(hit, index, batch))
    .filter(({ hit }) => group === undefined || groupValue(hit, group.key) === group.value)
    .slice(0, limit);
  const found = page.map(({ hit }) => hit);
  const last = page.at(-1);
  // Only a full page can have more behind it; whether it has, the next one tells.
  const after =
    last === undefined || page.length < limit
      ? undefined
      : orderBy === 'rank'
        ? { passed: last.index + 1 }
        : { order: last.hit.event.order, num: last.hit.event.num };
  const groups = groupsOf(found, criteria.groupings?.group_by ?? [], after);
  return {
    count: hits.length,
    highlights: [...words],
    results: await resultsOf(rooms, caller, found, criteria),
    ...(Object.keys(groups).length === 0 ? {} : { groups }),
    ...(criteria.include_state ? { state: await stateOf(rooms, caller, found) } : {}),
    ...(after === undefined ? {} : { next_batch: writeBatch({ ...(group && { group }), after }) }),
  };
}

function groupsOf(
  hits: readonly Hit[],
  groupBy: readonly { readonly key: GroupKey }[],
  after: Batch['after'] | undefined,
): JsonObject {
  const groups: Record<string, JsonObject> = {};
  for (const key of new Set(groupBy.map(({ key }) => key))) {
    const members = new Map<string, string[]>();
    for (const hit of hits) {
      const value = groupValue(hit, key);
      members.set(value, [...(members.get(value) ?? []), hit.event.pdu.event_id]);
    }
    groups[key] = Object.fromEntries(
      [...members].map(([value, results], order) => {
        const next = after && { next_batch: writeBatch({ group: { key, value }, after }) };
        return [value, { order, results, ...next }];
      }),
    );
  }
  return groups;
}

async function resultsOf(
  rooms: Rooms,
  caller: Caller,
  hits: readonly Hit[],
  { event_context: asked }: Criteria,
): Promise<JsonObject[]> {
  const results: JsonObject[] = [];
  for (const { event, rank } of hits) {
    const result = toClientEvent(rooms, event, { viewer: caller.user, device: caller.device });
    results.push({ rank, result, ...(asked && { context: await contextOf(rooms, caller, event, asked) }) });
  }
  return results;
}

async function contextOf(
  rooms: Rooms,
  caller: Caller,
  { pdu }: Hit['event'],
  asked: NonNullable<Criteria['event_context']>,
): Promise<JsonObject> {
  const context = await eventContext(rooms, caller.user, pdu.room_id, pdu.event_id, {
    limit: {
      before: Math.min(asked.before_limit ?? DEFAULT_CONTEXT, MAX_CONTEXT),
      after: Math.min(asked.after_limit ?? DEFAULT_CONTEXT, MAX_CONTEXT),
    },
    wanted: wantedBy(rooms.store, caller.user, parseRoomEventFilter({})),
  });
  const { before, event, after, root } = context;
  const profiles: Record<string, JsonObject> = {};
  if (asked.include_profile) {
    for (const sender of new Set([...before, event, ...after].map((one) => one.pdu.sender))) {
      const member = storedStateAt(rooms, rooms.store, root, 'm.room.member', sender);
      if (member !== undefined) profiles[sender] = profileIn(toClientEvent(rooms, member, {}));
    }
  }
  return {
    start: String(context.start),
    end: String(context.end),
    events_before: await clientEvents(rooms, before, caller),
    events_after: await clientEvents(rooms, after, caller),
    ...(asked.include_profile ? { profile_info: profiles } : {}),
  };
}

/** The profile that a member event, as it is shown, carries. */
function profileIn(event: JsonObject): JsonObject {
  const content = event['content'] as JsonObject;
  const fields = ['displayname', 'avatar_url'].filter((key) => typeof content[key] === 'string');
  return Object.fromEntries(fields.map((key) => [key, content[key]!]));
}

async function stateOf(rooms: Rooms, caller: Caller, hits: readonly Hit[]): Promise<JsonObject> {
  const state: Record<string, JsonObject[]> = {};
  for (const id of new Set(hits.map(({ event }) => event.pdu.room_id as RoomId))) {
    const { root } = readableRoom(rooms, id, caller.user);
    state[id] = await clientEvents(rooms, await stateIn(rooms, root), caller);
  }
  return state;
}

/** Server-side search (client-server API, Server side search). */
export const searchEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'search',
    method: 'POST',
    path: '/_matrix/client/v3/search',
    caller: 'user',
    limit: 'search',
    whileSuspended: true,
    query: () => object({ next_batch: optional(string()) }),
    body: () => object({ search_categories: object({ room_events: optional(roomEvents) }) }),
    async handle(app: App, { caller, query, body }) {
      const criteria = body.search_categories.room_events;
      if (criteria === undefined) return { search_categories: {} };
      return { search_categories: { room_events: await search(app, caller, criteria, query.next_batch) } };
    },
  }),
];
