import type { App } from '#api/app.js';
import { askPassword, challenge } from '#api/client/interactive.js';
import { MatrixError } from '#core/errors.js';
import { UserId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { any, anyObject, integer, object, optional, string } from '#core/schema.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import { keyChanges } from '#sync/key-changes.js';
import { checkCrossSigning, putCrossSigning, replacesKeys } from '#users/keys/cross-signing.js';
import { claimKeys, claimsOf, queriedDevices, queryKeys, uploadKeys } from '#users/keys/device-keys.js';
import { uploadSignatures } from '#users/keys/signatures.js';

/** Most users of a query, and most keys of a claim. */
const MOST_ASKED = 10_000;
const KEYS_BODY = 4 << 20;

function positionOf({ rooms }: App, token: string, name: string): number {
  const position = /^\d{1,16}$/.test(token) ? Number(token) : Number.NaN;
  if (!Number.isSafeInteger(position) || position > rooms.store.tip) {
    throw new MatrixError('M_INVALID_PARAM', `'${name}' is no token of this server`);
  }
  return position;
}

/** Servers that could not be asked: this one talks to no other yet, so all but itself. */
function failuresOf(app: App, users: Iterable<string>): JsonObject {
  const failures = new Map<string, JsonObject>();
  for (const user of users) {
    if (!UserId.is(user)) continue;
    const server = UserId.serverName(user);
    if (server !== app.serverName) failures.set(server, { status: 503, message: 'The server could not be reached' });
  }
  return Object.fromEntries(failures);
}

const isLocal = (app: App, user: string): user is UserId =>
  UserId.is(user) && UserId.serverName(user) === app.serverName;

/** Keys of devices and users (client-server API, End-to-End Encryption). */
export const keyEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'uploadKeys',
    method: 'POST',
    path: '/_matrix/client/v3/keys/upload',
    aliases: ['/_matrix/client/v3/keys/upload/{deviceId}'],
    caller: 'guest',
    limit: 'send',
    whileSuspended: true,
    body: () => object({ device_keys: optional(any), one_time_keys: optional(any), fallback_keys: optional(any) }),
    bodyLimit: KEYS_BODY,
    async handle({ users }: App, { caller, body }) {
      const counts = await uploadKeys(users, caller.user, caller.device, body);
      return { one_time_key_counts: counts.oneTime };
    },
  }),
  endpoint({
    id: 'queryKeys',
    method: 'POST',
    path: '/_matrix/client/v3/keys/query',
    caller: 'guest',
    limit: 'read',
    whileSuspended: true,
    body: () => object({ device_keys: anyObject, timeout: optional(integer({ minimum: 0 })) }),
    bodyLimit: KEYS_BODY,
    async handle(app: App, { caller, body }) {
      const asked = queriedDevices(body.device_keys);
      if (asked.size > MOST_ASKED) throw new MatrixError('M_TOO_LARGE', 'The query names too many users');
      const local = new Map([...asked].filter(([user]) => isLocal(app, user))) as Map<UserId, readonly string[]>;
      return { ...(await queryKeys(app.users, caller.user, local)), failures: failuresOf(app, asked.keys()) };
    },
  }),
  endpoint({
    id: 'claimKeys',
    method: 'POST',
    path: '/_matrix/client/v3/keys/claim',
    caller: 'guest',
    limit: 'read',
    whileSuspended: true,
    body: () => object({ one_time_keys: anyObject, timeout: optional(integer({ minimum: 0 })) }),
    bodyLimit: KEYS_BODY,
    async handle(app: App, { body }) {
      const claims = claimsOf(body.one_time_keys);
      if (claims.length > MOST_ASKED) throw new MatrixError('M_TOO_LARGE', 'The claim names too many devices');
      const local = claims.flatMap(({ user, device, algorithm }) =>
        isLocal(app, user) ? [{ user, device, algorithm }] : [],
      );
      return {
        one_time_keys: await claimKeys(app.users, local),
        failures: failuresOf(
          app,
          claims.map(({ user }) => user),
        ),
      };
    },
  }),
  endpoint({
    id: 'getKeysChanges',
    method: 'GET',
    path: '/_matrix/client/v3/keys/changes',
    caller: 'user',
    limit: 'read',
    query: () => object({ from: string(), to: string() }),
    async handle(app: App, { caller, query }) {
      return keyChanges(app.sync, caller.user, positionOf(app, query.from, 'from'), positionOf(app, query.to, 'to'));
    },
  }),
  endpoint({
    id: 'uploadCrossSigningKeys',
    method: 'POST',
    path: '/_matrix/client/v3/keys/device_signing/upload',
    aliases: ['/_matrix/client/unstable/keys/device_signing/upload'],
    caller: 'user',
    limit: 'account',
    whileSuspended: true,
    body: () =>
      object({
        master_key: optional(any),
        self_signing_key: optional(any),
        user_signing_key: optional(any),
        auth: optional(anyObject),
      }),
    async handle({ users }: App, { caller, body, request }) {
      const { user } = caller;
      const keys = checkCrossSigning(users.store.latest, user, body);
      if (!replacesKeys(users.store.latest, user, keys)) {
        await putCrossSigning(users, user, keys, undefined);
        return {};
      }
      const done = await askPassword(users, user, request, body);
      if (!done.complete) return challenge(done);
      await putCrossSigning(users, user, keys, done);
      return {};
    },
  }),
  endpoint({
    id: 'uploadCrossSigningSignatures',
    method: 'POST',
    path: '/_matrix/client/v3/keys/signatures/upload',
    aliases: ['/_matrix/client/unstable/keys/signatures/upload'],
    caller: 'user',
    limit: 'send',
    whileSuspended: true,
    body: () => anyObject,
    bodyLimit: KEYS_BODY,
    async handle({ users }: App, { caller, body }) {
      return { failures: await uploadSignatures(users, caller.user, body) };
    },
  }),
];
