import { NO_SYNC_FILTER } from '#core/filter.js';
import { JsonSlabs, stringifyJson } from '#core/json-text.js';
import { type JsonObject, JsonText } from '#core/json-value.js';
import type { Membership, SlidingSent } from '#store/schema.js';
import type { Position, RoomNum } from '#store/types.js';
import { ignoredUsers } from '#sync/account-data.js';
import { type Changes, changesBetween } from '#sync/changes.js';
import { headOf, type Span, type Viewer } from '#sync/sections.js';
import type { Connection, Connections, Sent, Settled } from '#sync/sliding/connection.js';
import { type ExtendedRoom, extend } from '#sync/sliding/extensions.js';
import { directRooms, wantedRooms } from '#sync/sliding/lists.js';
import { askedName, type Dialect, type SlidingRequest } from '#sync/sliding/request.js';
import { roomAnswer, roomNews } from '#sync/sliding/room.js';
import type { Sync } from '#sync/sync.js';
import type { UserView } from '#sync/views.js';

const LONGEST_WAIT_MS = 120_000;
/** Rooms answered between two turns of the event loop: a room is some forty point reads, which may go to the disk. */
const ROOM_SLICE = 10;

/**
 * Answers a simplified sliding sync (MSC4186): at once when something is new to the connection, it is the first request
 * or no time was given; otherwise when something comes or time is up. What the connection was sent is remembered durably
 * before the answer leaves, for the newest answer and the one before it, so a lost answer can be asked for again.
 */
export async function slidingSync(
  layer: Sync & { readonly connections: Connections },
  viewer: Viewer,
  request: SlidingRequest,
  dialect: Dialect,
  signal: AbortSignal,
): Promise<JsonObject> {
  const { clock, views, rooms } = layer;
  const connection = await layer.connections.find(viewer.user, viewer.device, request.connId, request.pos);
  const view = await views.get(viewer.user);
  const asked = askedName(request, dialect);
  const waitMs = connection.since === undefined ? 0 : Math.min(request.timeoutMs, LONGEST_WAIT_MS);
  const ends = new AbortController();
  const end = (): void => ends.abort();
  signal.addEventListener('abort', end, { once: true });
  const timer = clock.after(waitMs, end);
  try {
    for (;;) {
      const upTo = rooms.store.tip;
      const settled = layer.connections.settled(connection, asked);
      const answer = await build(layer, view, viewer, connection, request, dialect, upTo, settled);
      if (answer.news || connection.since === undefined) {
        // Of what nobody waits for any more nothing is remembered, and nothing told.
        const pos = signal.aborted ? undefined : await layer.connections.save(connection, upTo, answer.sent);
        if (pos !== undefined) return { pos, ...answer.body };
        return { pos: layer.connections.same(connection), lists: {}, rooms: {}, extensions: {} };
      }
      const { counter } = connection;
      layer.connections.settle(connection, { asked, counter, upTo, lists: answer.body.lists });
      if (waitMs <= 0 || ends.signal.aborted) {
        return { pos: layer.connections.same(connection), ...answer.body };
      }
      await views.wait(view, upTo, ends.signal);
    }
  } finally {
    timer.cancel();
    signal.removeEventListener('abort', end);
  }
}

/** What was sent before the user came into a room shows it from outside: who comes in is told of it anew. */
function stillTrue(sent: Sent | undefined, { membership, position }: Membership): Sent | undefined {
  return sent !== undefined && membership === 'join' && position > sent.upTo ? undefined : sent;
}

const NO_CHANGES: Changes = {
  rooms: new Set(),
  receipts: new Map(),
  unread: new Set(),
  accountData: new Map(),
  presence: new Set(),
  deviceLists: new Set(),
  memberships: new Map(),
};

/** What happened since the answer that the client holds; undefined where it holds none. */
async function changesSince(
  { rooms, views }: Sync,
  view: UserView,
  since: Position | undefined,
  upTo: Position,
  settled: Settled | undefined,
): Promise<Changes | undefined> {
  if (since === undefined) return undefined;
  if (settled !== undefined && view.lastChange <= settled.upTo) return NO_CHANGES;
  const roomIdOf = (room: RoomNum): string | undefined => headOf(rooms, room)?.id;
  return changesBetween(rooms.store, views, view, roomIdOf, since, upTo);
}

