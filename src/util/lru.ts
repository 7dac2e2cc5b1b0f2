interface Entry<V> {
  readonly value: V;
  readonly weight: number;
}

/** Entries that are let go of together. */
class Generation<K, V> {
  readonly entries = new Map<K, Entry<V>>();
  /** Sum of the entries' weights. */
  weight = 0;

  add(key: K, entry: Entry<V>): void {
    this.entries.set(key, entry);
    this.weight += entry.weight;
  }
  take(key: K): Entry<V> | undefined {
    const entry = this.entries.get(key);
    if (entry === undefined) return undefined;
    this.entries.delete(key);
    this.weight -= entry.weight;
    return entry;
  }
  /** Lets go of the oldest until at most `weight` is left. */
  shrinkTo(weight: number): void {
    // Asked before the loop: it makes an iterator, and sets are many.
    if (this.weight <= weight) return;
    for (const key of this.entries.keys()) {
      if (this.weight <= weight) return;
      this.take(key);
    }
  }
}

/**
 * A map bounded by the sum of its entries' weights, in two generations. What is set is young, and so is again what is asked for.
 * Where the young would come to more than half of the limit they become the old ones, and what was old until then and not asked
 * for is gone. So what was used last is kept, half of the limit for certain. Who takes the oldest entries out of one map, one by one,
 * has the empty places of all before them to pass over each time, which took a fifth of the time of paging through a room.
 */
export class Lru<K, V> {
  readonly #limit: number;
  #young = new Generation<K, V>();
  #old = new Generation<K, V>();

  /** `limit` is the largest sum of weights kept, in whatever unit `set` is given (default: entries). */
  constructor(limit: number) {
    this.#limit = limit;
  }
  get size(): number {
    return this.#young.entries.size + this.#old.entries.size;
  }
  /** Sum of the weights held now. */
  get weight(): number {
    return this.#young.weight + this.#old.weight;
  }
  get(key: K): V | undefined {
    const entry = this.#young.entries.get(key);
    if (entry !== undefined) return entry.value;
    const old = this.#old.take(key);
    if (old === undefined) return undefined;
    this.#add(key, old);
    return old.value;
  }
  has(key: K): boolean {
    return this.#young.entries.has(key) || this.#old.entries.has(key);
  }
  set(key: K, value: V, weight = 1): void {
    this.delete(key);
    if (weight <= this.#limit) this.#add(key, { value, weight });
  }
  #add(key: K, entry: Entry<V>): void {
    if (this.#young.weight + entry.weight > this.#limit / 2) {
      this.#old = this.#young;
      this.#young = new Generation();
    }
    this.#young.add(key, entry);
    // One that takes more than half of the limit leaves less for the others.
    this.#old.shrinkTo(this.#limit - this.#young.weight);
  }
  /** Lets go of the oldest until at most this share of the limit (from 0 to 1) is held. */
  shrinkTo(share: number): void {
    this.#old.shrinkTo(Math.max(0, share * this.#limit - this.#young.weight));
    this.#young.shrinkTo(share * this.#limit);
  }
  delete(key: K): boolean {
    return (this.#young.take(key) ?? this.#old.take(key)) !== undefined;
  }
  clear(): void {
    this.#young = new Generation();
    this.#old = new Generation();
  }
}
