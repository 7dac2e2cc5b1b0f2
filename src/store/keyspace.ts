import type { ByteWriter } from '#store/byte-writer.js';

/** One element of a key tuple. Strings order by their bytes, integers numerically (negative ones included). */
export type KeyPart = string | number;

/** How a keyspace's values are written. What `decode` makes of the bytes that `encode` wrote equals the value. */
export interface ValueCodec<V> {
  /** Adds the value's bytes to `to`, which holds the key already. Must not encode another row meanwhile. */
  encode(value: V, to: ByteWriter): void;
  decode(bytes: Buffer): V;
  /** Values are never changed once made, so readers may be given the very object that was put. */
  readonly keepsPutValue?: true;
}

/**
 * One kind of row. Every keyspace is declared once in `store/schema.ts`; nobody glues key bytes by hand.
 * `K` is the tuple of key parts, `V` the decoded value, which readers must treat as immutable (it may be cached).
 */
export interface Keyspace<K extends readonly KeyPart[], V> {
  /** Stable number on disk; never reused. */
  readonly id: number;
  readonly name: string;
  /** One sentence: what a row says. */
  readonly purpose: string;
  /** Names of the key parts, for docs and `runnel check`. */
  readonly keyParts: readonly string[];
  /** The one source file that may put or delete rows, relative to src. */
  readonly writer: string;
  /** Keyspaces or facts this can be rebuilt from, or undefined where it is a source of truth. */
  readonly derivedFrom?: string;
  readonly value: ValueCodec<V>;
  /** How many bytes (of encoded value) of decoded values to keep in memory; 0 or absent for none. */
  readonly cacheBytes?: number;
  /**
   * How much to keep in memory of what ranges under one first key part give: the last `rows` of each (all, where there are
   * no more), `bytes` over all. `whole`: they are asked for from the first on, and worth loading for that.
   */
  readonly held?: { readonly rows: number; readonly bytes: number; readonly whole: boolean };
  /** Phantom: gives the key tuple its type. */
  readonly _key?: K;
}

/** JSON values. `undefined` fields vanish. Integers only where the type says so. */
export function json<V>(): ValueCodec<V> {
  return {
    encode: (value, to) => to.utf8(JSON.stringify(value)),
    decode: (bytes) => JSON.parse(bytes.toString('utf8')) as V,
  };
}

/** As `json`, of values that nobody changes once they are put, and with no field that is `undefined`. */
export function immutableJson<V>(): ValueCodec<V> {
  return { ...json<V>(), keepsPutValue: true };
}

/** Raw bytes, kept as they are. */
export const bytes: ValueCodec<Buffer> = { encode: (value, to) => to.bytes(value), decode: (value) => value };

/** Bytes as the characters of a string, one each: as compact in memory as on disk. */
export const latin1: ValueCodec<string> = {
  keepsPutValue: true,
  encode: (v, to) => to.bytes(Buffer.from(v, 'latin1')),
  decode: (b) => b.toString('latin1'),
};

/** A string as UTF-8. */
export const text: ValueCodec<string> = { encode: (v, to) => to.utf8(v), decode: (b) => b.toString('utf8') };

/** A safe integer as its decimal digits: short for small ones, readable in a dump. */
export const integer: ValueCodec<number> = {
  encode: (v, to) => to.utf8(String(v)),
  decode: (b) => Number(b.toString()),
};

/** Rows whose key says everything. */
export const presence: ValueCodec<true> = { encode: () => {}, decode: () => true };
