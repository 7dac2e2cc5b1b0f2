import type { ServerName } from '#core/ids.js';
import { isObject, type JsonObject, own, ownObject, ownString } from '#core/json-value.js';
import { isBannedKey, keyValidForEvent, keyValidForRequest, type PublishedKey } from '#core/keys.js';
import type { RoomRules } from '#core/room-versions.js';
import { type SigningKey, signingKeyIds, verifyJson } from '#core/signing.js';
import { RemoteRefusal, type ServerClient } from '#remote/client.js';
import type { Health } from '#remote/health.js';
import { RemoteError } from '#remote/http.js';
import { type ServerKeys, serverKeys } from '#store/schema.js';
import type { Store } from '#store/types.js';
import { atOnce } from '#util/at-once.js';
import type { Clock } from '#util/clock.js';
import type { Log } from '#util/log.js';
import { Lru } from '#util/lru.js';

const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 256 * 1024;
/** Keys that one server may have, former ones included. */
const MAX_KEYS = 64;
/** Servers asked at once for one request. */
const MAX_AT_ONCE = 8;
/** A server that answered is not asked again for a key that it did not name before this is over. */
const ASK_AGAIN_MS = 60_000;
const MAX_REMEMBERED = 5_000;

const KEY_ID = /^ed25519:[A-Za-z0-9_]{1,128}$/;

export interface KeyringParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly client: ServerClient;
  readonly health: Health;
  readonly serverName: ServerName;
  readonly signingKey: SigningKey;
  readonly log: Log;
}

/**
 * Public keys of other servers: asked of the servers themselves (server-server API, Retrieving server keys), kept on
 * disk, and asked anew when what is known does not do. One question to a server at a time, and none to one that lately
 * did not answer.
 */
export class Keyring {
  readonly #parts: KeyringParts;
  readonly #underWay = new Map<ServerName, Promise<void>>();
  /** When servers last answered, in monotonic milliseconds. */
  readonly #answeredMs = new Lru<ServerName, number>(MAX_REMEMBERED);

  constructor(parts: KeyringParts) {
    this.#parts = parts;
  }

