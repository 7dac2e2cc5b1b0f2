import type { App } from '#api/app.js';
import { askPassword, challenge } from '#api/client/interactive.js';
import { anyObject, array, object, optional, string } from '#core/schema.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import { deleteDevices, getDevice, listDevices, renameDevice } from '#users/devices.js';
import { useUp } from '#users/uia.js';

const MAX_DELETED = 5_000;
const params = object({ deviceId: string() });

/** One's own devices (client-server API, Device management). */
export const deviceEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'getDevices',
    method: 'GET',
    path: '/_matrix/client/v3/devices',
    caller: 'guest',
    limit: 'read',
    async handle({ users }: App, { caller }) {
      return { devices: await listDevices(users, caller.user) };
    },
  }),
  endpoint({
    id: 'getDevice',
    method: 'GET',
    path: '/_matrix/client/v3/devices/{deviceId}',
    caller: 'guest',
    limit: 'read',
    params: () => params,
    async handle({ users }: App, { caller, params }) {
      return getDevice(users, caller.user, params.deviceId);
    },
  }),
  endpoint({
    id: 'updateDevice',
    method: 'PUT',
    path: '/_matrix/client/v3/devices/{deviceId}',
    caller: 'guest',
    limit: 'account',
    params: () => params,
    body: () => object({ display_name: optional(string()) }),
    whileSuspended: true,
    async handle({ users }: App, { caller, params, body }) {
      await renameDevice(users, caller.user, params.deviceId, body.display_name);
      return {};
    },
  }),
  endpoint({
    id: 'deleteDevice',
    method: 'DELETE',
    path: '/_matrix/client/v3/devices/{deviceId}',
    caller: 'user',
    limit: 'account',
    params: () => params,
    body: () => object({ auth: optional(anyObject) }),
    whileSuspended: true,
    async handle({ users }: App, { caller, params, body, request }) {
      const done = await askPassword(users, caller.user, request, body);
      if (!done.complete) return challenge(done);
      await useUp(users, done);
      await deleteDevices(users, caller.user, [params.deviceId]);
      return {};
    },
  }),
  endpoint({
    id: 'deleteDevices',
    method: 'POST',
    path: '/_matrix/client/v3/delete_devices',
    caller: 'user',
    limit: 'account',
    body: () => object({ auth: optional(anyObject), devices: array(string(), { maxItems: MAX_DELETED }) }),
    whileSuspended: true,
    async handle({ users }: App, { caller, body, request }) {
      const done = await askPassword(users, caller.user, request, body);
      if (!done.complete) return challenge(done);
      await useUp(users, done);
      await deleteDevices(users, caller.user, body.devices);
      return {};
    },
  }),
];
