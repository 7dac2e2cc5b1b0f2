import type { StatePdu } from '#core/event/pdu.js';
import type { EventId, RoomId } from '#core/ids.js';
import type { RoomRules } from '#core/room-versions.js';
import type { AuthIndexReader } from '#core/state/auth-index.js';

/** A key of room state as one string, for maps: any two different keys give different strings. */
export function stateMapKey(type: string, stateKey: string): string {
  return `${type.length}:${type}${stateKey}`;
}

/** What `stateMapKey` was made of. */
export function parseStateMapKey(key: string): { type: string; state_key: string } {
  const colon = key.indexOf(':');
  const end = colon + 1 + Number(key.slice(0, colon));
  return { type: key.slice(colon + 1, end), state_key: key.slice(end) };
}

/** What the algorithms work on: only state events of this room, each fetched once; no conflicted key is unconflicted. */
export interface Resolution {
  readonly rules: RoomRules;
  readonly roomId: RoomId;
  readonly conflicted: ReadonlyMap<string, readonly (EventId | undefined)[]>;
  readonly index: AuthIndexReader;
  unconflicted(type: string, stateKey: string): EventId | undefined;
  event(id: EventId): StatePdu | undefined;
  rejected(id: EventId): boolean;
}
