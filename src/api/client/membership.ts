import type { App } from '#api/app.js';
import { MatrixError } from '#core/errors.js';
import { RoomAlias, RoomId, type UserId } from '#core/ids.js';
import { type JsonObject, own } from '#core/json-value.js';
import { anyObject, boolean, nullable, object, optional, roomId, string, userId } from '#core/schema.js';
import { type Caller, type Endpoint, endpoint } from '#http/endpoint.js';
import { REDACT_EVENTS } from '#rooms/bulk-redactions.js';
import { needAlias } from '#rooms/directory.js';
import { joinedRooms } from '#rooms/joined-rooms.js';
import { changeMembership, forgetRoom, type MembershipAction } from '#rooms/membership.js';
import { findRoom } from '#rooms/rooms.js';

const inRoom = object({ roomId });
const byIdOrAlias = object({ roomIdOrAlias: string() });
const reason = optional(nullable(string()));
const ofTarget = object({
  user_id: userId,
  reason,
  redact_events: optional(boolean),
  'org.matrix.msc4293.redact_events': optional(boolean),
});
const joining = object({ reason, third_party_signed: optional(anyObject) });

/** The room that a path names by its id or by a local alias. */
function roomOf(app: App, text: string): RoomId {
  const id = RoomId.parse(text);
  if (id !== undefined) return id;
  const alias = RoomAlias.parse(text);
  if (alias === undefined) throw new MatrixError('M_INVALID_PARAM', 'Neither a room id nor an alias');
  return needAlias(app.rooms.store.latest, alias).roomId;
}

interface Asked {
  readonly reason?: string | null | undefined;
  readonly third_party_signed?: JsonObject | undefined;
}

/** What a client says beyond what the specification names becomes part of its member event, as in Synapse. */
function furtherContent(body: JsonObject): JsonObject | undefined {
  const further = Object.entries(body).filter(([key]) => key !== 'reason' && key !== 'third_party_signed');
  return further.length === 0 ? undefined : Object.fromEntries(further);
}

async function join(
  app: App,
  caller: Caller,
  room: RoomId,
  body: Asked,
  content?: JsonObject,
): Promise<{ room_id: RoomId }> {
  await changeMembership(app.rooms, {
    roomId: room,
    sender: caller.user,
    target: caller.user,
    action: 'join',
    ...(caller.guest ? { guest: true } : {}),
    ...(content === undefined ? {} : { content }),
    ...(typeof body.reason === 'string' ? { reason: body.reason } : {}),
    ...(body.third_party_signed === undefined ? {} : { thirdPartySigned: body.third_party_signed }),
  });
  return { room_id: room };
}

async function change(
  app: App,
  caller: Caller,
  room: RoomId,
  action: MembershipAction,
  target: UserId,
  body: Asked,
): Promise<object> {
  const flags = REDACT_EVENTS.filter((flag) => own(body as JsonObject, flag) === true);
  await changeMembership(app.rooms, {
    roomId: room,
    sender: caller.user,
    target,
    action,
    ...(flags.length > 0 && (action === 'kick' || action === 'ban')
      ? { content: Object.fromEntries(flags.map((flag) => [flag, true])) }
      : {}),
    ...(typeof body.reason === 'string' ? { reason: body.reason } : {}),
  });
  const num = action === 'invite' ? undefined : findRoom(app.rooms.store, room)?.num;
  if (num !== undefined) app.sync.typing.stop(num, target);
  return {};
}

