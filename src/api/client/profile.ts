import type { App } from '#api/app.js';
import { MatrixError } from '#core/errors.js';
import type { UserId } from '#core/ids.js';
import { anyObject, object, string, userId } from '#core/schema.js';
import { type Caller, type Endpoint, endpoint } from '#http/endpoint.js';
import { findUser } from '#users/accounts.js';
import { checkFieldName, fieldOfBody, findField, readProfile } from '#users/profile.js';
import { changeProfile } from '#users/profile-change.js';

const params = object({ userId, keyName: string() });

/** Everyone's profile (client-server API, Profiles). */
export const profileEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'getUserProfile',
    method: 'GET',
    path: '/_matrix/client/v3/profile/{userId}',
    caller: 'none',
    limit: 'read',
    params: () => object({ userId }),
    async handle({ users }: App, { params }) {
      if (findUser(users.store, params.userId) === undefined) throw notFound();
      return Object.fromEntries(await readProfile(users, params.userId));
    },
  }),
  endpoint({
    id: 'getProfileField',
    method: 'GET',
    path: '/_matrix/client/v3/profile/{userId}/{keyName}',
    aliases: ['/_matrix/client/unstable/uk.tcpip.msc4133/profile/{userId}/{keyName}'],
    caller: 'none',
    limit: 'read',
    params: () => params,
    async handle({ users }: App, { params }) {
      checkFieldName(params.keyName);
      const value = findField(users.store, params.userId, params.keyName);
      if (value === undefined) throw notFound();
      return Object.fromEntries([[params.keyName, value]]);
    },
  }),
  endpoint({
    id: 'setProfileField',
    method: 'PUT',
    path: '/_matrix/client/v3/profile/{userId}/{keyName}',
    aliases: ['/_matrix/client/unstable/uk.tcpip.msc4133/profile/{userId}/{keyName}'],
    caller: 'guest',
    limit: 'account',
    params: () => params,
    body: () => anyObject,
    async handle({ users }: App, { caller, params, body }) {
      mayChange(caller, params.userId, params.keyName);
      checkFieldName(params.keyName);
      await changeProfile(users, caller.user, params.keyName, fieldOfBody(body, params.keyName));
      return {};
    },
  }),
  endpoint({
    id: 'deleteProfileField',
    method: 'DELETE',
    path: '/_matrix/client/v3/profile/{userId}/{keyName}',
    aliases: ['/_matrix/client/unstable/uk.tcpip.msc4133/profile/{userId}/{keyName}'],
    caller: 'guest',
    limit: 'account',
    params: () => params,
    async handle({ users }: App, { caller, params }) {
      mayChange(caller, params.userId, params.keyName);
      await changeProfile(users, caller.user, params.keyName, undefined);
      return {};
    },
  }),
];

function notFound(): MatrixError {
  return new MatrixError('M_NOT_FOUND', 'There is no such profile or field');
}

/** One's own profile only; guests their display name only (client-server API, Guest access). */
function mayChange(caller: Caller, user: UserId, key: string): void {
  if (caller.user !== user) throw new MatrixError('M_FORBIDDEN', "Another user's profile can not be changed");
  if (caller.guest && key !== 'displayname') {
    throw new MatrixError('M_GUEST_ACCESS_FORBIDDEN', 'Guests may change their display name only');
  }
}
