import { isToBeSigned } from '#core/event/build.js';
import { ServerName, UserId } from '#core/ids.js';
import { own, ownString } from '#core/json-value.js';
import { takesEffect } from '#rooms/redactions.js';
import { annotationKey, relatesTo } from '#rooms/relations.js';
import { roomByNum } from '#rooms/rooms.js';
import { CHUNK_USERS, localMembers } from '#rooms/roster.js';
import { indexedWords } from '#rooms/search-index.js';
import { AUTH_CHECKS } from '#rooms/verify-auth.js';
import { BUNDLE_CHECKS } from '#rooms/verify-bundles.js';
import {
  type Check,
  type CheckGround,
  derivedFrom,
  derivedRow,
  Mender,
  problemOf,
  rowCheck,
  type StoreProblem,
} from '#store/checks.js';
import type { StoredEvent } from '#store/events.js';
import { untyped } from '#store/kv.js';
import {
  aliases,
  annotations,
  awaitedRedactions,
  bulkRedactions,
  echoes,
  eventNums,
  events,
  members,
  postings,
  published,
  type RoomHead,
  receipts,
  receivedTransactions,
  redactions,
  relatedRedactions,
  relations,
  roomAliases,
  roomNums,
  rooms,
  rosters,
  sentTransactions,
  spaceChildren,
} from '#store/schema.js';
import { isListed, readRow } from '#store/sent-transactions.js';
import type { Reader, RoomNum } from '#store/types.js';
import { isToldAt } from '#store/verify-rows.js';

function isRedacted(reader: Reader, { pdu }: StoredEvent): boolean {
  return reader.has(redactions, [pdu.event_id]);
}

/** Whether an event is in the timeline as it was sent: only such are found, and relate to others. */
function isShownWhole(reader: Reader, stored: StoredEvent): boolean {
  return stored.outcome === 'accepted' && !isRedacted(reader, stored);
}

/** Relations, reactions and words of events. */
const EVENT_INDEXES: readonly Check[] = [
  ...derivedFrom({
    from: events,
    into: relations,
    *rows({ store, events: held }, _key, stored) {
      const relation = relatesTo(stored.pdu);
      if (relation === undefined || !isShownWhole(store, stored)) return;
      const parent = held.byId(store, relation.parent);
      if (parent !== undefined && parent.room !== stored.room) return;
      const { type, sender } = stored.pdu;
      const row = { event: stored.num, relType: relation.relType, type, sender };
      yield derivedRow(relations, [relation.parent, stored.order], row);
    },
    isMade({ store, events: held }, [parent, order], row) {
      const stored = held.get(store, row.event);
      if (stored?.order !== order || !isShownWhole(store, stored)) return false;
      const relation = relatesTo(stored.pdu);
      return relation?.parent === parent && relation.relType === row.relType;
    },
  }),

  ...derivedFrom({
    from: relations,
    into: annotations,
    *rows({ store, events: held }, [parent], { event, relType, type, sender }) {
      if (relType !== 'm.annotation') return;
      const stored = held.get(store, event);
      const key = stored === undefined ? undefined : annotationKey(relatesTo(stored.pdu));
      // Of two that came with the same key from elsewhere, the later one stands in the row.
      const newest = key === undefined ? undefined : store.get(annotations, [parent, sender, type, key]);
      if (key === undefined) return;
      const stands = newest !== undefined && newest > event ? newest : event;
      yield derivedRow(annotations, [parent, sender, type, key], stands);
    },
    isMade({ store, events: held }, [parent, sender, type, key], event) {
      const stored = held.get(store, event);
      if (stored === undefined || store.get(relations, [parent, stored.order])?.event !== event) return false;
      const relation = relatesTo(stored.pdu);
      const isSame = stored.pdu.sender === sender && stored.pdu.type === type && relation?.parent === parent;
      return isSame && relation.relType === 'm.annotation' && relation.key === key;
    },
  }),

  ...derivedFrom({
    from: events,
    into: postings,
    *rows({ store }, _key, stored) {
      if (!isShownWhole(store, stored)) return;
      const { room, order, num } = stored;
      for (const word of indexedWords(stored.pdu)) yield derivedRow(postings, [room, word, order], num);
    },
    isMade({ store, events: held }, [room, word, order], num) {
      const stored = held.get(store, num);
      if (stored?.room !== room || stored.order !== order || !isShownWhole(store, stored)) return false;
      return indexedWords(stored.pdu).has(word);
    },
  }),
];

/** Whether the row says of the target what the redaction says: an m.room.redaction of it, or a ban that took it along. */
function isRedactionOf(redaction: StoredEvent, target: StoredEvent): boolean {
  if (redaction.room !== target.room || redaction.outcome !== 'accepted') return false;
  const { type, redacts, state_key } = redaction.pdu;
  if (type === 'm.room.redaction') return redacts === target.pdu.event_id;
  return type === 'm.room.member' && state_key === target.pdu.sender;
}

