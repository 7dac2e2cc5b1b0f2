import { MatrixError } from '#core/errors.js';
import { type DeviceId, UserId } from '#core/ids.js';
import { isObject, type JsonObject } from '#core/json-value.js';
import { devices, inboxCounts, toDevice, toDeviceTxns } from '#store/schema.js';
import type { Position, Tx } from '#store/types.js';
import type { Users } from '#users/users.js';
import { digest } from '#util/digest.js';

const MAX_TYPE_BYTES = 255;
const MAX_TXN_ID_LENGTH = 255;
/** Messages that one request may send, a `*` counted as the devices that it stands for. */
const MAX_MESSAGES = 10_000;
const MAX_CONTENT_BYTES = 1 << 16;
/** Messages that wait for one device at most: whoever sends more to a device that never syncs sends into the void. */
const MAX_INBOX = 100_000;
/** Devices that `*` stands for at most. */
const MAX_DEVICES = 5_000;
/** Transactions of a device remembered, and how many characters of each one's hash. */
const REMEMBERED = 128;
const HASH_LENGTH = 12;
const DELETED_AT_ONCE = 1_000;

/** A message in an inbox, as a sync hands it on. */
export interface InboxMessage {
  readonly position: Position;
  readonly event: { readonly type: string; readonly sender: string; readonly content: JsonObject };
}

interface Outgoing {
  readonly user: UserId;
  /** Undefined for all devices. */
  readonly device: string | undefined;
  readonly content: JsonObject;
}

/** The messages of a request's body, by user and device; M_BAD_JSON and M_TOO_LARGE where it is not right. */
function outgoing(messages: JsonObject): Outgoing[] {
  const found: Outgoing[] = [];
  for (const [name, byDevice] of Object.entries(messages)) {
    const user = UserId.parse(name);
    if (user === undefined || !isObject(byDevice)) {
      throw new MatrixError('M_BAD_JSON', "'messages' must map user ids to maps of devices");
    }
    for (const [device, content] of Object.entries(byDevice)) {
      if (!isObject(content)) throw new MatrixError('M_BAD_JSON', 'A message must be an object');
      found.push({ user, device: device === '*' ? undefined : device, content });
      if (found.length > MAX_MESSAGES) throw tooMany();
    }
  }
  return found;
}

function tooMany(): MatrixError {
  return new MatrixError('M_TOO_LARGE', `One request may send at most ${MAX_MESSAGES} messages`);
}

/**
 * Puts messages into the inboxes of devices (client-server API, Send-to-device messaging). The sender is always the
 * caller. A transaction id that the caller's device has used for this type sends nothing again. Devices that do not exist
 * are passed over.
 */
export async function sendToDevice(
  users: Users,
  from: { readonly user: UserId; readonly device: DeviceId },
  type: string,
  txnId: string,
  messages: JsonObject,
): Promise<void> {
  if (type === '' || Buffer.byteLength(type) > MAX_TYPE_BYTES || txnId.length > MAX_TXN_ID_LENGTH) {
    throw new MatrixError('M_INVALID_PARAM', 'The type or the transaction id is too long');
  }
  const local = outgoing(messages).filter((message) => UserId.serverName(message.user) === users.serverName);
  for (const { content } of local) {
    if (Buffer.byteLength(JSON.stringify(content)) > MAX_CONTENT_BYTES) {
      throw new MatrixError('M_TOO_LARGE', `A message may have at most ${MAX_CONTENT_BYTES} bytes`);
    }
  }
  const addressed: { readonly user: UserId; readonly device: string; readonly content: JsonObject }[] = [];
  for (const { user, device, content } of local) {
    const ids = device === undefined ? await devicesOf(users, user) : [device];
    if (addressed.length + ids.length > MAX_MESSAGES) throw tooMany();
    for (const id of ids) addressed.push({ user, device: id, content });
  }
  const mark = digest(`${type}\0${txnId}`).slice(0, HASH_LENGTH);
  await users.store.commit((tx) => {
    const used = tx.get(toDeviceTxns, [from.user, from.device]) ?? [];
    if (used.includes(mark)) return;
    tx.put(toDeviceTxns, [from.user, from.device], [...used, mark].slice(-REMEMBERED));
    for (const { user, device, content } of addressed) {
      deliver(tx, user, device, { type, sender: from.user, content });
    }
  });
}

/** Puts one message into one inbox; nothing where the device does not exist, or has as many as it may have. */
export function deliver(
  tx: Tx,
  user: UserId,
  device: string,
  message: { readonly type: string; readonly sender: string; readonly content: JsonObject },
): void {
  if (!tx.has(devices, [user, device])) return;
  const held = tx.get(inboxCounts, [user, device]) ?? 0;
  if (held >= MAX_INBOX) return;
  tx.put(inboxCounts, [user, device], held + 1);
  const position = tx.position();
  tx.put(toDevice, [user, device, position], message);
  tx.fact(position, { kind: 'toDevice', user, device });
}

async function devicesOf(users: Users, user: UserId): Promise<string[]> {
  const rows = await users.store.list(devices, { prefix: [user], limit: MAX_DEVICES });
  return rows.map(([[, id]]) => id);
}

/**
 * Messages of a device at positions in (`after`, `upTo`], oldest first, at most `limit`. Those of a deleted device of the
 * same id are not among them, also where the server ended before it had deleted them.
 */
export async function readInbox(
  users: Users,
  user: UserId,
  device: string,
  after: Position,
  upTo: Position,
  limit: number,
): Promise<InboxMessage[]> {
  if (!users.store.has(inboxCounts, [user, device])) return [];
  const made = users.store.get(devices, [user, device])?.position ?? 0;
  const gt = [Math.max(after, made)];
  const rows = await users.store.list(toDevice, { prefix: [user, device], gt, lte: [upTo], limit });
  return rows.map(([[, , position], { type, sender, content }]) => ({ position, event: { type, sender, content } }));
}

/** The device has what came up to `upTo`: those messages and their rows in the log go. */
export async function acknowledgeInbox(users: Users, user: UserId, device: string, upTo: Position): Promise<void> {
  // An empty inbox, which it nearly always is, costs one point read.
  while (users.store.has(inboxCounts, [user, device])) {
    const rows = await users.store.list(toDevice, { prefix: [user, device], lte: [upTo], limit: DELETED_AT_ONCE });
    if (rows.length === 0) return;
    await users.store.commit((tx) => {
      let held = tx.get(inboxCounts, [user, device]) ?? 0;
      for (const [key] of rows) {
        if (!tx.has(toDevice, key)) continue;
        tx.delete(toDevice, key);
        tx.retract(key[2]);
        held--;
      }
      if (held > 0) tx.put(inboxCounts, [user, device], held);
      else tx.delete(inboxCounts, [user, device]);
    });
    if (rows.length < DELETED_AT_ONCE) return;
  }
}

/** Forgets everything of a deleted device. */
export async function dropInbox(users: Users, user: UserId, device: string): Promise<void> {
  await acknowledgeInbox(users, user, device, Number.MAX_SAFE_INTEGER);
  if (users.store.has(toDeviceTxns, [user, device])) {
    await users.store.commit((tx) => tx.delete(toDeviceTxns, [user, device]));
  }
}
