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
  /** Given again as they are until they are compressed: who asks again at once would have another made. */
  readonly #compressing = new Map<string, Held>();
  /** Those that were kept, about in the order in which their time ends. */
  readonly #ends: { readonly key: string; readonly untilMs: number }[] = [];
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
    this.#compressing.clear();
    this.#ends.length = 0;
  }

  /** What was kept under `key` if it still holds, given the newest position that concerns the user. */
  async find(key: string, lastChange: Position): Promise<JsonObject | undefined> {
    const held = this.#compressing.get(key) ?? this.#answers.get(key);
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
    const untilMs = this.#clock.monotonicMs() + HOLD_MS;
    const held: Held = { upTo, rest: rest as JsonObject, rooms: plain, isCompressed: false, untilMs };
    if (plain.length <= LARGEST_PLAIN_BYTES) {
      this.#hold(key, held);
      return;
    }
    this.#compressing.set(key, held);
    const written = await compress(plain, { level: 1 }).catch(() => undefined);
    // A newer one is under way.
    if (this.#compressing.get(key) !== held) return;
    this.#compressing.delete(key);
    if (written !== undefined) this.#hold(key, { ...held, rooms: written, isCompressed: true });
  }

  #hold(key: string, held: Held): void {
    if (this.#isClosed) return;
    this.#answers.set(key, held, held.rooms.length);
    this.#ends.push({ key, untilMs: held.untilMs });
    this.#sweep ??= this.#clock.after(HOLD_MS, () => this.#forgetEnded());
  }

  /** Lets go of those whose time has ended, and comes again for the next. */
  #forgetEnded(): void {
    const nowMs = this.#clock.monotonicMs();
    const left = this.#ends.findIndex(({ untilMs }) => untilMs > nowMs);
    for (const { key } of this.#ends.splice(0, left < 0 ? this.#ends.length : left)) {
      // What came later in its place has its own end.
      if ((this.#answers.get(key)?.untilMs ?? nowMs) <= nowMs) this.#answers.delete(key);
    }
    const next = this.#ends[0];
    this.#sweep = next && this.#clock.after(next.untilMs - nowMs, () => this.#forgetEnded());
  }
}
