import type { RoomId, UserId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { createRoom } from '#rooms/create.js';
import { changeMembership } from '#rooms/membership.js';
import { sendEvent } from '#rooms/send.js';
import { openTestRooms, type TestRooms } from '#rooms/testing.js';
import { type OpenedSync, openSync } from '#sync/open.js';
import { type Dialect, parseRequest } from '#sync/sliding/request.js';
import { slidingSync } from '#sync/sliding/sliding.js';
import { openUsers, type Users } from '#users/users.js';
import { seededRandom } from '#util/random.js';

export const alice = '@alice:test' as UserId;
export const bob = '@bob:test' as UserId;

// biome-ignore lint/suspicious/noExplicitAny: answers are read by tests that state what they expect.
export type Answer = any;

/** A server's rooms, users and sync on a fresh store. */
export interface World extends AsyncDisposable {
  readonly t: TestRooms;
  readonly users: Users;
  layer: OpenedSync;
  restart(): void;
}

export async function world(): Promise<World> {
  const t = await openTestRooms();
  const { store, clock } = t;
  const users = openUsers({
    store,
    clock,
    random: seededRandom('users'),
    serverName: t.rooms.serverName,
    rooms: { leave: async () => {}, showProfile: async () => {} },
  });
  const w: World = {
    t,
    users,
    layer: openSync(t.rooms, users),
    restart() {
      w.layer.close();
      w.layer = openSync(t.rooms, users);
    },
    async [Symbol.asyncDispose]() {
      w.layer.close();
      await t[Symbol.asyncDispose]();
    },
  };
  return w;
}

/** A request of the device `D`, as `slidingSync` answers it. */
export function ask(
  w: World,
  user: UserId,
  body: JsonObject,
  pos?: string,
  dialect: Dialect = 'unstable',
  timeout = 0,
): Promise<Answer> {
  const request =
    dialect === 'stable'
      ? parseRequest({ ...body, timeout, ...(pos === undefined ? {} : { pos }) }, {}, dialect, user)
      : parseRequest(body, { pos, timeout }, dialect, user);
  const viewer = { user, device: 'D', pair: `${user} D` };
  return slidingSync(w.layer, viewer, request, dialect, new AbortController().signal);
}

/** Sends a text message. */
export const say = (w: World, roomId: RoomId, sender: UserId, body: string) =>
  sendEvent(w.t.rooms, { roomId, sender, type: 'm.room.message', content: { msgtype: 'm.text', body } });
/** A public room of Alice's. */
export const publicRoom = (w: World, name: string) =>
  createRoom(w.t.rooms, { creator: alice, body: { preset: 'public_chat', name } });
export const join = (w: World, roomId: RoomId, user: UserId) =>
  changeMembership(w.t.rooms, { roomId, sender: user, target: user, action: 'join' });
