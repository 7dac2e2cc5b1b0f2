import { MatrixError } from '#core/errors.js';
import { addressBlock } from '#http/address.js';
import type { LimitClass } from '#http/endpoint.js';
import type { Clock } from '#util/clock.js';
import { Lru } from '#util/lru.js';

/** A token bucket: `burst` requests at once, refilled with `perSecond`. */
export interface Figure {
  readonly perSecond: number;
  readonly burst: number;
}

/** The classes that have figures. What is counted by account logged in to, wherever from, is in `users/account-attempts.ts`. */
export type LimitName = Exclude<LimitClass, 'free'>;

/** Every figure of the rate limits, for one account or, without one, one client address. */
export const FIGURES: Readonly<Record<LimitName, Figure>> = {
  read: { perSecond: 50, burst: 500 },
  send: { perSecond: 5, burst: 100 },
  join: { perSecond: 0.5, burst: 20 },
  create: { perSecond: 0.1, burst: 10 },
  login: { perSecond: 0.1, burst: 15 },
  register: { perSecond: 0.2, burst: 20 },
  account: { perSecond: 1, burst: 30 },
  media: { perSecond: 50, burst: 500 },
  search: { perSecond: 2, burst: 60 },
  federation: { perSecond: 50, burst: 1000 },
};

/** Buckets held for accounts, and as many again for addresses. The least recently used are forgotten first. */
const MOST_BUCKETS = 20_000;

interface Bucket {
  tokens: number;
  atMs: number;
}

export interface Limits {
  /**
   * Takes one request from the bucket of `who`: a user id, or a client address.
   * Throws `M_LIMIT_EXCEEDED` with `retry_after_ms` when it is empty.
   */
  spend(name: LimitName, who: string): void;
  /** Whether `spend` would pass, without taking anything. */
  allows(name: LimitName, who: string): boolean;
}

/** With `mode: 'off'` nothing is ever limited. */
export function createLimits(options: {
  readonly clock: Clock;
  readonly mode: 'on' | 'off';
  readonly figures?: Readonly<Record<LimitName, Figure>>;
  readonly mostBuckets?: number;
}): Limits {
  if (options.mode === 'off') return { spend: () => {}, allows: () => true };
  const { clock, figures = FIGURES, mostBuckets = MOST_BUCKETS } = options;
  // Kept apart, so that a flood from many addresses can't push the accounts' buckets out.
  const ofAccounts = new Lru<string, Bucket>(mostBuckets);
  const ofAddresses = new Lru<string, Bucket>(mostBuckets);

  const bucketOf = (name: LimitName, who: string): Bucket => {
    const account = who.startsWith('@');
    const buckets = account ? ofAccounts : ofAddresses;
    const key = `${name} ${account ? who : addressBlock(who)}`;
    const { perSecond, burst } = figures[name];
    const nowMs = clock.monotonicMs();
    let bucket = buckets.get(key);
    if (bucket === undefined) {
      bucket = { tokens: burst, atMs: nowMs };
      buckets.set(key, bucket);
    }
    bucket.tokens = Math.min(burst, bucket.tokens + ((nowMs - bucket.atMs) / 1000) * perSecond);
    bucket.atMs = nowMs;
    return bucket;
  };

  return {
    spend(name, who) {
      const bucket = bucketOf(name, who);
      if (bucket.tokens < 1) {
        const retryAfterMs = Math.ceil(((1 - bucket.tokens) / figures[name].perSecond) * 1000);
        throw new MatrixError('M_LIMIT_EXCEEDED', 'Too many requests', { extra: { retry_after_ms: retryAfterMs } });
      }
      bucket.tokens -= 1;
    },
    allows: (name, who) => bucketOf(name, who).tokens >= 1,
  };
}
