import { MatrixError } from '#core/errors.js';
import type { Clock } from '#util/clock.js';
import { Lru } from '#util/lru.js';

const REMEMBERED_ACCOUNTS = 20_000;

/** How many attempts at one account there may be at once, and after how many milliseconds one more. */
export interface AttemptBound {
  readonly free: number;
  readonly refillMs: number;
  /** Says to who attempts it what there was too much of. */
  readonly message: string;
}

/** Guesses at a password: ten wrong ones in a row, then one more each ten seconds. */
export const WRONG_PASSWORDS: AttemptBound = {
  free: 10,
  refillMs: 10_000,
  message: 'Too many wrong passwords for this account',
};
/** Logins with the right password: each makes a device, which everyone who shares a room is told of. */
export const LOGINS: AttemptBound = { free: 20, refillMs: 20_000, message: 'Too many logins to this account' };

/**
 * Slows down what is attempted at one account, from wherever it comes. Names that do not exist are counted alike, so that
 * the answer tells nothing.
 */
export class AccountAttempts {
  readonly #clock: Clock;
  readonly #bound: AttemptBound;
  readonly #accounts = new Lru<string, { attempts: number; atMs: number }>(REMEMBERED_ACCOUNTS);

  constructor(clock: Clock, bound: AttemptBound) {
    this.#clock = clock;
    this.#bound = bound;
  }

  #now(user: string): number {
    const entry = this.#accounts.get(user);
    if (entry === undefined) return 0;
    return Math.max(0, entry.attempts - (this.#clock.monotonicMs() - entry.atMs) / this.#bound.refillMs);
  }

  /** Throws M_LIMIT_EXCEEDED while there were too many attempts at `user`. */
  check(user: string): void {
    const over = this.#now(user) - this.#bound.free;
    if (over < 0) return;
    throw new MatrixError('M_LIMIT_EXCEEDED', this.#bound.message, {
      extra: { retry_after_ms: Math.max(1, Math.ceil((over + 0.001) * this.#bound.refillMs)) },
    });
  }
  /** Counts an attempt before its outcome is known, so that parallel attempts count too. */
  count(user: string): void {
    this.#accounts.set(user, { attempts: this.#now(user) + 1, atMs: this.#clock.monotonicMs() });
  }
  /** Forgets the attempts: the right password was given. */
  clear(user: string): void {
    this.#accounts.delete(user);
  }
}