const REDACTION_CHECKS: readonly Check[] = [
  rowCheck(redactions, function* ({ store, events: held }, [id], by) {
    const target = held.byId(store, id);
    const redaction = held.byId(store, by);
    if (target === undefined) yield 'its event is not held';
    else if (redaction === undefined) yield `the redaction ${by} is not held`;
    else if (!isRedactionOf(redaction, target)) yield `the event ${by} does not redact it`;
  }),

  rowCheck(events, function* ({ store, events: held, trees }, [num], stored) {
    // Redactions among filled-in history took no effect: those events came with their content taken away.
    const isLive = stored.outcome === 'accepted' && stored.order === num;
    if (!isLive || stored.pdu.type !== 'm.room.redaction' || stored.pdu.redacts === undefined) return;
    const target = held.byId(store, stored.pdu.redacts);
    if (target === undefined) {
      if (!store.has(awaitedRedactions, [stored.pdu.redacts]))
        yield problemOf(awaitedRedactions, [stored.pdu.redacts], 'is missing: a redaction waits for this event');
    } else if (!isRedacted(store, target)) {
      const room = roomByNum(store, stored.room);
      if (takesEffect({ events: held, trees }, store, room, stored, target))
        yield problemOf(redactions, [target.pdu.event_id], 'is missing: the event was redacted');
    }
  }),

  rowCheck(awaitedRedactions, function* ({ store, events: held }, [id], waiting) {
    if (held.byId(store, id)?.outcome === 'accepted') yield 'its event has come';
    for (const redaction of waiting) {
      if (held.byId(store, redaction)?.pdu.redacts !== id) yield `${redaction} is not held, or redacts something else`;
    }
  }),

  rowCheck(bulkRedactions, function* ({ store, reserved }, [position], row) {
    if (position > reserved) yield 'lies past the reserved positions';
    if (row.kind === 'sender') {
      if (!store.has(rooms, [row.room])) yield 'its room has no head';
      if (!store.has(eventNums, [row.by])) yield `the event ${row.by} is not held`;
    } else if (!store.has(relatedRedactions, [row.parent])) yield 'nothing says how its relations are redacted';
  }),

  rowCheck(relatedRedactions, function* ({ store }, [parent], { room }) {
    const num = store.get(eventNums, [parent]);
    if (num === undefined) yield 'its event is not held';
    else if (store.get(events, [num])?.room !== store.get(roomNums, [room])) yield 'its event is in another room';
  }),
];

/** What a room's head and state say once more, so that it is found without walking the state. */
const ROOM_INDEXES: readonly Check[] = [
  ...derivedFrom({
    from: rooms,
    into: spaceChildren,
    *rows({ store, trees }, [room], head) {
      for (const [type, child, event] of trees.entries(store, head.state)) {
        if (type === 'm.space.child') yield derivedRow(spaceChildren, [room, child], event);
      }
    },
    isMade({ store, trees }, [room, child], event) {
      const head = store.get(rooms, [room]);
      return head !== undefined && trees.get(store, head.state, 'm.space.child', child) === event;
    },
  }),

  {
    covers: [untyped(rosters)],
    row: rowCheck(rooms, (ground, [room]) => rosterProblems(ground, room)).row!,
    rebuild: rebuildRosters,
  },
  rowCheck(rosters, function* ({ store }, [room, chunk]) {
    if (!store.has(rooms, [room])) yield 'its room has no head';
    if (chunk < 0 || (chunk > 0 && !store.has(rosters, [room, chunk - 1]))) yield 'the chunk before it is missing';
  }),

  rowCheck(members, function* ({ store, events: held }, _key, member) {
    const stored = held.get(store, member.event);
    if (stored === undefined) return;
    const { content } = stored.pdu;
    if (ownString(content, 'membership') !== member.membership) yield 'is not what its event says';
    for (const [field, shown] of [
      ['displayname', member.displayname],
      ['avatar_url', member.avatarUrl],
    ] as const) {
      const said = isRedacted(store, stored) ? undefined : own(content, field);
      if ((typeof said === 'string' && said !== '' ? said : undefined) !== shown) yield `has another ${field}`;
    }
  }),

  { covers: [untyped(rooms)], rebuild: rebuildCounts },

  ...derivedFrom({
    from: aliases,
    into: roomAliases,
    *rows(_ground, [alias], { roomId }) {
      yield derivedRow(roomAliases, [roomId, alias], true);
    },
    isMade: ({ store }, [room, alias]) => store.get(aliases, [alias])?.roomId === room,
  }),
  rowCheck(aliases, function* ({ store, serverName }, [alias], { roomId }) {
    if (!store.has(roomNums, [roomId])) yield 'its room is not held';
    if (!alias.endsWith(`:${serverName}`)) yield 'is an alias of another server';
  }),
  rowCheck(published, function* ({ store }, [room]) {
    if (!store.has(roomNums, [room])) yield 'its room is not held';
  }),
];

