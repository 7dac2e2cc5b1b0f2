import { canonicalBytesWithout } from '#core/canonical-json.js';
import { MatrixError } from '#core/errors.js';
import type { UserId } from '#core/ids.js';
import { isObject, type JsonObject, own, ownObject, ownString } from '#core/json-value.js';
import { type UiaSession, uiaSessions } from '#store/schema.js';
import type { Tx } from '#store/types.js';
import { localUser, verifyPassword } from '#users/accounts.js';
import { findRegistrationToken, isTokenValid, releaseUse, reserveUse } from '#users/registration-tokens.js';
import type { Users } from '#users/users.js';
import { hmacSha256 } from '#util/digest.js';

/** Authentication types that this server offers (client-server API, Authentication types). */
export type Stage = 'm.login.password' | 'm.login.dummy' | 'm.login.registration_token' | 'm.login.terms';
export type Flow = readonly Stage[];

/** The flow for what only the account's owner may do. */
export const PASSWORD_FLOWS: readonly Flow[] = [['m.login.password']];

/** How long a session may take from its first request, in milliseconds. */
const LIFETIME_MS = 60 * 60_000;
const SWEEP_EVERY_MS = 10 * 60_000;
const MAX_SWEPT = 10_000;
const MAX_TRIED_TYPE_LENGTH = 64;
const KEY_BYTES = 32;
/** Stands for the hash of a body that is still to come. */
const UNBOUND = '';

/** The request that is to be authorised; a session is bound to all of it. */
export interface UiaRequest {
  /** The caller; absent when registering. */
  readonly user?: UserId;
  readonly method: string;
  /** Path with its parameters filled in, in the canonical version. */
  readonly path: string;
  /** The body as it came, `auth` included. */
  readonly body: JsonObject;
  /**
   * The request only asks which flows there are, as clients do before they know a name and a password: its session is
   * bound to the body that comes with the first stage.
   */
  readonly probe?: boolean;
}

/** A flow is complete. `finishUia` must take it in, in the transaction that does the work. */
export interface UiaDone {
  readonly complete: true;
  /** Present where a session was kept. */
  readonly session?: string;
  /** Registration token that a use is held of. */
  readonly token?: string;
}
/** More is needed: the body of the 401 answer. */
export interface UiaChallenge {
  readonly complete: false;
  readonly challenge: JsonObject;
}

/**
 * User-interactive authentication: takes in the stage that `auth` tries, and says whether one of `flows` is complete.
 * M_FORBIDDEN where the session was begun for another user, request or body. Secrets in the body are never stored.
 */
export async function authenticateInteractively(
  users: Users,
  request: UiaRequest,
  flows: readonly Flow[],
  params: JsonObject = {},
): Promise<UiaDone | UiaChallenge> {
  await sweep(users);
  const auth = ownObject(request.body, 'auth');
  const wanted = auth && ownString(auth, 'session');
  let id = wanted ?? users.random.token(18);
  let session = wanted === undefined ? newSession(users, request) : findSession(users, wanted);
  let problem: { readonly errcode: string; readonly error: string } | undefined;
  if (session === undefined) {
    id = users.random.token(18);
    session = newSession(users, request);
    problem = { errcode: 'M_UNKNOWN', error: 'The session is unknown or has expired' };
  } else {
    session = bound(users, session, request);
    const type = auth && ownString(auth, 'type');
    if (auth !== undefined && type !== undefined && !session.completed.includes(type)) {
      problem = await tryStage(users, request, flows, session, auth, type);
      if (problem === undefined) {
        const token = type === 'm.login.registration_token' ? ownString(auth, 'token') : undefined;
        const next = await completeStage(users, id, session, type, token, wanted !== undefined);
        if (next === undefined) problem = { errcode: 'M_UNAUTHORIZED', error: 'The registration token is not valid' };
        else session = next;
      }
    }
  }
  if (isComplete(flows, session.completed)) {
    const kept = wanted !== undefined || session.token !== undefined;
    return {
      complete: true,
      ...(kept && { session: id }),
      ...(session.token !== undefined && { token: session.token }),
    };
  }
  if (users.store.latest.get(uiaSessions, [id]) === undefined) {
    const first = session;
    await users.store.commit((tx) => tx.put(uiaSessions, [id], first));
  }
  return {
    complete: false,
    challenge: {
      flows: flows.map((stages) => ({ stages })),
      params,
      session: id,
      ...(session.completed.length > 0 && { completed: session.completed }),
      ...problem,
    },
  };
}

