// The stream of events that clients followed before there was /sync, and follow still to look into a room that they are
// not in (client-server API, GET events).
import { NO_ROOM_EVENT_FILTER } from '#core/filter.js';
import type { RoomId, UserId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { clientEvents } from '#rooms/client-events.js';
import { pageTimeline } from '#rooms/timeline.js';
import { type Visibility, visibilityFor } from '#rooms/visibility.js';
import type { StoredEvent } from '#store/events.js';
import type { LogEntry, Position, RoomNum } from '#store/types.js';
import type { Viewer } from '#sync/sections.js';
import type { Sync } from '#sync/sync.js';
import { wantedBy } from '#users/ignored.js';

/** Longest that a request waits, whatever the client asks. */
const LONGEST_WAIT_MS = 120_000;
/** Rows of the log, or events of the one room, that an answer reaches over at most. */
const MOST_ROWS = 500;

export interface StreamRequest {
  readonly viewer: Viewer;
  /** Where the client is; what is there now is not told where absent. */
  readonly from: Position | undefined;
  /** Only this room, which the viewer need not be in. */
  readonly roomId: RoomId | undefined;
  readonly timeoutMs: number;
  /** Aborts when the client goes or the server stops: the answer is then what there is. */
  readonly signal: AbortSignal;
}

interface Part {
  readonly events: readonly StoredEvent[];
  /** Everything up to here was looked at. */
  readonly end: Position;
}

/**
 * Events of the viewer's rooms, their invites among them, behind `from`, oldest first; waits until there is one or time is
 * up. With `roomId`, those of a room that the viewer may read: M_FORBIDDEN for others.
 */
export async function eventStream(layer: Sync, request: StreamRequest): Promise<JsonObject> {
  const { rooms, clock } = layer;
  const { viewer, roomId } = request;
  const start = request.from ?? rooms.store.tip;
  const ends = new AbortController();
  const end = (): void => ends.abort();
  request.signal.addEventListener('abort', end, { once: true });
  const timer = clock.after(Math.min(request.timeoutMs, LONGEST_WAIT_MS), end);
  try {
    let from = start;
    for (;;) {
      const part =
        roomId === undefined ? await ofUser(layer, viewer.user, from) : await ofRoom(layer, viewer.user, roomId, from);
      const isOver = ends.signal.aborted || request.signal.aborted || request.timeoutMs <= 0;
      if (part.events.length > 0 || isOver) {
        const chunk = await clientEvents(rooms, part.events, viewer);
        return { start: String(start), end: String(part.end), chunk };
      }
      from = part.end;
      await nextCommit(layer, from, ends.signal);
    }
  } finally {
    timer.cancel();
    request.signal.removeEventListener('abort', end);
  }
}

/** What the log tells of events that concern the user. */
async function ofUser({ rooms }: Sync, user: UserId, from: Position): Promise<Part> {
  const { store } = rooms;
  const { tip } = store;
  const rows: readonly LogEntry[] = await store.log(from, tip, MOST_ROWS);
  const isWanted = wantedBy(store, user, NO_ROOM_EVENT_FILTER);
  const visibilities = new Map<RoomNum, Visibility>();
  const events: StoredEvent[] = [];
  for (const { fact, position } of rows) {
    const stored = fact.kind === 'event' ? rooms.events.get(store, position) : undefined;
    if (stored === undefined || !isWanted(stored)) continue;
    const visibility = visibilities.get(stored.room) ?? visibilityFor(rooms, store, stored.room, user);
    visibilities.set(stored.room, visibility);
    // What anyone may see of a room that the user left, or never was in, is for those who look into that room.
    const isTheirs = stored.order <= visibility.joinedUntil || isMembershipOf(stored, user);
    if (isTheirs && visibility.sees(stored)) events.push(stored);
  }
  return { events, end: rows.length < MOST_ROWS ? tip : rows.at(-1)!.position };
}

function isMembershipOf({ pdu }: StoredEvent, user: UserId): boolean {
  return pdu.type === 'm.room.member' && pdu.state_key === user;
}

async function ofRoom({ rooms }: Sync, user: UserId, roomId: RoomId, from: Position): Promise<Part> {
  const { tip } = rooms.store;
  const page = await pageTimeline(rooms, user, roomId, {
    dir: 'f',
    from,
    to: tip,
    limit: MOST_ROWS,
    wanted: wantedBy(rooms.store, user, NO_ROOM_EVENT_FILTER),
  });
  return { events: page.events, end: page.end ?? tip };
}

/** Resolves once anything stands in the log behind `position`, or when `signal` aborts. */
function nextCommit({ rooms }: Sync, position: Position, signal: AbortSignal): Promise<void> {
  if (signal.aborted || rooms.store.tip > position) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): boolean => {
      stop();
      signal.removeEventListener('abort', done);
      resolve();
      return true;
    };
    const stop = rooms.store.onCommitted(done);
    signal.addEventListener('abort', done, { once: true });
  });
}
