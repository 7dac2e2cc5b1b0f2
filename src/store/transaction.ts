import type { KeyPart, Keyspace } from '#store/keyspace.js';
import { type AnyKeyspace, untyped } from '#store/kv.js';
import { EncodedKey } from '#store/read.js';
import { log } from '#store/schema.js';
import type { Fact, LogEntry, Position, Tx } from '#store/types.js';
import { Write } from '#store/write.js';
import { assert } from '#util/assert.js';

/** What a transaction reads and takes from outside itself. */
export interface TransactionGround {
  /** The newest value, of what transactions have written into the map given to them first of all. */
  read(keyspace: AnyKeyspace, key: EncodedKey): unknown;
  takePosition(): Position;
}

/** A row that is not there, by its key as `encodeKeyId` gives it. */
export interface Absence {
  readonly keyspace: AnyKeyspace;
  readonly id: string;
}

/** One run of a transaction's function. */
export class Transaction implements Tx {
  readonly entries: LogEntry[] = [];
  readonly hooks: (() => void)[] = [];
  /** Rows that are known not to be there, if nobody puts them. */
  readonly absences: Absence[] = [];
  readonly #free = new Set<Position>();
  readonly #ground: TransactionGround;
  readonly #writes: Map<string, Write>;
  /** What was written, in order, and what each write replaced. */
  readonly #undo: { readonly id: string; readonly before: Write | undefined }[] = [];
  #over = false;

  /** Rows go into `writes` at once, beside those of other transactions; `undo` takes them out again. */
  constructor(ground: TransactionGround, writes: Map<string, Write>) {
    this.#ground = ground;
    this.#writes = writes;
  }

  get<K extends readonly KeyPart[], V>(keyspace: Keyspace<K, V>, key: K): V | undefined {
    this.#running();
    return this.#ground.read(untyped(keyspace), new EncodedKey(untyped(keyspace), key)) as V | undefined;
  }

  has<K extends readonly KeyPart[], V>(keyspace: Keyspace<K, V>, key: K): boolean {
    return this.get(keyspace, key) !== undefined;
  }

  put<K extends readonly KeyPart[], V>(keyspace: Keyspace<K, V>, key: K, value: V): void {
    this.#running();
    this.#write(Write.row(keyspace, key, value));
  }

  delete<K extends readonly KeyPart[], V>(keyspace: Keyspace<K, V>, key: K): void {
    this.#running();
    this.#write(Write.removal(keyspace, key));
  }

  absent<K extends readonly KeyPart[], V>(keyspace: Keyspace<K, V>, key: K): void {
    this.#running();
    this.absences.push({ keyspace: untyped(keyspace), id: new EncodedKey(untyped(keyspace), key).id });
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

  /** Takes back all that was written. */
  undo(): void {
    for (const { id, before } of this.#undo.reverse()) {
      if (before === undefined) this.#writes.delete(id);
      else this.#writes.set(id, before);
    }
  }

  #write(write: Write): void {
    this.#undo.push({ id: write.id, before: this.#writes.get(write.id) });
    this.#writes.set(write.id, write);
  }

  #running(): void {
    assert(!this.#over, 'a transaction was used after its function returned');
  }
}
