import { canonicalJson } from '#core/canonical-json.js';
import { pduFromTrusted } from '#core/event/format.js';
import type { Outcome, Pdu } from '#core/event/pdu.js';
import { EventId } from '#core/ids.js';
import { parseJson } from '#core/json.js';
import type { JsonObject } from '#core/json-value.js';
import { type RoomVersion, roomRules } from '#core/room-versions.js';
import type { ValueCodec } from '#store/keyspace.js';
import { StoreError } from '#store/store-error.js';
import type { EventNum, Order, RoomNum, StateRoot } from '#store/types.js';
import { VarintReader } from '#store/varint.js';
import { assert } from '#util/assert.js';

/** An event as it is held: whole, with what became of it and where it stands. Immutable. */
export interface StoredEvent {
  readonly num: EventNum;
  readonly room: RoomNum;
  /** Version of its room. */
  readonly version: RoomVersion;
  /** Place in the room's timeline; means nothing for events that are not accepted. */
  readonly order: Order;
  readonly outcome: Outcome;
  /** Room state before the event: what its prev_events resolve to. 0 for outliers. */
  readonly stateBefore: StateRoot;
  /** Room state after it; the same as before for message events and rejected ones. */
  readonly stateAfter: StateRoot;
  readonly pdu: Pdu;
}

const LAYOUT = 1;
const OUTCOMES: readonly Outcome[] = ['accepted', 'softFailed', 'rejected', 'outlier'];

/**
 * Layout number, the event's number, outcome, room, order and state roots as distances from the number, room version,
 * event id, and the canonical bytes of the PDU to the end.
 */
export const eventRow: ValueCodec<StoredEvent> = {
  keepsPutValue: true,
  encode(event, to) {
    const outcome = OUTCOMES.indexOf(event.outcome);
    to.unsigned(LAYOUT)
      .unsigned(event.num)
      .unsigned(outcome)
      .unsigned(event.room)
      .signed(event.num - event.order)
      .unsigned(event.stateBefore)
      .signed(event.stateBefore === 0 ? event.stateAfter : event.stateAfter - event.stateBefore)
      .text(event.version)
      .text(event.pdu.event_id)
      .utf8(canonicalJson(event.pdu.json));
  },
  decode(bytes) {
    const reader = new VarintReader(bytes);
    const layout = reader.unsigned();
    if (layout !== LAYOUT) throw new StoreError('corrupt', `an event has the unknown layout ${layout}`);
    const num = reader.unsigned();
    const outcome = OUTCOMES[reader.unsigned()];
    assert(outcome !== undefined, 'a stored event has an unknown outcome');
    const room = reader.unsigned();
    const order = num - reader.signed();
    const stateBefore = reader.unsigned();
    const stateAfter = stateBefore + reader.signed();
    const version = reader.text();
    const eventId = EventId.of(reader.text());
    const rules = roomRules(version);
    assert(rules !== undefined, `a stored event has the unknown room version ${version}`);
    // Canonical JSON of strict versions holds nothing that JSON.parse would change; older events keep exact numbers.
    const text = reader.rest();
    const json = rules.strictCanonicalJson
      ? (JSON.parse(text.toString('utf8')) as JsonObject)
      : (parseJson(text, { numbers: 'exact' }) as JsonObject);
    const pdu = pduFromTrusted(json, rules, eventId);
    return Object.freeze({ num, room, version: rules.version, order, outcome, stateBefore, stateAfter, pdu });
  },
};
