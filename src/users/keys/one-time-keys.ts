import { canonicalJson } from '#core/canonical-json.js';
import { MatrixError } from '#core/errors.js';
import type { JsonValue } from '#core/json-value.js';
import { type KeyQueue, keyQueues, oneTimeKeyIds, oneTimeKeys } from '#store/schema.js';
import type { Position, Reader, Tx } from '#store/types.js';
import { splitKeyId } from '#users/keys/key-format.js';

/** Most one-time keys that a device may have waiting, of all algorithms together. */
const MOST_KEYS = 1_000;
const MOST_ALGORITHMS = 10;
/** Claimed keys of an algorithm remembered: a repeated upload of one of them does not make it claimable again. */
const REMEMBERED = 200;
/** The algorithm whose count clients must always be told, zero included: without it they never make new keys. */
const ALWAYS_COUNTED = 'signed_curve25519';

const NOTHING: KeyQueue = { algorithms: {}, fallback: {}, position: 0 };

/** What a device has left (client-server API, One-time and fallback keys in /sync). */
export interface KeyCounts {
  readonly oneTime: Readonly<Record<string, number>>;
  readonly unusedFallback: readonly string[];
  /** Where in the log a key was last handed out. */
  readonly position: Position;
}

function totalOf(queue: KeyQueue): number {
  return Object.values(queue.algorithms).reduce((sum, { first, next }) => sum + next - first, 0);
}

/** Counts of a device, from one row. */
export function keyCounts(reader: Reader, user: string, device: string): KeyCounts {
  const queue = reader.get(keyQueues, [user, device]) ?? NOTHING;
  const counts = Object.entries(queue.algorithms).map(
    ([algorithm, { first, next }]) => [algorithm, next - first] as const,
  );
  return {
    oneTime: { [ALWAYS_COUNTED]: 0, ...Object.fromEntries(counts.filter(([, count]) => count > 0)) },
    unusedFallback: Object.entries(queue.fallback)
      .filter(([, key]) => key.used !== true)
      .map(([algorithm]) => algorithm),
    position: queue.position,
  };
}

/**
 * Puts checked one-time keys at the end of their queues, in the order given (MSC4225). A key that is there already is
 * passed over, also where it was claimed meanwhile (the answer to the first upload may have been lost); another key under
 * the id of one that waits is refused, and then nothing changes.
 */
export function addOneTimeKeys(
  tx: Tx,
  user: string,
  device: string,
  keys: readonly (readonly [string, JsonValue])[],
): void {
  const queue = tx.get(keyQueues, [user, device]) ?? NOTHING;
  const algorithms = new Map(Object.entries(queue.algorithms));
  let total = totalOf(queue);
  for (const [keyId, key] of keys) {
    const { algorithm } = splitKeyId(keyId);
    const sequence = tx.get(oneTimeKeyIds, [user, device, keyId]);
    if (sequence !== undefined) {
      const known = tx.get(oneTimeKeys, [user, device, algorithm, sequence]);
      if (known !== undefined && canonicalJson(known.key) === canonicalJson(key)) continue;
      if (sequence >= (algorithms.get(algorithm)?.first ?? 0))
        throw new MatrixError('M_INVALID_PARAM', `There is another one-time key named ${keyId}`);
    }
    if (++total > MOST_KEYS)
      throw new MatrixError('M_INVALID_PARAM', `A device may have at most ${MOST_KEYS} one-time keys`);
    const { first, next } = algorithms.get(algorithm) ?? { first: 0, next: 0 };
    tx.put(oneTimeKeys, [user, device, algorithm, next], { id: keyId, key });
    tx.put(oneTimeKeyIds, [user, device, keyId], next);
    algorithms.set(algorithm, { first, next: next + 1 });
  }
  checkAlgorithms(algorithms);
  tx.put(keyQueues, [user, device], { ...queue, algorithms: Object.fromEntries(algorithms) });
}

