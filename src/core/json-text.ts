import { writeFloat } from '#core/canonical-json.js';
import { JsonFloat, type JsonObject, JsonText, type JsonValue } from '#core/json-value.js';

/**
 * JSON text in the order of the object's own keys, as `JSON.stringify` gives it, but large integers and floats keep
 * their value and form. Throws JsonError on an infinite JsonFloat.
 */
export function stringifyJson(value: JsonValue): string {
  return needsOwnWriter(value) ? writeInOrder(value) : JSON.stringify(value);
}

/** Whether it holds what `JSON.stringify` can't write, or would write anew. */
function needsOwnWriter(value: JsonValue | undefined): boolean {
  if (typeof value === 'bigint') return true;
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) return value.some(needsOwnWriter);
  if (value instanceof JsonFloat || value instanceof JsonText) return true;
  for (const key of Object.keys(value)) if (needsOwnWriter((value as JsonObject)[key])) return true;
  return false;
}

function writeInOrder(value: JsonValue): string {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(writeInOrder).join(',')}]`;
  if (value instanceof JsonFloat) return writeFloat(value.value);
  if (value instanceof JsonText) return value.text;
  const members: string[] = [];
  for (const [key, item] of Object.entries(value as JsonObject)) {
    if (item !== undefined) members.push(`${JSON.stringify(key)}:${writeInOrder(item)}`);
  }
  return `{${members.join(',')}}`;
}

/**
 * As `stringifyJson`, in pieces that follow one another: what stands in the value as UTF-8 is one of them, as it is, and the
 * rest is text. A value without such parts is one piece.
 */
export function jsonParts(value: JsonValue): readonly (string | Buffer)[] {
  if (!needsOwnWriter(value)) return [JSON.stringify(value)];
  const parts: (string | Buffer)[] = [];
  let text = '';
  const add = (item: JsonValue): void => {
    if (item instanceof JsonText && typeof item.written !== 'string') {
      parts.push(text, item.written);
      text = '';
    } else if (typeof item !== 'object' || item === null || Array.isArray(item) || !needsOwnWriter(item)) {
      text += writeInOrder(item);
    } else if (item instanceof JsonFloat || item instanceof JsonText) {
      text += writeInOrder(item as JsonValue);
    } else {
      let before = '{';
      for (const [key, member] of Object.entries(item as JsonObject)) {
        if (member === undefined) continue;
        text += `${before}${JSON.stringify(key)}:`;
        before = ',';
        add(member);
      }
      text += before === '{' ? '{}' : '}';
    }
  };
  add(value);
  parts.push(text);
  return parts;
}

const LARGEST_SLAB_BYTES = 256 * 1024;

/**
 * Takes written parts of one large answer out of V8's heap until the answer is sent: as UTF-8, packed into few pieces of
 * memory that grow with what comes, to 256 KiB each.
 */
export class JsonSlabs {
  #slab = Buffer.alloc(0);
  #used = 0;
  #nextBytes = 8 * 1024;

  /** Writes a value as `stringifyJson` does. */
  write(value: JsonValue): JsonText {
    const text = stringifyJson(value);
    const bytes = Buffer.byteLength(text);
    if (bytes > LARGEST_SLAB_BYTES / 4) return new JsonText(Buffer.from(text));
    if (bytes > this.#slab.length - this.#used) {
      while (this.#nextBytes < bytes) this.#nextBytes *= 2;
      this.#slab = Buffer.allocUnsafeSlow(this.#nextBytes);
      this.#used = 0;
      this.#nextBytes = Math.min(this.#nextBytes * 2, LARGEST_SLAB_BYTES);
    }
    const from = this.#used;
    this.#used += this.#slab.write(text, from);
    return new JsonText(this.#slab.subarray(from, this.#used));
  }
}
