import { verifyJson } from '#core/signing.js';
import { type Check, rowCheck } from '#store/checks.js';
import {
  backupSessions,
  backups,
  backupVersions,
  crossSigningKeys,
  dehydratedDevices,
  deviceKeys,
  devices,
  keyedDevices,
  keyQueues,
  keySignatures,
  oneTimeKeyIds,
  oneTimeKeys,
  signedUsers,
  users,
} from '#store/schema.js';
import { isToldAt } from '#store/verify-rows.js';
import { publicKeyOf } from '#users/keys/key-format.js';

/** Keys of devices and people, and their backups. */
export const KEY_CHECKS: readonly Check[] = [
  rowCheck(deviceKeys, function* ({ store }, [user, device]) {
    if (!store.has(devices, [user, device])) yield 'its device is gone';
    if (!store.get(keyedDevices, [user])?.includes(device)) yield "is not among the user's devices with keys";
  }),
  rowCheck(keyedDevices, function* ({ store }, [user], ids) {
    for (const id of ids) if (!store.has(deviceKeys, [user, id])) yield `names ${id}, which has no keys`;
  }),

  rowCheck(oneTimeKeys, function* ({ store }, [user, device, algorithm, sequence], { id }) {
    const places = store.get(keyQueues, [user, device])?.algorithms ?? {};
    const place = Object.hasOwn(places, algorithm) ? places[algorithm] : undefined;
    if (place === undefined || sequence >= place.next) yield 'lies outside the queue of its device';
    const named = store.get(oneTimeKeyIds, [user, device, id]);
    if (named === undefined || named < sequence) yield 'its id does not lead to it';
  }),

  rowCheck(keyQueues, function* ({ store, reserved }, [user, device], { algorithms, position }) {
    if (!store.has(devices, [user, device])) yield 'its device is gone';
    if (position > reserved) yield 'lies past the reserved positions';
    for (const [algorithm, { first, next }] of Object.entries(algorithms)) {
      for (let sequence = first; sequence < next; sequence++) {
        if (!store.has(oneTimeKeys, [user, device, algorithm, sequence]))
          yield `key ${sequence} of ${algorithm} is missing`;
      }
    }
  }),

  rowCheck(oneTimeKeyIds, function* ({ store }, [user, device, id], sequence) {
    const algorithm = id.slice(0, id.indexOf(':'));
    if (store.get(oneTimeKeys, [user, device, algorithm, sequence])?.id !== id) yield 'there is no such key';
  }),

  rowCheck(backups, function* ({ store }, [user], { current, last }) {
    if (current === undefined) return;
    const row = current > last ? undefined : store.get(backupVersions, [user, current]);
    if (row === undefined || row.deleted) yield `its current version ${current} is not there`;
  }),

  rowCheck(backupSessions, function* ({ store }, [user, version]) {
    if (!store.has(backupVersions, [user, version])) yield 'its backup version is not there';
  }),

  rowCheck(dehydratedDevices, function* ({ store }, [user], { device }) {
    if (!store.has(devices, [user, device])) yield 'its device is gone';
  }),

  rowCheck(backupVersions, async function* ({ store }, [user, version], { count, deleted }) {
    if (version > (store.get(backups, [user])?.last ?? 0)) yield 'is newer than the newest';
    // Sessions of what is deleted go in slices, which are not counted.
    if (deleted || store.get(users, [user])?.deactivated) return;
    let held = 0;
    for await (const _ of store.range(backupSessions, { prefix: [user, version] })) held++;
    if (held !== count) yield `counts ${count} sessions, there are ${held}`;
  }),

  rowCheck(crossSigningKeys, function* ({ store }, [user, role], key) {
    if (!store.has(users, [user])) yield `there is no account ${user}`;
    if (key['user_id'] !== user) yield 'is a key of somebody else';
    if (role === 'master') return;
    const master = store.get(crossSigningKeys, [user, 'master']);
    const by = master === undefined ? undefined : publicKeyOf(master);
    if (by === undefined) yield 'there is no master key';
    else if (!verifyJson(key, user, by.id, by.value)) yield 'is not signed by the master key';
  }),

  rowCheck(keySignatures, function* ({ store, reserved }, [user, , signer], signatures) {
    for (const one of [user, signer]) if (!store.has(users, [one])) yield `there is no account ${one}`;
    if (Object.keys(signatures).length === 0) yield 'holds no signature';
    if (user === signer) return;
    const position = store.get(signedUsers, [signer, user]);
    if (position === undefined || position > reserved) yield 'the log does not say when it was made';
  }),

  rowCheck(signedUsers, function* ({ store, reserved }, [signer, user], position) {
    if (position > reserved) yield 'lies past the reserved positions';
    if (!isToldAt(store, position, { kind: 'deviceList', user, only: signer })) {
      yield `is not told in the log at ${position}`;
    }
  }),
];
