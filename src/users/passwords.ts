import { MatrixError } from '#core/errors.js';

/** OWASP's recommendation for argon2id (the package's default kind): 19 MiB, two passes, one lane; 20 to 40 ms of a core. */
const PARAMETERS = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };
const MAX_PASSWORD_BYTES = 512;
/** Hashes computed at once on the thread pool, and how many more may wait: memory and latency stay bounded. */
const CONCURRENCY = 2;
const MAX_WAITING = 128;

/** Loaded at the first password: the library takes 4 MB, and most starts meet none for a while. */
const argon2 = () => import('@node-rs/argon2');

/**
 * A password in the one form that is hashed (NFKC, so that the same keys typed on another system match). Refused before
 * any hashing: empty, longer than 512 bytes, or holding NUL or a lone surrogate.
 */
export function normalPassword(password: string): string {
  if (password.length > MAX_PASSWORD_BYTES || Buffer.byteLength(password) > MAX_PASSWORD_BYTES) {
    throw new MatrixError('M_INVALID_PARAM', `A password may have at most ${MAX_PASSWORD_BYTES} bytes`);
  }
  if (password.includes('\0') || !password.isWellFormed()) {
    throw new MatrixError('M_INVALID_PARAM', 'The password holds a character that can not be used');
  }
  const normal = password.normalize('NFKC');
  if (normal === '') throw new MatrixError('M_WEAK_PASSWORD', 'The password is empty');
  return normal;
}

/**
 * Password hashing with argon2id, off the event loop and at most two at once. When too many wait, further calls are
 * refused with M_LIMIT_EXCEEDED instead of piling up.
 */
export class Passwords {
  #running = 0;
  readonly #waiting: (() => void)[] = [];
  #dummy: Promise<string> | undefined;

  /** The PHC string of a password that `normalPassword` accepts. */
  async hash(password: string): Promise<string> {
    const normal = normalPassword(password);
    const { hash } = await argon2();
    return await this.#inTurn(() => hash(normal, PARAMETERS));
  }

  /**
   * Whether `password` is the one behind `stored`. With no hash to compare (an unknown user, or one without password) as
   * much work is done, so that timing does not tell.
   */
  async verify(stored: string | undefined, password: string): Promise<boolean> {
    const normal = normalPassword(password);
    const { hash, verify } = await argon2();
    this.#dummy ??= hash('the password of nobody', PARAMETERS);
    const against = stored ?? (await this.#dummy);
    const matches = await this.#inTurn(() => verify(against, normal));
    return matches && stored !== undefined;
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= CONCURRENCY) {
      if (this.#waiting.length >= MAX_WAITING) {
        throw new MatrixError('M_LIMIT_EXCEEDED', 'Too many logins at once', { extra: { retry_after_ms: 2_000 } });
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#running += 1;
    }
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}