/**
 * Uses up a completed authentication, in the transaction that does what it was for. M_FORBIDDEN where another request
 * was faster.
 */
export function finishUia(tx: Tx, done: UiaDone): void {
  if (done.session === undefined) return;
  if (!tx.has(uiaSessions, [done.session])) {
    throw new MatrixError('M_FORBIDDEN', 'The authentication session was used already');
  }
  tx.delete(uiaSessions, [done.session]);
}

/** `finishUia` in a transaction of its own, for work that is no single transaction. */
export async function useUp(users: Users, done: UiaDone): Promise<void> {
  if (done.session !== undefined) await users.store.commit((tx) => finishUia(tx, done));
}

function newSession(users: Users, request: UiaRequest): UiaSession {
  return {
    createdTs: users.clock.now(),
    ...(request.user !== undefined && { user: request.user }),
    method: request.method,
    path: request.path,
    bodyHash: request.probe ? UNBOUND : bodyHash(users, request.body),
    completed: [],
  };
}

/**
 * Hash over the body without `auth`, under a key that lives as long as the process: the body may hold a password, and a
 * plain hash of it on disk would invite guessing.
 */
function bodyHash(users: Users, body: JsonObject): string {
  users.uia.key ??= users.random.bytes(KEY_BYTES);
  return hmacSha256(users.uia.key, canonicalBytesWithout(body, ['auth']));
}

function findSession(users: Users, id: string): UiaSession | undefined {
  const session = users.store.latest.get(uiaSessions, [id]);
  return session === undefined || hasExpired(users, session) ? undefined : session;
}

function hasExpired(users: Users, session: UiaSession): boolean {
  // Of an earlier run: nothing could be compared with it, since the key is another now.
  if (session.createdTs < users.uia.openedTs) return true;
  return session.createdTs + LIFETIME_MS <= users.clock.now();
}

/** The session, which must have been begun for this request: M_FORBIDDEN otherwise. */
function bound(users: Users, session: UiaSession, request: UiaRequest): UiaSession {
  const now = newSession(users, request);
  const bodyHash = session.bodyHash === UNBOUND ? now.bodyHash : session.bodyHash;
  if (
    session.user !== now.user ||
    session.method !== now.method ||
    session.path !== now.path ||
    bodyHash !== now.bodyHash
  ) {
    throw new MatrixError('M_FORBIDDEN', 'The request differs from the one that the authentication was begun for');
  }
  return { ...session, bodyHash };
}

function startsWith(flow: Flow, stages: readonly string[]): boolean {
  return stages.every((stage, i) => flow[i] === stage);
}

function isComplete(flows: readonly Flow[], completed: readonly string[]): boolean {
  return flows.some((flow) => flow.length === completed.length && startsWith(flow, completed));
}

