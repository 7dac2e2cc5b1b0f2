import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { App, Discovery } from '#api/app.js';
import { ENDPOINTS, FEDERATION_ENDPOINTS } from '#api/endpoints.js';
import type { Config } from '#config';
import { MatrixError } from '#core/errors.js';
import { RoomAlias, type RoomId, type ServerName, UserId } from '#core/ids.js';
import type { ServerAuthentication } from '#http/auth.js';
import type { Caller, Endpoint, RequestInfo } from '#http/endpoint.js';
import { landingEndpoints } from '#http/landing.js';
import { createLimits } from '#http/limits.js';
import { createHttpServer, type HttpLog, type HttpServer, type TlsIdentity } from '#http/server.js';
import { closeMedia, type Media, type MediaOptions, openMedia } from '#media/media.js';
import { OutboundFederation } from '#outbound/federation.js';
import { Push } from '#outbound/push.js';
import { openHttpClient } from '#remote/http.js';
import { type OpenedRemote, openRemote } from '#remote/open.js';
import { publicAddresses } from '#remote/public-address.js';
import { followBans, runBulkRedactions } from '#rooms/bulk-redactions.js';
import { resolveAlias } from '#rooms/directory.js';
import { type Federation, openFederation, verifyRequest } from '#rooms/federation.js';
import { changeMembershipIn } from '#rooms/membership.js';
import { findRoom, memberOf, openRooms, type RoomHooks, type Rooms } from '#rooms/rooms.js';
import { expectSigningKey, openStore } from '#store/db.js';
import { Events } from '#store/events.js';
import { checkedWhenUsed, openSigningKey } from '#store/key-file.js';
import { StateTrees } from '#store/state.js';
import { StoreError } from '#store/store-error.js';
import type { Store } from '#store/types.js';
import { type OpenedSync, openSync } from '#sync/open.js';
import { findUser } from '#users/accounts.js';
import { DelayedEvents } from '#users/delayed-events.js';
import { checkInvitePermission } from '#users/invite-permission.js';
import { memberProfile } from '#users/profile.js';
import { followUpgrades } from '#users/room-upgrade.js';
import { checkRejection } from '#users/server-notices.js';
import { authenticate } from '#users/sessions.js';
import { resumeTasks } from '#users/tasks.js';
import { closeUsers, openUsers, type RoomVerbs, type Users } from '#users/users.js';
import { type Clock, letIn } from '#util/clock.js';
import type { Log } from '#util/log.js';
import type { Random } from '#util/random.js';
import { Tasks } from '#util/tasks.js';

/** What is kept at rest of what caches may hold. */
const HELD_AT_REST = 1 / 8;

/** What comes in from outside, so that several whole servers run in one process. */
export interface Surroundings {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Told of each request that comes in. */
  readonly onRequest?: () => void;
}

/** The opened layers, in the order in which they were opened. */
export interface Layers {
  readonly config: Config;
  readonly store: Store;
  readonly rooms: Rooms;
  readonly users: Users;
  readonly media: Media;
  readonly sync: OpenedSync;
}

/** Layers without a front door: what the command line uses while no server runs. */
export interface OpenedLayers {
  readonly layers: Layers;
  close(): Promise<void>;
}

/** A running server. */
export interface Server {
  readonly layers: Layers;
  /** Where it listens, with the ports that the system gave. */
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  /** Loads what a start does without, once it is over. */
  prepare(): Promise<void>;
  /** Resolves when nothing is waiting to be written and no background task runs. */
  settle(): Promise<void>;
  /**
   * Writes what waits, and gives back what a burst of work has left in memory and on disk. What is held from it is made or read again when it is asked
   * for, and what a small server needs finds a place in what is kept.
   */
  rest(): void;
  /** Stops accepting, lets running requests end, writes what is waiting, closes the store. Idempotent. */
  close(): Promise<void>;
}

