import { powerLevels } from '#core/auth/power-levels.js';
import { type EventId, UserId } from '#core/ids.js';
import { isObject, type JsonObject, own, ownString } from '#core/json-value.js';
import type { PushRoom } from '#core/push-rules/conditions.js';
import { type CompiledRules, compileRuleset, evaluate, prepareEvent } from '#core/push-rules/evaluate.js';
import type { Action } from '#core/push-rules/model.js';
import { mergeStored } from '#core/push-rules/stored.js';
import { ignores } from '#rooms/ignored.js';
import { relatesTo } from '#rooms/relations.js';
import { type AppendContext, type Room, type Rooms, stateAt } from '#rooms/rooms.js';
import { localMembers } from '#rooms/roster.js';
import type { StoredEvent } from '#store/events.js';
import { accountData, members, notices, type ReadNotice, type UnreadCounts, unread } from '#store/schema.js';
import type { Order, Reader, RoomNum, Tx } from '#store/types.js';
import { rememberRead } from '#sync/notifications.js';
import { type PushListener, queueBadge, queuePush } from '#users/push-queue.js';
import { subscribedTo } from '#users/thread-subscriptions.js';
import { Lru } from '#util/lru.js';

/** How many users' compiled push rules are held, half of them for certain: each event asks for those of all local members of its room. */
const COMPILED_USERS = 3_000;
/** Rows taken out in one transaction when much is read at once. */
const READ_SLICE = 500;

/** The thread of events that are in none. */
export const MAIN = 'main';

/** The thread that an event belongs to: the root's event id, or "main" (client-server API, Threading). */
export function threadOf(stored: StoredEvent): string {
  const relation = relatesTo(stored.pdu);
  return relation?.relType === 'm.thread' ? relation.parent : MAIN;
}

/**
 * Unread counts (client-server API, Receiving notifications): each event that notifies a local user leaves a notice in
 * the transaction that appends it, and the sums stand in one row a room. Receipts take notices out again.
 */
export class Unread {
  readonly #rooms: Rooms;
  readonly #compiled = new Lru<UserId, CompiledRules>(COMPILED_USERS);
  readonly #onPushQueued: PushListener;
  readonly #stop: () => void;

