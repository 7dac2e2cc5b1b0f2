import { MatrixError } from '#core/errors.js';
import { type RoomId, UserId } from '#core/ids.js';
import { memberships, rooms as roomHeads, userTasks } from '#store/schema.js';
import type { Tx } from '#store/types.js';
import { purgeAccount } from '#users/purge.js';
import type { Users } from '#users/users.js';

type TaskKind = 'deactivate' | 'profile';
/** Rooms walked at once: enough to share disk writes, few enough to leave room for others. */
const WIDTH = 4;
const MAX_ROOMS = 100_000;

/** Notes in `tx` that work on all rooms of `user` has begun, so that it goes on after a crash. `runTask` then does it. */
export function startTask(tx: Tx, users: Users, user: UserId, task: TaskKind): void {
  tx.put(userTasks, [user, task], { id: users.random.token(6), sinceTs: users.clock.now() });
}

/**
 * Does the work of a noted task, once what runs for the same user has ended. Never rejects: what fails is reported, and
 * the task stays noted for the next start.
 */
export function runTask(users: Users, user: UserId, task: TaskKind): Promise<void> {
  const before = users.running.get(user) ?? Promise.resolve();
  const settled = before
    .then(() => work(users, user, task))
    .catch((error: unknown) => users.onTaskError(error))
    .finally(() => {
      if (users.running.get(user) === settled) users.running.delete(user);
    });
  users.running.set(user, settled);
  return settled;
}

async function work(users: Users, user: UserId, task: TaskKind): Promise<void> {
  const row = users.store.get(userTasks, [user, task]);
  if (row === undefined) return;
  if (task === 'deactivate') await purgeAccount(users, user);
  await eachRoom(users, user, task);
  if (users.stop.signal.aborted) return;
  await users.store.commit((tx) => {
    // A newer request of the same kind has its own turn after this one, and must find its note.
    if (tx.get(userTasks, [user, task])?.id === row.id) tx.delete(userTasks, [user, task]);
  });
}

async function eachRoom(users: Users, user: UserId, task: TaskKind): Promise<void> {
  const rooms = await roomsOf(users, user, task === 'profile' ? ['join'] : ['join', 'invite', 'knock']);
  let next = 0;
  let failed: { readonly error: unknown } | undefined;
  const walk = async (): Promise<void> => {
    for (let room = rooms[next++]; room !== undefined; room = rooms[next++]) {
      // A server that stops takes the task up again at its next start.
      if (users.stop.signal.aborted) return;
      try {
        if (task === 'profile') await users.rooms.showProfile(user, room);
        else await users.rooms.leave(user, room);
      } catch (error) {
        // A room that refuses would refuse again: it must not keep the task for ever. Anything else may pass.
        if (error instanceof MatrixError) users.onTaskError(error);
        else failed ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: WIDTH }, walk));
  if (failed !== undefined) throw failed.error;
}

/** Ids of the rooms in which a local user has one of the memberships. */
export async function roomsOf(users: Users, user: UserId, wanted: readonly string[]): Promise<RoomId[]> {
  const rows = await users.store.list(memberships, { prefix: [user], limit: MAX_ROOMS });
  const ids: RoomId[] = [];
  for (const [[, num], row] of rows) {
    const id = wanted.includes(row.membership) ? users.store.get(roomHeads, [num])?.id : undefined;
    if (id !== undefined) ids.push(id);
  }
  return ids;
}

/** Takes up what a crash or a stop interrupted. Resolves when all of it has run. */
export async function resumeTasks(users: Users): Promise<void> {
  const rows = await users.store.list(userTasks, { limit: MAX_ROOMS });
  await Promise.all(
    rows.map(([[name, task]]) => {
      const user = UserId.parse(name);
      return user === undefined ? undefined : runTask(users, user, task);
    }),
  );
}
