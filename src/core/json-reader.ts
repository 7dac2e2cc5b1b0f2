import { JsonFloat, type JsonValue } from '#core/json-value.js';

/** Longest integer that is kept exactly, in digits; Python's own reader stops here too. */
const MAX_INTEGER_DIGITS = 4300;

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const PLAIN_INTEGER = /^-?[0-9]+$/;

/**
 * Reads JSON token by token and keeps what `JSON.parse` loses: integers beyond ±(2^53 - 1) become `bigint`, numbers
 * with a fraction or an exponent `JsonFloat`. A number that no finite value can hold becomes an infinite `JsonFloat`,
 * which canonical JSON then refuses: so one such event is dropped, and not the whole transaction that carries it.
 *
 * The caller has bounded the nesting; strings are checked by `JSON.parse` itself. Throws SyntaxError.
 */
export class JsonReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** The one value that the text holds. */
  read(): JsonValue {
    const value = this.#value();
    this.#space();
    if (this.#at !== this.#text.length) throw this.#unexpected();
    return value;
  }

  #value(): JsonValue {
    this.#space();
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object();
      case '[':
        return this.#array();
      case '"':
        return this.#string();
      case 't':
        return this.#word('true', true);
      case 'f':
        return this.#word('false', false);
      case 'n':
        return this.#word('null', null);
      default:
        return this.#number();
    }
  }

  #object(): JsonValue {
    const object: Record<string, JsonValue> = {};
    this.#at++;
    this.#space();
    if (this.#take('}')) return object;
    for (;;) {
      this.#space();
      if (this.#text[this.#at] !== '"') throw this.#unexpected();
      const key = this.#string();
      this.#space();
      if (!this.#take(':')) throw this.#unexpected();
      const value = this.#value();
      // Plain assignment to `__proto__` would set the prototype; everything else keeps the last value given.
      if (key === '__proto__') {
        Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
      } else {
        object[key] = value;
      }
      this.#space();
      if (this.#take('}')) return object;
      if (!this.#take(',')) throw this.#unexpected();
    }
  }

  #array(): JsonValue {
    const array: JsonValue[] = [];
    this.#at++;
    this.#space();
    if (this.#take(']')) return array;
    for (;;) {
      array.push(this.#value());
      this.#space();
      if (this.#take(']')) return array;
      if (!this.#take(',')) throw this.#unexpected();
    }
  }

  #string(): string {
    const start = this.#at;
    let at = start + 1;
    let plain = true;
    for (;;) {
      const unit = this.#text.charCodeAt(at);
      if (unit === 0x22) break;
      if (unit === 0x5c) {
        plain = false;
        at++;
      } else if (!(unit >= 0x20)) {
        // A raw control character, or NaN past the end of the text.
        this.#at = at;
        throw this.#unexpected();
      }
      at++;
    }
    this.#at = at + 1;
    return plain ? this.#text.slice(start + 1, at) : (JSON.parse(this.#text.slice(start, at + 1)) as string);
  }

  #number(): JsonValue {
    NUMBER.lastIndex = this.#at;
    const text = NUMBER.exec(this.#text)?.[0];
    if (text === undefined) throw this.#unexpected();
    this.#at += text.length;
    if (!PLAIN_INTEGER.test(text)) return new JsonFloat(Number(text));
    const value = Number(text);
    if (Number.isSafeInteger(value)) return value;
    const digits = text.length - (text[0] === '-' ? 1 : 0);
    return digits > MAX_INTEGER_DIGITS ? new JsonFloat(value) : BigInt(text);
  }

  #word<T extends JsonValue>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) throw this.#unexpected();
    this.#at += word.length;
    return value;
  }

  #space(): void {
    if (this.#text.charCodeAt(this.#at) > 0x20) return;
    SPACE.lastIndex = this.#at;
    SPACE.exec(this.#text);
    this.#at = SPACE.lastIndex;
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #unexpected(): SyntaxError {
    return new SyntaxError(`unexpected ${this.#at < this.#text.length ? 'character' : 'end'} at ${this.#at}`);
  }
}
