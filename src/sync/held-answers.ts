import { promisify } from 'node:util';
import { deflateRaw, inflateRaw } from 'node:zlib';
import { jsonParts } from '#core/json-text.js';
import { type JsonObject, JsonText, type JsonValue } from '#core/json-value.js';
import type { Position } from '#store/types.js';
import type { Clock, Timer } from '#util/clock.js';
import { Lru } from '#util/lru.js';

/** All that is held, in bytes. */
const HELD_BYTES = 4 << 20;
/** Smaller answers are made again as quickly. */
const SMALLEST_BYTES = 32 * 1024;
/** Larger ones are held compressed: rooms resemble one another, and ten times as much finds a place. */
const LARGEST_PLAIN_BYTES = 512 * 1024;
const HOLD_MS = 30_000;

const compress = promisify(deflateRaw);
const expand = promisify(inflateRaw);

interface Held {
  readonly upTo: Position;
  readonly rest: JsonObject;
  readonly rooms: Buffer;
  readonly isCompressed: boolean;
  readonly untilMs: number;
}

/**
 * Answers to initial syncs, for clients that ask again because the connection broke before a large one had come (Synapse does
 * so too). One is given again only while nothing has happened since that concerns the user: it is then the one that would be made,
 * but that the ages of its events are as they were, by half a minute at most.
 */
export class HeldAnswers {
  readonly #answers = new Lru<string, Held>(HELD_BYTES);
  readonly #clock: Clock;
  #sweep: Timer | undefined;
  #isClosed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  close(): void {
    this.#isClosed = true;
    this.#sweep?.cancel();
    this.#answers.clear();
  }

  /** What was kept under `key` if it still holds, given the newest position that concerns the user. */
  async find(key: string, lastChange: Position): Promise<JsonObject | undefined> {
    const held = this.#answers.get(key);
    if (held === undefined || held.upTo < lastChange || held.untilMs <= this.#clock.monotonicMs()) return undefined;
    const rooms = new JsonText(held.isCompressed ? await expand(held.rooms) : held.rooms);
    return { ...held.rest, rooms: rooms as unknown as JsonValue };
  }

  /** Keeps an answer that reaches up to `upTo`. Resolves when it is kept, if it is large enough; never rejects. */
  async keep(key: string, body: JsonObject, upTo: Position): Promise<void> {
    const { rooms, ...rest } = body;
    if (rooms === undefined) return;
    const parts = jsonParts(rooms);
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    if (bytes < SMALLEST_BYTES) return;
    const plain = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
    const isCompressed = plain.length > LARGEST_PLAIN_BYTES;
    const written = isCompressed ? await compress(plain, { level: 1 }).catch(() => undefined) : plain;
    if (written === undefined || this.#isClosed) return;
    const untilMs = this.#clock.monotonicMs() + HOLD_MS;
    this.#answers.set(key, { upTo, rest: rest as JsonObject, rooms: written, isCompressed, untilMs }, written.length);
    this.#sweep ??= this.#clock.after(HOLD_MS, () => this.#forgetAll());
  }

  /** Some go before their time: what is asked for again comes soon or not at all. */
  #forgetAll(): void {
    this.#sweep = undefined;
    this.#answers.clear();
  }
}
