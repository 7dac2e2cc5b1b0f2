import type { EventId, RoomId, UserId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';

/** Untrusted JSON that claims to be a PDU. */
export type RawPdu = JsonObject;

/**
 * A PDU whose format was checked, frozen, with its id. Field names are the specification's (server-server API, PDUs);
 * `event_id` is computed from version 3 on, `room_id` is filled in for the create event of version 12.
 */
export interface Pdu {
  readonly event_id: EventId;
  readonly room_id: RoomId;
  readonly type: string;
  readonly sender: UserId;
  /** Present exactly on state events. */
  readonly state_key?: string;
  readonly content: JsonObject;
  /** Milliseconds since the Unix epoch, as the sending server claims. */
  readonly origin_server_ts: number;
  readonly depth: number;
  /** Ids only, whatever form the room version uses on the wire. */
  readonly prev_events: readonly EventId[];
  /** Ids only. In version 12 the create event is implied and not listed. */
  readonly auth_events: readonly EventId[];
  /** The event that an m.room.redaction redacts, wherever the version keeps it (top level, or content from v11 on). */
  readonly redacts?: EventId;
  /**
   * The whole PDU as it travels, hashes included, `event_id` only in versions 1 and 2; signatures too, but for messages of this
   * server, which are signed when they leave for another one.
   */
  readonly json: RawPdu;
}

/** A state event: `state_key` is there. */
export type StatePdu = Pdu & { readonly state_key: string };

/** What a local user asks for, before ids, parents, hashes and signatures. */
export interface Draft {
  readonly type: string;
  readonly state_key?: string;
  readonly sender: UserId;
  readonly content: JsonObject;
  /** Only on m.room.redaction. */
  readonly redacts?: EventId;
  /** Milliseconds since the epoch; the server's clock where absent. */
  readonly origin_server_ts?: number;
  readonly unsigned?: JsonObject;
}

/** The key of one piece of state. */
export interface StateKey {
  readonly type: string;
  readonly state_key: string;
}

/** What became of an event on receipt (server-server API, Checks performed on receipt of a PDU). */
export type Outcome = 'accepted' | 'softFailed' | 'rejected' | 'outlier';

/** The answer of an authorisation check: allow, or the specification's rule that refuses. */
export type Verdict =
  | { readonly allow: true }
  | { readonly allow: false; readonly rule: string; readonly reason: string };
