import { MatrixError } from '#core/errors.js';
import { parseRoomEventFilter, type RoomEventFilter } from '#core/filter.js';
import { JsonError, parseJson } from '#core/json.js';
import type { JsonValue } from '#core/json-value.js';
import { integer, optional } from '#core/schema.js';
import type { Rooms } from '#rooms/rooms.js';
import type { Txn } from '#rooms/send.js';
import { parseGap } from '#rooms/timeline.js';

/** JSON that came in a query parameter. M_NOT_JSON where it is none. */
export function jsonParameter(name: string, text: string): JsonValue {
  try {
    return parseJson(Buffer.from(text), { numbers: 'plain' });
  } catch (error) {
    if (error instanceof JsonError) throw new MatrixError('M_NOT_JSON', `'${name}' is not valid JSON`);
    throw error;
  }
}

/** The gap in a timeline that a client's token names; M_INVALID_PARAM for what this server has not given out yet. */
export function gapParameter(rooms: Rooms, token: string): number {
  const gap = parseGap(token);
  if (gap > rooms.store.tip) throw new MatrixError('M_INVALID_PARAM', 'Not a token of this server');
  return gap;
}

/** The position that a token of an earlier answer names; M_INVALID_PARAM for what this server has not given out. */
export function tokenParameter(rooms: Rooms, name: string, token: string): number {
  const position = /^\d{1,16}$/.test(token) ? Number(token) : Number.NaN;
  if (!Number.isSafeInteger(position) || position > rooms.store.tip) {
    throw new MatrixError('M_INVALID_PARAM', `'${name}' is no token of this server`);
  }
  return position;
}

/** The RoomEventFilter of a query parameter. */
export function readRoomFilter(text: string): RoomEventFilter {
  return parseRoomEventFilter(jsonParameter('filter', text));
}

/** Longest transaction id, in bytes. */
const MAX_TXN_BYTES = 255;

/** The transaction of a request on `path`, which is given without the transaction id; M_INVALID_PARAM for its size. */
export function transaction(path: string, id: string): Txn {
  if (id === '' || Buffer.byteLength(id) > MAX_TXN_BYTES) {
    throw new MatrixError('M_INVALID_PARAM', `A transaction id has 1 to ${MAX_TXN_BYTES} bytes`);
  }
  return { path, id };
}

/** By which the endpoints that send schedule a delayed event instead (MSC4140), in milliseconds. */
export const delayQuery = { 'org.matrix.msc4140.delay': optional(integer()) };
