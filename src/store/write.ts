import { type EncodedRow, encodeDeleted, encodeRow } from '#store/codec.js';
import type { KeyPart, Keyspace } from '#store/keyspace.js';
import { type AnyKeyspace, type BatchRow, untyped } from '#store/kv.js';

/** Bytes of the CRC behind a value. */
const CHECK_BYTES = 4;

/** One row put or deleted, not durable yet. Many wait for the disk at a time, so it is small. */
export class Write implements BatchRow {
  readonly keyspace: AnyKeyspace;
  /** Its key as `encodeKeyId` gives it. */
  readonly id: string;
  readonly #bytes: Buffer;
  readonly #keyLength: number;
  #value: unknown;

  private constructor(keyspace: AnyKeyspace, row: EncodedRow, value?: unknown) {
    this.keyspace = keyspace;
    this.id = row.id;
    this.#bytes = row.bytes;
    this.#keyLength = row.keyLength;
    this.#value = value;
  }

  static row<K extends readonly KeyPart[], V>(keyspace: Keyspace<K, V>, key: K, value: V): Write {
    const space = untyped(keyspace);
    return new Write(space, encodeRow(space, key, value), keyspace.value.keepsPutValue ? value : undefined);
  }

  static removal<K extends readonly KeyPart[], V>(keyspace: Keyspace<K, V>, key: K): Write {
    return new Write(untyped(keyspace), encodeDeleted(keyspace.id, key));
  }

  get isDelete(): boolean {
    return this.#bytes.length === this.#keyLength;
  }
  /** Bytes of the key, the value and its check. */
  get size(): number {
    return this.#bytes.length;
  }
  get key(): Buffer {
    return this.#bytes.subarray(0, this.#keyLength);
  }
  get sealed(): Buffer | undefined {
    return this.isDelete ? undefined : this.#bytes.subarray(this.#keyLength);
  }
  /** Bytes of the sealed value, 0 for a deleted row. */
  get sealedSize(): number {
    return this.#bytes.length - this.#keyLength;
  }
  /** The CRC over key and value of a row that is put. */
  get check(): number {
    return this.#bytes.readUInt32LE(this.#bytes.length - CHECK_BYTES);
  }
  /**
   * The value as a reader will find it on disk, or undefined for a deleted row. Made from the encoded bytes and not
   * kept from `put`: what the writer does to its own object afterwards changes nothing.
   */
  value(): unknown {
    if (!this.isDelete) {
      this.#value ??= this.keyspace.value.decode(this.#bytes.subarray(this.#keyLength, -CHECK_BYTES));
    }
    return this.#value;
  }
  /** The decoded value if some reader asked for it already, or a keyspace whose values never change kept it. */
  get decoded(): unknown {
    return this.#value;
  }
}
