import type { App } from '#api/app.js';
import { MatrixError } from '#core/errors.js';
import { own } from '#core/json-value.js';
import { anyObject, boolean, nullable, object, optional, string } from '#core/schema.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import { listPushers, removePusher, setPusher } from '#users/pushers.js';

const NO_BADGE = 'org.matrix.msc4076.disable_badge_count';

/** Where a user's devices are pushed to (client-server API, Push notifications; MSC3881, MSC4076). */
export const pusherEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'getPushers',
    method: 'GET',
    path: '/_matrix/client/v3/pushers',
    caller: 'user',
    limit: 'read',
    async handle({ users }: App, { caller }) {
      const pushers = listPushers(users.store, caller.user).map((pusher) => ({
        pushkey: pusher.pushkey,
        kind: 'http',
        app_id: pusher.appId,
        app_display_name: pusher.appDisplayName,
        device_display_name: pusher.deviceDisplayName,
        ...(pusher.profileTag === undefined ? {} : { profile_tag: pusher.profileTag }),
        lang: pusher.lang,
        data: pusher.data,
        ...(pusher.noBadge ? { [NO_BADGE]: true } : {}),
        'org.matrix.msc3881.enabled': pusher.enabled,
        'org.matrix.msc3881.device_id': pusher.device,
      }));
      return { pushers };
    },
  }),
  endpoint({
    id: 'postPusher',
    method: 'POST',
    path: '/_matrix/client/v3/pushers/set',
    caller: 'user',
    limit: 'account',
    body: () =>
      object({
        kind: nullable(string()),
        app_id: string(),
        pushkey: string(),
        app_display_name: optional(string()),
        device_display_name: optional(string()),
        profile_tag: optional(string()),
        lang: optional(string()),
        data: optional(anyObject),
        append: optional(boolean),
        'org.matrix.msc3881.enabled': optional(boolean),
        [NO_BADGE]: optional(boolean),
      }),
    async handle({ users }: App, { caller, body }) {
      const { kind, app_id: appId, pushkey, lang, data } = body;
      if (kind === null) {
        await removePusher(users, caller.user, appId, pushkey);
        return {};
      }
      if (kind !== 'http') throw new MatrixError('M_INVALID_PARAM', 'This server has pushers of the kind http only');
      const { app_display_name: appDisplayName, device_display_name: deviceDisplayName } = body;
      if (lang === undefined || data === undefined || appDisplayName === undefined || deviceDisplayName === undefined) {
        const needed = ['app_display_name', 'device_display_name', 'lang', 'data'] as const;
        const missing = needed.filter((name) => body[name] === undefined);
        throw new MatrixError('M_MISSING_PARAM', `Missing parameters: ${missing.join(', ')}`);
      }
      await setPusher(users, caller.user, caller.device, {
        appId,
        pushkey,
        appDisplayName,
        deviceDisplayName,
        profileTag: body.profile_tag,
        lang,
        data,
        enabled: body['org.matrix.msc3881.enabled'] ?? true,
        // Clients put it beside `data` as the proposal says, or into it as Synapse reads it.
        noBadge: body[NO_BADGE] ?? own(data, NO_BADGE) === true,
        append: body.append ?? false,
      });
      return {};
    },
  }),
];
