import { Readable } from 'node:stream';
import type { App } from '#api/app.js';
import { anyObject, object, string } from '#core/schema.js';
import { type Endpoint, endpoint, Reply } from '#http/endpoint.js';
import {
  createBackup,
  deleteBackup,
  deleteSessions,
  getBackup,
  getSession,
  putSessions,
  readSessions,
  sessionsOf,
  updateBackup,
} from '#users/keys/backup.js';

const VERSION = '/_matrix/client/v3/room_keys/version';
const KEYS = '/_matrix/client/v3/room_keys/keys';
const BACKUP_BODY = 16 << 20;
const unstable = (path: string): readonly string[] => [path.replace('/v3/', '/unstable/')];
const ofVersion = object({ version: string({ minLength: 1 }) });

/** Where in a backup a request points: at everything, at a room, at one session. */
const PLACES = [
  ['', '', object({})],
  ['ByRoomId', '/{roomId}', object({ roomId: string({ minLength: 1 }) })],
  [
    'BySessionId',
    '/{roomId}/{sessionId}',
    object({ roomId: string({ minLength: 1 }), sessionId: string({ minLength: 1 }) }),
  ],
] as const;

interface Place {
  readonly roomId?: string;
  readonly sessionId?: string;
}

const sessionEndpoints = PLACES.flatMap(([name, path, params]): Endpoint<App>[] => [
  endpoint({
    id: `putRoomKeys${name}`,
    method: 'PUT',
    path: `${KEYS}${path}`,
    aliases: unstable(`${KEYS}${path}`),
    caller: 'user',
    limit: 'send',
    whileSuspended: true,
    params: () => params,
    query: () => ofVersion,
    body: () => anyObject,
    bodyLimit: BACKUP_BODY,
    async handle({ users }: App, { caller, params, query, body }) {
      const { roomId, sessionId } = params as Place;
      return putSessions(users, caller.user, query.version, sessionsOf(body, roomId, sessionId));
    },
  }),
  endpoint({
    id: `getRoomKeys${name}`,
    method: 'GET',
    path: `${KEYS}${path}`,
    aliases: unstable(`${KEYS}${path}`),
    caller: 'user',
    limit: 'read',
    params: () => params,
    query: () => ofVersion,
    async handle({ users }: App, { caller, params, query }) {
      const { roomId, sessionId } = params as Place;
      if (roomId !== undefined && sessionId !== undefined) {
        return getSession(users, caller.user, query.version, roomId, sessionId);
      }
      const text = Readable.from(readSessions(users, caller.user, query.version, roomId));
      return new Reply(200, text, { 'content-type': 'application/json' });
    },
  }),
  endpoint({
    id: `deleteRoomKeys${name}`,
    method: 'DELETE',
    path: `${KEYS}${path}`,
    aliases: unstable(`${KEYS}${path}`),
    caller: 'user',
    limit: 'account',
    whileSuspended: true,
    params: () => params,
    query: () => ofVersion,
    async handle({ users }: App, { caller, params, query }) {
      const { roomId, sessionId } = params as Place;
      return deleteSessions(users, caller.user, query.version, roomId, sessionId);
    },
  }),
]);

/** Encrypted backups of room keys (client-server API, Server-side key backups). */
export const keyBackupEndpoints: readonly Endpoint<App>[] = [
  endpoint({
    id: 'postRoomKeysVersion',
    method: 'POST',
    path: VERSION,
    aliases: unstable(VERSION),
    caller: 'user',
    limit: 'account',
    whileSuspended: true,
    body: () => object({ algorithm: string({ minLength: 1 }), auth_data: anyObject }),
    async handle({ users }: App, { caller, body }) {
      return { version: await createBackup(users, caller.user, body.algorithm, body.auth_data) };
    },
  }),
  endpoint({
    id: 'getRoomKeysVersionCurrent',
    method: 'GET',
    path: VERSION,
    aliases: unstable(VERSION),
    caller: 'user',
    limit: 'read',
    async handle({ users }: App, { caller }) {
      return getBackup(users, caller.user, undefined);
    },
  }),
  endpoint({
    id: 'getRoomKeysVersion',
    method: 'GET',
    path: `${VERSION}/{version}`,
    aliases: unstable(`${VERSION}/{version}`),
    caller: 'user',
    limit: 'read',
    params: () => ofVersion,
    async handle({ users }: App, { caller, params }) {
      return getBackup(users, caller.user, params.version);
    },
  }),
  endpoint({
    id: 'putRoomKeysVersion',
    method: 'PUT',
    path: `${VERSION}/{version}`,
    aliases: unstable(`${VERSION}/{version}`),
    caller: 'user',
    limit: 'account',
    whileSuspended: true,
    params: () => ofVersion,
    body: () => anyObject,
    async handle({ users }: App, { caller, params, body }) {
      await updateBackup(users, caller.user, params.version, body);
      return {};
    },
  }),
  endpoint({
    id: 'deleteRoomKeysVersion',
    method: 'DELETE',
    path: `${VERSION}/{version}`,
    aliases: unstable(`${VERSION}/{version}`),
    caller: 'user',
    limit: 'account',
    whileSuspended: true,
    params: () => ofVersion,
    async handle({ users }: App, { caller, params }) {
      await deleteBackup(users, caller.user, params.version);
      return {};
    },
  }),
  ...sessionEndpoints,
];
