import type { App } from '#api/app.js';
import { askPassword, challenge } from '#api/client/interactive.js';
import { MatrixError } from '#core/errors.js';
import { anyObject, boolean, object, optional, string } from '#core/schema.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import { deactivate, setPassword } from '#users/accounts.js';
import { normalPassword } from '#users/passwords.js';
import { useUp } from '#users/uia.js';

/** Changes to one's own account (client-server API, Account management). */
export const accountEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'changePassword',
    method: 'POST',
    path: '/_matrix/client/v3/account/password',
    caller: 'user',
    limit: 'account',
    body: () =>
      object({ auth: optional(anyObject), new_password: optional(string()), logout_devices: optional(boolean) }),
    whileSuspended: true,
    async handle({ users }: App, { caller, body, request }) {
      if (body.new_password !== undefined) normalPassword(body.new_password);
      const done = await askPassword(users, caller.user, request, body);
      if (!done.complete) return challenge(done);
      if (body.new_password === undefined) throw new MatrixError('M_MISSING_PARAM', "'new_password' is missing");
      await useUp(users, done);
      await setPassword(users, caller.user, body.new_password, {
        logoutDevices: body.logout_devices ?? true,
        except: caller.device,
      });
      return {};
    },
  }),
  endpoint({
    id: 'deactivateAccount',
    method: 'POST',
    path: '/_matrix/client/v3/account/deactivate',
    caller: 'user',
    limit: 'account',
    body: () => object({ auth: optional(anyObject), erase: optional(boolean), id_server: optional(string()) }),
    whileSuspended: true,
    async handle({ users }: App, { caller, body, request }) {
      const done = await askPassword(users, caller.user, request, body);
      if (!done.complete) return challenge(done);
      await useUp(users, done);
      await deactivate(users, caller.user, body.erase === true);
      // There are no third-party identifiers here, so none can have failed to be unbound.
      return { id_server_unbind_result: 'success' };
    },
  }),
  endpoint({
    id: 'getAccount3PIDs',
    method: 'GET',
    path: '/_matrix/client/v3/account/3pid',
    caller: 'user',
    limit: 'read',
    async handle(_app: App) {
      return { threepids: [] };
    },
  }),
];
