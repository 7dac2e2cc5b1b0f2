import { type Check, rowCheck } from '#store/checks.js';
import { devices, events, pushBadges, pushDeliveries, pushers, pusherUsers, pushes, users } from '#store/schema.js';
import type { Reader } from '#store/types.js';

function hasPusher(store: Reader, user: string, id: number): boolean {
  return store.get(pushers, [user])?.some((pusher) => pusher.id === id) === true;
}

/** Pushers and what they have yet to tell. */
export const PUSH_CHECKS: readonly Check[] = [
  rowCheck(pushers, function* ({ store, reserved }, [user], all) {
    if (!store.has(users, [user])) yield `there is no account ${user}`;
    if (new Set(all.map(({ id }) => id)).size < all.length) yield 'has two pushers with one queue';
    for (const { id, appId, pushkey, device } of all) {
      if (id > reserved) yield `the queue ${id} lies past the reserved positions`;
      if (!store.has(devices, [user, device])) yield `the device ${device} of pusher ${id} is gone`;
      if (!store.get(pusherUsers, [appId, pushkey])?.some((one) => one === user)) {
        yield `pusher ${id} is not found by its app and pushkey`;
      }
    }
  }),

  rowCheck(pusherUsers, function* ({ store }, [appId, pushkey], all) {
    for (const user of all) {
      const found = store.get(pushers, [user])?.some((one) => one.appId === appId && one.pushkey === pushkey);
      if (!found) yield `${user} has no such pusher`;
    }
  }),

  // What is queued for a pusher that is gone, whoever delivers drops later.
  rowCheck(pushes, function* ({ store }, [user, , event]) {
    if (!store.has(users, [user])) yield `there is no account ${user}`;
    if (!store.has(events, [event])) yield 'its event is not held';
  }),

  rowCheck(pushBadges, function* ({ store, reserved }, [user, id], position) {
    if (!hasPusher(store, user, id)) yield 'its pusher is gone';
    if (position > reserved) yield 'lies past the reserved positions';
  }),

  rowCheck(pushDeliveries, function* ({ store }, [user, id]) {
    if (!hasPusher(store, user, id)) yield 'its pusher is gone';
  }),
];
