import type { App } from '#api/app.js';
import { askPassword, challenge } from '#api/client/interactive.js';
import { MatrixError } from '#core/errors.js';
import type { JsonObject } from '#core/json-value.js';
import { anyObject, boolean, deviceId, object, optional, string } from '#core/schema.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import {
  createLoginToken,
  loginBody,
  loginWithPassword,
  loginWithToken,
  logout,
  logoutAll,
  refresh,
} from '#users/sessions.js';
import { namedUser, useUp } from '#users/uia.js';

/** Logging in and out (client-server API, Login; Logout; Refreshing access tokens). */
export const loginEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'getLoginFlows',
    method: 'GET',
    path: '/_matrix/client/v3/login',
    caller: 'none',
    limit: 'read',
    async handle(_app: App) {
      return { flows: [{ type: 'm.login.password' }, { type: 'm.login.token', get_login_token: true }] };
    },
  }),
  endpoint({
    id: 'login',
    method: 'POST',
    path: '/_matrix/client/v3/login',
    caller: 'none',
    limit: 'login',
    body: () =>
      object({
        type: string(),
        identifier: optional(anyObject),
        user: optional(string()),
        password: optional(string()),
        token: optional(string()),
        device_id: optional(deviceId),
        initial_device_display_name: optional(string()),
        refresh_token: optional(boolean),
      }),
    async handle({ users, discovery }: App, { body }) {
      const wish = {
        device: body.device_id,
        displayName: body.initial_device_display_name,
        refresh: body.refresh_token === true,
      };
      const wellKnown = discovery.baseUrl === undefined ? {} : { well_known: clientDiscovery(discovery.baseUrl) };
      switch (body.type) {
        case 'm.login.password': {
          const name = namedUser(body as JsonObject);
          if (name === undefined) throw new MatrixError('M_MISSING_PARAM', 'The identifier must name a user');
          if (body.password === undefined) throw new MatrixError('M_MISSING_PARAM', "'password' is missing");
          const session = await loginWithPassword(users, name, body.password, wish);
          return { ...loginBody(users, session), ...wellKnown };
        }
        case 'm.login.token': {
          if (body.token === undefined) throw new MatrixError('M_MISSING_PARAM', "'token' is missing");
          return { ...loginBody(users, await loginWithToken(users, body.token, wish)), ...wellKnown };
        }
        default:
          throw new MatrixError('M_UNKNOWN', 'This way of logging in is not offered', { status: 400 });
      }
    },
  }),
  endpoint({
    id: 'generateLoginToken',
    method: 'POST',
    path: '/_matrix/client/v1/login/get_token',
    caller: 'user',
    limit: 'account',
    body: () => object({ auth: optional(anyObject) }),
    whileSuspended: true,
    async handle({ users }: App, { caller, body, request }) {
      const done = await askPassword(users, caller.user, request, body);
      if (!done.complete) return challenge(done);
      await useUp(users, done);
      return await createLoginToken(users, caller.user);
    },
  }),
  endpoint({
    id: 'refresh',
    method: 'POST',
    path: '/_matrix/client/v3/refresh',
    caller: 'none',
    limit: 'account',
    body: () => object({ refresh_token: string() }),
    async handle({ users }: App, { body }) {
      return await refresh(users, body.refresh_token);
    },
  }),
  endpoint({
    id: 'logout',
    method: 'POST',
    path: '/_matrix/client/v3/logout',
    caller: 'guest',
    limit: 'account',
    whileLocked: true,
    whileSuspended: true,
    async handle({ users }: App, { caller }) {
      await logout(users, caller);
      return {};
    },
  }),
  endpoint({
    id: 'logout_all',
    method: 'POST',
    path: '/_matrix/client/v3/logout/all',
    caller: 'guest',
    limit: 'account',
    whileLocked: true,
    whileSuspended: true,
    async handle({ users }: App, { caller }) {
      await logoutAll(users, caller.user);
      return {};
    },
  }),
  endpoint({
    id: 'getTokenOwner',
    method: 'GET',
    path: '/_matrix/client/v3/account/whoami',
    caller: 'guest',
    limit: 'read',
    async handle(_app: App, { caller }) {
      return { user_id: caller.user, device_id: caller.device, is_guest: caller.guest };
    },
  }),
];

/** `.well-known/matrix/client`, which a login's answer repeats. */
export function clientDiscovery(baseUrl: string): object {
  return { 'm.homeserver': { base_url: baseUrl } };
}
