import { canonicalJson } from '#core/canonical-json.js';
import { MatrixError } from '#core/errors.js';
import type { EventId, UserId } from '#core/ids.js';
import { JsonError, parseJson } from '#core/json.js';
import { type JsonObject, own } from '#core/json-value.js';
import type { Rooms } from '#rooms/rooms.js';
import { type SendRequest, sendEventIn } from '#rooms/send.js';
import {
  type DelayedEvent,
  delayedCounts,
  delayedDue,
  delayedEvents,
  delayedOf,
  delayedTxns,
  type User,
} from '#store/schema.js';
import type { Reader, Tx } from '#store/types.js';
import { findUser } from '#users/accounts.js';
import { removeGuests } from '#users/guests.js';
import type { Users } from '#users/users.js';
import type { Task, TaskContext, Tasks } from '#util/tasks.js';

/** Longest delay, and most events that one user may have scheduled: the capability of MSC4140 says both. */
export const MAX_DELAY_MS = 24 * 60 * 60 * 1000;
export const MAX_SCHEDULED = 100;
/** Largest content, as JSON, in bytes: that of an event. */
const MAX_CONTENT_BYTES = 65_536;
/** How long one that is over can still be asked for. */
const KEPT_MS = 7 * 24 * 60 * 60 * 1000;
/** Rows of one user, those included that are over; the oldest of these go first. */
const MAX_KEPT = 1_000;
const DUE_AT_ONCE = 100;
const LONGEST_IDLE_MS = 60 * 60 * 1000;

/** What a user can do to a scheduled event. */
export type DelayedAction = 'send' | 'cancel' | 'restart';

/**
 * Delayed events (MSC4140): kept as rows, and sent by one task that sleeps until the next is due. Whoever knows a delay
 * id may act on it, as on a secret link, so that a call server can send the leave of one who vanished.
 */
export class DelayedEvents {
  readonly #rooms: Rooms;
  readonly #users: Users;
  #task: Task | undefined;

  constructor(rooms: Rooms, users: Users) {
    this.#rooms = rooms;
    this.#users = users;
  }

  /** Begins to send what is due, beginning with what became due while the server was down. */
  start(tasks: Tasks): void {
    this.#task = tasks.start('delayed events', (context) => this.#run(context));
  }

