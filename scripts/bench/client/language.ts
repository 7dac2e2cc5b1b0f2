/** A repeatable generator of numbers from 0 up to 1 (mulberry32): a database is the same in each run. */
export function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Ranks from 0 to `count` − 1, each drawn as often as Zipf's law says: the second half as often as the first, and so on. */
export class Zipf {
  readonly #upTo: Float64Array;

  constructor(count: number) {
    this.#upTo = new Float64Array(count);
    let sum = 0;
    for (let rank = 0; rank < count; rank++) {
      sum += 1 / (rank + 1);
      this.#upTo[rank] = sum;
    }
  }

  /** The rank that `number`, from 0 up to 1, falls on. */
  rank(number: number): number {
    const sought = number * this.#upTo.at(-1)!;
    let [low, high] = [0, this.#upTo.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#upTo[middle]! > sought) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** The rank that comes about `times` times among `drawn`. */
  rankOfFrequency(times: number, drawn: number): number {
    const rank = Math.round(drawn / (times * this.#upTo.at(-1)!)) - 1;
    return Math.min(this.#upTo.length - 1, Math.max(0, rank));
  }
}

const VOCABULARY = 50_000;
const SHORTEST = 2;
const LONGEST = 14;
const SYLLABLES = 'ka lo mi ren tu sa vel no dri pa ke shi mon ta rel bo ni zu fe gar'.split(' ');

/** Messages of made-up words that come as often as those of a language do. */
export class Language {
  /** Words of a message, on the average. */
  static readonly usualLength = (SHORTEST + LONGEST) / 2;
  readonly #words = new Zipf(VOCABULARY);
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = numbers(seed);
  }

  message(): string {
    const length = SHORTEST + Math.floor(this.#next() * (LONGEST - SHORTEST + 1));
    return Array.from({ length }, () => Language.word(this.#words.rank(this.#next()))).join(' ');
  }

  /** The word of this rank, the most frequent being 0: no two are alike. */
  static word(rank: number): string {
    let word = '';
    for (let left = rank + SYLLABLES.length; left > 0; left = Math.floor(left / SYLLABLES.length)) {
      word += SYLLABLES[left % SYLLABLES.length];
    }
    return word;
  }

  /** The word that stands about `times` times in `messages` messages. */
  wordOfFrequency(times: number, messages: number): string {
    return Language.word(this.#words.rankOfFrequency(times, messages * Language.usualLength));
  }
}
