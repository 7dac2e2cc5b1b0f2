import { UserId } from '#core/ids.js';
import { roomRules } from '#core/room-versions.js';
import type { KeyPart, Keyspace } from '#store/keyspace.js';
import { untyped } from '#store/kv.js';
import {
  backupSessions,
  backups,
  backupVersions,
  dehydratedDevices,
  deviceKeys,
  devices,
  echoes,
  eventNums,
  events,
  keyedDevices,
  keyQueues,
  log,
  members,
  memberships,
  meta,
  oneTimeKeyIds,
  oneTimeKeys,
  type RoomHead,
  receipts,
  relations,
  roomNums,
  rooms,
  stateKeyNums,
  stateKeys,
  stateNodes,
  timeline,
  timestamps,
} from '#store/schema.js';
import type { StateTrees } from '#store/state.js';
import { decodeNode, isLeaf } from '#store/state-node.js';
import type { RoomNum, Store } from '#store/types.js';

/** What the checks of one row are given besides the row. */
export interface CheckGround {
  readonly store: Store;
  readonly trees: StateTrees;
  readonly serverName: string;
  /** No position in use is larger. */
  readonly reserved: number;
}

/** A check that a row must pass; yields what is wrong. */
interface RowCheck {
  readonly keyspace: Keyspace<readonly KeyPart[], unknown>;
  problems(ground: CheckGround, key: readonly KeyPart[], value: unknown): Iterable<string>;
}

/** Declares a check with the types of its keyspace. */
function rowCheck<K extends readonly KeyPart[], V>(
  keyspace: Keyspace<K, V>,
  problems: (ground: CheckGround, key: K, value: V) => Iterable<string>,
): RowCheck {
  return {
    keyspace: untyped(keyspace),
    problems: (ground, key, value) => problems(ground, key as unknown as K, value as V),
  };
}

/** What must hold for each row, in order of keyspace. */
export const ROW_CHECKS: readonly RowCheck[] = [
  rowCheck(meta, function* (_ground, [name], value) {
    const isNumber = ['format', 'positions', 'created_ts'].includes(name);
    if (isNumber && !Number.isSafeInteger(value)) yield 'is not a number';
  }),

  rowCheck(log, function* ({ store, reserved }, [position], fact) {
    if (position > reserved) yield 'lies past the reserved positions';
    if (fact.kind !== 'event') return;
    const event = store.get(events, [position]);
    if (event === undefined) yield 'names an event that is not held';
    else if (event.room !== fact.room) yield 'names another room than its event';
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
      for (const child of node.children) {
        if (child !== 0 && !store.has(stateNodes, [child])) yield `its child ${child} is missing`;
      }
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

  rowCheck(relations, function* ({ store }, [parent], relation) {
    const event = store.get(events, [relation.event]);
    if (event === undefined) yield `event ${relation.event} is not held`;
    else if (event.pdu.event_id === parent) yield 'is a relation of an event to itself';
  }),

  rowCheck(receipts, function* ({ store, reserved }, [room], receipt) {
    if (!store.has(rooms, [room])) yield 'its room has no head';
    if (receipt.position > reserved) yield 'lies past the reserved positions';
  }),

  rowCheck(timestamps, function* ({ store }, [room, ts, order], num) {
    const event = store.get(events, [num]);
    if (event?.room !== room || event.order !== order || event.pdu.origin_server_ts !== ts) {
      yield `event ${num} belongs elsewhere or is not held`;
    }
  }),

  rowCheck(echoes, function* ({ store }, [num]) {
    if (!store.has(events, [num])) yield 'its event is not held';
  }),

  rowCheck(deviceKeys, function* ({ store }, [user, device]) {
    if (!store.has(devices, [user, device])) yield 'its device is gone';
    if (!store.get(keyedDevices, [user])?.includes(device)) yield "is not among the user's devices with keys";
  }),
  rowCheck(keyedDevices, function* ({ store }, [user], ids) {
    for (const id of ids) if (!store.has(deviceKeys, [user, id])) yield `names ${id}, which has no keys`;
  }),

  rowCheck(oneTimeKeys, function* ({ store }, [user, device, algorithm, sequence], { id }) {
    const places = store.get(keyQueues, [user, device])?.algorithms ?? {};
    const place = Object.hasOwn(places, algorithm) ? places[algorithm] : undefined;
    if (place === undefined || sequence >= place.next) yield 'lies outside the queue of its device';
    const named = store.get(oneTimeKeyIds, [user, device, id]);
    if (named === undefined || named < sequence) yield 'its id does not lead to it';
  }),

  rowCheck(keyQueues, function* ({ store, reserved }, [user, device], { algorithms, position }) {
    if (!store.has(devices, [user, device])) yield 'its device is gone';
    if (position > reserved) yield 'lies past the reserved positions';
    for (const [algorithm, { first, next }] of Object.entries(algorithms)) {
      for (let sequence = first; sequence < next; sequence++) {
        if (!store.has(oneTimeKeys, [user, device, algorithm, sequence]))
          yield `key ${sequence} of ${algorithm} is missing`;
      }
    }
  }),

  rowCheck(oneTimeKeyIds, function* ({ store }, [user, device, id], sequence) {
    const algorithm = id.slice(0, id.indexOf(':'));
    if (store.get(oneTimeKeys, [user, device, algorithm, sequence])?.id !== id) yield 'there is no such key';
  }),

  rowCheck(backups, function* ({ store }, [user], { current, last }) {
    if (current === undefined) return;
    const row = current > last ? undefined : store.get(backupVersions, [user, current]);
    if (row === undefined || row.deleted) yield `its current version ${current} is not there`;
  }),

  rowCheck(backupSessions, function* ({ store }, [user, version]) {
    if (!store.has(backupVersions, [user, version])) yield 'its backup version is not there';
  }),

  rowCheck(dehydratedDevices, function* ({ store }, [user], { device }) {
    if (!store.has(devices, [user, device])) yield 'its device is gone';
  }),
];

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
