import type { UserId } from '#core/ids.js';
import { type JsonObject, own } from '#core/json-value.js';
import { shownTo, textOfState } from '#rooms/erasure.js';
import { redactionOf } from '#rooms/redactions.js';
import { type Rooms, roomByNum } from '#rooms/rooms.js';
import type { StoredEvent } from '#store/events.js';
import { members, memberships, notices, type Pusher, unread } from '#store/schema.js';
import type { EventNum, Store } from '#store/types.js';

/** What a gateway is told: the `notification` of the push gateway API. */
export type Notification = JsonObject;

/** The event, where its push still makes sense for `user`: it is unread, and not redacted; or it is an invite that stands. */
export function stillWanted(rooms: Rooms, user: UserId, num: EventNum): StoredEvent | undefined {
  const { store } = rooms;
  const event = rooms.events.get(store, num);
  if (event === undefined || redactionOf(rooms, store, event.pdu.event_id) !== undefined) return undefined;
  const now = store.get(memberships, [user, event.room]);
  if (now?.membership === 'invite') return now.event === num ? event : undefined;
  if (now?.membership !== 'join' || !store.has(notices, [user, event.room, event.order])) return undefined;
  const from = store.get(unread, [user, event.room])?.from;
  return from === undefined || event.order > from ? event : undefined;
}

/** How many notifying events `user` has not read, in all rooms that they are in. */
export async function badgeOf(store: Store, user: UserId): Promise<number> {
  let badge = 0;
  for await (const [[, room], { threads }] of store.range(unread, { prefix: [user] })) {
    let inRoom = 0;
    for (const { notify } of Object.values(threads)) inRoom += notify;
    if (inRoom > 0 && store.get(memberships, [user, room])?.membership === 'join') badge += inRoom;
  }
  return badge;
}

/** Notifies of an event: its id alone, or all that the push gateway API names, as the pusher's `format` says. */
export function eventNotification(
  rooms: Rooms,
  user: UserId,
  pusher: Pusher,
  stored: StoredEvent,
  { tweaks, badge }: { readonly tweaks: JsonObject; readonly badge: number },
): Notification {
  const { room: num } = stored;
  const pdu = shownTo(rooms, rooms.store, stored, user);
  // What is encrypted may be anything: only the client can tell, once it is awake.
  const isUrgent =
    pdu.type === 'm.room.encrypted' || own(tweaks, 'highlight') === true || own(tweaks, 'sound') !== undefined;
  const about = { event_id: pdu.event_id, room_id: pdu.room_id, prio: isUrgent ? 'high' : 'low' };
  const counts = countsOf(pusher, badge);
  if (own(pusher.data, 'format') === 'event_id_only') return { ...about, ...counts, devices: [deviceOf(pusher)] };
  const { state } = roomByNum(rooms.store, num).head;
  const name = textOfState(rooms, rooms.store, state, user, ['m.room.name', 'name']);
  const alias = textOfState(rooms, rooms.store, state, user, ['m.room.canonical_alias', 'alias']);
  const senderName = rooms.store.get(members, [num, pdu.sender])?.displayname;
  return {
    ...about,
    type: pdu.type,
    sender: pdu.sender,
    ...(senderName === undefined ? {} : { sender_display_name: senderName }),
    ...(name === undefined || name === '' ? {} : { room_name: name }),
    ...(alias === undefined || alias === '' ? {} : { room_alias: alias }),
    ...(pdu.type !== 'm.room.member' ? {} : { user_is_target: pdu.state_key === user }),
    content: pdu.content,
    ...counts,
    devices: [{ ...deviceOf(pusher), tweaks }],
  };
}

/** Tells the unread count alone. */
export function badgeNotification(pusher: Pusher, badge: number): Notification {
  return { prio: 'low', ...countsOf(pusher, badge), devices: [deviceOf(pusher)] };
}

/** Zero is told as well: gateways leave a badge as it is where they are told no number. */
function countsOf(pusher: Pusher, badge: number): JsonObject {
  return pusher.noBadge ? {} : { counts: { unread: badge } };
}

function deviceOf(pusher: Pusher): JsonObject {
  const data = Object.fromEntries(Object.entries(pusher.data).filter(([key]) => key !== 'url'));
  return {
    app_id: pusher.appId,
    pushkey: pusher.pushkey,
    pushkey_ts: Math.floor(pusher.ts / 1000),
    data,
  };
}