/**
 * Whether a request that had nothing new of rooms has nothing new of them still, and its lists are as long as they were: nothing
 * concerned the user since, or only what concerns no room, as presence does.
 */
function isQuiet({ typing }: Sync, view: UserView, settled: Settled, changes: Changes | undefined): boolean {
  if (view.lastChange <= settled.upTo) return true;
  if (changes?.rooms === undefined || changes.receipts === undefined || changes.unread === undefined) return false;
  for (const room of changes.receipts.keys()) if (view.rooms.has(room)) return false;
  const { rooms, unread, accountData } = changes;
  return rooms.size + unread.size + accountData.size === 0 && typing.newest <= settled.upTo;
}

interface Built {
  readonly body: { readonly lists: JsonObject; readonly rooms: JsonObject; readonly extensions: JsonObject };
  readonly news: boolean;
  readonly sent: ReadonlyMap<RoomNum, Omit<SlidingSent, 'at' | 'before'>>;
}

async function build(
  layer: Sync & { readonly connections: Connections },
  view: UserView,
  viewer: Viewer,
  connection: Connection,
  request: SlidingRequest,
  dialect: Dialect,
  upTo: Position,
  settled: Settled | undefined,
): Promise<Built> {
  const { rooms, connections } = layer;
  const { since } = connection;
  const changes = await changesSince(layer, view, since, upTo, settled);
  const ignored = ignoredUsers(rooms.store, viewer.user);
  const span: Span = { viewer, since, upTo, filter: NO_SYNC_FILTER, fullState: false, useStateAfter: true, ignored };
  const wanted =
    settled !== undefined && isQuiet(layer, view, settled, changes)
      ? { rooms: [], counts: settled.lists }
      : await wantedRooms(rooms, view, request, (room) => connections.sent(connection, room) !== undefined);
  const context = {
    rooms,
    lazy: layer.lazy,
    lazyName: `${viewer.pair} ${connection.generation}`,
    counter: connection.counter,
    dialect,
    direct: directRooms(rooms, viewer.user),
    since,
  };
  const bodies: [string, JsonObject | JsonText][] = [];
  const sent = new Map<RoomNum, Omit<SlidingSent, 'at' | 'before'>>();
  const extended: ExtendedRoom[] = [];
  const looked = connections.looked(connection);
  // All rooms at once can be many; news are few.
  const slabs = since === undefined ? new JsonSlabs() : undefined;
  const written = (body: JsonObject): JsonObject | JsonText => {
    if (!request.asText) return body;
    return slabs === undefined ? new JsonText(stringifyJson(body)) : slabs.write(body);
  };
  let done = 0;
  for (const room of wanted.rooms) {
    const known = stillTrue(connections.sent(connection, room.room), room.membership);
    // A later membership than this answer reaches to is for the next one to tell.
    const isCounted =
      since !== undefined && (looked.get(room.room) ?? -1) >= since && changes?.unread?.has(room.room) === false;
    const isLater = room.membership.position > upTo;
    const news = isLater ? undefined : roomNews(context, span, room, known, isCounted);
    // A room that was out of sight catches up from where it was last told of.
    extended.push({ wanted: room, after: news === undefined ? since : known?.upTo });
    if (news === undefined) {
      // Counts are told in the older dialect only.
      if (!isLater && dialect === 'unstable') looked.set(room.room, upTo);
      continue;
    }
    const { body, timelineLimit } = await roomAnswer(context, span, room, known, news);
    bodies.push([room.head.id, written(body)]);
    sent.set(room.room, { upTo, timelineLimit, state: room.config.stateName });
    if (++done % ROOM_SLICE === 0) await new Promise<void>((next) => setImmediate(next));
  }
  const extensions = await extend(layer, view, span, changes, extended, request.extensions);
  return {
    news: bodies.length > 0 || extensions.news,
    sent,
    body: {
      lists: wanted.counts as unknown as JsonObject,
      rooms: Object.fromEntries(bodies) as JsonObject,
      extensions: extensions.body,
    },
  };
}
