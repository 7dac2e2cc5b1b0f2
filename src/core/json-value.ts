/**
 * JSON as this server holds it. Plain JSON (request bodies, account data) has `number` only. JSON of events read with
 * exact numbers may also hold `bigint` (an integer beyond ±(2^53 - 1), legal in room versions 1 to 5) and `JsonFloat`
 * (a number written with a fraction or exponent), so that old events keep their exact bytes.
 *
 * Objects are ordinary objects whose keys are data: `__proto__` may be an *own* property. Read keys that come from
 * outside only with `own(object, key)`, and never copy with `Object.assign` or `for…in`.
 */
export type JsonValue = null | boolean | number | bigint | string | JsonFloat | JsonArray | JsonObject;
export type JsonArray = readonly JsonValue[];
export interface JsonObject {
  readonly [key: string]: JsonValue | undefined;
}

/**
 * A number whose text had a fraction or an exponent: `1.0` is not the integer 1 in canonical JSON. Infinite where the
 * text is beyond any finite value. (`-0` is the plain number -0.)
 */
export class JsonFloat {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
  toJSON(): number {
    return this.value;
  }
}

/**
 * A value that is written already, as text or as UTF-8: `stringifyJson` and `jsonParts` take it as it is. No `JsonValue`: it
 * stands only in answers, whose many large parts are better held written than as objects until the last of them is made.
 */
export class JsonText {
  readonly written: string | Buffer;
  constructor(written: string | Buffer) {
    this.written = written;
  }
  get text(): string {
    return this.written.toString();
  }
  toJSON(): unknown {
    return JSON.parse(this.text);
  }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof JsonFloat);
}

/** The own property `key` of `object`: never something inherited, whatever the key is called. */
export function own(object: JsonObject, key: string): JsonValue | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** The own property `key` if it is a string. */
export function ownString(object: JsonObject, key: string): string | undefined {
  const value = own(object, key);
  return typeof value === 'string' ? value : undefined;
}

/** The own property `key` if it is an object. */
export function ownObject(object: JsonObject, key: string): JsonObject | undefined {
  const value = own(object, key);
  return isObject(value) ? value : undefined;
}
