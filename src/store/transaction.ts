import { encodeKey, seal } from '#store/codec.js';
import type { KeyPart, Keyspace } from '#store/keyspace.js';
import { type AnyKeyspace, untyped } from '#store/kv.js';
import { EncodedKey } from '#store/read.js';
import { log } from '#store/schema.js';
import type { Fact, LogEntry, Position, Tx } from '#store/types.js';
import { assert } from '#util/assert.js';

/** One row put (`sealed` there) or deleted, not durable yet. */
export class Write {
  readonly key: Buffer;
  readonly sealed: Buffer | undefined;
  readonly keyspace: AnyKeyspace;
  #value: unknown;

  /** `value` is what was put, for keyspaces whose values never change. */
  constructor(keyspace: AnyKeyspace, key: Buffer, sealed: Buffer | undefined, value?: unknown) {
    this.keyspace = keyspace;
    this.key = key;
    this.sealed = sealed;
    this.#value = value;
  }
  /**
   * The value as a reader will find it on disk, or undefined for a deleted row. Made from the encoded bytes and not
   * kept from `put`: what the writer does to its own object afterwards changes nothing.
   */
  value(): unknown {
    if (this.sealed !== undefined) this.#value ??= this.keyspace.value.decode(this.sealed.subarray(0, -4));
    return this.#value;
  }
  /** The decoded value if some reader asked for it already. */
  get decoded(): unknown {
    return this.#value;
  }
}

/** What a transaction reads and takes from outside itself. */
export interface TransactionGround {
  read(keyspace: AnyKeyspace, key: EncodedKey): unknown;
  takePosition(): Position;
}

/** The writes of one run of a transaction's function. */
export class Transaction implements Tx {
  readonly writes = new Map<string, Write>();
  readonly entries: LogEntry[] = [];
  readonly hooks: (() => void)[] = [];
  readonly #free = new Set<Position>();
  readonly #ground: TransactionGround;
  #over = false;

  constructor(ground: TransactionGround) {
    this.#ground = ground;
  }

  get<K extends readonly KeyPart[], V>(keyspace: Keyspace<K, V>, key: K): V | undefined {
    this.#running();
    const encoded = new EncodedKey(untyped(keyspace), key);
    const own = this.writes.get(encoded.id);
    return (own === undefined ? this.#ground.read(untyped(keyspace), encoded) : own.value()) as V | undefined;
  }

  has<K extends readonly KeyPart[], V>(keyspace: Keyspace<K, V>, key: K): boolean {
    return this.get(keyspace, key) !== undefined;
  }

  put<K extends readonly KeyPart[], V>(keyspace: Keyspace<K, V>, key: K, value: V): void {
    this.#running();
    const bytes = encodeKey(keyspace.id, key);
    const sealed = seal(bytes, keyspace.value.encode(value));
    const kept = keyspace.value.keepsPutValue ? value : undefined;
    this.writes.set(bytes.toString('latin1'), new Write(untyped(keyspace), bytes, sealed, kept));
  }

  delete<K extends readonly KeyPart[], V>(keyspace: Keyspace<K, V>, key: K): void {
    this.#running();
    const bytes = encodeKey(keyspace.id, key);
    this.writes.set(bytes.toString('latin1'), new Write(untyped(keyspace), bytes, undefined));
  }

  position(): Position {
    this.#running();
    const position = this.#ground.takePosition();
    this.#free.add(position);
    return position;
  }

  fact(position: Position, fact: Fact): void {
    assert(this.#free.delete(position), 'a fact needs a position of its own that its transaction took');
    this.put(log, [position], fact);
    this.entries.push({ position, fact });
  }

  retract(position: Position): void {
    this.delete(log, [position]);
  }

  afterCommit(fn: () => void): void {
    this.#running();
    this.hooks.push(fn);
  }

  /** Ends the transaction: a `tx` that escaped its function can do nothing any more. */
  end(): void {
    this.#over = true;
    this.entries.sort((a, b) => a.position - b.position);
  }

  #running(): void {
    assert(!this.#over, 'a transaction was used after its function returned');
  }
}