/** Sets fallback keys, which are then unused again. */
export function setFallbackKeys(
  tx: Tx,
  user: string,
  device: string,
  keys: readonly (readonly [string, JsonValue])[],
): void {
  const queue = tx.get(keyQueues, [user, device]) ?? NOTHING;
  const fallback = new Map(Object.entries(queue.fallback));
  for (const [keyId, key] of keys) {
    const { algorithm } = splitKeyId(keyId);
    const known = fallback.get(algorithm);
    if (known?.id === keyId && canonicalJson(known.key) === canonicalJson(key)) continue;
    fallback.set(algorithm, { id: keyId, key });
  }
  checkAlgorithms(fallback);
  tx.put(keyQueues, [user, device], { ...queue, fallback: Object.fromEntries(fallback) });
}

function checkAlgorithms(byAlgorithm: ReadonlyMap<string, unknown>): void {
  if (byAlgorithm.size > MOST_ALGORITHMS) throw new MatrixError('M_INVALID_PARAM', 'Too many key algorithms');
}

/**
 * Takes the oldest one-time key of a device out of its queue, or its fallback key where none is left. Within one
 * transaction the key is read and gone, so it is never given twice; the answer may leave once that is durable.
 */
export function claimKey(
  tx: Tx,
  user: string,
  device: string,
  algorithm: string,
): { readonly id: string; readonly key: JsonValue } | undefined {
  const queue = tx.get(keyQueues, [user, device]);
  if (queue === undefined) return undefined;
  const place = Object.hasOwn(queue.algorithms, algorithm) ? queue.algorithms[algorithm] : undefined;
  if (place !== undefined && place.first < place.next) {
    const row = tx.get(oneTimeKeys, [user, device, algorithm, place.first]);
    const algorithms = { ...queue.algorithms, [algorithm]: { first: place.first + 1, next: place.next } };
    dropKey(tx, user, device, algorithm, place.first - REMEMBERED);
    tx.put(keyQueues, [user, device], { ...queue, algorithms, position: handedOut(tx, user, device) });
    return row;
  }
  const fallback = Object.hasOwn(queue.fallback, algorithm) ? queue.fallback[algorithm] : undefined;
  if (fallback === undefined) return undefined;
  if (fallback.used !== true) {
    tx.put(keyQueues, [user, device], {
      ...queue,
      fallback: { ...queue.fallback, [algorithm]: { ...fallback, used: true } },
      position: handedOut(tx, user, device),
    });
  }
  return { id: fallback.id, key: fallback.key };
}

/** The device shall hear that it has fewer keys now. */
function handedOut(tx: Tx, user: string, device: string): Position {
  const before = tx.get(keyQueues, [user, device])?.position ?? 0;
  if (before > 0) tx.retract(before);
  const position = tx.position();
  tx.fact(position, { kind: 'keyCounts', user, device });
  return position;
}

/** Deletes a key, and its id unless another key has that by now. */
function dropKey(tx: Tx, user: string, device: string, algorithm: string, sequence: number): void {
  if (sequence < 0) return;
  const row = tx.get(oneTimeKeys, [user, device, algorithm, sequence]);
  if (row === undefined) return;
  tx.delete(oneTimeKeys, [user, device, algorithm, sequence]);
  if (tx.get(oneTimeKeyIds, [user, device, row.id]) === sequence) tx.delete(oneTimeKeyIds, [user, device, row.id]);
}

/** Forgets all one-time and fallback keys of a device that is gone. */
export function dropOneTimeKeys(tx: Tx, user: string, device: string): void {
  const queue = tx.get(keyQueues, [user, device]);
  if (queue === undefined) return;
  for (const [algorithm, { first, next }] of Object.entries(queue.algorithms)) {
    for (let sequence = first - REMEMBERED; sequence < next; sequence++) {
      dropKey(tx, user, device, algorithm, sequence);
    }
  }
  if (queue.position > 0) tx.retract(queue.position);
  tx.delete(keyQueues, [user, device]);
}
