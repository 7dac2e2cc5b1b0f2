import { MatrixError } from '#core/errors.js';
import type { DeviceId, UserId } from '#core/ids.js';
import { type JsonObject, ownString } from '#core/json-value.js';
import { type DehydratedDevice, dehydratedDevices, devices } from '#store/schema.js';
import type { Position, Tx } from '#store/types.js';
import { deviceListChanged } from '#users/device-lists.js';
import { deleteDevices, ensureDevice, removeDevice } from '#users/devices.js';
import { type KeyUpload, readKeyUpload } from '#users/keys/device-keys.js';
import { bad } from '#users/keys/key-format.js';
import { dropInbox, readInbox } from '#users/to-device.js';
import type { Users } from '#users/users.js';

const MAX_DATA_BYTES = 65_536;
/** Messages of one answer. */
const PAGE = 100;

/**
 * Stores the user's dehydrated device with its keys (MSC3814), in one transaction, in place of the one before. M_BAD_JSON,
 * M_INVALID_SIGNATURE, M_INVALID_PARAM where the id is that of a device in use.
 */
export async function putDehydrated(
  users: Users,
  user: UserId,
  device: DeviceId,
  data: JsonObject,
  displayName: string | undefined,
  upload: KeyUpload,
): Promise<void> {
  if (ownString(data, 'algorithm') === undefined) throw bad("'device_data' must have an algorithm");
  if (Buffer.byteLength(JSON.stringify(data)) > MAX_DATA_BYTES) throw bad("'device_data' is too large");
  const putKeys = readKeyUpload(user, device, upload);
  const replaced = await users.store.commit((tx) => {
    const before = tx.get(dehydratedDevices, [user])?.device;
    if (before !== device && tx.has(devices, [user, device])) {
      throw new MatrixError('M_INVALID_PARAM', 'The device is in use');
    }
    if (before !== undefined && before !== device) {
      removeDevice(tx, users, user, before);
      deviceListChanged(tx, user);
    }
    ensureDevice(tx, user, device, { nowMs: users.clock.now(), displayName });
    putKeys(tx);
    tx.put(dehydratedDevices, [user], { device, data });
    return before === device ? undefined : before;
  });
  if (replaced !== undefined) await dropInbox(users, user, replaced);
}

/** The user's dehydrated device; M_NOT_FOUND where there is none. */
export function getDehydrated(users: Users, user: UserId): DehydratedDevice {
  const row = users.store.get(dehydratedDevices, [user]);
  if (row === undefined) throw new MatrixError('M_NOT_FOUND', 'There is no dehydrated device');
  return row;
}

/** Deletes the user's dehydrated device and returns its id; M_NOT_FOUND where there is none. */
export async function deleteDehydrated(users: Users, user: UserId): Promise<DeviceId> {
  const { device } = getDehydrated(users, user);
  await deleteDevices(users, user, [device]);
  return device;
}

/**
 * Messages that the dehydrated device got after `from`, which stay until the device goes, and where the next ones begin
 * if there are more. M_FORBIDDEN for another device.
 */
export async function dehydratedInbox(
  users: Users,
  user: UserId,
  device: string,
  from: Position,
): Promise<{ readonly events: readonly JsonObject[]; readonly next: Position | undefined }> {
  if (users.store.get(dehydratedDevices, [user])?.device !== device) {
    throw new MatrixError('M_FORBIDDEN', 'This is not your dehydrated device');
  }
  const messages = await readInbox(users, user, device, from, users.store.tip, PAGE + 1);
  const page = messages.slice(0, PAGE);
  return {
    events: page.map(({ event }) => event),
    next: messages.length > page.length ? page.at(-1)!.position : undefined,
  };
}

/** Forgets that a deleted device was the dehydrated one. */
export function dropDehydrated(tx: Tx, user: string, device: string): void {
  if (tx.get(dehydratedDevices, [user])?.device === device) tx.delete(dehydratedDevices, [user]);
}
