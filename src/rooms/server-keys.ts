import type { JsonObject } from '#core/json-value.js';
import { signJson } from '#core/signing.js';
import type { Rooms } from '#rooms/rooms.js';

/** How long others may rely on what is published here, in milliseconds: at most seven days count for anyone. */
const VALID_FOR_MS = 24 * 60 * 60 * 1000;

/** The keys that this server signs with, signed by themselves (server-server API, Publishing Keys). */
export function publishedKeys({ serverName, signingKey, clock }: Rooms): JsonObject {
  // In the order of canonical JSON: some check the signature without sorting the keys first.
  const keys: JsonObject = {
    old_verify_keys: {},
    server_name: serverName,
    valid_until_ts: clock.now() + VALID_FOR_MS,
    verify_keys: { [signingKey.id]: { key: signingKey.publicKey } },
  };
  return signJson(keys, serverName, signingKey);
}

/**
 * What is known of the keys of some servers (server-server API, Querying Keys Through Another Server): our own, which
 * the signature of the server itself and ours as the notary are one and the same for. Of others nothing is known here.
 */
export function queryKeys(rooms: Rooms, servers: readonly string[]): JsonObject {
  return { server_keys: servers.includes(rooms.serverName) ? [publishedKeys(rooms)] : [] };
}