const SENDING_CHECKS: readonly Check[] = [
  rowCheck(events, function* ({ serverName }, _key, { pdu }) {
    if (isToBeSigned(pdu) && !isLocal(pdu.sender, serverName))
      yield 'is a message of another server, and nobody signed it';
  }),

  rowCheck(receipts, function* ({ store, events: held, reserved }, [room, type, user], receipt) {
    const { eventId, order, position } = receipt;
    if (!store.has(rooms, [room])) yield 'its room has no head';
    if (position > reserved) yield 'lies past the reserved positions';
    const fact = {
      kind: 'receipt',
      room,
      user,
      ...(type === 'm.read.private' ? { private: true as const } : {}),
    } as const;
    if (!isToldAt(store, position, fact)) yield `is not told in the log at ${position}`;
    const read = held.byId(store, eventId);
    if (read === undefined) yield `its event ${eventId} is not held`;
    else if (read.room !== room || read.order !== order) yield `its event ${eventId} has another place`;
  }),

  rowCheck(echoes, function* ({ store }, [num]) {
    if (!store.has(events, [num])) yield 'its event is not held';
  }),

  rowCheck(sentTransactions, function* ({ store, events: held }, [user, device, bucket], row) {
    const read = readRow(bucket, row);
    if (read === undefined) yield 'is not made of whole entries';
    else if ('buckets' in read) {
      for (const one of read.buckets) {
        if (!store.has(sentTransactions, [user, device, one])) yield `names the bucket ${one}, which is not there`;
      }
    } else {
      if (!isListed(store, user, device, bucket)) yield 'is not in the list of its device';
      for (const num of read.events) {
        const made = held.get(store, num);
        if (made === undefined) yield `its event ${num} is not held`;
        else if (made.pdu.sender !== user) yield `its event ${made.pdu.event_id} is of another sender`;
      }
    }
  }),
];

function isLocal(user: string, serverName: string): boolean {
  return UserId.is(user) && UserId.serverName(user) === serverName;
}

/** Compares the roster of one room, which is held in memory meanwhile, with its members. */
async function* rosterProblems(
  { store, serverName }: CheckGround,
  room: RoomNum,
): AsyncGenerator<StoreProblem, void, undefined> {
  const listed = new Set<string>();
  for (const user of localMembers(store, room)) {
    if (listed.has(user)) yield problemOf(rosters, [room, 0], `names ${user} twice`);
    listed.add(user);
  }
  for await (const [[, user], { membership }] of store.range(members, { prefix: [room] })) {
    if (membership !== 'join' || !isLocal(user, serverName)) continue;
    if (!listed.delete(user)) yield problemOf(rosters, [room, 0], `${user} is joined and not on the roster`);
  }
  for (const user of listed) yield problemOf(rosters, [room, 0], `${user} is on the roster and not joined`);
}

async function rebuildRosters(ground: CheckGround): Promise<number> {
  const { store } = ground;
  const mender = new Mender(store);
  for await (const [key] of store.range(rosters)) if (!store.has(rooms, [key[0]])) await mender.remove(rosters, key);
  for await (const [[room]] of store.range(rooms)) {
    const chunks = await store.list(rosters, { prefix: [room], limit: Number.MAX_SAFE_INTEGER });
    const isWhole = chunks.every(([[, chunk]], at) => chunk === at);
    const found = await rosterProblems(ground, room).next();
    if (isWhole && found.done === true) continue;
    await remakeRoster(
      ground,
      mender,
      room,
      chunks.map(([[, chunk]]) => chunk),
    );
  }
  return mender.end();
}

async function remakeRoster(
  { store, serverName }: CheckGround,
  mender: Mender,
  room: RoomNum,
  old: readonly number[],
): Promise<void> {
  let users: string[] = [];
  let chunk = 0;
  for await (const [[, user], { membership }] of store.range(members, { prefix: [room] })) {
    if (membership !== 'join' || !isLocal(user, serverName)) continue;
    if (users.push(user) < CHUNK_USERS) continue;
    await mender.mend(derivedRow(rosters, [room, chunk++], users));
    users = [];
  }
  if (users.length > 0) await mender.mend(derivedRow(rosters, [room, chunk++], users));
  for (const number of old) if (number < 0 || number >= chunk) await mender.remove(rosters, [room, number]);
}

/** Makes the counts of members in the heads of rooms anew. */
async function rebuildCounts({ store }: CheckGround): Promise<number> {
  const mender = new Mender(store);
  for await (const [[room], head] of store.range(rooms)) {
    const counts: Record<string, number> = {};
    for await (const [, { membership }] of store.range(members, { prefix: [room] })) {
      counts[membership] = (counts[membership] ?? 0) + 1;
    }
    const right: RoomHead = { ...head, joined: counts['join'] ?? 0, invited: counts['invite'] ?? 0 };
    await mender.mend(derivedRow(rooms, [room], right));
  }
  return mender.end();
}

/** What must hold of the rows that the rooms write. */
export const ROOM_CHECKS: readonly Check[] = [
  ...REDACTION_CHECKS,
  ...EVENT_INDEXES,
  ...BUNDLE_CHECKS,
  ...ROOM_INDEXES,
  ...SENDING_CHECKS,
  ...AUTH_CHECKS,
  rowCheck(receivedTransactions, function* (_ground, [server], kept) {
    if (!ServerName.is(server)) yield 'is of no server';
    if (new Set(kept.map(({ txnId }) => txnId)).size < kept.length) yield 'holds a transaction twice';
  }),
];
