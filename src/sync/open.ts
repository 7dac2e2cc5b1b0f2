import { mergeStored, toContent } from '#core/push-rules/stored.js';
import { Typing } from '#rooms/ephemeral.js';
import type { Rooms } from '#rooms/rooms.js';
import { HeldAnswers } from '#sync/held-answers.js';
import { LazyMembers } from '#sync/lazy-members.js';
import { Connections } from '#sync/sliding/connection.js';
import type { Sync, SyncSources } from '#sync/sync.js';
import { Unread } from '#sync/unread.js';
import { Views } from '#sync/views.js';
import { keyCounts } from '#users/keys/one-time-keys.js';
import { acknowledgeInbox, readInbox } from '#users/to-device.js';
import type { Users } from '#users/users.js';

/** The sync layer with what it owns: `close` ends following the log and wakes everyone who waits. */
export interface OpenedSync extends Sync {
  readonly unread: Unread;
  readonly connections: Connections;
  close(): void;
}

/** Opens the layer: counts unread events from now on, and follows the log for those who sync. */
export function openSync(rooms: Rooms, users: Users): OpenedSync {
  const { store, clock } = rooms;
  const typing = new Typing(store, clock);
  const views = new Views(store);
  const unread = new Unread(rooms, (user, pusher) => {
    for (const listener of users.onPushQueued) listener(user, pusher);
  });
  const held = new HeldAnswers(clock);
  const connections = new Connections(store, clock, rooms.random);
  users.onDeviceDeleted.push((tx, user, device) => connections.forget(tx, user, device));
  return {
    rooms,
    clock,
    typing,
    views,
    unread,
    connections,
    lazy: new LazyMembers(),
    held,
    sources: sourcesOf(users),
    close() {
      views.close();
      held.close();
      unread.close();
      typing.close();
    },
  };
}

function sourcesOf(users: Users): SyncSources {
  return {
    accountDataOf: (user, roomId, type, stored) =>
      roomId === '' && type === 'm.push_rules' ? toContent(mergeStored(user, stored)) : (stored ?? {}),
    inbox: (user, device, after, upTo, limit) => readInbox(users, user, device, after, upTo, limit),
    acknowledge: (user, device, upTo) => acknowledgeInbox(users, user, device, upTo),
    presenceOf: (user) => {
      const seen = users.presences.view(user);
      return seen && { position: seen.position, event: { type: 'm.presence', sender: user, content: seen.content } };
    },
    presentUsers: () => users.presences.known(),
    keyCounts: (user, device) => keyCounts(users.store, user, device),
  };
}
