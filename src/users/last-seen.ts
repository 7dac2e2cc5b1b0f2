import type { Store } from '#store/types.js';
import { markSeen } from '#users/devices.js';
import type { Clock, Timer } from '#util/clock.js';

const WRITE_EVERY_MS = 60_000;
/** So many devices waiting are written without waiting for the minute to end. */
const MAX_PENDING = 5_000;
/** Devices written in one transaction, which holds the event loop for some 30 µs a device. */
const AT_ONCE = 200;

interface Seen {
  readonly user: string;
  readonly device: string;
  readonly ts: number;
  readonly ip: string;
  readonly userAgent: string | undefined;
}

/** When and from where devices were last seen: gathered in memory, and written once a minute, or sooner where there is rest. */
export class LastSeen {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #pending = new Map<string, Seen>();
  #timer: Timer | undefined;
  #writing: Promise<void> = Promise.resolve();
  /** What waits will be written after what is being written now. */
  #isDue = false;

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  note(user: string, device: string, ip: string, userAgent: string | undefined): void {
    this.#pending.set(`${user}\0${device}`, { user, device, ts: this.#clock.now(), ip, userAgent });
    if (this.#pending.size >= MAX_PENDING) this.write();
    else this.#timer ??= this.#clock.after(WRITE_EVERY_MS, () => this.write());
  }

  /** What is not written yet of a device. */
  pending(user: string, device: string): { readonly ts: number; readonly ip: string } | undefined {
    return this.#pending.get(`${user}\0${device}`);
  }

  /** Begins to write what waits. */
  write(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#isDue) return;
    this.#isDue = true;
    this.#writing = this.#writing.then(() => {
      this.#isDue = false;
      return this.#writeAll([...this.#pending]);
    });
  }

  async #writeAll(all: readonly [string, Seen][]): Promise<void> {
    for (let from = 0; from < all.length; from += AT_ONCE) {
      const some = all.slice(from, from + AT_ONCE);
      await this.#store
        .commit((tx) => {
          for (const [, seen] of some) markSeen(tx, seen.user, seen.device, seen);
        })
        // Nothing was promised to anyone: what the disk refuses here is seen again with the next request.
        .catch(() => {});
      for (const [key, seen] of some) if (this.#pending.get(key) === seen) this.#pending.delete(key);
    }
  }

  /** Writes what waits; resolves once it is durable, or was refused. */
  async close(): Promise<void> {
    this.write();
    await this.#writing;
  }
}
