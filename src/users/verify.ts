import { UserId } from '#core/ids.js';
import { type Check, type CheckGround, derivedFrom, derivedRow, rowCheck, tally } from '#store/checks.js';
import {
  accessTokens,
  accountData,
  delayedCounts,
  delayedDue,
  delayedEvents,
  delayedOf,
  delayedTxns,
  deviceLists,
  devices,
  deviceTokens,
  eventNums,
  events,
  filters,
  firstTokens,
  inboxCounts,
  loginTokens,
  openIdTokens,
  presences,
  profiles,
  refreshTokens,
  registrationTokens,
  reports,
  roomNums,
  rooms,
  serverNoticeRooms,
  threadSubscribers,
  threadSubscriptionLog,
  threadSubscriptions,
  toDevice,
  toDeviceTxns,
  uiaSessions,
  users,
  userTasks,
} from '#store/schema.js';
import type { Position, Reader } from '#store/types.js';
import { isToldAt } from '#store/verify-rows.js';
import { dueTs } from '#users/delayed-events.js';
import { filterId } from '#users/filters.js';
import { KEY_CHECKS } from '#users/keys/verify.js';
import { PUSH_CHECKS } from '#users/verify-push.js';

/** Accounts are never deleted: whatever is somebody's has one. */
function* ownerProblems({ store }: CheckGround, user: string): Generator<string> {
  if (!store.has(users, [user])) yield `there is no account ${user}`;
}

function* placeProblems({ reserved }: CheckGround, position: Position): Generator<string> {
  if (position > reserved) yield 'lies past the reserved positions';
}

function isDeactivated(store: Reader, user: string): boolean {
  return store.get(users, [user])?.deactivated === true;
}

const ACCOUNT_CHECKS: readonly Check[] = [
  rowCheck(users, function* ({ serverName }, [user], row) {
    if (!UserId.is(user) || UserId.serverName(user) !== serverName) yield 'is an account of another server';
    if (row.deactivated && row.passwordHash !== undefined) yield 'is deactivated and has a password';
    if (!Number.isSafeInteger(row.createdTs)) yield 'does not say when it was made';
  }),

  rowCheck(devices, function* (ground, [user], { position }) {
    yield* ownerProblems(ground, user);
    yield* placeProblems(ground, position ?? 0);
  }),

  rowCheck(profiles, (ground, [user]) => ownerProblems(ground, user)),

  rowCheck(accountData, function* (ground, [user, room, type], { position }) {
    const { store } = ground;
    yield* ownerProblems(ground, user);
    yield* placeProblems(ground, position);
    const num = room === '' ? undefined : store.get(roomNums, [room as never]);
    if (room !== '' && num === undefined) yield 'its room is not held';
    const fact = { kind: 'accountData', user, type, ...(num !== undefined && { room: num }) } as const;
    if (!isToldAt(store, position, fact)) yield `is not told in the log at ${position}`;
  }),

  rowCheck(filters, function* (ground, [user, id], filter) {
    yield* ownerProblems(ground, user);
    if (filterId(filter) !== id) yield 'has the id of another filter';
  }),

  rowCheck(presences, function* (ground, [user], { presence }) {
    yield* ownerProblems(ground, user);
    if (!['online', 'offline', 'unavailable', 'busy'].includes(presence)) yield `says ${presence}`;
  }),

  rowCheck(deviceLists, function* (ground, [user], position) {
    yield* ownerProblems(ground, user);
    yield* placeProblems(ground, position);
    if (!isToldAt(ground.store, position, { kind: 'deviceList', user })) yield `is not told in the log at ${position}`;
  }),

  rowCheck(reports, function* (ground, [position], { reporter }) {
    yield* placeProblems(ground, position);
    yield* ownerProblems(ground, String(reporter));
  }),

  rowCheck(userTasks, function* (ground, [user, task]) {
    yield* ownerProblems(ground, user);
    if (task !== 'deactivate' && task !== 'profile') yield `there is no such work as ${String(task)}`;
    if (task === 'deactivate' && !isDeactivated(ground.store, user)) yield 'the account is not deactivated';
  }),

  rowCheck(serverNoticeRooms, function* (ground, [user], room) {
    yield* ownerProblems(ground, user);
    if (!ground.store.has(roomNums, [room])) yield 'its room is not held';
  }),
];

const SESSION_CHECKS: readonly Check[] = [
  rowCheck(accessTokens, function* ({ store }, [hash], { user, device, refresh, replaces }) {
    if (!store.has(devices, [user, device])) yield `there is no device ${device} of ${user}`;
    if (!store.get(deviceTokens, [user, device])?.access.includes(hash)) yield 'its device does not know of it';
    if (refresh !== undefined && store.get(refreshTokens, [refresh])?.access !== hash) yield 'has no refresh token';
    if (replaces !== undefined && !store.has(refreshTokens, [replaces])) yield 'the token that it replaces is gone';
  }),

  rowCheck(refreshTokens, function* ({ store }, [hash], { user, device, access, spent }) {
    const held = store.get(deviceTokens, [user, device]);
    const list = spent ? held?.spent : held?.refresh;
    if (!list?.includes(hash)) yield 'its device does not know of it';
    if (!spent && store.get(accessTokens, [access])?.refresh !== hash) yield 'its access token is gone';
  }),

  rowCheck(deviceTokens, function* ({ store }, [user, device], { access, refresh, spent }) {
    if (!store.has(devices, [user, device])) yield 'its device is gone';
    for (const hash of access) if (!store.has(accessTokens, [hash])) yield `the access token ${hash} is gone`;
    for (const hash of [...refresh, ...spent]) {
      if (!store.has(refreshTokens, [hash])) yield `the refresh token ${hash} is gone`;
    }
  }),

  rowCheck(loginTokens, (ground, _key, { user }) => ownerProblems(ground, user)),
  rowCheck(openIdTokens, (ground, _key, { user }) => ownerProblems(ground, user)),

  rowCheck(uiaSessions, function* (ground, _key, { user, createdTs }) {
    if (user !== undefined) yield* ownerProblems(ground, user);
    if (!Number.isSafeInteger(createdTs)) yield 'does not say when it was begun';
  }),

  rowCheck(registrationTokens, async function* ({ store }, [token], { pending, completed, usesAllowed }) {
    for (const count of [pending, completed, usesAllowed ?? 0]) {
      if (!Number.isSafeInteger(count) || count < 0) yield 'has a count that is none';
    }
    if (pending === 0) return;
    let held = 0;
    for await (const [, session] of store.range(uiaSessions)) if (session.token === token) held++;
    // Of a token that was revoked and made again, older sessions hold uses that it does not count.
    if (pending > held) yield `says that ${pending} uses are under way, and there are ${held}`;
  }),

  rowCheck(firstTokens, async function* ({ store }, _key, { token }) {
    if (token === undefined) return;
    for await (const [, user] of store.range(users)) {
      if (user.guest === undefined) return yield 'is still there although there is an account';
    }
  }),
];

