import { deviceLists } from '#store/schema.js';
import type { Tx } from '#store/types.js';

/**
 * Notes that the user's devices or their keys changed, for those who share an encrypted room. Takes a position of the
 * log, which it returns; the user's older fact goes.
 */
export function deviceListChanged(tx: Tx, user: string): number {
  const before = tx.get(deviceLists, [user]);
  if (before !== undefined) tx.retract(before);
  const position = tx.position();
  tx.put(deviceLists, [user], position);
  tx.fact(position, { kind: 'deviceList', user });
  return position;
}
