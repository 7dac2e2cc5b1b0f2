import { UserId } from '#core/ids.js';
import { roomRules } from '#core/room-versions.js';
import {
  type Check,
  type CheckGround,
  type DerivedRow,
  derivedRow,
  derivedWhole,
  rowCheck,
  strayCheck,
} from '#store/checks.js';
import { rebuildEventRows } from '#store/events.js';
import { untyped } from '#store/kv.js';
import { membersOf, rebuildMembers } from '#store/members.js';
import {
  accountData,
  deviceLists,
  eventNums,
  events,
  journal,
  keyQueues,
  log,
  members,
  memberships,
  meta,
  type RoomHead,
  receipts,
  roomNums,
  roomServers,
  rooms,
  signedUsers,
  stateKeyNums,
  stateKeys,
  stateNodes,
  threadSubscriptionLog,
  timeline,
  timestamps,
  toDevice,
} from '#store/schema.js';
import { rebuildStateKeys } from '#store/state.js';
import { decodeNode, isLeaf, sizeOf } from '#store/state-node.js';
import type { Fact, Position, Reader, RoomNum, Store } from '#store/types.js';

/** What must hold of the rows that this layer writes; its derived rows are made anew first of all. */
export const STORE_CHECKS: readonly Check[] = [
  {
    covers: [
      ...[untyped(stateKeys), untyped(eventNums), untyped(timeline), untyped(timestamps)],
      ...[untyped(members), untyped(memberships)],
    ],
    rebuild: async ({ store, trees }) =>
      (await rebuildStateKeys(store)) + (await rebuildEventRows(store)) + (await rebuildMembers(store, trees)),
  },

  rowCheck(meta, function* (_ground, [name], value) {
    const isNumber = ['format', 'positions', 'created_ts'].includes(name);
    if (isNumber && !Number.isSafeInteger(value)) yield 'is not a number';
  }),

  rowCheck(log, async function* ({ store, reserved }, [position], fact) {
    if (position > reserved) yield 'lies past the reserved positions';
    yield* factProblems(store, position, fact);
  }),

  rowCheck(journal, function* (_ground, [sequence], row) {
    if (sequence < 1) yield 'counts from below 1';
    for (const part of [row.check, row.bytes, row.content]) {
      if (!Number.isSafeInteger(part) || part < 0) yield 'holds something other than three numbers';
    }
  }),

  rowCheck(roomNums, function* ({ store }, [id], num) {
    if (store.get(rooms, [num])?.id !== id) yield `room ${num} has no head with this id`;
  }),

  rowCheck(rooms, function* (ground, [num], head) {
    yield* headProblems(ground, num, head);
    yield* memberProblems(ground, num, head);
  }),

  rowCheck(events, function* ({ store, trees, reserved }, [num], event) {
    const { pdu, outcome, room, order } = event;
    if (event.num !== num) yield `says that its number is ${event.num}`;
    if (num > reserved) yield 'lies past the reserved positions';
    if (store.get(eventNums, [pdu.event_id]) !== num) yield 'its id does not lead to it';
    if (!store.has(rooms, [room])) yield `its room ${room} has no head`;
    for (const root of [event.stateBefore, event.stateAfter]) {
      if (root !== 0 && !store.has(stateNodes, [root])) yield `the state ${root} is missing`;
    }
    if (outcome !== 'accepted') return;
    if (store.get(timeline, [room, order]) !== num) yield 'is not at its place in the timeline';
    if (store.get(timestamps, [room, pdu.origin_server_ts, order]) !== num) yield 'has no row by timestamp';
    if (order === num && !isToldAt(store, num, { kind: 'event', room })) yield 'came live and is not told in the log';
    if (pdu.state_key === undefined) {
      if (event.stateAfter !== event.stateBefore) yield 'changes the state without being a state event';
    } else if (trees.get(store, event.stateAfter, pdu.type, pdu.state_key) !== num) {
      yield 'is not in the state after it';
    }
  }),

  rowCheck(eventNums, function* ({ store }, [id], num) {
    if (store.get(events, [num])?.pdu.event_id !== id) yield `event ${num} has another id or is not held`;
  }),

  rowCheck(timeline, function* ({ store }, [room, order], num) {
    const event = store.get(events, [num]);
    if (event?.outcome !== 'accepted') yield `event ${num} is not an accepted one`;
    else if (event.room !== room || event.order !== order) yield `event ${num} belongs elsewhere`;
  }),

  rowCheck(stateNodes, function* ({ store }, [num], bytes) {
    const node = decodeNode(num, bytes);
    if (isLeaf(node)) {
      for (const key of node.keys) if (!store.has(stateKeys, [key])) yield `holds the unknown state key ${key}`;
      for (const event of node.events) if (!store.has(events, [event])) yield `holds event ${event}, which is not held`;
    } else {
      let size = 0;
      for (const child of node.children) {
        const below = child === 0 ? undefined : store.get(stateNodes, [child]);
        if (below !== undefined) size += sizeOf(decodeNode(child, below));
        else if (child !== 0) yield `its child ${child} is missing`;
      }
      if (size !== node.size) yield `counts ${node.size} entries, there are ${size}`;
    }
  }),

  rowCheck(stateKeyNums, function* ({ store }, [type, stateKey], num) {
    const name = store.get(stateKeys, [num]);
    if (name?.[0] !== type || name[1] !== stateKey) yield `number ${num} stands for something else`;
  }),

  rowCheck(stateKeys, function* ({ store }, [num], [type, stateKey]) {
    if (store.get(stateKeyNums, [type, stateKey]) !== num) yield 'its name does not lead to it';
  }),

  rowCheck(members, function* ({ store, trees, serverName }, [room, user], member) {
    const head = store.get(rooms, [room]);
    if (head === undefined) yield 'its room has no head';
    else if (trees.get(store, head.state, 'm.room.member', user) !== member.event) yield 'is not what the state says';
    if (!UserId.is(user) || UserId.serverName(user) !== serverName) return;
    const row = store.get(memberships, [user, room]);
    if (row === undefined) yield 'a local member does not find the room';
    else if (row.membership !== member.membership && !isHeldInvite(row)) yield "the member's own row says otherwise";
  }),

  rowCheck(memberships, function* ({ store, serverName, reserved }, [user], row) {
    if (!UserId.is(user) || UserId.serverName(user) !== serverName) yield 'is of a user of another server';
    if (row.position > reserved) yield 'lies past the reserved positions';
    if (row.event !== 0 && !store.has(events, [row.event])) yield `its event ${row.event} is not held`;
  }),

  rowCheck(timestamps, function* ({ store }, [room, ts, order], num) {
    const event = store.get(events, [num]);
    if (event?.room !== room || event.order !== order || event.pdu.origin_server_ts !== ts) {
      yield `event ${num} belongs elsewhere or is not held`;
    }
  }),

  strayCheck(roomServers, 'any member', async (ground, [room, server]) =>
    (await serversByMembers(ground, room)).has(server),
  ),
  derivedWhole([untyped(roomServers)], async function* (ground): AsyncGenerator<DerivedRow> {
    for await (const [[room]] of ground.store.range(rooms)) {
      for (const [server, count] of await serversByMembers(ground, room)) {
        yield derivedRow(roomServers, [room, server], count);
      }
    }
  }),
];

