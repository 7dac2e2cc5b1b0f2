/** A lane took no more work because too much was waiting. */
export class LaneFullError extends Error {
  override readonly name = 'LaneFullError';
}

export interface LaneLimits {
  /** Jobs that may wait on one lane, the running one not counted. */
  readonly waiting: number;
}

/**
 * Serial queues by key: jobs of one key run one after another in order, jobs of different keys side by side. For work
 * that needs I/O in the middle and must not overlap with itself; a change of the store alone needs none (a transaction
 * is synchronous).
 */
export class Lanes<K> {
  readonly #limits: LaneLimits;
  readonly #lanes = new Map<K, { last: Promise<unknown>; length: number }>();

  constructor(limits: LaneLimits) {
    this.#limits = limits;
  }

  /** Lanes with work now. */
  get size(): number {
    return this.#lanes.size;
  }

  /**
   * Runs `job` once those before it on the lane `key` are through, whether they failed or not. Resolves and rejects as
   * the job does; rejects with `LaneFullError`, without running it, where too many wait.
   */
  run<T>(key: K, job: () => Promise<T>): Promise<T> {
    const lane = this.#lanes.get(key) ?? { last: Promise.resolve(), length: 0 };
    if (lane.length > this.#limits.waiting) return Promise.reject(new LaneFullError('too much is waiting'));
    this.#lanes.set(key, lane);
    lane.length++;
    const result = lane.last.then(job);
    lane.last = result.then(
      () => this.#left(key, lane),
      () => this.#left(key, lane),
    );
    return result;
  }

  /** Resolves when no lane has work, whatever came in meanwhile included. */
  async settle(): Promise<void> {
    while (this.#lanes.size > 0) await Promise.all([...this.#lanes.values()].map((lane) => lane.last));
  }

  #left(key: K, lane: { length: number }): void {
    lane.length--;
    if (lane.length === 0) this.#lanes.delete(key);
  }
}
