const FIRST_BYTES = 4096;
/** A writer that had to grow beyond this gives the memory back when it starts afresh. */
const KEPT_BYTES = 128 * 1024;

/** Memory that grows at its end: what keys and values are encoded into, one after the other in the same place. */
export class ByteWriter {
  #bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Forgets what was written. */
  restart(): this {
    if (this.#bytes.length > KEPT_BYTES) this.#bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
    this.#length = 0;
    return this;
  }
  byte(value: number): this {
    this.#room(1);
    this.#bytes[this.#length++] = value;
    return this;
  }
  /** A 32-bit number, low end first. */
  uint32(value: number): this {
    this.#room(4);
    this.#length = this.#bytes.writeUInt32LE(value, this.#length);
    return this;
  }
  /** UTF-8 bytes. */
  utf8(text: string): this {
    const most = text.length * 3;
    if (this.#length + most > this.#bytes.length) this.#room(Buffer.byteLength(text));
    this.#length += this.#bytes.write(text, this.#length);
    return this;
  }
  bytes(value: Uint8Array): this {
    this.#room(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
    return this;
  }
  /** An unsigned safe integer, seven bits a byte, low end first (`VarintReader`). */
  unsigned(value: number): this {
    this.#room(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
    return this;
  }
  /** Folded to even and odd; within ±2^52. */
  signed(value: number): this {
    return this.unsigned(value < 0 ? -value * 2 - 1 : value * 2);
  }
  /** Length and UTF-8 bytes. */
  text(value: string): this {
    return this.unsigned(Buffer.byteLength(value)).utf8(value);
  }
  /** The first `size` bytes, a character for each. */
  latin1(size: number): string {
    return this.#bytes.toString('latin1', 0, size);
  }
  /** What was written, until the next write. */
  view(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }
  /** A copy of what was written. */
  copy(): Buffer {
    const made = Buffer.allocUnsafe(this.#length);
    made.set(this.view());
    return made;
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.#length + bytes));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}
