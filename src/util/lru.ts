/** A map bounded by the sum of its entries' weights; the least recently used entries go first. */
export class Lru<K, V> {
  readonly #entries = new Map<K, { value: V; weight: number }>();
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
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }
  has(key: K): boolean {
    return this.#entries.has(key);
  }
  set(key: K, value: V, weight = 1): void {
    this.delete(key);
    if (weight > this.#limit) return;
    this.#entries.set(key, { value, weight });
    this.#total += weight;
    // Asked before the loop: it makes an iterator, and sets are many.
    if (this.#total <= this.#limit) return;
    for (const [oldest, entry] of this.#entries) {
      if (this.#total <= this.#limit) break;
      this.#entries.delete(oldest);
      this.#total -= entry.weight;
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
