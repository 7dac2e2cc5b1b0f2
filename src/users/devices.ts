import { MatrixError } from '#core/errors.js';
import { DeviceId, type UserId } from '#core/ids.js';
import { type Device, dehydratedDevices, devices } from '#store/schema.js';
import type { Reader, Tx } from '#store/types.js';
import { deviceListChanged } from '#users/device-lists.js';
import { dropInbox } from '#users/to-device.js';
import { revokeTokens } from '#users/tokens.js';
import type { Users } from '#users/users.js';

/** Longest name of a device, in UTF-16 units. */
const MAX_DISPLAY_NAME = 100;
/** Devices read at once; whoever has more gets the first so many. */
const MAX_DEVICES = 5_000;
const NEW_DEVICE_ID_LETTERS = 10;

/** A device as clients see it. */
export interface DeviceView {
  readonly device_id: string;
  readonly display_name?: string;
  readonly last_seen_ip?: string;
  readonly last_seen_ts?: number;
}

function checkDisplayName(name: string): string {
  if (name.length > MAX_DISPLAY_NAME) {
    throw new MatrixError('M_INVALID_PARAM', `A device name may have at most ${MAX_DISPLAY_NAME} characters`);
  }
  return name;
}

/** A device id of ten capital letters. */
export function newDeviceId(users: Users): DeviceId {
  let id = '';
  for (const byte of users.random.bytes(NEW_DEVICE_ID_LETTERS)) id += String.fromCharCode(65 + (byte % 26));
  return DeviceId.parse(id)!;
}

/** The device, made now where the user has none of that id; `displayName` and `ip` count for a new one only. */
export function ensureDevice(
  tx: Tx,
  user: UserId,
  device: DeviceId,
  made: { readonly nowMs: number; readonly displayName?: string | undefined },
): void {
  if (tx.has(devices, [user, device])) return;
  tx.put(devices, [user, device], {
    createdTs: made.nowMs,
    ...(made.displayName !== undefined && { displayName: checkDisplayName(made.displayName) }),
    position: deviceListChanged(tx, user),
  });
}

/** The user's device, or undefined. */
export function findDevice(reader: Reader, user: UserId, device: string): Device | undefined {
  return reader.get(devices, [user, device]);
}

function view(users: Users, user: UserId, id: string, device: Device): DeviceView {
  const seen = users.lastSeen.pending(user, id);
  const ip = seen?.ip ?? device.lastSeenIp;
  const ts = seen?.ts ?? device.lastSeenTs;
  return {
    device_id: id,
    ...(device.displayName !== undefined && { display_name: device.displayName }),
    ...(ip !== undefined && { last_seen_ip: ip }),
    ...(ts !== undefined && { last_seen_ts: ts }),
  };
}

/** The ids of the user's devices, at most 5,000. */
export async function deviceIds(users: Users, user: UserId): Promise<string[]> {
  const rows = await users.store.list(devices, { prefix: [user], limit: MAX_DEVICES });
  return rows.map(([[, id]]) => id);
}

/** The user's devices as they see them. */
export async function listDevices(users: Users, user: UserId): Promise<DeviceView[]> {
  const rows = await users.store.list(devices, { prefix: [user], limit: MAX_DEVICES });
  return rows.map(([[, id], device]) => view(users, user, id, device));
}

/** One device as its user sees it; M_NOT_FOUND where there is none. */
export function getDevice(users: Users, user: UserId, device: string): DeviceView {
  const row = users.store.get(devices, [user, device]);
  if (row === undefined) throw new MatrixError('M_NOT_FOUND', 'No such device');
  return view(users, user, device, row);
}

/** Renames a device; without `displayName` only says whether it exists. M_NOT_FOUND where it does not. */
export async function renameDevice(
  users: Users,
  user: UserId,
  device: string,
  displayName: string | undefined,
): Promise<void> {
  if (displayName !== undefined) checkDisplayName(displayName);
  await users.store.commit((tx) => {
    const row = tx.get(devices, [user, device]);
    if (row === undefined) throw new MatrixError('M_NOT_FOUND', 'No such device');
    if (displayName === undefined || displayName === row.displayName) return;
    tx.put(devices, [user, device], { ...row, displayName });
    deviceListChanged(tx, user);
  });
}

/** Hands `fn` the rows of devices as they are seen: called with when and whence, by `users/last-seen.ts` alone. */
export function markSeen(
  tx: Tx,
  user: string,
  device: string,
  seen: { readonly ts: number; readonly ip: string; readonly userAgent?: string | undefined },
): void {
  const row = tx.get(devices, [user, device]);
  if (row === undefined) return;
  const { userAgent: _, ...kept } = row;
  tx.put(devices, [user, device], {
    ...kept,
    lastSeenTs: seen.ts,
    lastSeenIp: seen.ip,
    ...(seen.userAgent !== undefined && { userAgent: seen.userAgent.slice(0, 256) }),
  });
}

/** Called in the transaction that deletes a device, for rows that other parts keep of it (keys, pushers). */
export type DeviceObserver = (tx: Tx, user: string, device: string) => void;

/**
 * Deletes devices with their tokens and inboxes; unknown ones are passed over. Sessions on them end with this
 * transaction, whatever is running.
 */
export async function deleteDevices(users: Users, user: UserId, ids: readonly string[]): Promise<void> {
  const gone = await users.store.commit((tx) => {
    const found = [...new Set(ids)].filter((id) => tx.has(devices, [user, id]));
    for (const id of found) removeDevice(tx, users, user, id);
    if (found.length > 0) deviceListChanged(tx, user);
    return found;
  });
  for (const id of gone) await dropInbox(users, user, id);
}

/**
 * Deletes devices that were longest unused until one more fits under `maxDevices`, where `wanted` (undefined: a new one)
 * is not among them already: bots that log in at each start would otherwise fill every list of devices, and to refuse the
 * login would lock their owner out. Logins at the same moment can pass the bound by their number; the next one mends it.
 */
export async function makeRoomForDevice(users: Users, user: UserId, wanted: DeviceId | undefined): Promise<void> {
  if (wanted !== undefined && users.store.has(devices, [user, wanted])) return;
  const rows = await users.store.list(devices, { prefix: [user], limit: MAX_DEVICES });
  const tooMany = rows.length + 1 - users.options.maxDevices;
  if (tooMany <= 0) return;
  // Nobody ever logs in as the dehydrated device: it sleeps until its owner has no other left.
  const asleep = users.store.get(dehydratedDevices, [user])?.device;
  const oldest = rows
    .filter(([[, id]]) => id !== asleep)
    .map(([[, id], device]) => ({ id, usedTs: view(users, user, id, device).last_seen_ts ?? device.createdTs }))
    .sort((a, b) => a.usedTs - b.usedTs)
    .slice(0, tooMany);
  const ids = oldest.map(({ id }) => id);
  await deleteDevices(users, user, ids);
}

/** Deletes one device with its tokens and keys; its inbox and the news of it are the caller's to see to. */
export function removeDevice(tx: Tx, users: Users, user: UserId, id: string): void {
  revokeTokens(tx, user, id);
  tx.delete(devices, [user, id]);
  for (const observe of users.onDeviceDeleted) observe(tx, user, id);
}

/** Deletes all devices of the user but `except`, those included that a login makes meanwhile. */
export async function deleteAllDevices(users: Users, user: UserId, except?: DeviceId): Promise<void> {
  for (;;) {
    const ids = (await deviceIds(users, user)).filter((id) => id !== except);
    if (ids.length === 0) return;
    await deleteDevices(users, user, ids);
  }
}
