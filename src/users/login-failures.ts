import { MatrixError } from '#core/errors.js';
import type { Clock } from '#util/clock.js';
import { Lru } from '#util/lru.js';

const FREE_FAILURES = 10;
const REFILL_MS = 10_000;
const REMEMBERED_ACCOUNTS = 20_000;

/**
 * Slows down guessing at one account's password, from wherever it comes: after ten wrong ones in a row, one more each ten
 * seconds. Names that do not exist are counted alike, so that the answer tells nothing.
 */
export class LoginFailures {
  readonly #clock: Clock;
  readonly #accounts = new Lru<string, { failures: number; atMs: number }>(REMEMBERED_ACCOUNTS);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  #now(user: string): number {
    const entry = this.#accounts.get(user);
    if (entry === undefined) return 0;
    return Math.max(0, entry.failures - (this.#clock.monotonicMs() - entry.atMs) / REFILL_MS);
  }

  /** Throws M_LIMIT_EXCEEDED while too many wrong passwords were given for `user`. */
  check(user: string): void {
    const over = this.#now(user) - FREE_FAILURES;
    if (over < 0) return;
    throw new MatrixError('M_LIMIT_EXCEEDED', 'Too many wrong passwords for this account', {
      extra: { retry_after_ms: Math.max(1, Math.ceil((over + 0.001) * REFILL_MS)) },
    });
  }
  /** Counts an attempt before its password is looked at, so that parallel attempts count too. */
  count(user: string): void {
    this.#accounts.set(user, { failures: this.#now(user) + 1, atMs: this.#clock.monotonicMs() });
  }
  /** Forgets the failures: the right password was given. */
  clear(user: string): void {
    this.#accounts.delete(user);
  }
}
