import type { App } from '#api/app.js';
import { MatrixError } from '#core/errors.js';
import { boolean, object, userId } from '#core/schema.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import { getRestriction, type Restriction, setRestriction, whois } from '#users/moderation.js';
import { issueOpenIdToken } from '#users/openid.js';

const params = object({ userId });

function restrictionEndpoints(verb: 'lock' | 'suspend', what: Restriction, name: string): readonly Endpoint<App>[] {
  const path = `/_matrix/client/v1/admin/${verb}/{userId}`;
  const aliases = [`/_matrix/client/unstable/uk.timedout.msc4323/admin/${verb}/{userId}`];
  return [
    endpoint({
      id: `getAdmin${name}User`,
      method: 'GET',
      path,
      aliases,
      caller: 'admin',
      limit: 'free',
      params: () => params,
      async handle({ users }: App, { caller, params }) {
        return { [what]: getRestriction(users, caller.user, params.userId, what) };
      },
    }),
    endpoint({
      id: `setAdmin${name}User`,
      method: 'PUT',
      path,
      aliases,
      caller: 'admin',
      limit: 'free',
      params: () => params,
      body: () => (what === 'locked' ? object({ locked: boolean }) : object({ suspended: boolean })),
      async handle({ users }: App, { caller, params, body }) {
        const on = (body as Readonly<Record<string, boolean>>)[what] === true;
        await setRestriction(users, caller.user, params.userId, what, on);
        return { [what]: on };
      },
    }),
  ];
}

/** What administrators see of and do to accounts, and OpenID tokens (client-server API, Server administration; OpenID). */
export const moderationEndpoints: readonly Endpoint<App>[] = [
  ...restrictionEndpoints('lock', 'locked', 'Lock'),
  ...restrictionEndpoints('suspend', 'suspended', 'Suspend'),
  endpoint({
    id: 'getWhoIs',
    method: 'GET',
    path: '/_matrix/client/v3/admin/whois/{userId}',
    caller: 'user',
    limit: 'read',
    params: () => params,
    async handle({ users }: App, { caller, params }) {
      if (!caller.admin && caller.user !== params.userId) {
        throw new MatrixError('M_FORBIDDEN', 'Only administrators may ask about others');
      }
      return whois(users, params.userId);
    },
  }),
  endpoint({
    id: 'requestOpenIdToken',
    method: 'POST',
    path: '/_matrix/client/v3/user/{userId}/openid/request_token',
    caller: 'user',
    limit: 'account',
    params: () => params,
    async handle({ users }: App, { caller, params }) {
      if (caller.user !== params.userId) throw new MatrixError('M_FORBIDDEN', 'This belongs to another user');
      return issueOpenIdToken(users, caller.user);
    },
  }),
];
