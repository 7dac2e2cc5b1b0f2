import { hash } from 'node:crypto';
import { sentTransactions } from '#store/schema.js';
import type { EventNum, Reader, Tx } from '#store/types.js';

/** The row that names the buckets there are, a character each: those of a new device are not looked for in vain. */
const LIST = -1;

/**
 * Rows that the transactions of a device are spread over by their hash, and how many each holds. When a device has sent a
 * thousand events more, all but some three in a million are still known, and nearly all when it has sent 1,500.
 */
const BUCKETS = 128;
const KEPT = 24;

/** An entry is the start of the hash, and the number of the event, the highest byte first. */
const MARK_BYTES = 8;
const NUM_BYTES = 6;
const ENTRY_BYTES = MARK_BYTES + NUM_BYTES;

/** A request that makes an event at most once (client-server API, Transaction identifiers). */
export interface SentTransaction {
  readonly user: string;
  /** "" for a sender without one. */
  readonly device: string;
  /** The request's path without the transaction id. */
  readonly path: string;
  readonly id: string;
}

/** Where a transaction stands, and what stands there. */
export interface SentPlace {
  readonly user: string;
  readonly device: string;
  readonly bucket: number;
  readonly mark: string;
  readonly isListed: boolean;
  /** Empty where there is none. */
  readonly row: string;
  /** The event that the transaction has made, if it is known to have made one. */
  readonly event: EventNum | undefined;
}

/**
 * Looks whether a transaction has made an event; it is known as long as it is remembered. What is read is in memory for whoever
 * sends often: a row for each transaction would be looked for in vain by every send, and LevelDB answers a hundred searches in vain
 * with rewriting what they went through (docs/decisions/0015-searches-in-vain.md).
 */
export function findSent(reader: Reader, { user, device, path, id }: SentTransaction): SentPlace {
  const digest = hash('sha256', JSON.stringify([path, id]), 'binary');
  const bucket = digest.charCodeAt(0) % BUCKETS;
  const mark = digest.slice(1, 1 + MARK_BYTES);
  const listed = isListed(reader, user, device, bucket);
  const row = (listed ? reader.get(sentTransactions, [user, device, bucket]) : undefined) ?? '';
  return { user, device, bucket, mark, isListed: listed, row, event: eventOf(row, mark) };
}

function eventOf(row: string, mark: string): EventNum | undefined {
  for (let at = row.length - ENTRY_BYTES; at >= 0; at -= ENTRY_BYTES) {
    if (row.startsWith(mark, at)) return numAt(row, at);
  }
  return undefined;
}

/**
 * Remembers which event a transaction made, at the place that was found in this same transaction of the store; the oldest of its
 * row is forgotten for it.
 */
export function rememberSent(tx: Tx, { user, device, bucket, mark, isListed, row }: SentPlace, event: EventNum): void {
  if (!isListed) {
    const listed = tx.get(sentTransactions, [user, device, LIST]) ?? '';
    tx.put(sentTransactions, [user, device, LIST], listed + String.fromCharCode(bucket));
  }
  let at = row.length;
  while (at > 0 && numAt(row, at - ENTRY_BYTES) > event) at -= ENTRY_BYTES;
  const next = row.slice(0, at) + mark + textOf(event) + row.slice(at);
  tx.put(sentTransactions, [user, device, bucket], next.slice(-KEPT * ENTRY_BYTES));
}

/** Forgets the transactions of a device that is gone: the next one of its name counts anew. */
export function forgetSent(tx: Tx, user: string, device: string): void {
  const listed = tx.get(sentTransactions, [user, device, LIST]);
  if (listed === undefined) return;
  tx.delete(sentTransactions, [user, device, LIST]);
  for (const bucket of listed) tx.delete(sentTransactions, [user, device, bucket.charCodeAt(0)]);
}

/** What a row is found to say: the events of a bucket, oldest first, or the buckets of a device; undefined where it is neither. */
export function readRow(
  bucket: number,
  row: string,
): { readonly events: readonly EventNum[] } | { readonly buckets: readonly number[] } | undefined {
  if (row.length === 0) return undefined;
  if (bucket === LIST) return { buckets: Array.from(row, (char) => char.charCodeAt(0)) };
  if (row.length % ENTRY_BYTES !== 0) return undefined;
  return { events: Array.from({ length: row.length / ENTRY_BYTES }, (_, n) => numAt(row, n * ENTRY_BYTES)) };
}

/** Whether the row of a bucket is one that its device knows of. */
export function isListed(reader: Reader, user: string, device: string, bucket: number): boolean {
  return (
    bucket === LIST ||
    reader.get(sentTransactions, [user, device, LIST])?.includes(String.fromCharCode(bucket)) === true
  );
}

function textOf(num: EventNum): string {
  const bytes = Buffer.alloc(NUM_BYTES);
  bytes.writeUIntBE(num, 0, NUM_BYTES);
  return bytes.toString('latin1');
}

function numAt(row: string, entry: number): EventNum {
  let num = 0;
  for (let at = entry + MARK_BYTES; at < entry + ENTRY_BYTES; at++) num = num * 256 + row.charCodeAt(at);
  return num;
}
