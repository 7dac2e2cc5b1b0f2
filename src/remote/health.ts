import type { ServerName } from '#core/ids.js';
import type { Clock } from '#util/clock.js';
import { Lru } from '#util/lru.js';

const FIRST_WAIT_MS = 10_000;
const LONGEST_WAIT_MS = 60 * 60 * 1000;
const MAX_REMEMBERED = 5_000;

/**
 * Which servers lately did not answer, so that they aren't asked again with every event that names them. Held in memory:
 * a restart asks once more.
 */
export class Health {
  readonly #clock: Clock;
  readonly #failing = new Lru<ServerName, { readonly waitMs: number; readonly untilMs: number }>(MAX_REMEMBERED);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether the server may be asked now. */
  mayAsk(server: ServerName): boolean {
    return (this.#failing.get(server)?.untilMs ?? 0) <= this.#clock.monotonicMs();
  }

  /** It gave no answer of use: it is left alone for a while, twice as long as the last time. */
  failed(server: ServerName): void {
    const before = this.#failing.get(server);
    const waitMs = Math.min(LONGEST_WAIT_MS, before === undefined ? FIRST_WAIT_MS : before.waitMs * 2);
    this.#failing.set(server, { waitMs, untilMs: this.#clock.monotonicMs() + waitMs });
  }

  /** It answered, or it came by itself. */
  answered(server: ServerName): void {
    this.#failing.delete(server);
  }
}
