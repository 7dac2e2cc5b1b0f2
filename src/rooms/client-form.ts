import { clientEvent } from '#core/event/client-event.js';
import type { UserId } from '#core/ids.js';
import type { JsonObject, JsonValue } from '#core/json-value.js';
import { bundledRelations } from '#rooms/aggregations.js';
import { membershipAt, shownTo } from '#rooms/erasure.js';
import { isRedacted, redacted, redactionOf } from '#rooms/redactions.js';
import { type Rooms, storedStateAt } from '#rooms/rooms.js';
import { isVisible } from '#rooms/visibility.js';
import type { StoredEvent } from '#store/events.js';
import { echoes } from '#store/schema.js';
import type { Reader } from '#store/types.js';

/** For whom an event is written. */
export interface ClientView {
  /** Undefined for readers without an account: nothing personal is added. */
  readonly viewer?: UserId;
  /** The device that sees the transaction ids of what it sent. */
  readonly device?: string;
  /** Leaves `room_id` out, as in the room sections of a sync. */
  readonly withoutRoomId?: boolean;
  /** Leaves out what relates to the event, where the client has seen that come itself. */
  readonly withoutRelations?: boolean;
  /** Writes the event as if it were redacted: the root of a thread by someone whom the viewer ignores. */
  readonly emptied?: boolean;
  /** The store's committed rows where absent. */
  readonly reader?: Reader;
}

/**
 * An event as a client is given it (client-server API, Room event format): redacted where it was redacted, with `age`,
 * what it replaced if the viewer may see that, the viewer's own membership when it was sent, what relates to it, and the
 * transaction id for the device that sent it. Whether the viewer may see the event itself is asked before (`rooms/visibility.ts`).
 */
export function toClientEvent(rooms: Rooms, stored: StoredEvent, view: ClientView): JsonObject {
  const reader = view.reader ?? rooms.store;
  const { pdu } = stored;
  const unsigned: Record<string, JsonValue> = { age: rooms.clock.now() - pdu.origin_server_ts };
  if (pdu.state_key !== undefined) addReplaced(rooms, reader, stored, view.viewer, unsigned);
  if (view.viewer !== undefined) {
    const membership = membershipAt(rooms, reader, stored, view.viewer);
    if (membership !== undefined) unsigned['membership'] = membership;
    const echo = pdu.sender === view.viewer ? reader.get(echoes, [stored.num]) : undefined;
    if (echo?.txnId !== undefined && echo.device === view.device) unsigned['transaction_id'] = echo.txnId;
    if (echo?.delayId !== undefined) unsigned['org.matrix.msc4140.delay_id'] = echo.delayId;
  }
  if (!view.withoutRelations) {
    const relations = bundledRelations(rooms, reader, stored, view.viewer, (child, withRelations) =>
      toClientEvent(rooms, child, { ...view, withoutRelations: !withRelations }),
    );
    if (relations !== undefined) unsigned['m.relations'] = relations;
  }
  // One read for nearly all events, and only of those that were redacted the redaction.
  const wasRedacted = isRedacted(reader, pdu.event_id);
  const redaction = wasRedacted ? redactionOf(rooms, reader, pdu.event_id) : undefined;
  const { withoutRoomId } = view;
  return clientEvent(view.emptied ? redacted(stored) : shownTo(rooms, reader, stored, view.viewer, wasRedacted), {
    unsigned,
    withoutRoomId,
    redactedBecause: redaction && clientEvent(shownTo(rooms, reader, redaction, view.viewer), { withoutRoomId }),
  });
}

/** `prev_content` and `replaces_state` of a state event. Content that the viewer may not see stays hidden here too. */
function addReplaced(
  rooms: Rooms,
  reader: Reader,
  stored: StoredEvent,
  viewer: UserId | undefined,
  unsigned: Record<string, JsonValue>,
): void {
  const { type, state_key: stateKey = '' } = stored.pdu;
  const replaced = storedStateAt(rooms, reader, stored.stateBefore, type, stateKey);
  if (replaced === undefined) return;
  unsigned['replaces_state'] = replaced.pdu.event_id;
  if (!isVisible(rooms, reader, viewer, replaced)) return;
  unsigned['prev_content'] = shownTo(rooms, reader, replaced, viewer).content;
  unsigned['prev_sender'] = replaced.pdu.sender;
}
