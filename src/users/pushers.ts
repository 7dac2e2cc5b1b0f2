import { isIP } from 'node:net';
import { MatrixError } from '#core/errors.js';
import type { DeviceId, UserId } from '#core/ids.js';
import { type JsonObject, ownString } from '#core/json-value.js';
import { onlyAddresses, publicAddresses } from '#remote/public-address.js';
import { type Pusher, pushers, pusherUsers } from '#store/schema.js';
import type { Reader, Tx } from '#store/types.js';
import { findDevice } from '#users/devices.js';
import { forgetDelivery, forgetFailure } from '#users/push-queue.js';
import type { Users } from '#users/users.js';

/** Pushers of one user. */
const MAX_PUSHERS = 30;
/** Users of one pushkey who came with `append`. */
const MAX_USERS = 30;
const MAX_APP_ID = 64;
const MAX_PUSHKEY_BYTES = 512;
const MAX_TEXT = 256;
/** Largest `data`, as JSON, in bytes. */
const MAX_DATA_BYTES = 4_096;

/** The only path that a push gateway may have. */
const PATH = '/_matrix/push/v1/notify';

/** What a client says of a pusher. */
export interface PusherRequest {
  readonly appId: string;
  readonly pushkey: string;
  readonly appDisplayName: string;
  readonly deviceDisplayName: string;
  readonly profileTag?: string | undefined;
  readonly lang: string;
  readonly data: JsonObject;
  readonly enabled: boolean;
  readonly noBadge: boolean;
  /** Whether other users keep their pushers of the same app and pushkey. */
  readonly append: boolean;
}

function invalid(message: string): MatrixError {
  return new MatrixError('M_INVALID_PARAM', message);
}

/**
 * Checks the address of a push gateway as far as it can be known before its name is resolved; connecting asks again of the
 * address. Plain HTTP is for gateways in the `allowed` networks. Throws M_INVALID_PARAM with what is wrong.
 */
export function checkGateway(given: string | undefined, allowed: readonly string[]): void {
  if (given === undefined) throw new MatrixError('M_MISSING_PARAM', "'data.url' is missing");
  const url = URL.canParse(given) ? new URL(given) : undefined;
  const isPlain = url?.protocol === 'http:';
  if (url === undefined || (!isPlain && url.protocol !== 'https:')) throw invalid("'data.url' is not an https URL");
  if (url.username !== '' || url.password !== '') throw invalid("'data.url' may not carry a user name or password");
  if (url.pathname !== PATH || url.hash !== '') throw invalid(`'data.url' must have the path ${PATH}`);
  const host = url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  const address = host === 'localhost' || host.endsWith('.localhost') ? '127.0.0.1' : host;
  if (isIP(address) !== 0 && !publicAddresses(allowed)(address)) {
    throw invalid("'data.url' leads to an address that is not public and that this server is not set to push to");
  }
  const mayBePlain = isIP(address) === 0 ? allowed.length > 0 : onlyAddresses(allowed)(address);
  if (isPlain && !mayBePlain) throw invalid("'data.url' must be an https URL");
}

function checkTexts(request: PusherRequest): void {
  const { appId, pushkey } = request;
  if (appId.length > MAX_APP_ID) throw invalid(`'app_id' may have at most ${MAX_APP_ID} characters`);
  if (Buffer.byteLength(pushkey) > MAX_PUSHKEY_BYTES) {
    throw invalid(`'pushkey' may have at most ${MAX_PUSHKEY_BYTES} bytes`);
  }
  const texts = [request.appDisplayName, request.deviceDisplayName, request.lang, request.profileTag ?? ''];
  if (texts.some((text) => text.length > MAX_TEXT)) throw invalid(`Names may have at most ${MAX_TEXT} characters`);
  if (Buffer.byteLength(JSON.stringify(request.data)) > MAX_DATA_BYTES) {
    throw invalid(`'data' may have at most ${MAX_DATA_BYTES} bytes`);
  }
}

const isOf = (appId: string, pushkey: string) => (pusher: Pusher) =>
  pusher.appId === appId && pusher.pushkey === pushkey;

