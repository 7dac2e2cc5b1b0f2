import { rosters } from '#store/schema.js';
import type { Reader, RoomNum, Tx } from '#store/types.js';

/** Users in one chunk: small enough to write anew at each join, large enough that a big room has few of them. */
export const CHUNK_USERS = 32;

/**
 * Local users joined to a room. Kept in chunks of their own because a transaction reads synchronously, by key: the
 * `members` rows of a room can only be ranged over.
 */
export function localMembers(reader: Reader, room: RoomNum): readonly string[] {
  const first = reader.get(rosters, [room, 0]) ?? [];
  const more: (readonly string[])[] = [];
  for (let chunk = 1; ; chunk++) {
    const users = reader.get(rosters, [room, chunk]);
    if (users === undefined) break;
    more.push(users);
  }
  // Most rooms have one chunk, which is given as it is.
  return more.length === 0 ? first : first.concat(...more);
}

/** Whether a user of this server is joined to the room: into others nothing is taken. */
export function isHosted(reader: Reader, room: { readonly num: RoomNum }): boolean {
  for (let chunk = 0; ; chunk++) {
    const users = reader.get(rosters, [room.num, chunk]);
    if (users === undefined) return false;
    if (users.length > 0) return true;
  }
}

/** Puts a local user on the roster; a user who is there already stays there once. */
export function addToRoster(tx: Tx, room: RoomNum, user: string): void {
  let free: { chunk: number; users: readonly string[] } | undefined;
  let chunk = 0;
  for (; ; chunk++) {
    const users = tx.get(rosters, [room, chunk]);
    if (users === undefined) break;
    if (users.includes(user)) return;
    if (free === undefined && users.length < CHUNK_USERS) free = { chunk, users };
  }
  free ??= { chunk, users: [] };
  tx.put(rosters, [room, free.chunk], [...free.users, user]);
}

/** Takes a user off the roster. Chunks that become empty stay, so that those behind them are found. */
export function removeFromRoster(tx: Tx, room: RoomNum, user: string): void {
  for (let chunk = 0; ; chunk++) {
    const users = tx.get(rosters, [room, chunk]);
    if (users === undefined) return;
    if (!users.includes(user)) continue;
    tx.put(
      rosters,
      [room, chunk],
      users.filter((other) => other !== user),
    );
    return;
  }
}
