import { isIP } from 'node:net';
import { ServerName } from '#core/ids.js';
import { parseJson } from '#core/json.js';
import { isObject, ownString } from '#core/json-value.js';
import type { HttpClient, RemoteResponse } from '#remote/http.js';
import type { Clock } from '#util/clock.js';
import { Lru } from '#util/lru.js';

/** Where requests to a server go. */
export interface ServerAddress {
  /** Where to connect, `host:port`, the best first: host names and IP literals as they stand in a URL. Never empty. */
  readonly targets: readonly string[];
  /** The `Host` header, whose host the server's certificate must be for. */
  readonly host: string;
}

/** A SRV record (RFC 2782). */
export interface SrvRecord {
  readonly name: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

/** Looks up SRV records; rejects, or gives none, where there are none. */
export type ResolveSrv = (name: string) => Promise<readonly SrvRecord[]>;

export interface DiscoveryParts {
  readonly http: HttpClient;
  readonly clock: Clock;
  readonly resolveSrv: ResolveSrv;
}

const DEFAULT_PORT = 8448;
/** Servers whose addresses are remembered. */
const MAX_REMEMBERED = 2_000;
const MAX_WELL_KNOWN_BYTES = 50 * 1024;
const WELL_KNOWN_TIMEOUT_MS = 10_000;
const MAX_REDIRECTS = 5;
/** Targets of SRV records that are tried. */
const MAX_TARGETS = 4;

const MINUTE_MS = 60_000;
/** How long the answer of `.well-known` counts: what it says itself, within these bounds. */
const WELL_KNOWN_MS = { least: 5 * MINUTE_MS, usual: 24 * 60 * MINUTE_MS, most: 48 * 60 * MINUTE_MS };
/** How long a failed `.well-known` is believed: doubled with each failure in a row. */
const FAILURE_MS = { first: 2 * MINUTE_MS, last: 60 * MINUTE_MS };
/** How long SRV records are believed; their own lifetime is not told by the resolver. */
const SRV_MS = 5 * MINUTE_MS;

interface Delegation {
  /** Undefined where there is no usable `.well-known`. */
  readonly to: ServerName | undefined;
  readonly untilMs: number;
  readonly failures: number;
}

/**
 * Finds where servers are (server-server API, Resolving server names). Answers are remembered within bounds, and several
 * who ask for one server at once share one look-up.
 */
export class Discovery {
  readonly #parts: DiscoveryParts;
  readonly #delegations = new Lru<string, Delegation>(MAX_REMEMBERED);
  readonly #addresses = new Lru<string, { readonly address: ServerAddress; readonly untilMs: number }>(MAX_REMEMBERED);
  readonly #underWay = new Map<string, Promise<ServerAddress>>();

  constructor(parts: DiscoveryParts) {
    this.#parts = parts;
  }

  /** Where `server` is. Never rejects: where nothing is known of it, it is at port 8448 of its own name. */
  find(server: ServerName): Promise<ServerAddress> {
    const known = this.#addresses.get(server);
    if (known !== undefined && known.untilMs > this.#parts.clock.monotonicMs()) return Promise.resolve(known.address);
    let running = this.#underWay.get(server);
    if (running === undefined) {
      running = this.#resolve(server).finally(() => this.#underWay.delete(server));
      this.#underWay.set(server, running);
    }
    return running;
  }

  async #resolve(server: ServerName): Promise<ServerAddress> {
    const direct = addressOf(server);
    if (direct !== undefined) return direct;
    const { to } = await this.#delegation(server);
    const delegated = to === undefined ? undefined : addressOf(to);
    if (delegated !== undefined) return this.#remember(server, delegated);
    const host = to ?? server;
    const targets = await this.#srvTargets(host);
    return this.#remember(server, { targets: targets.length > 0 ? targets : [`${host}:${DEFAULT_PORT}`], host });
  }

  #remember(server: ServerName, address: ServerAddress): ServerAddress {
    this.#addresses.set(server, { address, untilMs: this.#parts.clock.monotonicMs() + SRV_MS });
    return address;
  }