/** Opens everything below HTTP. Throws `StoreError` with a sentence for the operator. */
export async function openLayers(config: Config, surroundings: Surroundings): Promise<OpenedLayers> {
  const opened = await beginLayers(config, surroundings);
  try {
    opened.checkKey();
  } catch (error) {
    await opened.close();
    throw error;
  }
  return opened;
}

/** The same before the signing key is known to be the database's. It can't be used before: what would be signed fails. */
interface BegunLayers extends OpenedLayers {
  /** Throws `StoreError` where it is another key. Loads `node:crypto`, which takes a tenth of a start. */
  checkKey(): void;
}

async function beginLayers(config: Config, { clock, random, log }: Surroundings): Promise<BegunLayers> {
  const { serverName } = config;
  const key = openSigningKey(config.data, random, log);
  const store = await openStore({ directory: config.data, clock, serverName, signingKey: key, log });
  const checkKey = (): void => expectSigningKey(store, key);
  const signingKey = checkedWhenUsed(key, checkKey);
  const rooms = openRooms({
    store,
    events: new Events(),
    trees: new StateTrees(),
    clock,
    random,
    serverName,
    signingKey,
    defaultRoomVersion: config.defaultRoomVersion,
    hooks: roomHooks(serverName),
  });
  const users = openUsers({
    store,
    clock,
    random,
    serverName,
    rooms: roomVerbs(rooms),
    options: {
      registration: config.registration,
      guests: config.guests,
      limitAttempts: config.rateLimits,
      pushAllow: config.pushAllow ?? [],
      ...(config.terms !== undefined && { terms: config.terms }),
      ...(config.registrationSharedSecret !== undefined && { sharedSecret: config.registrationSharedSecret }),
    },
    onTaskError: (error) => log.error('A background task failed; it is tried again at the next start.', { error }),
  });
  followUpgrades(rooms);
  followBans(rooms);
  const media = openMedia({ store, clock, random, log, serverName, options: mediaOptions(config, clock) });
  const sync = openSync(rooms, users);
  return {
    layers: { config, store, rooms, users, media, sync },
    checkKey,
    async close() {
      sync.close();
      await closeUsers(users);
      await closeMedia(media);
      await store.close();
    },
  };
}

/** Opens a whole server and listens. Rejects, with everything closed again, where the store or an address can't be had. */
export async function openServer(config: Config, surroundings: Surroundings): Promise<Server> {
  const { clock, random, log } = surroundings;
  const federates = config.federation === 'on';
  // LevelDB opens on another thread: what does not need it is done meanwhile. Who comes early waits, and is not turned away.
  const opening = beginLayers(config, surroundings);
  const http = createHttpServer<App>({
    endpoints: [...landing(config), ...ENDPOINTS, ...(federates ? FEDERATION_ENDPOINTS : [])],
    limits: createLimits({ clock, mode: config.rateLimits ? 'on' : 'off' }),
    clock,
    random,
    log: httpLog(config, log),
    toMatrixError: storeProblem,
    trustedProxies: config.trustedProxies,
    bounds: { uploadBytes: config.maxUploadSize },
    ...(surroundings.onRequest && { onRequest: surroundings.onRequest }),
  });
  const { opened, addresses } = await bothOrNeither(http, opening, listen(http, config));
  const { layers } = opened;
  const delayed = new DelayedEvents(layers.rooms, layers.users);
  let remote: OpenedRemote | undefined;
  let federation: Federation | undefined;
  try {
    remote = federates ? await remoteOf(config, layers.rooms, log) : undefined;
    federation = remote && openFederation({ rooms: layers.rooms, log, ...remote });
    http.attach({
      app: {
        serverName: config.serverName,
        discovery: discoveryOf(config),
        defaultRoomVersion: config.defaultRoomVersion,
        rooms: layers.rooms,
        users: layers.users,
        media: layers.media,
        sync: layers.sync,
        delayed,
        ...(federation && { federation }),
      },
      authenticate: (token, request) => callerOf(layers.users, token, request),
      ...(federation && { servers: serverAuthentication(federation) }),
    });
  } catch (error) {
    await http.close();
    await remote?.close();
    await opened.close();
    throw error;
  }
  const tasks = new Tasks(clock, log);
  delayed.start(tasks);
  const push = new Push({ rooms: layers.rooms, users: layers.users, tasks, log });
  const outbound = federation && new OutboundFederation({ federation, tasks, log });
  runBulkRedactions(layers.rooms, tasks);
  const takenUp: Promise<void>[] = [];
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await http.close();
    outbound?.close();
    await tasks.dispose();
    await Promise.all(takenUp);
    await push.close();
    await remote?.close();
    await opened.close();
  };
  // Who waits for the server comes before what was left undone.
  await letIn();
  try {
    opened.checkKey();
  } catch (error) {
    await close();
    throw error;
  }
  const takeUp = (part: string, start: Promise<void>): void => {
    takenUp.push(start.catch((error: unknown) => log.error('Not taken up where it was left.', { part, error })));
  };
  takeUp('push', push.start());
  if (outbound !== undefined) takeUp('federation', outbound.start());
  takeUp('tasks', resumeTasks(layers.users));
  return {
    layers,
    addresses,
    prepare: () => http.prepare(),
    async settle() {
      await Promise.all(takenUp);
      await federation?.lanes.settle();
      await Promise.all(layers.users.running.values());
      await tasks.settle();
      await layers.store.settle();
    },
    rest() {
      layers.users.lastSeen.write();
      layers.store.shrinkCaches(HELD_AT_REST);
      layers.rooms.trees.shrinkCache(HELD_AT_REST);
      layers.sync.unread.shrinkCache(HELD_AT_REST);
      void layers.store.removeUnused();
    },
    close() {
      closing ??= close();
      return closing;
    },
  };
}

