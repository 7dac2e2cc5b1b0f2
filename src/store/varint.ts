/** Unsigned safe integers, seven bits a byte, low end first; signed ones folded to even and odd. */
export class VarintWriter {
  #bytes = Buffer.allocUnsafe(256);
  #length = 0;

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
  /** Within ±2^52. */
  signed(value: number): this {
    return this.unsigned(value < 0 ? -value * 2 - 1 : value * 2);
  }
  /** Length and UTF-8 bytes. */
  text(value: string): this {
    this.unsigned(Buffer.byteLength(value));
    this.#room(value.length * 3);
    this.#length += this.#bytes.write(value, this.#length);
    return this;
  }
  bytes(value: Uint8Array): this {
    this.#room(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
    return this;
  }
  /** What was written, as a copy; the writer starts afresh. */
  finish(): Buffer {
    const made = Buffer.from(this.#bytes.subarray(0, this.#length));
    this.#length = 0;
    return made;
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + bytes));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}

/** Reads what `VarintWriter` wrote. Throws RangeError past the end. */
export class VarintReader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }
  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }
  unsigned(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new RangeError('a stored number is cut off');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
  }
  signed(): number {
    const folded = this.unsigned();
    return folded % 2 === 1 ? -(folded + 1) / 2 : folded / 2;
  }
  text(): string {
    const size = this.unsigned();
    if (this.#at + size > this.#bytes.length) throw new RangeError('a stored text is cut off');
    const text = this.#bytes.toString('utf8', this.#at, this.#at + size);
    this.#at += size;
    return text;
  }
  /** Everything that is left. */
  rest(): Buffer {
    return this.#bytes.subarray(this.#at);
  }
}
