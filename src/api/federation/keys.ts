import type { App } from '#api/app.js';
import { anyObject, integer, object, optional, record, serverName, string } from '#core/schema.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import { publishedKeys, queryKeys } from '#rooms/server-keys.js';
import { openIdUser } from '#users/openid.js';
import { VERSION } from '#util/version.js';

/** Servers that one query may name. */
const MAX_QUERIED = 1_000;

/** What other servers and services are told without federation: our keys, our name, and whose an OpenID token is. */
export const federationKeyEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'getServerKey',
    method: 'GET',
    path: '/_matrix/key/v2/server',
    aliases: ['/_matrix/key/v2/server/', '/_matrix/key/v2/server/{keyId}'],
    caller: 'none',
    limit: 'read',
    async handle({ rooms }: App) {
      return publishedKeys(rooms);
    },
  }),
  endpoint({
    id: 'perspectivesKeyQuery',
    method: 'GET',
    path: '/_matrix/key/v2/query/{serverName}',
    caller: 'none',
    limit: 'read',
    params: () => object({ serverName }),
    query: () => object({ minimum_valid_until_ts: optional(integer()) }),
    async handle({ rooms }: App, { params }) {
      return queryKeys(rooms, [params.serverName]);
    },
  }),
  endpoint({
    id: 'bulkPerspectivesKeyQuery',
    method: 'POST',
    path: '/_matrix/key/v2/query',
    caller: 'none',
    limit: 'read',
    body: () => object({ server_keys: record(record(anyObject), { maxProperties: MAX_QUERIED }) }),
    async handle({ rooms }: App, { body }) {
      return queryKeys(rooms, Object.keys(body.server_keys));
    },
  }),
  endpoint({
    id: 'getVersion',
    method: 'GET',
    path: '/_matrix/federation/v1/version',
    caller: 'none',
    limit: 'read',
    async handle(_app: App) {
      return { server: { name: 'Runnel', version: VERSION } };
    },
  }),
  endpoint({
    id: 'exchangeOpenIdToken',
    method: 'GET',
    path: '/_matrix/federation/v1/openid/userinfo',
    caller: 'none',
    limit: 'read',
    query: () => object({ access_token: string() }),
    async handle({ users }: App, { query }) {
      return { sub: openIdUser(users, query.access_token) };
    },
  }),
];