/** What is wrong with the attempt, or undefined where the stage is passed. */
async function tryStage(
  users: Users,
  request: UiaRequest,
  flows: readonly Flow[],
  session: UiaSession,
  auth: JsonObject,
  type: string,
): Promise<{ readonly errcode: string; readonly error: string } | undefined> {
  if (!flows.some((flow) => startsWith(flow, [...session.completed, type]))) {
    const name = type.slice(0, MAX_TRIED_TYPE_LENGTH);
    return { errcode: 'M_UNRECOGNIZED', error: `'${name}' is no stage that could be next` };
  }
  switch (type as Stage) {
    case 'm.login.dummy':
    case 'm.login.terms':
      return undefined;
    case 'm.login.registration_token': {
      const token = ownString(auth, 'token');
      if (token === undefined) return { errcode: 'M_MISSING_PARAM', error: "'token' is missing" };
      const valid = isTokenValid(findRegistrationToken(users.store.latest, token), users.clock.now());
      return valid ? undefined : { errcode: 'M_UNAUTHORIZED', error: 'The registration token is not valid' };
    }
    case 'm.login.password': {
      const password = ownString(auth, 'password');
      if (password === undefined || password === '')
        return { errcode: 'M_MISSING_PARAM', error: "'password' is missing" };
      const named = namedUser(auth);
      const user = named === undefined ? request.user : localUser(users, named);
      if (user === undefined || user !== request.user) {
        throw new MatrixError('M_FORBIDDEN', 'Only the owner of the account can authorise this');
      }
      const verified = await verifyPassword(users, user, password);
      return verified === undefined ? { errcode: 'M_FORBIDDEN', error: 'Wrong password' } : undefined;
    }
  }
}

/** The user that a password stage or a login names, by `identifier` or the older `user`. */
export function namedUser(object: JsonObject): string | undefined {
  const identifier = own(object, 'identifier');
  if (isObject(identifier)) {
    return ownString(identifier, 'type') === 'm.id.user' ? ownString(identifier, 'user') : undefined;
  }
  return ownString(object, 'user');
}

/** Whether `stage` of a registration may be passed apart from the client: it could be next in a flow, or was passed. */
export function mayPassApart(users: Users, id: string, stage: Stage, flows: readonly Flow[]): boolean {
  const session = findSession(users, id);
  // Sessions of somebody who is logged in are for what only their client asks.
  if (session === undefined || session.user !== undefined) return false;
  const { completed } = session;
  return completed.includes(stage) || flows.some((flow) => startsWith(flow, [...completed, stage]));
}

/** Passes a stage that a browser has seen to; the client learns it by its next request. False as `mayPassApart`. */
export async function passApart(users: Users, id: string, stage: Stage, flows: readonly Flow[]): Promise<boolean> {
  const session = findSession(users, id);
  if (session === undefined || !mayPassApart(users, id, stage, flows)) return false;
  return (await completeStage(users, id, session, stage, undefined, true)) !== undefined;
}

/**
 * Writes a passed stage into the session; undefined where the registration token was used up meanwhile. A session that
 * one request both begins and completes is not kept, unless it holds a use of a token.
 */
async function completeStage(
  users: Users,
  id: string,
  session: UiaSession,
  type: string,
  token: string | undefined,
  isKept: boolean,
): Promise<UiaSession | undefined> {
  if (!isKept && token === undefined) return { ...session, completed: [...session.completed, type] };
  return await users.store.commit((tx) => {
    const latest = tx.get(uiaSessions, [id]) ?? session;
    if (latest.completed.includes(type)) return latest;
    if (token !== undefined && !reserveUse(tx, token, users.clock.now())) return undefined;
    const next: UiaSession = {
      ...latest,
      bodyHash: session.bodyHash,
      completed: [...latest.completed, type],
      ...(token !== undefined && { token }),
    };
    tx.put(uiaSessions, [id], next);
    return next;
  });
}

/** Ends sessions that were abandoned, and gives back the uses of tokens that they hold. At most every ten minutes. */
async function sweep(users: Users): Promise<void> {
  const nowMs = users.clock.now();
  if (nowMs - users.uia.sweptTs < SWEEP_EVERY_MS) return;
  users.uia.sweptTs = nowMs;
  const rows = await users.store.list(uiaSessions, { limit: MAX_SWEPT });
  const expired = rows.filter(([, session]) => hasExpired(users, session));
  if (expired.length === 0) return;
  await users.store.commit((tx) => {
    for (const [key] of expired) {
      const session = tx.get(uiaSessions, key);
      if (session === undefined) continue;
      if (session.token !== undefined) releaseUse(tx, session.token);
      tx.delete(uiaSessions, key);
    }
  });
}
