import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type { DeviceId, EventId, RoomId, UserId } from '#core/ids.js';
import { Push } from '#outbound/push.js';
import { createRoom } from '#rooms/create.js';
import type { Rooms } from '#rooms/rooms.js';
import { go, openTestRooms, user } from '#rooms/testing.js';
import { pushes } from '#store/schema.js';
import { openSync } from '#sync/open.js';
import { markRead } from '#sync/read.js';
import { ensureDevice } from '#users/devices.js';
import { type PusherRequest, setPusher } from '#users/pushers.js';
import { openTestUsers } from '#users/testing.js';
import { closeUsers, type Users } from '#users/users.js';
import type { SimulatedClock } from '#util/clock.js';
import { silentLog } from '#util/log.js';
import { Tasks } from '#util/tasks.js';

export const alice = user('alice');
export const bob = user('bob');
export const phone = 'PHONE' as DeviceId;

// biome-ignore lint/suspicious/noExplicitAny: what came is read by tests that state what they expect.
export type Got = any;
/** What the gateway does with a push: answers with a status and pushkeys that it rejects, or says nothing. */
export type Mood = { readonly status: number; readonly rejected?: readonly string[] } | 'silent';

/** A push gateway on loopback that does as it is told and remembers what it was told. */
export class Gateway {
  mood: Mood = { status: 200 };
  readonly #got: Got[] = [];
  #arrived: () => void = () => {};
  readonly #silent: ServerResponse[] = [];
  readonly #server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    assert.equal(`${request.method} ${request.url}`, 'POST /_matrix/push/v1/notify');
    if (this.mood === 'silent') this.#silent.push(response);
    else {
      response.writeHead(this.mood.status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ rejected: this.mood.rejected ?? [] }));
    }
    this.#got.push(JSON.parse(Buffer.concat(chunks).toString()).notification);
    this.#arrived();
  });

  async open(t: TestContext): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    t.after(() => {
      this.#server.closeAllConnections();
      this.#server.close();
    });
    return this;
  }
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/_matrix/push/v1/notify`;
  }
  /** The next push, as soon as it is there. */
  async next(): Promise<Got> {
    while (this.#got.length === 0) await new Promise<void>((resolve) => (this.#arrived = resolve));
    return this.#got.shift();
  }
  /** Pushes that came and were not asked for. */
  get left(): number {
    return this.#got.length;
  }
}

export interface World {
  readonly rooms: Rooms;
  readonly users: Users;
  readonly clock: SimulatedClock;
  readonly tasks: Tasks;
  readonly gateway: Gateway;
  readonly roomId: RoomId;
  set(more?: Partial<PusherRequest>, who?: UserId): Promise<void>;
  read(eventId: EventId, roomId?: RoomId): Promise<void>;
  /** Resolves when everything that can be delivered now was. */
  quiet(): Promise<void>;
  /** Stops delivering and begins anew, as at a restart, with other networks allowed where given. */
  restart(pushAllow?: readonly string[]): Promise<void>;
}

/** Alice and Bob in a room; Bob has a phone. */
export async function world(t: TestContext, pushAllow: readonly string[] = ['127.0.0.1']): Promise<World> {
  const opened = await openTestRooms();
  const { rooms, clock, store } = opened;
  const users = openTestUsers(store, clock, { options: { pushAllow } });
  const sync = openSync(rooms, users);
  const gateway = await new Gateway().open(t);
  for (const who of [alice, bob]) await store.commit((tx) => ensureDevice(tx, who, phone, { nowMs: clock.now() }));
  const roomId = await createRoom(rooms, { creator: alice, body: { preset: 'public_chat', name: 'Kitchen' } });
  await go(rooms, roomId, bob, 'join');
  let tasks = new Tasks(clock, silentLog);
  let push = new Push({ rooms, users, tasks, log: silentLog });
  const stop = async (): Promise<void> => {
    await tasks.dispose();
    await push.close();
    users.onPushQueued.length = 0;
  };
  t.after(async () => {
    await stop();
    sync.close();
    await closeUsers(users);
    await opened[Symbol.asyncDispose]();
  });
  return {
    rooms,
    users,
    clock,
    gateway,
    roomId,
    get tasks() {
      return tasks;
    },
    set: (more = {}, who = bob) =>
      setPusher(users, who, phone, {
        appId: 'app',
        pushkey: 'key',
        appDisplayName: 'App',
        deviceDisplayName: 'Phone',
        lang: 'en',
        data: { url: gateway.url },
        enabled: true,
        noBadge: false,
        append: false,
        ...more,
      }),
    read: (eventId, room = roomId) =>
      markRead(rooms, sync.unread, { user: bob, roomId: room, eventId, type: 'm.read' }),
    async quiet() {
      // A task begins in a turn of its own.
      await new Promise((resolve) => setImmediate(resolve));
      await tasks.settle();
    },
    async restart(allowed = pushAllow) {
      await stop();
      tasks = new Tasks(clock, silentLog);
      const changed = { ...users, options: { ...users.options, pushAllow: allowed } };
      push = new Push({ rooms, users: changed, tasks, log: silentLog });
      await push.start();
    },
  };
}

/** How many pushes wait for `who`. */
export const queued = async ({ rooms }: World, who = bob): Promise<number> =>
  (await rooms.store.list(pushes, { prefix: [who], limit: 5_000 })).length;