/** How many users of each other server are joined to a room. */
async function serversByMembers(
  { store, serverName }: CheckGround,
  room: RoomNum,
): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  for await (const [user, { membership }] of membersOf(store, room)) {
    if (membership !== 'join' || !UserId.is(user)) continue;
    const server = UserId.serverName(user);
    if (server !== serverName) counts.set(server, (counts.get(server) ?? 0) + 1);
  }
  return counts;
}

/**
 * A fact stands where the row that it tells of says it does: rows whose fact a newer one replaced have moved on with it.
 * Facts of a kind that others may follow without taking them back (profiles, memberships, unread counts) are asked less.
 */
async function* factProblems(store: Store, position: Position, fact: Fact): AsyncGenerator<string> {
  const stands = (at: Position | undefined): boolean => at === position;
  switch (fact.kind) {
    case 'event': {
      const event = store.get(events, [position]);
      if (event === undefined) yield 'names an event that is not held';
      else if (event.room !== fact.room) yield 'names another room than its event';
      return;
    }
    case 'membership':
      if (!store.has(memberships, [fact.user, fact.room])) yield 'tells of a membership that is not there';
      return;
    case 'accountData': {
      const room = fact.room === undefined ? '' : store.get(rooms, [fact.room])?.id;
      const row = room === undefined ? undefined : store.get(accountData, [fact.user, room, fact.type]);
      if (!stands(row?.position)) yield 'tells of account data that is not there';
      return;
    }
    case 'toDevice':
      if (!store.has(toDevice, [fact.user, fact.device, position])) yield 'tells of a message that is not there';
      return;
    case 'deviceList': {
      const { user, only } = fact;
      const at = only === undefined ? store.get(deviceLists, [user]) : store.get(signedUsers, [only, user]);
      if (!stands(at)) yield 'tells of a change of devices that is not the last one';
      return;
    }
    case 'keyCounts':
      if (!stands(store.get(keyQueues, [fact.user, fact.device])?.position)) {
        yield 'tells of key counts that changed again';
      }
      return;
    case 'threadSubscription':
      if (!store.has(threadSubscriptionLog, [fact.user, position])) yield 'tells of no subscription';
      return;
    case 'receipt': {
      const prefix = [fact.room, fact.private ? 'm.read.private' : 'm.read', fact.user];
      for await (const [, receipt] of store.range(receipts, { prefix })) if (stands(receipt.position)) return;
      yield 'tells of a receipt that is not there';
      return;
    }
    case 'unread':
      if (!store.has(rooms, [fact.room])) yield 'tells of a room that is not held';
  }
}

