import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { App } from '#api/app.js';
import { type RoomId, ServerName, type UserId } from '#core/ids.js';
import { signingKeyFromSeed } from '#core/signing.js';
import type { Endpoint } from '#http/endpoint.js';
import { createLimits } from '#http/limits.js';
import { createHttpServer } from '#http/server.js';
import { closeMedia, openMedia } from '#media/media.js';
import { followBans, runBulkRedactions } from '#rooms/bulk-redactions.js';
import { createRoom } from '#rooms/create.js';
import { changeMembership } from '#rooms/membership.js';
import { openRooms, type Rooms } from '#rooms/rooms.js';
import { Events } from '#store/events.js';
import { StateTrees } from '#store/state.js';
import { openTestStore, type TestStore } from '#store/testing.js';
import { openSync } from '#sync/open.js';
import { DelayedEvents } from '#users/delayed-events.js';
import { checkInvitePermission } from '#users/invite-permission.js';
import { memberProfile } from '#users/profile.js';
import { followUpgrades } from '#users/room-upgrade.js';
import { checkRejection } from '#users/server-notices.js';
import { authenticate } from '#users/sessions.js';
import { closeUsers, openUsers, type Users, type UsersOptions } from '#users/users.js';
import { SystemClock } from '#util/clock.js';
import type { Log } from '#util/log.js';
import { silentLog } from '#util/log.js';
import { seededRandom } from '#util/random.js';
import { Tasks } from '#util/tasks.js';

/** An answer of the API under test. */
export interface ApiAnswer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
  readonly body: any;
}

/** The API over HTTP on a free loopback port, on a fresh store and simulated time, without rate limits. */
export interface TestApi {
  readonly users: Users;
  readonly test: TestStore;
  readonly rooms: Rooms;
  /** A new room with these users joined, the first its creator. */
  room(...members: string[]): Promise<RoomId>;
  call(method: string, path: string, options?: { token?: string; body?: unknown }): Promise<ApiAnswer>;
  /** Registers with the password `secret of <name>`; resolves with the answer's body. */
  register(name: string): Promise<{ user_id: string; access_token: string; device_id: string }>;
  login(name: string, more?: object): Promise<ApiAnswer>;
}

export function passwordOf(name: string): string {
  return `secret of ${name}`;
}

/** Serves `endpoints` until the test ends. */
export async function serveApi(
  t: TestContext,
  endpoints: readonly Endpoint<App>[],
  options: Partial<UsersOptions> = {},
): Promise<TestApi> {
  const test = await openTestStore();
  const { store, clock } = test;
  const random = seededRandom('api');
  const serverName = ServerName.parse('test')!;
  const rooms = openRooms({
    store,
    clock,
    random,
    serverName,
    events: new Events(),
    trees: new StateTrees(),
    signingKey: signingKeyFromSeed(random.bytes(32)),
    defaultRoomVersion: '12',
    hooks: {
      profileOf: memberProfile,
      checkInvite: (reader, sender, target) => checkInvitePermission(reader, target, sender),
      checkRejection,
    },
  });
  const change = async (user: UserId, roomId: RoomId, action: 'join' | 'leave'): Promise<void> => {
    await changeMembership(rooms, { roomId, sender: user, target: user, action, content: {} });
  };
  const users = openUsers({
    store,
    clock,
    random,
    serverName,
    rooms: {
      leave: (user, room) => change(user, room, 'leave'),
      showProfile: (user, room) => change(user, room, 'join'),
    },
    options: { registration: 'open', limitAttempts: false, ...options },
    onTaskError: (error) => {
      throw error;
    },
  });
  followUpgrades(rooms);
  followBans(rooms);
  const sync = openSync(rooms, users);
  const media = openMedia({
    store,
    clock,
    random,
    serverName,
    log: silentLog,
    options: { directory: join(test.directory, 'media'), maxUploadBytes: 1 << 20, legacyOpen: false },
  });
  const delayed = new DelayedEvents(rooms, users);
  const tasks = new Tasks(clock, {
    error: (message, fields) => t.diagnostic(`${message} ${String(fields?.['error'])}`),
  } as Log);
  delayed.start(tasks);
  runBulkRedactions(rooms, tasks);
  const systemClock = new SystemClock();
  const server = createHttpServer<App>({
    endpoints,
    limits: createLimits({ clock: systemClock, mode: 'off' }),
    clock: systemClock,
    random,
    log: {
      isLevelEnabled: () => false,
      debug: () => {},
      error: (fields) => t.diagnostic(`logged: ${String((fields as { err?: { stack?: string } }).err?.stack ?? '')}`),
    },
  });
  server.attach({
    app: {
      serverName,
      users,
      rooms,
      media,
      sync,
      delayed,
      defaultRoomVersion: '12',
      discovery: { baseUrl: 'https://hs.test', federation: undefined, contacts: [], supportPage: undefined },
    },
    authenticate: (token, seen) => authenticate(users, token, seen),
  });
  const { port } = await server.listen('127.0.0.1', 0);
  await server.prepare();
  t.after(async () => {
    await server.close(0);
    await tasks.dispose();
    sync.close();
    await closeUsers(users);
    await closeMedia(media);
    await test[Symbol.asyncDispose]();
  });
  const call: TestApi['call'] = async (method, path, { token, body } = {}) => {
    const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const headers = {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(bytes !== undefined && { 'content-length': String(bytes.length) }),
    };
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing = request({
        host: '127.0.0.1',
        port,
        method,
        path: path.startsWith('/') ? path : `/_matrix/client/v3/${path}`,
        headers,
        agent: false,
      });
      outgoing.on('response', resolve).on('error', reject);
      outgoing.end(bytes);
    });
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    return { status: response.statusCode ?? 0, body: text === '' ? undefined : JSON.parse(text) };
  };
  return {
    users,
    test,
    rooms,
    call,
    async room(creator = '', ...others) {
      const roomId = await createRoom(rooms, { creator: creator as UserId, body: { preset: 'public_chat' } });
      for (const other of others) await change(other as UserId, roomId, 'join');
      return roomId;
    },
    async register(name) {
      const body = { username: name, password: passwordOf(name), auth: { type: 'm.login.dummy' } };
      return (await call('POST', 'register', { body })).body;
    },
    login: (name, more = {}) =>
      call('POST', 'login', {
        body: {
          type: 'm.login.password',
          identifier: { type: 'm.id.user', user: name },
          password: passwordOf(name),
          ...more,
        },
      }),
  };
}