  /**
   * Schedules an event and gives its delay id once it is durable; the same transaction id gives the same delay id.
   *
   * Errors: M_INVALID_PARAM for a delay that is not positive, M_FORBIDDEN for one beyond 24 hours, M_BAD_JSON, M_TOO_LARGE,
   * M_LIMIT_EXCEEDED with 100 scheduled already. Whether the room lets the event in is asked when it is sent.
   */
  async schedule(request: SendRequest, delayMs: number): Promise<string> {
    const { sender, txn } = request;
    const key = txn && ([sender, request.device ?? '', txn.path, txn.id] as const);
    const made = key && this.#rooms.store.latest.get(delayedTxns, [...key]);
    if (made !== undefined) return made;
    if (delayMs <= 0) throw new MatrixError('M_INVALID_PARAM', 'The delay must be positive');
    if (delayMs > MAX_DELAY_MS) {
      throw new MatrixError('M_FORBIDDEN', `The delay may be at most ${MAX_DELAY_MS} milliseconds`);
    }
    const content = contentText(request.content);
    const id = this.#users.random.token(24);
    await this.#makePlace(sender);
    const given = await this.#rooms.store.commit((tx) => {
      const other = key && tx.get(delayedTxns, [...key]);
      if (other !== undefined) return other;
      const count = tx.get(delayedCounts, [sender]) ?? 0;
      if (count >= MAX_SCHEDULED) throw tooMany(1_000);
      const row: DelayedEvent = {
        user: sender,
        room: request.roomId,
        type: request.type,
        ...(request.stateKey !== undefined && { stateKey: request.stateKey }),
        ...(request.redacts !== undefined && { redacts: request.redacts }),
        content,
        delayMs,
        scheduledTs: this.#rooms.clock.now(),
        ...(request.ts !== undefined && { ts: request.ts }),
        ...(txn !== undefined && { txn: { device: request.device ?? '', path: txn.path, id: txn.id } }),
      };
      tx.put(delayedEvents, [id], row);
      tx.put(delayedDue, [dueTs(row), id], true);
      tx.put(delayedOf, [sender, id], true);
      tx.put(delayedCounts, [sender], count + 1);
      if (key !== undefined) tx.put(delayedTxns, [...key], id);
      return id;
    });
    this.#task?.wake();
    return given;
  }

  /**
   * Acts on a delayed event. One that is over already as the action wants it is left so. M_NOT_FOUND for an unknown id,
   * M_UNKNOWN 409 for one that is over otherwise, and for `send` what sending the event throws: it stays scheduled then.
   */
  async act(id: string, action: DelayedAction): Promise<void> {
    await this.#rooms.store.commit((tx) => {
      const row = tx.get(delayedEvents, [id]);
      if (row === undefined) throw new MatrixError('M_NOT_FOUND', 'No such delayed event');
      if (row.outcome !== undefined) {
        const done = row.outcome.event === undefined ? 'cancel' : 'send';
        if (done === action) return;
        const how = done === 'send' ? 'sent' : 'cancelled';
        throw new MatrixError('M_UNKNOWN', `The delayed event was ${how} before`, { status: 409 });
      }
      if (action === 'cancel') this.#finish(tx, id, row, {});
      else if (action === 'send') this.#finish(tx, id, row, { event: this.#send(tx, id, row) });
      else {
        const restarted = { ...row, scheduledTs: this.#rooms.clock.now() };
        tx.delete(delayedDue, [dueTs(row), id]);
        tx.put(delayedDue, [dueTs(restarted), id], true);
        tx.put(delayedEvents, [id], restarted);
      }
    });
    this.#task?.wake();
  }

  /** A user's delayed event, scheduled or over; M_NOT_FOUND for an unknown one or that of another user. */
  get(user: UserId, id: string): JsonObject {
    const row = this.#rooms.store.get(delayedEvents, [id]);
    if (row?.user !== user) throw new MatrixError('M_NOT_FOUND', 'No such delayed event');
    const { outcome } = row;
    return {
      ...view(id, row),
      ...(outcome !== undefined && { finalised_ts: outcome.ts }),
      ...(outcome?.event !== undefined && { event_id: outcome.event }),
      ...(outcome?.error !== undefined && { error: outcome.error }),
    };
  }

  /** What a user has scheduled, in the order in which it will be sent. */
  async list(user: UserId): Promise<JsonObject[]> {
    const rows = await this.#rowsOf(user);
    return rows
      .filter(([, row]) => row.outcome === undefined)
      .sort(([, a], [, b]) => dueTs(a) - dueTs(b))
      .map(([id, row]) => view(id, row));
  }

  async #rowsOf(user: UserId): Promise<[id: string, row: DelayedEvent][]> {
    const ids = await this.#rooms.store.list(delayedOf, { prefix: [user], limit: MAX_KEPT + MAX_SCHEDULED });
    const rows: [string, DelayedEvent][] = [];
    for (const [[, id]] of ids) {
      const row = this.#rooms.store.get(delayedEvents, [id]);
      if (row !== undefined) rows.push([id, row]);
    }
    return rows;
  }

  /** Forgets the oldest of those that are over, where a user has very many; throws where too many are scheduled. */
  async #makePlace(user: UserId): Promise<void> {
    const rows = await this.#rowsOf(user);
    const due = rows.filter(([, row]) => row.outcome === undefined).map(([, row]) => dueTs(row));
    if (due.length >= MAX_SCHEDULED) throw tooMany(Math.min(...due) - this.#rooms.clock.now());
    const excess = rows.length - MAX_KEPT + 1;
    if (excess <= 0) return;
    const over = rows.filter(([, row]) => row.outcome !== undefined);
    over.sort(([, a], [, b]) => a.outcome!.ts - b.outcome!.ts);
    await this.#rooms.store.commit((tx) => {
      for (const [id] of over.slice(0, excess)) this.#forget(tx, id);
    });
  }

  async #run({ signal, idle, busy }: TaskContext): Promise<void> {
    while (!signal.aborted) {
      const rows = await this.#rooms.store.list(delayedDue, { limit: DUE_AT_ONCE });
      const now = this.#rooms.clock.now();
      const first = rows[0]?.[0][0];
      if (first === undefined || first > now) {
        await idle(Math.min(LONGEST_IDLE_MS, first === undefined ? LONGEST_IDLE_MS : first - now));
        continue;
      }
      const done = busy();
      try {
        for (const [[ts, id]] of rows) {
          if (ts > now || signal.aborted) break;
          await this.#handleDue(id, now);
        }
      } finally {
        done();
      }
    }
  }

  async #handleDue(id: string, now: number): Promise<void> {
    try {
      await this.#rooms.store.commit((tx) => {
        const row = tx.get(delayedEvents, [id]);
        if (row === undefined || dueTs(row) > now) return;
        if (row.outcome === undefined) this.#finish(tx, id, row, { event: this.#send(tx, id, row) });
        else this.#forget(tx, id);
      });
    } catch (error) {
      if (!(error instanceof MatrixError)) throw error;
      const { errcode, message } = error;
      await this.#rooms.store.commit((tx) => {
        const row = tx.get(delayedEvents, [id]);
        if (row === undefined || row.outcome !== undefined || dueTs(row) > now) return;
        this.#finish(tx, id, row, { error: { errcode, error: message } });
      });
    }
  }

  #send(tx: Tx, id: string, row: DelayedEvent): EventId {
    const content = parseJson(row.content, { numbers: 'exact' }) as JsonObject;
    const { guest } = checkAccount(tx, row.user);
    if (guest && row.type === 'm.room.member' && own(content, 'membership') === 'join') {
      throw new MatrixError('M_GUEST_ACCESS_FORBIDDEN', 'Guests join rooms themselves');
    }
    const made = sendEventIn(this.#rooms, tx, {
      roomId: row.room,
      sender: row.user,
      type: row.type,
      content,
      delayId: id,
      ...(row.stateKey !== undefined && { stateKey: row.stateKey }),
      ...(row.redacts !== undefined && { redacts: row.redacts }),
      ...(row.ts !== undefined && { ts: row.ts }),
    });
    if (row.type === 'm.room.guest_access' && row.stateKey === '') removeGuests(this.#rooms, tx, row.room);
    return made;
  }

  #finish(tx: Tx, id: string, row: DelayedEvent, how: Omit<NonNullable<DelayedEvent['outcome']>, 'ts'>): void {
    const finished: DelayedEvent = { ...row, outcome: { ts: this.#rooms.clock.now(), ...how } };
    tx.delete(delayedDue, [dueTs(row), id]);
    tx.put(delayedDue, [dueTs(finished), id], true);
    tx.put(delayedEvents, [id], finished);
    countDown(tx, row.user);
  }

  #forget(tx: Tx, id: string): void {
    const row = tx.get(delayedEvents, [id]);
    if (row === undefined) return;
    tx.delete(delayedEvents, [id]);
    tx.delete(delayedDue, [dueTs(row), id]);
    tx.delete(delayedOf, [row.user, id]);
    if (row.txn !== undefined) tx.delete(delayedTxns, [row.user, row.txn.device, row.txn.path, row.txn.id]);
    if (row.outcome === undefined) countDown(tx, row.user);
  }
}

