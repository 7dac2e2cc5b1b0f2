import type { UserId } from '#core/ids.js';
import { type Receipt, receipts } from '#store/schema.js';
import type { Position, RoomNum, Store, Tx } from '#store/types.js';
import type { Clock, Timer } from '#util/clock.js';

/** Longest time that a typing notice lasts, whatever the client asks (client-server API, Typing notifications). */
const LONGEST_TYPING_MS = 120_000;
const DEFAULT_TYPING_MS = 30_000;

export interface TypingNow {
  /** When the list last changed; 0 where nobody typed since the start. */
  readonly position: Position;
  readonly users: readonly UserId[];
}

const NOBODY: TypingNow = { position: 0, users: [] };

/**
 * Who is typing where. Held in memory only: it is about now, and a restart ends it. Each notice ends by itself, so
 * nobody types for ever.
 */
export class Typing {
  readonly #store: Store;
  readonly #clock: Clock;
  #newest: Position = 0;
  readonly #rooms = new Map<RoomNum, { position: Position; readonly users: Map<UserId, Timer> }>();

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** When any room's list last changed; 0 where nobody typed since the start. */
  get newest(): Position {
    return this.#newest;
  }

  /** Who is typing in a room, and since which position that is so. */
  in(room: RoomNum): TypingNow {
    const state = this.#rooms.get(room);
    return state === undefined ? NOBODY : { position: state.position, users: [...state.users.keys()] };
  }

  /** Begins or renews a notice that ends after `timeoutMs` (30 s where absent, 120 s at most). */
  start(room: RoomNum, user: UserId, timeoutMs = DEFAULT_TYPING_MS): void {
    let state = this.#rooms.get(room);
    if (state === undefined) {
      state = { position: 0, users: new Map() };
      this.#rooms.set(room, state);
    }
    const known = state.users.get(user);
    known?.cancel();
    const lasts = Math.min(Math.max(0, timeoutMs), LONGEST_TYPING_MS);
    state.users.set(
      user,
      this.#clock.after(lasts, () => this.stop(room, user)),
    );
    if (known === undefined) state.position = this.#changed(room);
  }

  /** Ends a user's notice: they stopped, sent a message, or left. */
  stop(room: RoomNum, user: UserId): void {
    const state = this.#rooms.get(room);
    const timer = state?.users.get(user);
    if (state === undefined || timer === undefined) return;
    timer.cancel();
    state.users.delete(user);
    state.position = this.#changed(room);
  }

  #changed(room: RoomNum): Position {
    this.#newest = this.#store.ephemeral({ kind: 'typing', room });
    return this.#newest;
  }

  close(): void {
    for (const { users } of this.#rooms.values()) for (const timer of users.values()) timer.cancel();
    this.#rooms.clear();
  }
}

/**
 * Puts a receipt unless a newer one stands: receipts never move back (client-server API, Receipts). `thread` is "" for
 * an unthreaded one, "main", or the thread root's event id. Returns whether it moved.
 */
export function putReceipt(
  tx: Tx,
  room: RoomNum,
  user: UserId,
  type: 'm.read' | 'm.read.private',
  thread: string,
  receipt: Omit<Receipt, 'position'>,
): boolean {
  const key = [room, type, user, thread] as const;
  const old = tx.get(receipts, [...key]);
  if (old !== undefined && old.order >= receipt.order) return false;
  if (old !== undefined) tx.retract(old.position);
  const position = tx.position();
  tx.put(receipts, [...key], { ...receipt, position });
  tx.fact(position, {
    kind: 'receipt',
    room,
    user,
    ...(type === 'm.read.private' ? { private: true } : {}),
  });
  return true;
}