/** Listens on all addresses of the configuration; resolves with those of the plain listeners. */
async function listen(http: HttpServer<App>, config: Config): Promise<Server['addresses']> {
  const addresses: { host: string; port: number }[] = [];
  const tls = config.tlsListen === undefined ? undefined : await tlsIdentity(config);
  for (const { host, port } of config.listen) addresses.push(await http.listen(host, port));
  for (const { host, port } of config.tlsListen ?? []) await http.listen(host, port, tls);
  return addresses;
}

/** Waits for the layers and the addresses. Rejects, with both closed again, where one can't be had; the layers' reason comes first. */
async function bothOrNeither(
  http: HttpServer<App>,
  opening: Promise<BegunLayers>,
  listening: Promise<Server['addresses']>,
): Promise<{ opened: BegunLayers; addresses: Server['addresses'] }> {
  const [layers, addresses] = await Promise.allSettled([opening, listening]);
  if (layers.status === 'fulfilled' && addresses.status === 'fulfilled') {
    return { opened: layers.value, addresses: addresses.value };
  }
  await http.close();
  if (layers.status === 'fulfilled') await layers.value.close();
  throw layers.status === 'rejected' ? layers.reason : (addresses as PromiseRejectedResult).reason;
}

/** What the server says of itself to people and supervisors. */
function landing(config: Config): Endpoint<App>[] {
  return landingEndpoints({
    serverName: config.serverName,
    baseUrl: config.publicUrl,
    registration: config.registration,
    problem: ({ rooms }) => rooms.store.problem,
  });
}

/** The way out to other servers. */
async function remoteOf(
  config: Config,
  { store, clock, serverName, signingKey }: Rooms,
  log: Log,
): Promise<OpenedRemote> {
  const authorities = config.federationCa === undefined ? undefined : await readFile(config.federationCa, 'utf8');
  return openRemote({
    ...{ store, clock, serverName, signingKey, log },
    allow: config.federationAllow ?? [],
    ...(authorities !== undefined && { authorities }),
  });
}

function serverAuthentication(federation: Federation): ServerAuthentication {
  return {
    serverName: federation.rooms.serverName,
    verify: (header, request) => verifyRequest(federation, header, request),
  };
}

