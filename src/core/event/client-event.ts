import type { Pdu } from '#core/event/pdu.js';
import type { JsonObject, JsonValue } from '#core/json-value.js';

export interface ClientEventOptions {
  /** Becomes `unsigned`; nothing of the PDU's own `unsigned` is shown. */
  readonly unsigned?: JsonObject | undefined;
  /** Leaves `room_id` out, as events inside a sync response's room have it. */
  readonly withoutRoomId?: boolean | undefined;
  /** The redaction, in client format, that emptied this event: `unsigned.redacted_because`. */
  readonly redactedBecause?: JsonObject | undefined;
}

/**
 * The event as clients see it (client-server API, Room event format). A redaction names the event it redacts both at the
 * top level and in its content, whatever the room version, so that old and new clients find it (rooms/v11).
 */
export function clientEvent(pdu: Pdu, options: ClientEventOptions = {}): JsonObject {
  const event: Record<string, JsonValue> = {
    type: pdu.type,
    sender: pdu.sender,
    content: pdu.content,
    event_id: pdu.event_id,
    origin_server_ts: pdu.origin_server_ts,
  };
  if (options.withoutRoomId !== true) event['room_id'] = pdu.room_id;
  if (pdu.state_key !== undefined) event['state_key'] = pdu.state_key;
  if (pdu.redacts !== undefined) {
    event['redacts'] = pdu.redacts;
    event['content'] = { ...pdu.content, redacts: pdu.redacts };
  }
  if (options.redactedBecause !== undefined) {
    event['unsigned'] = { ...options.unsigned, redacted_because: options.redactedBecause };
  } else if (options.unsigned !== undefined) {
    event['unsigned'] = options.unsigned;
  }
  return event;
}

/** A state event as people outside the room see it on an invite or knock (client-server API, Stripped state). */
export function strippedState(pdu: Pdu): JsonObject {
  return { type: pdu.type, state_key: pdu.state_key ?? '', sender: pdu.sender, content: pdu.content };
}