  constructor(rooms: Rooms, onPushQueued: PushListener = () => {}) {
    this.#rooms = rooms;
    this.#onPushQueued = onPushQueued;
    rooms.observers.push((tx, stored, context) => this.#observe(tx, stored, context));
    this.#stop = rooms.store.onCommitted((entries) => {
      for (const { fact } of entries) {
        if (fact.kind === 'accountData' && fact.type === 'm.push_rules') this.#compiled.delete(fact.user as UserId);
      }
    });
  }

  /** Keeps of the compiled push rules those of the users met last, up to this share of what may be held. */
  shrinkCache(share: number): void {
    this.#compiled.shrinkTo(share);
  }

  close(): void {
    this.#stop();
  }

  #observe(tx: Tx, stored: StoredEvent, context: AppendContext): void {
    if (!context.live || stored.outcome !== 'accepted') return;
    const { pdu } = stored;
    this.#followMembership(tx, stored, context.room.num);
    const event = prepareEvent(pdu);
    const room = pushRoom(this.#rooms, tx, context.room, pdu.sender);
    // Only the body of a message is searched for display names: other events need no look at anyone's member row.
    const hasBody = typeof own(pdu.content, 'body') === 'string';
    const thread = threadOf(stored);
    for (const member of localMembers(tx, context.room.num)) {
      if (member === pdu.sender) continue;
      const user = member as UserId;
      const rules = this.#rulesOf(tx, user);
      const name =
        hasBody && rules.usesDisplayName ? tx.get(members, [context.room.num, user])?.displayname : undefined;
      const subscribed = thread === MAIN ? undefined : subscribedTo(tx, user, context.room.num, thread as EventId);
      const result = evaluate(rules, event, room, name, subscribed);
      if (!result.notify || ignores(tx, user, pdu.sender)) continue;
      this.#notice(tx, user, context.room.num, stored.order, thread, result.highlight);
      this.#push(tx, user, stored, result.actions);
    }
    const invited = invitedBy(stored, this.#rooms);
    if (invited === undefined || ignores(tx, invited, pdu.sender)) return;
    const result = evaluate(this.#rulesOf(tx, invited), event, room);
    if (result.notify) this.#push(tx, invited, stored, result.actions);
  }

  #push(tx: Tx, user: UserId, stored: StoredEvent, actions: readonly Action[]): void {
    queuePush(tx, user, stored.num, { tweaks: tweaksOf(actions), ts: this.#rooms.clock.now() }, this.#onPushQueued);
  }

  #rulesOf(reader: Reader, user: UserId): CompiledRules {
    let rules = this.#compiled.get(user);
    if (rules === undefined) {
      rules = compileRuleset(mergeStored(user, reader.get(accountData, [user, '', 'm.push_rules'])?.content));
      this.#compiled.set(user, rules);
    }
    return rules;
  }

  /** Counts begin anew when a user comes into a room, and end when they leave. */
  #followMembership(tx: Tx, stored: StoredEvent, room: RoomNum): void {
    const { pdu } = stored;
    if (pdu.type !== 'm.room.member' || pdu.state_key === undefined) return;
    const user = pdu.state_key;
    const known = tx.get(unread, [user, room]);
    const membership = ownString(pdu.content, 'membership');
    if (membership === 'join') return;
    if (known !== undefined || membership === 'leave' || membership === 'ban') {
      tx.put(unread, [user, room], { threads: {}, position: stored.num, from: stored.order });
      if (known !== undefined && Object.keys(known.threads).length > 0) {
        queueBadge(tx, user as UserId, this.#onPushQueued);
      }
    }
  }

  #notice(tx: Tx, user: UserId, room: RoomNum, order: Order, thread: string, highlight: boolean): void {
    tx.put(notices, [user, room, order], { thread, ...(highlight ? { highlight } : {}) });
    const counts = tx.get(unread, [user, room]) ?? { threads: {}, position: order, from: order - 1 };
    const known = counts.threads[thread] ?? { notify: 0, highlight: 0 };
    tx.put(unread, [user, room], {
      ...counts,
      threads: {
        ...counts.threads,
        [thread]: { notify: known.notify + 1, highlight: known.highlight + (highlight ? 1 : 0) },
      },
    });
  }

  /**
   * Takes out the notices that a receipt at `order` passes: all of them where `thread` is "" (unthreaded), otherwise
   * those of that thread. `within` runs in the first transaction: it puts the receipt itself. A long backlog goes in
   * slices, so that the loop is never held; a crash in between leaves notices that the next receipt takes.
   */
  async read(user: UserId, room: RoomNum, order: Order, thread: string, within: (tx: Tx) => boolean): Promise<void> {
    const { store } = this.#rooms;
    let first = true;
    let after: Order | undefined;
    for (;;) {
      const rows = await store.list(notices, {
        prefix: [user, room],
        lte: [order],
        ...(after === undefined ? {} : { gt: [after] }),
        limit: READ_SLICE,
      });
      const passed = rows.filter(([, notice]) => thread === '' || notice.thread === thread).map(([key]) => key);
      const isFirst = first;
      const goesOn = await store.commit((tx) => {
        // A receipt that did not move changes nothing, and leaves notices alone.
        if (isFirst && !within(tx)) return false;
        this.#takeOut(tx, user, room, passed);
        return true;
      });
      first = false;
      if (!goesOn || rows.length < READ_SLICE) return;
      after = rows.at(-1)![0][2];
    }
  }

  #takeOut(tx: Tx, user: UserId, room: RoomNum, keys: readonly [user: string, room: RoomNum, order: Order][]): void {
    const counts = tx.get(unread, [user, room]);
    if (counts === undefined) return;
    const threads: Record<string, { notify: number; highlight: number }> = {};
    for (const [thread, count] of Object.entries(counts.threads)) threads[thread] = { ...count };
    const read: ReadNotice[] = [];
    let changed = false;
    for (const key of keys) {
      // Another receipt may have taken it meanwhile.
      const notice = tx.get(notices, key);
      if (notice === undefined) continue;
      tx.delete(notices, key);
      read.push({ room, order: key[2], ...(notice.highlight ? { highlight: true } : {}) });
      const count = threads[notice.thread];
      if (key[2] <= counts.from || count === undefined) continue;
      changed = true;
      count.notify -= 1;
      if (notice.highlight) count.highlight -= 1;
      if (count.notify <= 0) delete threads[notice.thread];
    }
    rememberRead(tx, user, read);
    if (!changed) return;
    const position = tx.position();
    tx.put(unread, [user, room], { ...counts, threads, position } satisfies UnreadCounts);
    tx.fact(position, { kind: 'unread', user, room });
    queueBadge(tx, user, this.#onPushQueued);
  }
}

/** The local user whom an event invites: they are told although they are not in the room yet. */
function invitedBy({ pdu }: StoredEvent, rooms: Rooms): UserId | undefined {
  if (pdu.type !== 'm.room.member' || ownString(pdu.content, 'membership') !== 'invite') return undefined;
  const user = UserId.parse(pdu.state_key ?? '');
  return user !== undefined && UserId.serverName(user) === rooms.serverName ? user : undefined;
}

/** The tweaks among push actions, by name (client-server API, Push Rules: Actions). */
function tweaksOf(actions: readonly Action[]): JsonObject {
  const tweaks: [string, JsonObject[string]][] = [];
  for (const action of actions) {
    const name = isObject(action) ? own(action, 'set_tweak') : undefined;
    if (!isObject(action) || typeof name !== 'string') continue;
    const value = own(action, 'value') ?? (name === 'highlight' ? true : undefined);
    if (value !== undefined) tweaks.push([name, value]);
  }
  return Object.fromEntries(tweaks);
}

/** What push conditions ask of the room, looked up only when a rule asks. */
function pushRoom(rooms: Rooms, reader: Reader, room: Room, sender: UserId): PushRoom {
  let levels: ReturnType<typeof powerLevels> | undefined;
  const read = (): ReturnType<typeof powerLevels> => {
    if (levels === undefined) {
      const state = stateAt(rooms, reader, room.head.state);
      levels = powerLevels(room.rules, state('m.room.create', ''), state('m.room.power_levels', ''));
    }
    return levels;
  };
  return {
    memberCount: room.head.joined,
    senderLevel: () => Number(read().user(sender)),
    notificationLevel: (key) => Number(read().notification(key)),
  };
}