/** The caller of an access token, or what is wrong with it: endpoints that don't need one go on without. */
function callerOf(users: Users, token: string, request: RequestInfo): Caller | MatrixError {
  try {
    return authenticate(users, token, request);
  } catch (error) {
    if (error instanceof MatrixError) return error;
    throw error;
  }
}

/** Reads the files of the TLS listener; throws a sentence for the operator where one is missing. */
async function tlsIdentity(config: Config): Promise<TlsIdentity> {
  if (config.tlsCertificate === undefined || config.tlsKey === undefined) {
    throw new Error('tls_listen needs tls_certificate and tls_key');
  }
  const [certificate, key] = await Promise.all([
    readFile(config.tlsCertificate, 'utf8'),
    readFile(config.tlsKey, 'utf8'),
  ]);
  return { certificate, key };
}

/** What media is told of the configuration. */
function mediaOptions(config: Config, clock: Clock): MediaOptions {
  const previews = config.urlPreviews && {
    http: openHttpClient({ clock, mayConnect: publicAddresses(config.urlPreviewAllow) }),
    deny: config.urlPreviewDeny ?? [],
  };
  return {
    directory: config.mediaDirectory ?? join(config.data, 'media'),
    maxUploadBytes: config.maxUploadSize,
    quotaBytes: config.mediaQuota,
    lifetimeMs: config.mediaLifetime,
    legacyOpen: config.legacyMedia,
    ...(previews && { previews }),
  };
}

/** What the well-known files say. */
function discoveryOf(config: Config): Discovery {
  const contact = config.supportContact;
  const who =
    contact === undefined ? [] : [contact.startsWith('@') ? { matrix_id: contact } : { email_address: contact }];
  return {
    baseUrl: config.publicUrl,
    federation: config.federationAddress,
    contacts: who.map((one) => ({ ...one, role: 'm.role.admin' })),
    supportPage: config.supportPage,
  };
}

/** What rooms ask of the layers above them. */
function roomHooks(serverName: ServerName): RoomHooks {
  return {
    profileOf: memberProfile,
    aliasPointsAt: (reader, alias, room) => RoomAlias.is(alias) && resolveAlias(reader, alias)?.roomId === room,
    checkInvite: (reader, sender, target) => {
      if (UserId.serverName(target) !== serverName) return;
      // A name that nobody has yet may be invited: whoever registers it finds the invite.
      if (findUser(reader, target)?.deactivated)
        throw new MatrixError('M_FORBIDDEN', 'The account of this user is deactivated');
      checkInvitePermission(reader, target, sender);
    },
    checkRejection,
  };
}

/** What accounts ask of the rooms. */
function roomVerbs(rooms: Rooms): RoomVerbs {
  const change = async (user: UserId, roomId: RoomId, action: 'join' | 'leave', from: readonly string[]) => {
    await rooms.store.commit((tx) => {
      const room = findRoom(tx, roomId);
      const now = room === undefined ? undefined : memberOf(tx, room, user)?.membership;
      if (now === undefined || !from.includes(now)) return;
      changeMembershipIn(rooms, tx, { roomId, sender: user, target: user, action, content: {} });
    });
  };
  return {
    leave: (user, roomId) => change(user, roomId, 'leave', ['join', 'invite', 'knock']),
    showProfile: (user, roomId) => change(user, roomId, 'join', ['join']),
  };
}

/** A disk that refuses is no bug of ours: the caller may come again. */
function storeProblem(error: unknown): MatrixError | undefined {
  if (!(error instanceof StoreError)) return undefined;
  return new MatrixError('M_UNKNOWN', 'The server can not store anything at the moment', { status: 503 });
}

function httpLog(config: Config, log: Log): HttpLog {
  const verbose = config.log === 'debug' || config.log === 'trace';
  return {
    isLevelEnabled: (level) => level !== 'debug' || verbose,
    debug: (fields, message) => log.debug(message, { ...fields }),
    error: (fields, message) => log.error(message, { ...fields }),
  };
}
