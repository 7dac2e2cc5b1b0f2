import { buildPdu } from '#core/event/build.js';
import type { Draft, Pdu } from '#core/event/pdu.js';
import { type EventId, RoomId, type ServerName, type UserId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { type RoomRules, roomRules } from '#core/room-versions.js';
import { type SigningKey, signingKeyFromSeed } from '#core/signing.js';

export const RULES: RoomRules = roomRules('11')!;
/** The id of the first event that a `Maker` makes, so that version 12 finds its create event. */
export const ROOM = RoomId.fromCreateEventId(hashId(0));
const SERVER = 'a.example' as ServerName;

export function benchKey(): SigningKey {
  return signingKeyFromSeed(
    Uint8Array.from({ length: 32 }, (_, index) => index),
    'bench',
  );
}

/** A signed event of usual size: 400 to 700 bytes. */
export function signedEvent(key: SigningKey, draft: Draft, number: number): Pdu {
  return buildPdu(draft, {
    rules: RULES,
    roomId: ROOM,
    prevEvents: [hashId(number)],
    authEvents: [hashId(number + 1), hashId(number + 2), hashId(number + 3)],
    depth: number + 1,
    originServerTs: 1_700_000_000_000 + number,
    serverName: SERVER,
    key,
    opaqueId: '',
  });
}

export function message(number: number): Draft {
  return {
    type: 'm.room.message',
    sender: `@user${number % 1000}:a.example` as UserId,
    content: {
      msgtype: 'm.text',
      body: `The quick brown fox jumps over the lazy dog for the ${number}th time – naïvely 🦊`,
    },
  };
}

function hashId(number: number): EventId {
  return `$${number.toString(36).padStart(43, 'A')}` as EventId;
}

/** Hand-made events of one room: no hashes and no signatures, which neither authorisation nor resolution looks at. */
export class Maker {
  readonly events = new Map<EventId, Pdu>();
  #count = 0;

  make(type: string, sender: string, state_key: string, content: JsonObject, auth: readonly Pdu[]): Pdu {
    const number = this.#count++;
    const auth_events = auth.map(({ event_id }) => event_id);
    const json: JsonObject = { type, sender, state_key, content, room_id: ROOM, auth_events, depth: number };
    const event: Pdu = {
      event_id: hashId(number),
      room_id: ROOM,
      type,
      sender: sender as UserId,
      state_key,
      content,
      origin_server_ts: number,
      depth: number,
      prev_events: [hashId(number - 1)],
      auth_events,
      json,
    };
    this.events.set(event.event_id, event);
    return event;
  }
}
