import { hash } from 'node:crypto';
import { sentTransactions } from '#store/schema.js';
import type { EventNum, Reader, Tx } from '#store/types.js';

/**
 * Rows that the transactions of a device are spread over by their hash, and how many each holds. Of a device that has sent a
 * thousand events since, all but three in a million are still known; most are after two thousand, and at least 24 newer ones
 * are in the way of one that is not.
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

/**
 * The event that a transaction made, as long as it is remembered. One row is read, which is in memory for whoever sends often:
 * a row for each transaction would be looked for in vain by every send, and LevelDB answers a hundred searches in vain with
 * rewriting what they went through (docs/decisions/0015-searches-in-vain.md).
 */
export function sentEvent(reader: Reader, transaction: SentTransaction): EventNum | undefined {
  const { bucket, mark } = placeOf(transaction);
  const row = reader.get(sentTransactions, [transaction.user, transaction.device, bucket]) ?? '';
  for (let at = row.length - ENTRY_BYTES; at >= 0; at -= ENTRY_BYTES)
    if (row.startsWith(mark, at)) return numAt(row, at);
  return undefined;
}

/** Remembers which event a transaction made; the oldest of its row is forgotten for it. */
export function rememberSent(tx: Tx, transaction: SentTransaction, event: EventNum): void {
  const { user, device } = transaction;
  const { bucket, mark } = placeOf(transaction);
  const row = tx.get(sentTransactions, [user, device, bucket]) ?? '';
  let at = row.length;
  while (at > 0 && numAt(row, at - ENTRY_BYTES) > event) at -= ENTRY_BYTES;
  const next = row.slice(0, at) + mark + textOf(event) + row.slice(at);
  tx.put(sentTransactions, [user, device, bucket], next.slice(-KEPT * ENTRY_BYTES));
}

/** The events of a row, oldest first; undefined where it is no row of ours. */
export function eventsOf(row: string): readonly EventNum[] | undefined {
  if (row.length === 0 || row.length % ENTRY_BYTES !== 0) return undefined;
  return Array.from({ length: row.length / ENTRY_BYTES }, (_, n) => numAt(row, n * ENTRY_BYTES));
}

function placeOf({ path, id }: SentTransaction): { readonly bucket: number; readonly mark: string } {
  const digest = hash('sha256', JSON.stringify([path, id]), 'binary');
  return { bucket: digest.charCodeAt(0) % BUCKETS, mark: digest.slice(1, 1 + MARK_BYTES) };
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
