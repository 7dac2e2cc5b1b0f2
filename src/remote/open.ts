import { Resolver } from 'node:dns/promises';
import type { ServerName } from '#core/ids.js';
import type { SigningKey } from '#core/signing.js';
import { openServerClient, type ServerClient } from '#remote/client.js';
import { Discovery, type ResolveSrv } from '#remote/discovery.js';
import { Health } from '#remote/health.js';
import { openHttpClient } from '#remote/http.js';
import { Keyring } from '#remote/keyring.js';
import { publicAddresses } from '#remote/public-address.js';
import type { Store } from '#store/types.js';
import type { Clock } from '#util/clock.js';
import type { Log } from '#util/log.js';

const DNS_TIMEOUT_MS = 5_000;
const DNS_TRIES = 2;

export interface RemoteParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly serverName: ServerName;
  readonly signingKey: SigningKey;
  readonly log: Log;
  /** Networks that other servers may be in although they are not public. */
  readonly allow: readonly string[];
  /** Further authorities that certify servers, in PEM. */
  readonly authorities?: string;
}

/** The way out to other servers. */
export interface OpenedRemote {
  readonly client: ServerClient;
  readonly keyring: Keyring;
  readonly health: Health;
  /** Ends kept connections. */
  close(): Promise<void>;
}

/** Opens the way out to other servers. */
export function openRemote(parts: RemoteParts): OpenedRemote {
  const { store, clock, serverName, signingKey, log, allow, authorities } = parts;
  const http = openHttpClient({
    clock,
    mayConnect: publicAddresses(allow),
    ...(authorities !== undefined && { authorities }),
  });
  let resolver: Resolver | undefined;
  const resolveSrv: ResolveSrv = (name) => {
    resolver ??= new Resolver({ timeout: DNS_TIMEOUT_MS, tries: DNS_TRIES });
    return resolver.resolveSrv(name);
  };
  const discovery = new Discovery({ http, clock, resolveSrv });
  const client = openServerClient({ http, discovery, serverName, key: signingKey });
  const health = new Health(clock);
  const keyring = new Keyring({ store, clock, client, health, serverName, signingKey, log });
  return { client, keyring, health, close: () => http.close() };
}