  async #srvTargets(host: string): Promise<readonly string[]> {
    for (const service of ['_matrix-fed', '_matrix']) {
      const records = await this.#parts.resolveSrv(`${service}._tcp.${host}`).catch(() => []);
      const targets = orderSrv(records).slice(0, MAX_TARGETS);
      if (targets.length > 0) return targets;
    }
    return [];
  }

  async #delegation(server: ServerName): Promise<Delegation> {
    const now = this.#parts.clock.monotonicMs();
    const known = this.#delegations.get(server);
    if (known !== undefined && known.untilMs > now) return known;
    const answer = await this.#wellKnown(server);
    const to = answer && delegatedName(answer);
    const failures = to === undefined ? (known?.failures ?? 0) + 1 : 0;
    const lifetimeMs =
      answer === undefined || to === undefined
        ? Math.min(FAILURE_MS.last, FAILURE_MS.first * 2 ** (failures - 1))
        : lifetimeOf(answer, this.#parts.clock.now());
    const found = { to, failures, untilMs: now + lifetimeMs };
    this.#delegations.set(server, found);
    return found;
  }

  /** The answer of `.well-known`, with redirects followed; undefined where there is none. */
  async #wellKnown(server: ServerName): Promise<RemoteResponse | undefined> {
    let url = `https://${server}/.well-known/matrix/server`;
    for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
      if (!URL.canParse(url) || new URL(url).protocol !== 'https:') return undefined;
      let answer: RemoteResponse;
      try {
        answer = await this.#parts.http.request({
          method: 'GET',
          url,
          timeoutMs: WELL_KNOWN_TIMEOUT_MS,
          maxBytes: MAX_WELL_KNOWN_BYTES,
        });
      } catch {
        return undefined;
      }
      if (answer.status < 300 || answer.status > 399) return answer;
      const { location } = answer.headers;
      if (typeof location !== 'string' || !URL.canParse(location, url)) return undefined;
      url = new URL(location, url).href;
    }
    return undefined;
  }
}

/** Splits a server name into host and port. */
function splitName(name: string): { readonly host: string; readonly port: string | undefined } {
  const colon = name.lastIndexOf(':');
  if (colon <= name.lastIndexOf(']')) return { host: name, port: undefined };
  return { host: name.slice(0, colon), port: name.slice(colon + 1) };
}

/** The address of a name that needs no look-up: an IP literal, or a host with a port (steps 1 and 2, 3.1 and 3.2). */
function addressOf(name: ServerName): ServerAddress | undefined {
  const { host, port } = splitName(name);
  const isLiteral = isIP(host.replace(/^\[|\]$/g, '')) !== 0;
  if (!isLiteral && port === undefined) return undefined;
  return { targets: [`${host}:${port ?? DEFAULT_PORT}`], host: name };
}

/** Targets in the order to try them: by priority, and within one the heavier first. A target of `.` says: not here. */
function orderSrv(records: readonly SrvRecord[]): readonly string[] {
  return records
    .filter(({ name, port }) => port > 0 && port < 65_536 && ServerName.is(name) && !/^\.?$/.test(name))
    .toSorted((a, b) => a.priority - b.priority || b.weight - a.weight)
    .map(({ name, port }) => `${name.replace(/\.$/, '')}:${port}`);
}

function delegatedName({ status, body }: RemoteResponse): ServerName | undefined {
  if (status !== 200) return undefined;
  try {
    const answer = parseJson(body);
    return isObject(answer) ? ServerName.parse(ownString(answer, 'm.server')) : undefined;
  } catch {
    return undefined;
  }
}

/** How long an answer may be kept, in milliseconds (RFC 9111, Cache-Control and Expires). */
function lifetimeOf({ headers }: RemoteResponse, nowMs: number): number {
  const control = String(headers['cache-control'] ?? '').toLowerCase();
  const maxAge = /(?:^|[\s,])max-age="?(\d{1,12})/.exec(control)?.[1];
  const expires = headers['expires'];
  let lifetimeMs: number = WELL_KNOWN_MS.usual;
  if (/\bno-(store|cache)\b/.test(control)) lifetimeMs = 0;
  else if (maxAge !== undefined) lifetimeMs = Number(maxAge) * 1000;
  else if (typeof expires === 'string') lifetimeMs = (Date.parse(expires) || 0) - nowMs;
  return Math.min(WELL_KNOWN_MS.most, Math.max(WELL_KNOWN_MS.least, lifetimeMs));
}
