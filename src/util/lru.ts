interface Entry<V> {
  readonly value: V;
  readonly weight: number;
  isUsed: boolean;
}

/**
 * A map bounded by the sum of its entries' weights. Those go first that were set the longest ago and not asked for since; one
 * that was asked for stays for another round, as if it were set anew ("second chance"). To keep the exact order of use, each
 * `get` would have to move its entry, which took a tenth of the time of paging through a room.
 */
export class Lru<K, V> {
  readonly #entries = new Map<K, Entry<V>>();
  readonly #limit: number;
  #total = 0;

  /** `limit` is the largest sum of weights kept, in whatever unit `set` is given (default: entries). */
  constructor(limit: number) {
    this.#limit = limit;
  }
  get size(): number {
    return this.#entries.size;
  }
  /** Sum of the weights held now. */
  get weight(): number {
    return this.#total;
  }
  get(key: K): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    entry.isUsed = true;
    return entry.value;
  }
  has(key: K): boolean {
    return this.#entries.has(key);
  }
  set(key: K, value: V, weight = 1): void {
    this.delete(key);
    if (weight > this.#limit) return;
    // Asked before the loop: it makes an iterator, and sets are many.
    if (this.#total + weight > this.#limit) this.#makeRoom(weight);
    this.#entries.set(key, { value, weight, isUsed: false });
    this.#total += weight;
  }
  #makeRoom(weight: number): void {
    // What is moved behind comes again, when it has had its second chance.
    for (const [oldest, entry] of this.#entries) {
      this.#entries.delete(oldest);
      if (entry.isUsed) {
        entry.isUsed = false;
        this.#entries.set(oldest, entry);
      } else {
        this.#total -= entry.weight;
        if (this.#total + weight <= this.#limit) break;
      }
    }
  }
  /** Lets go of what was set the longest ago until at most this share of the limit (from 0 to 1) is held. */
  shrinkTo(share: number): void {
    for (const [oldest, { weight }] of this.#entries) {
      if (this.#total <= share * this.#limit) return;
      this.#entries.delete(oldest);
      this.#total -= weight;
    }
  }
  delete(key: K): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    this.#entries.delete(key);
    this.#total -= entry.weight;
    return true;
  }
  clear(): void {
    this.#entries.clear();
    this.#total = 0;
  }
}
