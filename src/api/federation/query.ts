import type { App } from '#api/app.js';
import { MatrixError } from '#core/errors.js';
import { UserId } from '#core/ids.js';
import { object, optional, string, userId } from '#core/schema.js';
import { type Endpoint, endpoint } from '#http/endpoint.js';
import { findUser } from '#users/accounts.js';
import { checkFieldName, findField, readProfile } from '#users/profile.js';

/** What other servers ask about users of this one (server-server API, Querying for information). */
export const federationQueryEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'queryProfile',
    method: 'GET',
    path: '/_matrix/federation/v1/query/profile',
    caller: 'server',
    limit: 'federation',
    query: () => object({ user_id: userId, field: optional(string()) }),
    async handle({ users, serverName }: App, { query: { user_id: user, field } }) {
      if (UserId.serverName(user) !== serverName) {
        throw new MatrixError('M_INVALID_PARAM', 'The user is not of this server');
      }
      if (findUser(users.store, user) === undefined) throw new MatrixError('M_NOT_FOUND', 'There is no such user');
      if (field === undefined) return Object.fromEntries(await readProfile(users, user));
      checkFieldName(field);
      const value = findField(users.store, user, field);
      return value === undefined ? {} : { [field]: value };
    },
  }),
];