/**
 * Makes a pusher for `user`, or changes the one with the same app and pushkey, which stays with the device that made it
 * (MSC3881: another device may switch it off). Others' pushers of that app and pushkey go, unless `append`.
 *
 * Errors: M_INVALID_PARAM, M_MISSING_PARAM, M_LIMIT_EXCEEDED with very many, M_UNKNOWN_TOKEN where the device is gone.
 */
export async function setPusher(users: Users, user: UserId, device: DeviceId, request: PusherRequest): Promise<void> {
  checkGateway(ownString(request.data, 'url'), users.options.pushAllow);
  checkTexts(request);
  const { append, noBadge, profileTag, ...given } = request;
  const { appId, pushkey } = request;
  const isSame = isOf(appId, pushkey);
  await users.store.commit((tx) => {
    if (findDevice(tx, user, device) === undefined) throw new MatrixError('M_UNKNOWN_TOKEN', 'This session is over');
    const others = (tx.get(pusherUsers, [appId, pushkey]) ?? []).filter((other) => other !== user);
    if (!append) for (const other of others) removeWhere(users, tx, other, isSame);
    else if (others.length >= MAX_USERS) {
      throw new MatrixError('M_LIMIT_EXCEEDED', `A pushkey may have at most ${MAX_USERS} users`);
    }
    const mine = tx.get(pushers, [user]) ?? [];
    const before = mine.find(isSame);
    if (before === undefined && mine.length >= MAX_PUSHERS) {
      throw new MatrixError('M_LIMIT_EXCEEDED', `You have ${MAX_PUSHERS} pushers already`);
    }
    const made: Pusher = {
      ...given,
      id: before?.id ?? tx.position(),
      device: before?.device ?? device,
      ...(profileTag === undefined ? {} : { profileTag }),
      ...(noBadge ? { noBadge } : {}),
      ts: users.clock.now(),
    };
    tx.put(pushers, [user], [...mine.filter((pusher) => pusher !== before), made]);
    tx.put(pusherUsers, [appId, pushkey], [...(append ? others : []), user]);
    forgetFailure(tx, user, made.id);
    tx.afterCommit(() => tell(users, user, made.id));
  });
}

/** Removes the user's pusher of an app and pushkey, where there is one. */
export async function removePusher(users: Users, user: UserId, appId: string, pushkey: string): Promise<void> {
  await users.store.commit((tx) => removeWhere(users, tx, user, isOf(appId, pushkey)));
}

/** Removes a pusher whose gateway refused its pushkey, unless it was set again since it was `seen` so. */
export async function removeRejected(users: Users, user: UserId, seen: Pusher): Promise<void> {
  await users.store.commit((tx) => removeWhere(users, tx, user, ({ id, ts }) => id === seen.id && ts === seen.ts));
}

/** Removes the pushers of a device, in the transaction that deletes it. */
export function removeOfDevice(users: Users, tx: Tx, user: UserId, device: string): void {
  removeWhere(users, tx, user, (pusher) => pusher.device === device);
}

/** The user's pushers, in the order in which they were last set. */
export function listPushers(reader: Reader, user: UserId): readonly Pusher[] {
  return reader.get(pushers, [user]) ?? [];
}

function removeWhere(users: Users, tx: Tx, user: UserId, goes: (pusher: Pusher) => boolean): void {
  const mine = tx.get(pushers, [user]) ?? [];
  const gone = mine.filter(goes);
  if (gone.length === 0) return;
  const left = mine.filter((pusher) => !gone.includes(pusher));
  if (left.length > 0) tx.put(pushers, [user], left);
  else tx.delete(pushers, [user]);
  for (const { appId, pushkey, id } of gone) {
    const others = (tx.get(pusherUsers, [appId, pushkey]) ?? []).filter((other) => other !== user);
    if (others.length > 0) tx.put(pusherUsers, [appId, pushkey], others);
    else tx.delete(pusherUsers, [appId, pushkey]);
    forgetDelivery(tx, user, id);
    // Its queue is dropped by whoever delivers.
    tx.afterCommit(() => tell(users, user, id));
  }
}

function tell(users: Users, user: UserId, pusher: number): void {
  for (const listener of users.onPushQueued) listener(user, pusher);
}