function countDown(tx: Tx, user: UserId): void {
  const count = (tx.get(delayedCounts, [user]) ?? 0) - 1;
  if (count > 0) tx.put(delayedCounts, [user], count);
  else tx.delete(delayedCounts, [user]);
}

/** When the task has something to do for the row: to send it, or to forget it. */
export function dueTs(row: DelayedEvent): number {
  return row.outcome === undefined ? row.scheduledTs + row.delayMs : row.outcome.ts + KEPT_MS;
}

function contentText(content: JsonObject): string {
  let text: string;
  try {
    text = canonicalJson(content);
  } catch (error) {
    if (error instanceof JsonError) throw new MatrixError('M_BAD_JSON', error.message);
    throw error;
  }
  if (Buffer.byteLength(text) > MAX_CONTENT_BYTES) throw new MatrixError('M_TOO_LARGE', 'The event is too large');
  return text;
}

function tooMany(retryAfterMs: number): MatrixError {
  return new MatrixError('M_LIMIT_EXCEEDED', `You have ${MAX_SCHEDULED} delayed events scheduled already`, {
    extra: { retry_after_ms: Math.max(1_000, retryAfterMs) },
  });
}

/** What an account may not do itself any more, nothing does in its name. */
function checkAccount(reader: Reader, user: UserId): User {
  const row = findUser(reader, user);
  if (row === undefined || row.deactivated) throw new MatrixError('M_USER_DEACTIVATED', 'The account is deactivated');
  if (row.locked) throw new MatrixError('M_USER_LOCKED', 'The account is locked');
  if (row.suspended) throw new MatrixError('M_USER_SUSPENDED', 'The account is suspended');
  return row;
}

/** Under the names of the proposal's text now, and of the versions before that clients still read. */
function view(id: string, row: DelayedEvent): JsonObject {
  return {
    delay_id: id,
    room_id: row.room,
    type: row.type,
    ...(row.stateKey !== undefined && { state_key: row.stateKey }),
    delay_ms: row.delayMs,
    delay: row.delayMs,
    scheduled_at: row.scheduledTs,
    running_since: row.scheduledTs,
    content: parseJson(row.content, { numbers: 'exact' }),
  };
}
