import type { App } from '#api/app.js';
import { challenge, uiaRequest } from '#api/client/interactive.js';
import { MatrixError } from '#core/errors.js';
import { anyObject, boolean, deviceId, literal, object, optional, string } from '#core/schema.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import { checkUsername, register, registerGuest } from '#users/registration.js';
import { findRegistrationToken, isTokenValid } from '#users/registration-tokens.js';
import { loginBody } from '#users/sessions.js';

/** Registration (client-server API, Account registration). */
export const registerEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'register',
    method: 'POST',
    path: '/_matrix/client/v3/register',
    caller: 'none',
    limit: 'register',
    query: () => object({ kind: optional(literal('user', 'guest')) }),
    body: () =>
      object({
        auth: optional(anyObject),
        username: optional(string()),
        password: optional(string()),
        device_id: optional(deviceId),
        initial_device_display_name: optional(string()),
        inhibit_login: optional(boolean),
        refresh_token: optional(boolean),
      }),
    async handle({ users }: App, { query, body, request }) {
      if (query.kind === 'guest') {
        return loginBody(users, await registerGuest(users, body.initial_device_display_name));
      }
      const wanted = {
        username: body.username,
        password: body.password,
        inhibitLogin: body.inhibit_login === true,
        wish: {
          device: body.device_id,
          displayName: body.initial_device_display_name,
          refresh: body.refresh_token === true,
        },
      };
      const result = await register(users, wanted, uiaRequest(undefined, request, body));
      if (!result.complete) return challenge(result);
      if (result.session === undefined) return { user_id: result.user, home_server: users.serverName };
      return loginBody(users, result.session);
    },
  }),
  endpoint({
    id: 'checkUsernameAvailability',
    method: 'GET',
    path: '/_matrix/client/v3/register/available',
    caller: 'none',
    limit: 'register',
    query: () => object({ username: string() }),
    async handle({ users }: App, { query }) {
      checkUsername(users, query.username);
      return { available: true };
    },
  }),
  endpoint({
    id: 'registrationTokenValidity',
    method: 'GET',
    path: '/_matrix/client/v1/register/m.login.registration_token/validity',
    caller: 'none',
    limit: 'register',
    query: () => object({ token: string() }),
    async handle({ users }: App, { query }) {
      if (users.options.registration === 'closed') {
        throw new MatrixError('M_FORBIDDEN', 'Registration is closed on this server');
      }
      return { valid: isTokenValid(findRegistrationToken(users.store, query.token), users.clock.now()) };
    },
  }),
];