/** The fact at the position that a row says it was told at; the kind decides what else must agree. */
export function isToldAt(store: Reader, position: Position, wanted: Fact): boolean {
  const fact = store.get(log, [position]);
  if (fact === undefined || fact.kind !== wanted.kind) return false;
  return Object.entries(wanted).every(([name, value]) => (fact as unknown as Record<string, unknown>)[name] === value);
}

/** Invites and knocks may come as stripped state to a room whose own state here is older. */
function isHeldInvite(row: { readonly stripped?: unknown }): boolean {
  return row.stripped !== undefined;
}

function* headProblems({ store, trees, reserved }: CheckGround, num: RoomNum, head: RoomHead): Generator<string> {
  if (roomRules(head.version) === undefined) yield `has the unknown version ${head.version}`;
  if (store.get(roomNums, [head.id]) !== num) yield 'its id does not lead to it';
  if (head.tip > reserved) yield 'its tip lies past the reserved positions';
  for (const id of head.extremities) {
    const event = store.get(eventNums, [id]);
    if (event === undefined) yield `its extremity ${id} is not held`;
    else if (store.get(events, [event])?.room !== num) yield `its extremity ${id} is in another room`;
  }
  for (const [type, stateKey, event] of trees.entries(store, head.state)) {
    const held = store.get(events, [event]);
    if (held === undefined) {
      yield `its state holds event ${event}, which is not held`;
    } else if (held.pdu.type !== type || held.pdu.state_key !== stateKey || held.room !== num) {
      yield `its state holds event ${event} in a wrong place`;
    }
  }
}

function* memberProblems({ store, trees }: CheckGround, num: RoomNum, head: RoomHead): Generator<string> {
  let joined = 0;
  let invited = 0;
  for (const [type, user, event] of trees.entries(store, head.state)) {
    if (type !== 'm.room.member') continue;
    const row = store.get(members, [num, user]);
    if (row?.event !== event) yield `${user} is in the state and not among the members`;
    if (row?.membership === 'join') joined++;
    if (row?.membership === 'invite') invited++;
  }
  if (joined !== head.joined) yield `counts ${head.joined} joined members, there are ${joined}`;
  if (invited !== head.invited) yield `counts ${head.invited} invited members, there are ${invited}`;
}
