import { pduFromTrusted } from '#core/event/format.js';
import { eventIdOf } from '#core/event/hash.js';
import type { Pdu } from '#core/event/pdu.js';
import { EventId, type RoomId } from '#core/ids.js';
import { stringifyJson } from '#core/json-text.js';
import type { JsonObject, JsonValue } from '#core/json-value.js';
import type { RoomRules } from '#core/room-versions.js';
import type { Dice } from './dice.js';

export const USERS = [
  ...['@alice:a.example', '@bob:b.example', '@carol:a.example'],
  ...['@dave:c.example', '@erin:b.example', '@frank:c.example'],
] as const;

/** What an event says, before it has a place in a room. */
export interface Draft {
  type: string;
  sender: string;
  state_key?: string;
  content: JsonObject;
  redacts?: JsonValue;
}

/** Where it stands. */
export interface Place {
  readonly prev: readonly EventId[];
  readonly auth: readonly EventId[];
  readonly depth: number;
  readonly ts: number;
  /** Another room than the maker's. */
  readonly roomId?: string;
}

/** Makes events of one room as they travel, each with the text that the reference reads. Nothing is signed. */
export class EventMaker {
  readonly rules: RoomRules;
  readonly dice: Dice;
  readonly text = new Map<EventId, string>();
  roomId = '!room:a.example' as RoomId;
  #count = 0;

  constructor(rules: RoomRules, dice: Dice) {
    this.rules = rules;
    this.dice = dice;
  }

  make(draft: Draft, { prev, auth, depth, ts, roomId }: Place): Pdu {
    const withServer = this.rules.eventIdFormat === 'server';
    const references = (ids: readonly EventId[]): JsonValue =>
      withServer ? ids.map((id) => [id, { sha256: 'hash' }]) : ids;
    const json: Record<string, JsonValue> = {
      type: draft.type,
      sender: draft.sender,
      content: draft.content,
      depth,
      origin_server_ts: ts,
      prev_events: references(prev),
      auth_events: references(auth),
      hashes: { sha256: String(this.#count++) },
    };
    if (draft.state_key !== undefined) json['state_key'] = draft.state_key;
    const isIdlessCreate = this.rules.roomIdIsHash && draft.type === 'm.room.create' && draft.state_key === '';
    if (!isIdlessCreate || roomId !== undefined) json['room_id'] = roomId ?? this.roomId;
    if (draft.redacts !== undefined) json['redacts'] = draft.redacts;
    if (withServer) {
      json['event_id'] = `$${this.dice.next().toString(36).slice(2)}${this.#count}:${draft.sender.split(':')[1]}`;
    }
    const id = withServer ? EventId.of(json['event_id'] as string) : eventIdOf(json, this.rules)!;
    const event = pduFromTrusted(json, this.rules, id);
    this.text.set(event.event_id, stringifyJson(json));
    return event;
  }
}

export function serverOf(user: string): string {
  return user.slice(user.indexOf(':') + 1);
}
