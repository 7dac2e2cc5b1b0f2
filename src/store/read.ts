import { decodeKey, describeKey, encodeKey, encodeKeyEnd, encodeKeyId, unseal } from '#store/codec.js';
import { type HeldPart, HeldRanges, type HeldRow } from '#store/held-ranges.js';
import type { KeyPart, Keyspace } from '#store/keyspace.js';
import { type AnyKeyspace, type IteratorOptions, type KeyValueDb, readError, untyped } from '#store/kv.js';
import { KEYSPACES } from '#store/schema.js';
import type { RangeOptions, Reader, ScannedRow } from '#store/types.js';
import type { Write } from '#store/write.js';
import { Lru } from '#util/lru.js';

/** Rows fetched from the database at a time, at most. */
const CHUNK_ROWS = 256;
/** Bytes that an iterator may hold, at most (a single larger row still comes through). */
const CHUNK_BYTES = 64 * 1024;
/** What a cached row costs beside its value: the entry and its key. */
const CACHE_ENTRY_BYTES = 100;

/** Keyspace ids are one byte. */
const MOST_KEYSPACES = 256;

/** Held in a cache for a row that is not there: the search for one costs more than to find one. */
const ABSENT = Symbol('absent');

/** A key in the form that maps use; its bytes are made when they are asked for, since most reads end in a cache. */
export class EncodedKey {
  readonly id: string;

  constructor(keyspace: AnyKeyspace, parts: readonly KeyPart[]) {
    this.id = encodeKeyId(keyspace.id, parts);
  }
  get bytes(): Buffer {
    return Buffer.from(this.id, 'latin1');
  }
}

/** Reads of committed rows, with the caches of decoded values that the catalogue asks for. */
export class CommittedReader implements Reader {
  readonly #db: KeyValueDb;
  readonly #caches = new Map<number, Lru<string, unknown>>();
  readonly #held = new HeldRanges();
  /** By keyspace id; see `Store.revision`. */
  readonly #revisions = new Float64Array(MOST_KEYSPACES);

  constructor(db: KeyValueDb) {
    this.#db = db;
  }

  get<K extends readonly KeyPart[], V>(keyspace: Keyspace<K, V>, key: K): V | undefined {
    const space = untyped(keyspace);
    if (!space.cacheBytes) return this.#read(space, encodeKey(space.id, key)) as V | undefined;
    return this.getEncoded(space, new EncodedKey(space, key)) as V | undefined;
  }

  has<K extends readonly KeyPart[], V>(keyspace: Keyspace<K, V>, key: K): boolean {
    return this.get(keyspace, key) !== undefined;
  }

  /** As `get`, for a key that is encoded already. */
  getEncoded(keyspace: AnyKeyspace, key: EncodedKey): unknown {
    if (!keyspace.cacheBytes) return this.#read(keyspace, key.bytes);
    const cache = this.#cache(keyspace);
    const held = cache.get(key.id);
    if (held !== undefined) return held === ABSENT ? undefined : held;
    const keyBytes = key.bytes;
    const stored = this.#stored(keyBytes);
    if (stored === undefined) {
      cache.set(key.id, ABSENT, keyBytes.length + CACHE_ENTRY_BYTES);
      return undefined;
    }
    const bytes = unseal(keyBytes, stored, keyspace);
    const value = keyspace.value.decode(bytes);
    cache.set(key.id, value, bytes.length + keyBytes.length + CACHE_ENTRY_BYTES);
    return value;
  }