const INBOX_CHECKS: readonly Check[] = [
  rowCheck(toDevice, function* (ground, [user, device, position]) {
    yield* ownerProblems(ground, user);
    yield* placeProblems(ground, position);
    if (!isToldAt(ground.store, position, { kind: 'toDevice', user, device })) yield 'is not told in the log';
  }),
  ...tally({
    from: toDevice,
    into: inboxCounts,
    keyOf: ([user, device]): [string, string] => [user, device],
    async expected({ store }, key) {
      let count = 0;
      for await (const _ of store.range(toDevice, { prefix: key })) count++;
      return count === 0 ? undefined : count;
    },
  }),
  rowCheck(toDeviceTxns, (ground, [user]) => ownerProblems(ground, user)),
];

const THREAD_CHECKS: readonly Check[] = [
  rowCheck(threadSubscriptions, function* (ground, [user, room, root], { position }) {
    const { store } = ground;
    yield* ownerProblems(ground, user);
    yield* placeProblems(ground, position);
    if (!store.has(rooms, [room])) yield 'its room has no head';
    const num = store.get(eventNums, [root]);
    if (num === undefined || store.get(events, [num])?.room !== room) yield 'its thread is not in the room';
    if (!isToldAt(store, position, { kind: 'threadSubscription', user })) yield `is not told in the log at ${position}`;
  }),
  ...derivedFrom({
    from: threadSubscriptions,
    into: threadSubscriptionLog,
    *rows(_ground, [user, room, root], { position }) {
      yield derivedRow(threadSubscriptionLog, [user, position], { room, root });
    },
    isMade: ({ store }, [user, position], { room, root }) =>
      store.get(threadSubscriptions, [user, room, root])?.position === position,
  }),
  ...tally({
    from: threadSubscriptions,
    into: threadSubscribers,
    keyOf: ([user]): [string] => [user],
    async expected({ store }, [user], held) {
      // Subscriptions of an account that goes are deleted in slices, and their count last.
      if (isDeactivated(store, user)) return held;
      let count = 0;
      for await (const _ of store.range(threadSubscriptions, { prefix: [user] })) count++;
      return count === 0 ? undefined : count;
    },
  }),
];

const DELAYED_CHECKS: readonly Check[] = [
  rowCheck(delayedEvents, function* (ground, _key, { user, outcome }) {
    yield* ownerProblems(ground, user);
    const made = outcome?.event;
    if (made !== undefined && !ground.store.has(eventNums, [made])) yield `its event ${made} is not held`;
  }),
  ...derivedFrom({
    from: delayedEvents,
    into: delayedDue,
    *rows(_ground, [id], row) {
      yield derivedRow(delayedDue, [dueTs(row), id], true);
    },
    isMade({ store }, [ts, id]) {
      const row = store.get(delayedEvents, [id]);
      return row !== undefined && dueTs(row) === ts;
    },
  }),
  ...derivedFrom({
    from: delayedEvents,
    into: delayedOf,
    *rows(_ground, [id], { user }) {
      yield derivedRow(delayedOf, [user, id], true);
    },
    isMade: ({ store }, [user, id]) => store.get(delayedEvents, [id])?.user === user,
  }),
  ...derivedFrom({
    from: delayedEvents,
    into: delayedTxns,
    *rows(_ground, [id], { user, txn }) {
      if (txn !== undefined) yield derivedRow(delayedTxns, [user, txn.device, txn.path, txn.id], id);
    },
    isMade({ store }, [user, device, path, txn], id) {
      const row = store.get(delayedEvents, [id]);
      return row?.user === user && row.txn?.device === device && row.txn.path === path && row.txn.id === txn;
    },
  }),
  ...tally({
    from: delayedEvents,
    into: delayedCounts,
    keyOf: (_key, { user, outcome }): [string] | undefined => (outcome === undefined ? [user] : undefined),
    async expected({ store }, [user]) {
      let count = 0;
      for await (const [[, id]] of store.range(delayedOf, { prefix: [user] })) {
        if (store.get(delayedEvents, [id])?.outcome === undefined) count++;
      }
      return count === 0 ? undefined : count;
    },
  }),
];

/** What must hold of the rows that the accounts write. */
export const USER_CHECKS: readonly Check[] = [
  ...ACCOUNT_CHECKS,
  ...SESSION_CHECKS,
  ...INBOX_CHECKS,
  ...THREAD_CHECKS,
  ...DELAYED_CHECKS,
  ...KEY_CHECKS,
  ...PUSH_CHECKS,
];
