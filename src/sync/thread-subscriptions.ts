import type { UserId } from '#core/ids.js';
import type { JsonObject, JsonValue } from '#core/json-value.js';
import type { Position, Store } from '#store/types.js';
import { type SubscriptionChange, subscriptionChanges } from '#users/thread-subscriptions.js';

/** Most changes of one answer. */
const MOST_CHANGES = 100;

/** A page of a user's thread subscriptions, newest change first. */
export interface SubscriptionPage {
  /** `subscribed` and `unsubscribed`, each absent where there are none. */
  readonly body: JsonObject;
  /** Position to go on backwards from; absent where nothing is left. */
  readonly end?: Position;
}

/**
 * Thread subscriptions that last changed in (`after`, `upTo`], in the form of MSC4308; `limit` is held to a hundred.
 */
export async function subscriptionPage(
  store: Store,
  user: UserId,
  after: Position,
  upTo: Position,
  limit = MOST_CHANGES,
): Promise<SubscriptionPage> {
  const { changes, end } = await subscriptionChanges(store, user, after, upTo, Math.min(limit, MOST_CHANGES));
  const subscribed: Record<string, Record<string, JsonValue>> = {};
  const unsubscribed: Record<string, Record<string, JsonValue>> = {};
  for (const change of changes) {
    const into = change.state === 'unsubscribed' ? unsubscribed : subscribed;
    into[change.roomId] ??= {};
    into[change.roomId]![change.root] = entry(change);
  }
  return {
    body: {
      ...(Object.keys(subscribed).length > 0 && { subscribed }),
      ...(Object.keys(unsubscribed).length > 0 && { unsubscribed }),
    },
    ...(end === undefined ? {} : { end }),
  };
}

function entry({ state, bumpStamp }: SubscriptionChange): JsonObject {
  return state === 'unsubscribed'
    ? { bump_stamp: bumpStamp }
    : { automatic: state === 'automatic', bump_stamp: bumpStamp };
}