  /** Tells the caches what a commit wrote. */
  wrote(write: Write): void {
    const { keyspace, id } = write;
    this.#revisions[keyspace.id]! += 1;
    if (keyspace.held !== undefined) {
      this.#held.wrote(keyspace, id, () =>
        write.isDelete
          ? undefined
          : { id, parts: decodeKey(write.key).parts, value: write.value(), bytes: write.sealedSize },
      );
    }
    if (!keyspace.cacheBytes) return;
    const cache = this.#cache(keyspace);
    // What nobody has decoded yet is decoded when it is asked for.
    const value = write.decoded;
    if (value === undefined) cache.delete(id);
    else cache.set(id, value, write.sealedSize + id.length + CACHE_ENTRY_BYTES);
  }

  /** Tells the caches that a row is not there. */
  absent(keyspace: AnyKeyspace, id: string): void {
    if (keyspace.cacheBytes) this.#cache(keyspace).set(id, ABSENT, id.length + CACHE_ENTRY_BYTES);
  }

  /** Keeps of what is held in memory the newest, up to this share of what each cache may hold. */
  shrinkCaches(share: number): void {
    for (const cache of this.#caches.values()) cache.shrinkTo(share);
    this.#held.shrinkTo(share);
  }

  /** See `Store.revision`. */
  revision<K extends readonly KeyPart[], V>(keyspace: Keyspace<K, V>): number {
    return this.#revisions[keyspace.id]!;
  }

  /** Forgets everything held in memory. */
  dropCaches(): void {
    for (let id = 0; id < MOST_KEYSPACES; id++) this.#revisions[id]! += 1;
    this.#caches.clear();
    this.#held.clear();
  }

  async *range<K extends readonly KeyPart[], V>(
    keyspace: Keyspace<K, V>,
    options: RangeOptions = {},
  ): AsyncGenerator<[K, V], void, undefined> {
    for await (const rows of this.#chunks(keyspace, options)) for (const row of rows) yield row;
  }

  /** The rows of a range as they come, many at a time: a turn of an asynchronous iterator costs more than a row. */
  async *#chunks<K extends readonly KeyPart[], V>(
    keyspace: Keyspace<K, V>,
    options: RangeOptions,
  ): AsyncGenerator<Iterable<[K, V]>, void, undefined> {
    const space = untyped(keyspace);
    let bounds = boundsOf(space, options);
    if (bounds.limit === 0) return;
    const held = await this.#heldPart(space, options, bounds);
    if (held !== undefined) {
      const rows = held.rows.slice(0, bounds.limit);
      yield rows.map(({ parts, value }) => [parts as unknown as K, value as V]);
      const left = bounds.limit - rows.length;
      if (held.below === undefined || left === 0) return;
      bounds = { ...bounds, lt: Buffer.from(held.below, 'latin1'), limit: left };
    }
    for await (const rows of this.#iterate(bounds)) yield decodeRows(keyspace, rows);
  }

  /** What is in memory of a range, loaded first where that is worth it; undefined where the disk is to be asked. */
  async #heldPart(space: AnyKeyspace, options: RangeOptions, bounds: IteratorOptions): Promise<HeldPart | undefined> {
    const first = options.prefix?.[0];
    if (space.held === undefined || first === undefined) return undefined;
    const prefix = encodeKeyId(space.id, [first]);
    const { reverse } = bounds;
    const lowest = bounds.gte.toString('latin1');
    const highest = bounds.lt.toString('latin1');
    const part = this.#held.find(space, prefix, lowest, highest, reverse);
    if (part !== 'unknown') return part;
    if (!reverse && !space.held.whole) return undefined;
    const newest = async (limit: number): Promise<HeldRow[]> => {
      const end = { ...boundsOf(space, { prefix: [first], reverse: true, limit }) };
      const rows: HeldRow[] = [];
      for await (const found of this.#iterate(end)) {
        for (const [key, stored] of found) {
          const [parts, value] = decodeRow(space, [key, stored]);
          rows.push({ id: key.toString('latin1'), parts, value, bytes: stored.length });
        }
      }
      return rows;
    };
    return this.#held.load(space, prefix, newest, { lowest, highest, reverse });
  }

  /** The raw rows between two keys, in chunks. */
  async *#iterate(bounds: IteratorOptions): AsyncGenerator<[Buffer, Buffer][], void, undefined> {
    const iterator = this.#open(bounds);
    try {
      for (;;) {
        const rows = await iterator.nextv(CHUNK_ROWS).catch((error: unknown) => {
          throw readError(error);
        });
        if (rows.length === 0) return;
        yield rows;
      }
    } finally {
      await iterator.close();
    }
  }

  async list<K extends readonly KeyPart[], V>(
    keyspace: Keyspace<K, V>,
    options: RangeOptions & { readonly limit: number },
  ): Promise<[K, V][]> {
    const all: [K, V][] = [];
    for await (const rows of this.#chunks(keyspace, options)) for (const row of rows) all.push(row);
    return all;
  }

  /** See `Store.scan`. */
  async *scan(): AsyncGenerator<ScannedRow, void, undefined> {
    const bounds = {
      gte: Buffer.of(0),
      lt: Buffer.of(0xff),
      reverse: false,
      limit: -1,
      highWaterMarkBytes: CHUNK_BYTES,
    };
    const iterator = this.#open(bounds);
    try {
      for (;;) {
        let rows: [Buffer, Buffer][];
        try {
          rows = await iterator.nextv(CHUNK_ROWS);
        } catch (error) {
          yield {
            keyspace: undefined,
            parts: [],
            value: undefined,
            problem: `unreadable: ${readError(error).message}`,
          };
          return;
        }
        if (rows.length === 0) return;
        for (const [key, stored] of rows) yield this.#scanned(key, stored);
      }
    } finally {
      await iterator.close();
    }
  }

  #scanned(key: Buffer, stored: Buffer): ScannedRow {
    const keyspace = KEYSPACES.find((space) => space.id === key[0]);
    const damaged = (problem: string): ScannedRow => ({
      keyspace,
      parts: [describeKey(key)],
      value: undefined,
      problem,
    });
    if (keyspace === undefined) return damaged('no keyspace has this key');
    try {
      const { parts } = decodeKey(key);
      if (parts.length !== keyspace.keyParts.length) return damaged('the key has the wrong number of parts');
      const value = keyspace.value.decode(unseal(key, stored, keyspace));
      if (this.#stored(key) === undefined) return damaged('a point read does not find the row');
      return { keyspace, parts, value, problem: undefined };
    } catch (error) {
      return damaged(error instanceof Error ? error.message : String(error));
    }
  }

  #open(bounds: IteratorOptions): ReturnType<KeyValueDb['iterator']> {
    try {
      return this.#db.iterator(bounds);
    } catch (error) {
      throw readError(error);
    }
  }

  #cache(keyspace: AnyKeyspace): Lru<string, unknown> {
    let cache = this.#caches.get(keyspace.id);
    if (cache === undefined) {
      cache = new Lru(keyspace.cacheBytes ?? 0);
      this.#caches.set(keyspace.id, cache);
    }
    return cache;
  }

  #stored(key: Buffer): Buffer | undefined {
    try {
      return this.#db.getSync(key);
    } catch (error) {
      throw readError(error);
    }
  }

  #read(keyspace: AnyKeyspace, key: Buffer): unknown {
    const stored = this.#stored(key);
    return stored === undefined ? undefined : keyspace.value.decode(unseal(key, stored, keyspace));
  }
}

