import { foldCase } from '#core/case-fold.js';
import type { Pdu } from '#core/event/pdu.js';
import { isObject, type JsonValue, own } from '#core/json-value.js';
import { parsePropertyPath } from '#core/property-path.js';

/** What push rules can see of an event. Any `Pdu` will do. */
export type PushEvent = Pick<Pdu, 'type' | 'sender' | 'room_id' | 'state_key' | 'content'> &
  Partial<Pick<Pdu, 'event_id' | 'origin_server_ts' | 'redacts'>>;

/** A property that a condition names. */
export interface PropertyKey {
  /** As written, dots and escapes included. */
  readonly key: string;
  readonly names: readonly string[];
}

export function propertyKey(key: string): PropertyKey {
  return { key, names: parsePropertyPath(key) };
}

interface Property {
  readonly value: JsonValue | undefined;
  /** The value with case folded away, made on first use. */
  folded: string | undefined;
}

/** An event with the properties that conditions have asked for so far: make one per event and share it by all users. */
export class PreparedEvent {
  readonly event: PushEvent;
  readonly #properties = new Map<string, Property>();

  constructor(event: PushEvent) {
    this.event = event;
  }

  #property(key: PropertyKey): Property {
    let property = this.#properties.get(key.key);
    if (property === undefined) {
      property = { value: lookUp(this.event, key.names), folded: undefined };
      this.#properties.set(key.key, property);
    }
    return property;
  }

  /** The value of a property, or undefined where the event has none. */
  value(key: PropertyKey): JsonValue | undefined {
    return this.#property(key).value;
  }

  /** A string property with case folded away; undefined where it is absent or no string. */
  folded(key: PropertyKey): string | undefined {
    const property = this.#property(key);
    if (property.folded === undefined && typeof property.value === 'string') property.folded = foldCase(property.value);
    return property.folded;
  }
}

/** Top-level fields are named one by one: signatures and the like are no business of push rules. */
function topLevel(event: PushEvent, name: string): JsonValue | undefined {
  switch (name) {
    case 'content':
      return event.content;
    case 'type':
      return event.type;
    case 'sender':
      return event.sender;
    case 'room_id':
      return event.room_id;
    case 'state_key':
      return event.state_key;
    case 'event_id':
      return event.event_id;
    case 'origin_server_ts':
      return event.origin_server_ts;
    case 'redacts':
      return event.redacts;
    default:
      return undefined;
  }
}

function lookUp(event: PushEvent, names: readonly string[]): JsonValue | undefined {
  let value = topLevel(event, names[0]!);
  for (let i = 1; i < names.length; i++) {
    if (!isObject(value)) return undefined;
    value = own(value, names[i]!);
  }
  return value;
}
