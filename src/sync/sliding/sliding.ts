import { NO_SYNC_FILTER } from '#core/filter.js';
import type { JsonObject } from '#core/json-value.js';
import type { Membership, SlidingSent } from '#store/schema.js';
import type { Position, RoomNum } from '#store/types.js';
import { ignoredUsers } from '#sync/account-data.js';
import { changesBetween } from '#sync/changes.js';
import { headOf, type Span, type Viewer } from '#sync/sections.js';
import type { Connection, Connections, Sent } from '#sync/sliding/connection.js';
import { type ExtendedRoom, extend } from '#sync/sliding/extensions.js';
import { directRooms, wantedRooms } from '#sync/sliding/lists.js';
import { type Dialect, type SlidingRequest, stateName } from '#sync/sliding/request.js';
import { roomAnswer, shortName } from '#sync/sliding/room.js';
import type { Sync } from '#sync/sync.js';
import type { UserView } from '#sync/views.js';

const LONGEST_WAIT_MS = 120_000;
/** Rooms answered between two turns of the event loop. */
const ROOM_SLICE = 50;

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
  const waitMs = connection.since === undefined ? 0 : Math.min(request.timeoutMs, LONGEST_WAIT_MS);
  const ends = new AbortController();
  const end = (): void => ends.abort();
  signal.addEventListener('abort', end, { once: true });
  const timer = clock.after(waitMs, end);
  try {
    for (;;) {
      const upTo = rooms.store.tip;
      const answer = await build(layer, view, viewer, connection, request, dialect, upTo);
      if (answer.news || connection.since === undefined) {
        const pos = await layer.connections.save(connection, upTo, answer.sent);
        return { pos, ...answer.body };
      }
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

interface Built {
  readonly body: JsonObject;
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
): Promise<Built> {
  const { rooms, connections } = layer;
  const { since } = connection;
  const roomIdOf = (room: RoomNum): string | undefined => headOf(rooms, room)?.id;
  const changes =
    since === undefined ? undefined : await changesBetween(rooms.store, layer.views, view, roomIdOf, since, upTo);
  const ignored = ignoredUsers(rooms.store, viewer.user);
  const span: Span = { viewer, since, upTo, filter: NO_SYNC_FILTER, fullState: false, useStateAfter: true, ignored };
  const wanted = wantedRooms(rooms, view, request, (room) => connections.sent(connection, room) !== undefined);
  const context = {
    rooms,
    lazy: layer.lazy,
    lazyName: `${viewer.pair} ${connection.generation}`,
    counter: connection.counter,
    dialect,
    direct: directRooms(rooms, viewer.user),
    since,
  };
  const bodies: [string, JsonObject][] = [];
  const sent = new Map<RoomNum, Omit<SlidingSent, 'at' | 'before'>>();
  const extended: ExtendedRoom[] = [];
  let done = 0;
  for (const room of wanted.rooms) {
    const known = stillTrue(connections.sent(connection, room.room), room.membership);
    // A later membership than this answer reaches to is for the next one to tell.
    const answer = room.membership.position > upTo ? undefined : await roomAnswer(context, span, room, known);
    if (answer !== undefined) {
      bodies.push([room.head.id, answer.body]);
      const state = shortName(stateName(room.config));
      sent.set(room.room, { upTo, timelineLimit: answer.timelineLimit, state });
    }
    // A room that was out of sight catches up from where it was last told of.
    extended.push({ wanted: room, after: answer === undefined ? since : known?.upTo });
    if (++done % ROOM_SLICE === 0) await new Promise<void>((next) => setImmediate(next));
  }
  const extensions = await extend(layer, view, span, changes, extended, request.extensions);
  return {
    news: bodies.length > 0 || extensions.news,
    sent,
    body: {
      lists: wanted.counts as unknown as JsonObject,
      rooms: Object.fromEntries(bodies),
      extensions: extensions.body,
    },
  };
}
