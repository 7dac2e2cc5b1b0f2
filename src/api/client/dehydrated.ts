import type { App } from '#api/app.js';
import { MatrixError } from '#core/errors.js';
import { DeviceId } from '#core/ids.js';
import { any, anyObject, object, optional, string } from '#core/schema.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import { dehydratedInbox, deleteDehydrated, getDehydrated, putDehydrated } from '#users/keys/dehydrated.js';

const PATH = '/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device';
const KEYS_BODY = 4 << 20;

/** A device that gathers messages while no client of its user is there (MSC3814). */
export const dehydratedEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'msc3814PutDehydratedDevice',
    method: 'PUT',
    path: PATH,
    caller: 'user',
    limit: 'account',
    whileSuspended: true,
    body: () =>
      object({
        device_id: string({ minLength: 1 }),
        device_data: anyObject,
        initial_device_display_name: optional(any),
        device_keys: anyObject,
        one_time_keys: optional(any),
        fallback_keys: optional(any),
      }),
    bodyLimit: KEYS_BODY,
    async handle({ users }: App, { caller, body }) {
      const device = DeviceId.parse(body.device_id);
      if (device === undefined) throw new MatrixError('M_INVALID_PARAM', "'device_id' is too long");
      const name = body.initial_device_display_name ?? undefined;
      if (name !== undefined && typeof name !== 'string') {
        throw new MatrixError('M_BAD_JSON', "'initial_device_display_name' must be a string");
      }
      await putDehydrated(users, caller.user, device, body.device_data, name, body);
      return { device_id: device };
    },
  }),
  endpoint({
    id: 'msc3814GetDehydratedDevice',
    method: 'GET',
    path: PATH,
    caller: 'user',
    limit: 'read',
    async handle({ users }: App, { caller }) {
      const { device, data } = getDehydrated(users, caller.user);
      return { device_id: device, device_data: data };
    },
  }),
  endpoint({
    id: 'msc3814DeleteDehydratedDevice',
    method: 'DELETE',
    path: PATH,
    caller: 'user',
    limit: 'account',
    whileSuspended: true,
    async handle({ users }: App, { caller }) {
      return { device_id: await deleteDehydrated(users, caller.user) };
    },
  }),
  endpoint({
    id: 'msc3814GetDehydratedDeviceEvents',
    method: 'GET',
    path: `${PATH}/{deviceId}/events`,
    caller: 'user',
    limit: 'read',
    params: () => object({ deviceId: string() }),
    query: () => object({ from: optional(string()) }),
    async handle({ users }: App, { caller, params, query }) {
      const from = query.from ?? '0';
      if (!/^\d{1,16}$/.test(from) || !Number.isSafeInteger(Number(from))) {
        throw new MatrixError('M_INVALID_PARAM', "'from' is no token of this server");
      }
      const { events, next } = await dehydratedInbox(users, caller.user, params.deviceId, Number(from));
      return { events, ...(next === undefined ? {} : { next_batch: String(next) }) };
    },
  }),
];
