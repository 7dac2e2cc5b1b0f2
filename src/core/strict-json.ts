import { JsonFloat, type JsonObject, type JsonValue } from '#core/json-value.js';

/**
 * What makes a value no canonical JSON in room versions 6 and later (rooms/v6, Canonical JSON): floats, negative zero
 * and integers beyond ±(2^53 - 1). Undefined where it is fine.
 */
export function strictCanonicalProblem(value: JsonValue): string | undefined {
  switch (typeof value) {
    case 'number':
      if (Number.isSafeInteger(value)) return Object.is(value, -0) ? 'negative zero' : undefined;
      return Number.isInteger(value) ? 'an integer out of range' : 'a float';
    case 'bigint':
      return 'an integer out of range';
    case 'object': {
      if (value === null) return undefined;
      if (value instanceof JsonFloat) return 'a float';
      const items = Array.isArray(value) ? (value as readonly JsonValue[]) : Object.values(value as JsonObject);
      for (const item of items) {
        const problem = item === undefined ? undefined : strictCanonicalProblem(item);
        if (problem !== undefined) return problem;
      }
      return undefined;
    }
    default:
      return undefined;
  }
}