function decodeRow<K extends readonly KeyPart[], V>(keyspace: Keyspace<K, V>, [key, stored]: [Buffer, Buffer]): [K, V] {
  const parts = decodeKey(key).parts as unknown as K;
  return [parts, keyspace.value.decode(unseal(key, stored, untyped(keyspace)))];
}

/** Decodes each row when it is asked for: who looks for one thing stops early. */
function* decodeRows<K extends readonly KeyPart[], V>(
  keyspace: Keyspace<K, V>,
  rows: readonly [Buffer, Buffer][],
): Generator<[K, V], void, undefined> {
  for (const row of rows) yield decodeRow(keyspace, row);
}

function boundsOf(keyspace: AnyKeyspace, options: RangeOptions): IteratorOptions {
  const prefix = options.prefix ?? [];
  const { gt, gte, lt, lte } = options;
  const lowest = gt ? encodeKeyEnd(keyspace.id, prefix, gt) : encodeKey(keyspace.id, prefix, gte);
  const highest = lt ? encodeKey(keyspace.id, prefix, lt) : encodeKeyEnd(keyspace.id, prefix, lte);
  return {
    gte: lowest,
    lt: highest,
    reverse: options.reverse ?? false,
    limit: options.limit ?? Number.POSITIVE_INFINITY,
    highWaterMarkBytes: CHUNK_BYTES,
  };
}
