import { canonicalJson } from '#core/canonical-json.js';
import { MatrixError } from '#core/errors.js';
import type { Draft } from '#core/event/pdu.js';
import { JsonError } from '#core/json.js';
import type { JsonObject } from '#core/json-value.js';
import { type Appended, appendEvent } from '#rooms/append.js';
import { makeLocalEvent } from '#rooms/authorize.js';
import type { Origin, Room, Rooms } from '#rooms/rooms.js';
import type { Tx } from '#store/types.js';

/** Makes, authorises and appends a local event at the tip of the room; throws as `makeLocalEvent` does. */
export function appendDraft(rooms: Rooms, tx: Tx, room: Room, draft: Draft, origin?: Origin): Appended {
  const { pdu, stateBefore } = makeLocalEvent(rooms, tx, room, draft);
  return appendEvent(rooms, tx, room, pdu, {
    stateBefore,
    outcome: 'accepted',
    fresh: true,
    ...(origin === undefined ? {} : { origin }),
  });
}

/** Whether two contents are one in canonical JSON; M_BAD_JSON for what can not be written so. */
export function sameJson(a: JsonObject, b: JsonObject): boolean {
  try {
    return canonicalJson(a) === canonicalJson(b);
  } catch (error) {
    if (error instanceof JsonError) throw new MatrixError('M_BAD_JSON', error.message);
    throw error;
  }
}