  /** The public key by which `server` signs requests under `keyId` now; undefined where it is not known or not valid. */
  async forRequest(server: ServerName, keyId: string): Promise<string | undefined> {
    const valid = (): string | undefined => {
      const key = this.#known(server, keyId);
      return key !== undefined && keyValidForRequest(key, this.#parts.clock.now()) ? key.publicKey : undefined;
    };
    const known = valid();
    if (known !== undefined) return known;
    await this.#ask(server);
    return valid();
  }

  /** The public key that may have signed an event of that time, from what is known by now; see `prepare`. */
  forEvent(server: ServerName, keyId: string, originServerTs: number, rules: RoomRules): string | undefined {
    const { serverName, signingKey } = this.#parts;
    if (server === serverName) return keyId === signingKey.id ? signingKey.publicKey : undefined;
    const key = this.#known(server, keyId);
    return key !== undefined && keyValidForEvent(key, originServerTs, key.fetchedTs, rules) ? key.publicKey : undefined;
  }

  /** Asks the servers that have a key among `needs` which `forEvent` can not give. Rejects never. */
  async prepare(
    needs: Iterable<{
      readonly server: ServerName;
      readonly keyIds: readonly string[];
      readonly originServerTs: number;
      readonly rules: RoomRules;
    }>,
  ): Promise<void> {
    const missing = new Set<ServerName>();
    for (const { server, keyIds, originServerTs, rules } of needs) {
      if (server === this.#parts.serverName) continue;
      const isKnown = keyIds.some((id) => this.forEvent(server, id, originServerTs, rules) !== undefined);
      if (!isKnown && keyIds.length > 0) missing.add(server);
    }
    await atOnce(missing, MAX_AT_ONCE, (server) => this.#ask(server));
  }

  #known(server: ServerName, keyId: string): ServerKeys[string] | undefined {
    const keys = this.#parts.store.latest.get(serverKeys, [server]);
    return keys !== undefined && Object.hasOwn(keys, keyId) ? keys[keyId] : undefined;
  }

  /** Asks `server` for its keys, unless that would be too soon. Rejects never: what is known then has to do. */
  #ask(server: ServerName): Promise<void> {
    const running = this.#underWay.get(server);
    if (running !== undefined) return running;
    const { clock, health } = this.#parts;
    const lastMs = this.#answeredMs.get(server);
    const tooSoon = lastMs !== undefined && clock.monotonicMs() - lastMs < ASK_AGAIN_MS;
    if (tooSoon || !health.mayAsk(server)) return Promise.resolve();
    const asking = this.#fetch(server).finally(() => this.#underWay.delete(server));
    this.#underWay.set(server, asking);
    return asking;
  }

  async #fetch(destination: ServerName): Promise<void> {
    const { client, clock, health, store } = this.#parts;
    try {
      const answer = await client.request({
        destination,
        method: 'GET',
        uri: '/_matrix/key/v2/server',
        timeoutMs: TIMEOUT_MS,
        maxBytes: MAX_ANSWER_BYTES,
        unsigned: true,
      });
      const published = readKeyResponse(answer, destination);
      if (published === undefined) throw new RemoteRefusal(200, undefined, 'its keys are not signed by itself');
      const fetchedTs = clock.now();
      await store.commit((tx) => {
        const keys: Record<string, ServerKeys[string]> = { ...tx.get(serverKeys, [destination]) };
        for (const [id, key] of published) keys[id] = { ...key, fetchedTs };
        const newest = Object.entries(keys).toSorted(([, a], [, b]) => b.fetchedTs - a.fetchedTs);
        tx.put(serverKeys, [destination], Object.fromEntries(newest.slice(0, MAX_KEYS)));
      });
      this.#answeredMs.set(destination, clock.monotonicMs());
      health.answered(destination);
    } catch (error) {
      if (!(error instanceof RemoteError) && !(error instanceof RemoteRefusal)) throw error;
      health.failed(destination);
      this.#parts.log.info('The keys of a server could not be had.', { server: destination, why: error.message });
    }
  }
}

/**
 * The keys of a key response (server-server API, Publishing Keys), by id; undefined where it is not of `server`, is
 * malformed, has no valid signature by one of its own keys, or a wrong one.
 */
export function readKeyResponse(answer: JsonObject, server: ServerName): ReadonlyMap<string, PublishedKey> | undefined {
  if (own(answer, 'server_name') !== server) return undefined;
  const validUntilTs = own(answer, 'valid_until_ts');
  const current = ownObject(answer, 'verify_keys');
  const old = ownObject(answer, 'old_verify_keys') ?? {};
  if (!Number.isSafeInteger(validUntilTs) || current === undefined) return undefined;
  if (Object.keys(current).length + Object.keys(old).length > MAX_KEYS) return undefined;
  const keys = new Map<string, PublishedKey>();
  for (const [id, value] of Object.entries(old)) {
    const publicKey = keyOf(id, value);
    const expiredTs = isObject(value) ? own(value, 'expired_ts') : undefined;
    if (publicKey === undefined || !Number.isSafeInteger(expiredTs)) continue;
    keys.set(id, { publicKey, expiredTs: expiredTs as number });
  }
  for (const [id, value] of Object.entries(current)) {
    const publicKey = keyOf(id, value);
    if (publicKey !== undefined) keys.set(id, { publicKey, validUntilTs: validUntilTs as number });
  }
  const signedBy = signingKeyIds(answer, server).filter((id) => Object.hasOwn(current, id) && keys.has(id));
  const isSigned = signedBy.every((id) => verifyJson(answer, server, id, keys.get(id)?.publicKey ?? ''));
  return signedBy.length > 0 && isSigned ? keys : undefined;
}

function keyOf(id: string, value: unknown): string | undefined {
  const key = isObject(value) ? ownString(value, 'key') : undefined;
  return key !== undefined && KEY_ID.test(id) && !isBannedKey(key) ? key : undefined;
}
