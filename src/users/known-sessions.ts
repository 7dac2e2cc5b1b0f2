import { accessTokens, users as userRows } from '#store/schema.js';
import type { Store } from '#store/types.js';
import type { Session } from '#users/sessions.js';
import { Lru } from '#util/lru.js';

/** Sessions held, those that were used last. */
const MOST = 512;

/** What an access token stands for. */
export interface KnownSession {
  readonly session: Session;
  /** When the token expires, in milliseconds since the epoch. */
  readonly expiresTs: number | undefined;
  /** Hash of the refresh token that is spent with the first use of this one. */
  readonly replaces: string | undefined;
  /** What was noted last of where its device is. */
  noted: { readonly ts: number; readonly ip: string; readonly userAgent: string | undefined } | undefined;
}

/**
 * The sessions of the access tokens used last, so that a request need not hash its token and look up two rows. Tokens are here in
 * clear, in memory alone. What is here holds until any token or account changes; all of it is forgotten then.
 */
export class KnownSessions {
  readonly #store: Store;
  readonly #sessions = new Lru<string, KnownSession>(MOST);
  #accountsRevision = 0;
  #tokensRevision = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  get(token: string): KnownSession | undefined {
    this.#forgetStale();
    return this.#sessions.get(token);
  }

  /** To be called with what was just read from the store. */
  set(token: string, session: KnownSession): void {
    this.#forgetStale();
    this.#sessions.set(token, session);
  }

  #forgetStale(): void {
    const accounts = this.#store.revision(userRows);
    const tokens = this.#store.revision(accessTokens);
    if (accounts === this.#accountsRevision && tokens === this.#tokensRevision) return;
    this.#accountsRevision = accounts;
    this.#tokensRevision = tokens;
    this.#sessions.clear();
  }
}
