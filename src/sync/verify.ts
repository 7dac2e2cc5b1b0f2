import { type Check, rowCheck, tally } from '#store/checks.js';
import {
  events,
  notices,
  readNoticeHeads,
  readNotices,
  rooms,
  slidingConnections,
  slidingRooms,
  timeline,
  type UnreadCounts,
  unread,
  users,
} from '#store/schema.js';
import { CHUNK_NOTICES, KEPT_CHUNKS } from '#sync/notifications.js';
import { BUCKETS, MOST_CONNECTIONS } from '#sync/sliding/connection.js';
import { threadOf } from '#sync/unread.js';

const UNREAD_CHECKS: readonly Check[] = [
  rowCheck(notices, function* ({ store }, [user, room, order], { thread }) {
    if (!store.has(users, [user])) yield `there is no account ${user}`;
    const num = store.get(timeline, [room, order]);
    const event = num === undefined ? undefined : store.get(events, [num]);
    if (event === undefined) yield 'its event is not in the timeline';
    else if (threadOf(event) !== thread) yield 'its event is in another thread';
  }),

  ...tally({
    from: notices,
    into: unread,
    keyOf: ([user, room]): [string, number] => [user, room],
    async expected({ store }, [user, room], held) {
      const threads: Record<string, { notify: number; highlight: number }> = {};
      let first: number | undefined;
      let last = 0;
      const after = held === undefined ? {} : { gt: [held.from] };
      for await (const [[, , order], { thread, highlight }] of store.range(notices, {
        prefix: [user, room],
        ...after,
      })) {
        first ??= order;
        last = order;
        const count = Object.hasOwn(threads, thread) ? threads[thread]! : { notify: 0, highlight: 0 };
        threads[thread] = { notify: count.notify + 1, highlight: count.highlight + (highlight ? 1 : 0) };
      }
      if (held !== undefined) return { ...held, threads };
      return first === undefined ? undefined : ({ threads, position: last, from: first - 1 } satisfies UnreadCounts);
    },
  }),

  rowCheck(unread, function* ({ store, reserved }, [user, room], { position }) {
    if (!store.has(users, [user])) yield `there is no account ${user}`;
    if (!store.has(rooms, [room])) yield 'its room has no head';
    if (position > reserved) yield 'lies past the reserved positions';
  }),

  rowCheck(readNotices, function* ({ store }, [user, chunk], read) {
    if (!store.has(users, [user])) yield `there is no account ${user}`;
    const head = store.get(readNoticeHeads, [user]) ?? 0;
    if (chunk > head || chunk <= head - KEPT_CHUNKS) yield `lies outside what is kept below ${head}`;
    if (read.length > CHUNK_NOTICES) yield 'holds too many';
    for (const { room, order } of read) {
      if (!store.has(timeline, [room, order])) yield `the event at ${room}/${order} is not in the timeline`;
    }
  }),

  ...tally({
    from: readNotices,
    into: readNoticeHeads,
    // The first chunk has no head.
    keyOf: ([user, chunk]): [string] | undefined => (chunk === 0 ? undefined : [user]),
    async expected({ store }, [user]) {
      const [newest] = await store.list(readNotices, { prefix: [user], reverse: true, limit: 1 });
      return newest === undefined || newest[0][1] === 0 ? undefined : newest[0][1];
    },
  }),
];

const SLIDING_CHECKS: readonly Check[] = [
  rowCheck(slidingConnections, function* ({ store, reserved }, [user], connections) {
    if (!store.has(users, [user])) yield `there is no account ${user}`;
    const all = Object.entries(connections);
    if (all.length > MOST_CONNECTIONS) yield `has ${all.length} connections`;
    for (const [name, { positions }] of all) {
      if (positions.some((position) => position > reserved)) yield `${name} lies past the reserved positions`;
    }
  }),

  rowCheck(slidingRooms, function* ({ store, reserved }, [user, device, name, bucket], { generation, rooms: sent }) {
    const connections = store.get(slidingConnections, [user, device]) ?? {};
    const connection = Object.hasOwn(connections, name) ? connections[name] : undefined;
    if (connection === undefined) yield 'its connection is gone';
    for (const [room, { at, upTo }] of Object.entries(sent)) {
      if (Number(room) % BUCKETS !== bucket) yield `room ${room} belongs into another bucket`;
      if (!store.has(rooms, [Number(room)])) yield `room ${room} has no head`;
      if (upTo > reserved) yield `room ${room} lies past the reserved positions`;
      if (connection?.generation === generation && at > connection.counter) {
        yield `room ${room} was sent by answer ${at}, and the newest is ${connection.counter}`;
      }
    }
  }),
];

/** What must hold of the rows that syncs write. */
export const SYNC_CHECKS: readonly Check[] = [...UNREAD_CHECKS, ...SLIDING_CHECKS];