/** Who is in a room (client-server API, Room membership). */
export const membershipEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'getJoinedRooms',
    method: 'GET',
    path: '/_matrix/client/v3/joined_rooms',
    caller: 'guest',
    limit: 'read',
    async handle({ rooms }: App, { caller }) {
      return { joined_rooms: await joinedRooms(rooms, caller.user) };
    },
  }),
  endpoint({
    id: 'joinRoomById',
    method: 'POST',
    path: '/_matrix/client/v3/rooms/{roomId}/join',
    caller: 'guest',
    limit: 'join',
    params: () => inRoom,
    body: () => joining,
    exactNumbers: true,
    async handle(app: App, { caller, params, body }) {
      return join(app, caller, params.roomId, body);
    },
  }),
  endpoint({
    id: 'joinRoom',
    method: 'POST',
    path: '/_matrix/client/v3/join/{roomIdOrAlias}',
    caller: 'guest',
    limit: 'join',
    params: () => byIdOrAlias,
    body: () => joining,
    exactNumbers: true,
    async handle(app: App, { caller, params, body }) {
      return join(app, caller, roomOf(app, params.roomIdOrAlias), body, furtherContent(body as JsonObject));
    },
  }),
  endpoint({
    id: 'knockRoom',
    method: 'POST',
    path: '/_matrix/client/v3/knock/{roomIdOrAlias}',
    caller: 'user',
    limit: 'join',
    params: () => byIdOrAlias,
    body: () => object({ reason }),
    async handle(app: App, { caller, params, body }) {
      const room = roomOf(app, params.roomIdOrAlias);
      await change(app, caller, room, 'knock', caller.user, body);
      return { room_id: room };
    },
  }),
  endpoint({
    id: 'inviteUser',
    method: 'POST',
    path: '/_matrix/client/v3/rooms/{roomId}/invite',
    caller: 'user',
    limit: 'join',
    params: () => inRoom,
    body: () => object({ user_id: optional(userId), reason, medium: optional(string()), address: optional(string()) }),
    async handle(app: App, { caller, params, body }) {
      if (body.user_id === undefined) {
        if (body.medium === undefined) throw new MatrixError('M_MISSING_PARAM', "'user_id' is missing");
        throw new MatrixError('M_THREEPID_DENIED', 'This server has no identity server: invites go to user ids only');
      }
      return change(app, caller, params.roomId, 'invite', body.user_id, body);
    },
  }),
  endpoint({
    id: 'leaveRoom',
    method: 'POST',
    path: '/_matrix/client/v3/rooms/{roomId}/leave',
    caller: 'guest',
    limit: 'join',
    params: () => inRoom,
    body: () => object({ reason }),
    whileSuspended: true,
    async handle(app: App, { caller, params, body }) {
      return change(app, caller, params.roomId, 'leave', caller.user, body);
    },
  }),
  endpoint({
    id: 'forgetRoom',
    method: 'POST',
    path: '/_matrix/client/v3/rooms/{roomId}/forget',
    caller: 'user',
    limit: 'join',
    params: () => inRoom,
    body: () => anyObject,
    whileSuspended: true,
    async handle({ rooms }: App, { caller, params }) {
      await forgetRoom(rooms, caller.user, params.roomId);
      return {};
    },
  }),
  endpoint({
    id: 'kick',
    method: 'POST',
    path: '/_matrix/client/v3/rooms/{roomId}/kick',
    caller: 'user',
    limit: 'send',
    params: () => inRoom,
    body: () => ofTarget,
    async handle(app: App, { caller, params, body }) {
      return change(app, caller, params.roomId, 'kick', body.user_id, body);
    },
  }),
  endpoint({
    id: 'ban',
    method: 'POST',
    path: '/_matrix/client/v3/rooms/{roomId}/ban',
    caller: 'user',
    limit: 'send',
    params: () => inRoom,
    body: () => ofTarget,
    async handle(app: App, { caller, params, body }) {
      return change(app, caller, params.roomId, 'ban', body.user_id, body);
    },
  }),
  endpoint({
    id: 'unban',
    method: 'POST',
    path: '/_matrix/client/v3/rooms/{roomId}/unban',
    caller: 'user',
    limit: 'send',
    params: () => inRoom,
    body: () => ofTarget,
    async handle(app: App, { caller, params, body }) {
      return change(app, caller, params.roomId, 'unban', body.user_id, body);
    },
  }),
];
