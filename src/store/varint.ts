/** Reads what `ByteWriter` wrote: numbers of seven bits a byte, and texts. Throws RangeError past the end. */
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
