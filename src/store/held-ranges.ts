import { firstPartEnd } from '#store/codec.js';
import type { KeyPart } from '#store/keyspace.js';
import type { AnyKeyspace } from '#store/kv.js';
import { Lru } from '#util/lru.js';

/** What a held row costs beside its key and value, in bytes: the objects around them. */
const ROW_BYTES = 100;

/** A row as ranges give it; `id` is its key as a string whose order is that of the bytes. */
export interface HeldRow {
  readonly id: string;
  readonly parts: readonly KeyPart[];
  readonly value: unknown;
  /** Bytes of its value on disk. */
  readonly bytes: number;
}

/** The last rows of one prefix: all there are from `floor` on. */
interface Tail {
  /** Ascending. */
  readonly rows: HeldRow[];
  readonly floor: string;
  readonly weight: number;
}

/** The part of a range that is in memory, in the range's own order, and where the disk must go on. */
export interface HeldPart {
  readonly rows: readonly HeldRow[];
  /** Rows below this key are not held; undefined where the range is answered whole. */
  readonly below: string | undefined;
}

/**
 * The ends of short ranges, in memory: rows that share the first part of their key (a room's timeline, its members, its
 * receipts) are asked for again and again, and an iterator is a hop to the thread pool and back for each. Follows every
 * write, so what it gives is what an iterator would find.
 */
export class HeldRanges {
  readonly #tails = new Map<number, Lru<string, Tail>>();
  /** Loads on their way; a write beneath one makes its rows stale. */
  readonly #loading = new Map<string, Set<{ isStale: boolean }>>();

  /**
   * What is held of the rows with `lowest` ≤ key < `highest` under `prefix`: `unknown` where nothing of the prefix is,
   * undefined where none of it helps with this range.
   */
  find(
    keyspace: AnyKeyspace,
    prefix: string,
    lowest: string,
    highest: string,
    reverse: boolean,
  ): HeldPart | undefined | 'unknown' {
    const tail = this.#of(keyspace).get(prefix);
    return tail === undefined ? 'unknown' : partOf(tail, lowest, highest, reverse);
  }

  /**
   * Loads the end of a prefix: `read` gives its newest rows, descending, at most as many as asked for, as they were at some
   * moment after the call. They are held for the next time unless a write came in between.
   */
  async load(
    keyspace: AnyKeyspace,
    prefix: string,
    read: (limit: number) => Promise<HeldRow[]>,
    range: { readonly lowest: string; readonly highest: string; readonly reverse: boolean },
  ): Promise<HeldPart | undefined> {
    const most = keyspace.held!.rows;
    const mark = { isStale: false };
    const marks = this.#loading.get(prefix) ?? new Set();
    this.#loading.set(prefix, marks.add(mark));
    let rows: HeldRow[];
    try {
      rows = (await read(most + 1)).reverse();
    } finally {
      marks.delete(mark);
      if (marks.size === 0) this.#loading.delete(prefix);
    }
    const isWhole = rows.length <= most;
    if (!isWhole) rows.shift();
    const tail = weighed(rows, isWhole ? prefix : rows[0]!.id);
    if (!mark.isStale) this.#of(keyspace).set(prefix, tail, tail.weight);
    return partOf(tail, range.lowest, range.highest, range.reverse);
  }

  /** A row was written, or deleted where `row` is undefined. */
  wrote(keyspace: AnyKeyspace, id: string, row: () => HeldRow | undefined): void {
    if (keyspace.held === undefined) return;
    const prefix = id.slice(0, firstPartEnd(id));
    for (const mark of this.#loading.get(prefix) ?? []) mark.isStale = true;
    const tails = this.#of(keyspace);
    const tail = tails.get(prefix);
    if (tail === undefined || id < tail.floor) return;
    const { rows } = tail;
    const at = lowerBound(rows, id);
    const old = rows[at]?.id === id ? rows[at] : undefined;
    const next = row();
    rows.splice(at, old === undefined ? 0 : 1, ...(next === undefined ? [] : [next]));
    let { floor } = tail;
    if (rows.length > 2 * keyspace.held.rows) {
      rows.splice(0, rows.length - keyspace.held.rows);
      floor = rows[0]!.id;
    }
    const changed = { rows, floor, weight: Math.max(0, tail.weight + weightOf(next) - weightOf(old)) };
    tails.set(prefix, changed, changed.weight);
  }

  /** Keeps the newest, up to this share of what each keyspace may hold. */
  shrinkTo(share: number): void {
    for (const tails of this.#tails.values()) tails.shrinkTo(share);
  }

  clear(): void {
    this.#tails.clear();
    for (const marks of this.#loading.values()) for (const mark of marks) mark.isStale = true;
  }

  #of(keyspace: AnyKeyspace): Lru<string, Tail> {
    let tails = this.#tails.get(keyspace.id);
    if (tails === undefined) {
      tails = new Lru(keyspace.held?.bytes ?? 0);
      this.#tails.set(keyspace.id, tails);
    }
    return tails;
  }
}

function weightOf(row: HeldRow | undefined): number {
  return row === undefined ? 0 : row.id.length + row.bytes + ROW_BYTES;
}

function weighed(rows: HeldRow[], floor: string): Tail {
  return { rows, floor, weight: rows.reduce((sum, row) => sum + weightOf(row), ROW_BYTES) };
}

function partOf(tail: Tail, lowest: string, highest: string, reverse: boolean): HeldPart | undefined {
  const isWhole = lowest >= tail.floor;
  // Forwards a range begins with what is not held.
  if (!isWhole && !reverse) return undefined;
  const from = isWhole ? lowerBound(tail.rows, lowest) : 0;
  const rows = tail.rows.slice(from, Math.max(from, lowerBound(tail.rows, highest)));
  return {
    rows: reverse ? rows.reverse() : rows,
    below: isWhole ? undefined : tail.floor < highest ? tail.floor : highest,
  };
}

/** Index of the first row whose key is not below `id`. */
function lowerBound(rows: readonly HeldRow[], id: string): number {
  let low = 0;
  let high = rows.length;
  // What is new comes at the end.
  if (high === 0 || rows[high - 1]!.id < id) return high;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (rows[middle]!.id < id) low = middle + 1;
    else high = middle;
  }
  return low;
}
