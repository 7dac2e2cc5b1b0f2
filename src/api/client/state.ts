import type { App } from '#api/app.js';
import { delayQuery, gapParameter } from '#api/client/parameters.js';
import type { RoomId } from '#core/ids.js';
import { type JsonObject, ownString } from '#core/json-value.js';
import { anyObject, literal, object, optional, roomId, string } from '#core/schema.js';
import { type Caller, type Endpoint, endpoint } from '#http/endpoint.js';
import { clientEvents } from '#rooms/client-events.js';
import { toClientEvent } from '#rooms/client-form.js';
import { shownTo } from '#rooms/erasure.js';
import { joinedMembers, listMembers, readState, readStateEvent } from '#rooms/members.js';
import { changeMembership } from '#rooms/membership.js';
import { sendEvent, sendEventIn } from '#rooms/send.js';
import { removeGuests } from '#users/guests.js';

const BODY_LIMIT = 1 << 18;
const inRoom = object({ roomId });
const piece = object({ roomId, eventType: string(), stateKey: string() });
const withoutKey = ['v3', 'r0'].map((version) => `/_matrix/client/${version}/rooms/{roomId}/state/{eventType}`);
const membership = optional(literal('join', 'invite', 'knock', 'leave', 'ban'));

async function put(app: App, caller: Caller, room: RoomId, type: string, stateKey: string, content: JsonObject) {
  const { rooms } = app;
  if (caller.guest && type === 'm.room.member' && ownString(content, 'membership') === 'join') {
    // Guests join only where the room lets them in, by whichever way they come.
    return changeMembership(rooms, {
      roomId: room,
      sender: caller.user,
      target: stateKey as typeof caller.user,
      action: 'join',
      content,
      guest: true,
    });
  }
  const request = { roomId: room, sender: caller.user, device: caller.device, type, stateKey, content };
  if (type !== 'm.room.guest_access' || stateKey !== '') return sendEvent(rooms, request);
  return rooms.store.commit((tx) => {
    const id = sendEventIn(rooms, tx, request);
    removeGuests(rooms, tx, room);
    return id;
  });
}

/** Room state and members (client-server API, Getting events for a room; Sending events to a room). */
export const stateEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'setRoomStateWithKey',
    method: 'PUT',
    path: '/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}',
    aliases: withoutKey,
    caller: 'guest',
    limit: 'send',
    params: () => piece,
    query: () => object(delayQuery),
    body: () => anyObject,
    bodyLimit: BODY_LIMIT,
    exactNumbers: true,
    async handle(app: App, { caller, params, query, body }) {
      const delayMs = query['org.matrix.msc4140.delay'];
      if (delayMs !== undefined) {
        const { roomId, eventType: type, stateKey } = params;
        const request = { roomId, sender: caller.user, device: caller.device, type, stateKey, content: body };
        return { delay_id: await app.delayed.schedule(request, delayMs) };
      }
      return { event_id: await put(app, caller, params.roomId, params.eventType, params.stateKey, body) };
    },
  }),
  endpoint({
    id: 'getRoomStateWithKey',
    method: 'GET',
    path: '/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}',
    aliases: withoutKey,
    caller: 'guest',
    limit: 'read',
    params: () => piece,
    query: () => object({ format: optional(literal('content', 'event')) }),
    async handle({ rooms }: App, { caller, params, query }) {
      const stored = readStateEvent(rooms, caller.user, params.roomId, params.eventType, params.stateKey);
      if (query.format === 'event') return toClientEvent(rooms, stored, { viewer: caller.user, device: caller.device });
      return shownTo(rooms, rooms.store, stored, caller.user).content;
    },
  }),
  endpoint({
    id: 'getRoomState',
    method: 'GET',
    path: '/_matrix/client/v3/rooms/{roomId}/state',
    caller: 'guest',
    limit: 'read',
    params: () => inRoom,
    async handle({ rooms }: App, { caller, params }) {
      return clientEvents(rooms, await readState(rooms, caller.user, params.roomId), caller);
    },
  }),
  endpoint({
    id: 'getMembersByRoom',
    method: 'GET',
    path: '/_matrix/client/v3/rooms/{roomId}/members',
    caller: 'guest',
    limit: 'read',
    params: () => inRoom,
    query: () => object({ at: optional(string()), membership, not_membership: membership }),
    async handle({ rooms }: App, { caller, params, query }) {
      const found = await listMembers(rooms, caller.user, params.roomId, {
        ...(query.at === undefined ? {} : { at: gapParameter(rooms, query.at) }),
        ...(query.membership === undefined ? {} : { membership: query.membership }),
        ...(query.not_membership === undefined ? {} : { notMembership: query.not_membership }),
      });
      return { chunk: await clientEvents(rooms, found, caller) };
    },
  }),
  endpoint({
    id: 'getJoinedMembersByRoom',
    method: 'GET',
    path: '/_matrix/client/v3/rooms/{roomId}/joined_members',
    caller: 'user',
    limit: 'read',
    params: () => inRoom,
    async handle({ rooms }: App, { caller, params }) {
      const joined = await joinedMembers(rooms, caller.user, params.roomId);
      const entries = [...joined].map(([user, { displayname, avatarUrl }]) => [
        user,
        {
          // Both are always there, null where unset, as everyone's server answers.
          display_name: displayname ?? null,
          avatar_url: avatarUrl ?? null,
        },
      ]);
      return { joined: Object.fromEntries(entries) };
    },
  }),
];
