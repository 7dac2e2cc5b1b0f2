import type { App } from '#api/app.js';
import { MatrixError } from '#core/errors.js';
import type { UserId } from '#core/ids.js';
import { toContent } from '#core/push-rules/stored.js';
import { anyObject, object, roomId, string, userId } from '#core/schema.js';
import { type Caller, type Endpoint, endpoint } from '#http/endpoint.js';
import { deleteAccountData, deleteTag, getAccountData, getTags, setAccountData, setTag } from '#users/account-data.js';
import { ruleset } from '#users/push-rules.js';

/** Larger than the largest datum, so that what is too large gets its own answer. */
const BODY_LIMIT = 1 << 19;
const global = object({ userId, type: string() });
const ofRoom = object({ userId, roomId, type: string() });
const tagged = object({ userId, roomId, tag: string() });

function own(caller: Caller, user: UserId): UserId {
  if (caller.user !== user) throw new MatrixError('M_FORBIDDEN', 'This belongs to another user');
  return user;
}

/** Account data and tags (client-server API, Client config; Room tagging). */
export const accountDataEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'setAccountData',
    method: 'PUT',
    path: '/_matrix/client/v3/user/{userId}/account_data/{type}',
    caller: 'user',
    limit: 'account',
    params: () => global,
    body: () => anyObject,
    bodyLimit: BODY_LIMIT,
    whileSuspended: true,
    async handle({ users }: App, { caller, params, body }) {
      await setAccountData(users, own(caller, params.userId), '', params.type, body);
      return {};
    },
  }),
  endpoint({
    id: 'getAccountData',
    method: 'GET',
    path: '/_matrix/client/v3/user/{userId}/account_data/{type}',
    caller: 'user',
    limit: 'read',
    params: () => global,
    async handle({ users }: App, { caller, params }) {
      const user = own(caller, params.userId);
      if (params.type === 'm.push_rules') return toContent(ruleset(users.store, user));
      return getAccountData(users, user, '', params.type);
    },
  }),
  endpoint({
    id: 'setAccountDataPerRoom',
    method: 'PUT',
    path: '/_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type}',
    caller: 'user',
    limit: 'account',
    params: () => ofRoom,
    body: () => anyObject,
    bodyLimit: BODY_LIMIT,
    whileSuspended: true,
    async handle({ users }: App, { caller, params, body }) {
      await setAccountData(users, own(caller, params.userId), params.roomId, params.type, body);
      return {};
    },
  }),
  endpoint({
    id: 'getAccountDataPerRoom',
    method: 'GET',
    path: '/_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type}',
    caller: 'user',
    limit: 'read',
    params: () => ofRoom,
    async handle({ users }: App, { caller, params }) {
      return getAccountData(users, own(caller, params.userId), params.roomId, params.type);
    },
  }),
  endpoint({
    id: 'msc3391DeleteAccountData',
    method: 'DELETE',
    path: '/_matrix/client/unstable/org.matrix.msc3391/user/{userId}/account_data/{type}',
    caller: 'user',
    limit: 'account',
    params: () => global,
    whileSuspended: true,
    async handle({ users }: App, { caller, params }) {
      await deleteAccountData(users, own(caller, params.userId), '', params.type);
      return {};
    },
  }),
  endpoint({
    id: 'msc3391DeleteAccountDataPerRoom',
    method: 'DELETE',
    path: '/_matrix/client/unstable/org.matrix.msc3391/user/{userId}/rooms/{roomId}/account_data/{type}',
    caller: 'user',
    limit: 'account',
    params: () => ofRoom,
    whileSuspended: true,
    async handle({ users }: App, { caller, params }) {
      await deleteAccountData(users, own(caller, params.userId), params.roomId, params.type);
      return {};
    },
  }),
  endpoint({
    id: 'getRoomTags',
    method: 'GET',
    path: '/_matrix/client/v3/user/{userId}/rooms/{roomId}/tags',
    caller: 'user',
    limit: 'read',
    params: () => object({ userId, roomId }),
    async handle({ users }: App, { caller, params }) {
      return { tags: getTags(users, own(caller, params.userId), params.roomId) };
    },
  }),
  endpoint({
    id: 'setRoomTag',
    method: 'PUT',
    path: '/_matrix/client/v3/user/{userId}/rooms/{roomId}/tags/{tag}',
    caller: 'user',
    limit: 'account',
    params: () => tagged,
    body: () => anyObject,
    whileSuspended: true,
    async handle({ users }: App, { caller, params, body }) {
      await setTag(users, own(caller, params.userId), params.roomId, params.tag, body);
      return {};
    },
  }),
  endpoint({
    id: 'deleteRoomTag',
    method: 'DELETE',
    path: '/_matrix/client/v3/user/{userId}/rooms/{roomId}/tags/{tag}',
    caller: 'user',
    limit: 'account',
    params: () => tagged,
    whileSuspended: true,
    async handle({ users }: App, { caller, params }) {
      await deleteTag(users, own(caller, params.userId), params.roomId, params.tag);
      return {};
    },
  }),
];
