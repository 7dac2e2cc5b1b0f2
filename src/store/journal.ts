import { crc32 } from 'node:zlib';
import { ByteWriter } from '#store/byte-writer.js';
import type { CommittedReader } from '#store/read.js';
import { journal } from '#store/schema.js';
import { StoreError } from '#store/store-error.js';
import { Write } from '#store/write.js';

/** Bytes of writes whose journal rows are kept: more than LevelDB's log files can hold together. */
const KEEP_BYTES = 16 << 20;
/** Rows that are removed together, with one batch. */
const CHUNK_ROWS = 64;

export interface JournalRow {
  /** CRC over the previous row's check and this batch's content. */
  readonly check: number;
  /** Bytes that the batch wrote. */
  readonly bytes: number;
  /** CRC over the CRCs of the batch's values, and its deleted keys. */
  readonly content: number;
}

/**
 * One row a physical batch, inside that batch. LevelDB skips damaged stretches in the middle of its log without a word;
 * a batch lost that way leaves a gap in the sequence or a broken chain of checks, which `open` refuses.
 */
export class Journal {
  #first = 1;
  #last = 0;
  #check = 0;
  #keptBytes = 0;
  /** The rows from the first on in chunks, oldest first, so that none has to be read again to be removed. */
  readonly #chunks: { rows: number; bytes: number }[] = [];

  /** Reads the rows that are kept and checks that none is missing. Throws `StoreError` corrupt. */
  static async open(reader: CommittedReader): Promise<Journal> {
    const made = new Journal();
    let first = true;
    for await (const [[sequence], row] of reader.range(journal)) {
      if (first) made.#first = sequence;
      else if (sequence !== made.#last + 1) throw lost(made.#last + 1, sequence - 1);
      else if (chain(made.#check, row.content, row.bytes) !== row.check) throw lost(sequence, sequence);
      first = false;
      made.#last = sequence;
      made.#check = row.check;
      made.#keep(row.bytes);
    }
    return made;
  }

  /** Number of the newest batch. */
  get last(): number {
    return this.#last;
  }

  /** Adds the row for a batch of `writes` to it, and removes rows no longer needed. Call `wrote` or `open` after. */
  append(writes: Write[]): void {
    let bytes = 0;
    checks.restart();
    for (const write of writes) {
      bytes += write.size;
      if (write.isDelete) checks.bytes(write.key);
      else checks.uint32(write.check);
    }
    const content = crc32(checks.view());
    const check = chain(this.#check, content, bytes);
    this.#last++;
    this.#check = check;
    writes.push(Write.row(journal, [this.#last], { check, bytes, content }));
    this.#keep(bytes);
    const oldest = this.#chunks[0]!;
    if (oldest.rows < CHUNK_ROWS || this.#keptBytes - oldest.bytes < KEEP_BYTES) return;
    for (let left = oldest.rows; left > 0; left--) writes.push(Write.removal(journal, [this.#first++]));
    this.#keptBytes -= oldest.bytes;
    this.#chunks.shift();
  }

  #keep(bytes: number): void {
    this.#keptBytes += bytes;
    let newest = this.#chunks.at(-1);
    if (newest === undefined || newest.rows === CHUNK_ROWS) {
      newest = { rows: 0, bytes: 0 };
      this.#chunks.push(newest);
    }
    newest.rows++;
    newest.bytes += bytes;
  }
}

/** The CRCs of a batch's values and the keys that it deletes, in its order. */
const checks = new ByteWriter();

const chained = Buffer.alloc(8);
function chain(check: number, content: number, bytes: number): number {
  chained.writeUInt32LE(content, 0);
  chained.writeUInt32LE(bytes >>> 0, 4);
  return crc32(chained, check);
}

function lost(from: number, to: number): StoreError {
  const which = from === to ? `batch ${from}` : `batches ${from} to ${to}`;
  return new StoreError(
    'corrupt',
    `the database has lost ${which} from the middle of its log: acknowledged writes are gone. ` +
      'Restore a backup; nothing was changed.',
  );
}
