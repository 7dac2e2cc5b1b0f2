import { membershipOf } from '#core/event/content.js';
import type { Pdu } from '#core/event/pdu.js';
import { type EventId, type RoomId, UserId } from '#core/ids.js';
import { type JsonObject, own } from '#core/json-value.js';
import type { RoomVersion } from '#core/room-versions.js';
import { indexAuth } from '#rooms/auth-index.js';
import { applyAwaitedRedactions, applyRedaction } from '#rooms/redactions.js';
import { rememberRelation } from '#rooms/relations.js';
import { type Origin, type Room, type Rooms, roomByNum } from '#rooms/rooms.js';
import { addToRoster, removeFromRoster } from '#rooms/roster.js';
import { indexText } from '#rooms/search-index.js';
import { followSpaceChildren } from '#rooms/space-children.js';
import { stateAfterEvents } from '#rooms/state-at.js';
import { strippedStateFor } from '#rooms/stripped-state.js';
import type { StoredEvent } from '#store/events.js';
import { setMember, setMembership } from '#store/members.js';
import {
  echoes,
  eventNums,
  rooms as heads,
  type Member,
  members,
  memberships,
  type RoomHead,
  redactions,
  roomNums,
} from '#store/schema.js';
import type { StateDifference } from '#store/state.js';
import type { Order, RoomNum, StateRoot, Tx } from '#store/types.js';
import { assert } from '#util/assert.js';

export interface AppendOptions {
  /** Room state before the event: what its prev_events resolve to. */
  readonly stateBefore: StateRoot;
  readonly outcome: 'accepted' | 'softFailed' | 'rejected';
  /**
   * False for history: the event goes below the oldest one held and changes neither the room's state nor its
   * extremities. It must not be newer than what is held.
   */
  readonly live?: boolean;
  /** The device and transaction that sent it. */
  readonly origin?: Origin;
  /** Stripped state that came with an invite or knock from elsewhere; gathered from the room where absent. */
  readonly stripped?: readonly JsonObject[];
  /** Made here just now: it is not held yet, and no redaction can have come before it. */
  readonly fresh?: true;
  /** An event of another server that this one took in for the room: it tells the other servers of it. */
  readonly relay?: true;
}

/** What an append did. */
export interface Appended {
  readonly stored: StoredEvent;
  /** The room with the event taken in. */
  readonly room: Room;
}

/** Gives a new room its number and an empty head, for the create event to be appended to. */
export function openRoom(tx: Tx, id: RoomId, version: RoomVersion): Room {
  assert(!tx.has(roomNums, [id]), `room ${id} is held already`);
  const num: RoomNum = tx.position();
  tx.put(roomNums, [id], num);
  const head: RoomHead = {
    id,
    version,
    extremities: [],
    state: 0,
    depth: 0,
    tip: num,
    joined: 0,
    invited: 0,
    oldest: num,
  };
  tx.put(heads, [num], head);
  return roomByNum(tx, num);
}

/**
 * The only writer of events: takes a checked event into the room, with its place, the state before and after it,
 * extremities, current state, members, relations, redactions and the log row, inside the transaction `tx`.
 *
 * All prev_events of the event must be held here. Whether it is accepted was decided before (`rooms/authorize.ts`):
 * a rejected event changes nothing and is shown to nobody; a soft-failed one has a state after it, for events that
 * build on it, but is no extremity and is not in the timeline (server-server API, Soft failure).
 */
export function appendEvent(rooms: Rooms, tx: Tx, room: Room, pdu: Pdu, options: AppendOptions): Appended {
  const { stateBefore, outcome } = options;
  const live = options.live !== false;
  const num = tx.position();
  const order: Order = live ? num : room.head.oldest - 1;
  const changesState = pdu.state_key !== undefined && outcome !== 'rejected';
  const stateAfter = changesState ? rooms.trees.set(tx, stateBefore, pdu.type, pdu.state_key!, num) : stateBefore;
  const placed = { num, room: room.num, order, outcome, stateBefore, stateAfter, pdu };
  const stored = rooms.events.put(tx, placed, options.fresh);
  indexAuth(tx, pdu);
  if (outcome !== 'accepted') return { stored, room };

  if (options.origin !== undefined) tx.put(echoes, [num], options.origin);
  if (pdu.content['m.relates_to'] !== undefined) rememberRelation(rooms, tx, stored);
  if (options.fresh) tx.absent(redactions, [pdu.event_id]);
  if (options.fresh || !applyAwaitedRedactions(rooms, tx, room, stored)) indexText(tx, stored);
  if (!live) {
    const head = { ...room.head, oldest: order };
    tx.put(heads, [room.num], head);
    return finish(rooms, tx, { ...room, head }, stored, room.head.state, options);
  }

  const extremities = nextExtremities(rooms, tx, room.head.extremities, pdu);
  const state = extremities.length === 1 ? stateAfter : stateAfterEvents(rooms, tx, room, extremities);
  const before = room.head;
  // Field by field: a copy by `...` of what came from a row or from here is made by V8's slowest way, with every send.
  const head: RoomHead = {
    id: before.id,
    version: before.version,
    extremities,
    state,
    depth: Math.max(before.depth, pdu.depth),
    tip: num,
    joined: before.joined,
    invited: before.invited,
    oldest: before.extremities.length === 0 ? order : before.oldest,
  };
  const next: Room = { num: room.num, head, rules: room.rules };
  const changes = stateChanges(rooms, tx, room.head.state, stored, state);
  const counted = applyMembers(rooms, tx, next, stored, changes, options);
  followSpaceChildren(tx, room.num, changes);
  tx.put(heads, [room.num], counted.head);
  tx.fact(num, { kind: 'event', room: room.num, state, ...(options.relay && { relay: true }) });
  if (pdu.type === 'm.room.redaction') redactAndCorrect(rooms, tx, counted, stored);
  return finish(rooms, tx, counted, stored, room.head.state, options);
}

function finish(
  rooms: Rooms,
  tx: Tx,
  room: Room,
  stored: StoredEvent,
  stateBefore: StateRoot,
  options: AppendOptions,
): Appended {
  const context = { room, stateBefore, stateAfter: room.head.state, live: options.live !== false };
  for (const observe of rooms.observers) observe(tx, stored, context);
  return { stored, room };
}

/** Notes of an event made here that it was a delayed one (MSC4140), which its sender is told. */
export function noteDelayId(tx: Tx, event: EventId, delayId: string): void {
  const num = tx.get(eventNums, [event]);
  if (num !== undefined) tx.put(echoes, [num], { ...tx.get(echoes, [num]), delayId });
}

/**
 * Keeps an event that is not in the room's graph here: an auth event, or an invite to a room that is not held. `rejected`
 * where its own auth events refuse it, so that those that cite it are refused too. Either way it has no state.
 */
export function appendOutlier(
  rooms: Rooms,
  tx: Tx,
  room: Room,
  pdu: Pdu,
  outcome: 'outlier' | 'rejected' = 'outlier',
): StoredEvent {
  const num = tx.position();
  indexAuth(tx, pdu);
  return rooms.events.put(tx, {
    num,
    room: room.num,
    order: num,
    outcome,
    stateBefore: 0,
    stateAfter: 0,
    pdu,
  });
}

/**
 * The extremities once `pdu` is in: those that it builds on are gone, also where soft-failed or rejected events lie
 * between, which were never extremities themselves.
 */
function nextExtremities(rooms: Rooms, tx: Tx, before: readonly EventId[], pdu: Pdu): readonly EventId[] {
  let left = before.filter((id) => !pdu.prev_events.includes(id));
  if (left.length > 0) {
    const seen = new Set<EventId>(pdu.prev_events);
    for (const id of seen) {
      const prev = rooms.events.byId(tx, id);
      if (prev === undefined || prev.outcome === 'accepted' || prev.outcome === 'outlier') continue;
      for (const further of prev.pdu.prev_events) seen.add(further);
    }
    left = left.filter((id) => !seen.has(id));
  }
  return [...left, pdu.event_id];
}

/** What differs between the room's state before an append and after it: one row on the usual way, more after a fork. */
function stateChanges(
  rooms: Rooms,
  tx: Tx,
  before: StateRoot,
  stored: StoredEvent,
  after: StateRoot,
): readonly StateDifference[] {
  if (before === after) return [];
  const { pdu } = stored;
  if (before === stored.stateBefore && after === stored.stateAfter) {
    return [{ type: pdu.type, stateKey: pdu.state_key!, before: undefined, after: stored.num }];
  }
  return [...rooms.trees.diff(tx, before, after)];
}

function applyMembers(
  rooms: Rooms,
  tx: Tx,
  room: Room,
  stored: StoredEvent,
  changes: readonly StateDifference[],
  options: AppendOptions,
): Room {
  let { joined, invited } = room.head;
  for (const change of changes) {
    if (change.type !== 'm.room.member') continue;
    const user = change.stateKey;
    const old = tx.get(members, [room.num, user]);
    const event =
      change.after === undefined
        ? undefined
        : change.after === stored.num
          ? stored
          : rooms.events.get(tx, change.after);
    const member = event === undefined ? undefined : memberRow(event);
    const counts = setMember(tx, room.num, user, member);
    joined += counts.joined;
    invited += counts.invited;
    if (!UserId.is(user) || UserId.serverName(user) !== rooms.serverName) continue;
    changeMembership(rooms, tx, room, user, member ?? { membership: 'leave', event: 0 }, old, options);
  }
  if (joined === room.head.joined && invited === room.head.invited) return room;
  return { ...room, head: { ...room.head, joined, invited } };
}

const MEMBERSHIPS: ReadonlySet<string> = new Set(['join', 'invite', 'knock', 'leave', 'ban']);

function isMembership(value: string | undefined): value is Member['membership'] {
  return value !== undefined && MEMBERSHIPS.has(value);
}

function memberRow(stored: StoredEvent): Member {
  const { content } = stored.pdu;
  const membership = membershipOf(stored.pdu);
  assert(isMembership(membership), 'the authorisation rules let no other membership through');
  const displayname = own(content, 'displayname');
  const avatarUrl = own(content, 'avatar_url');
  return {
    membership,
    event: stored.num,
    ...(typeof displayname === 'string' && displayname !== '' ? { displayname } : {}),
    ...(typeof avatarUrl === 'string' && avatarUrl !== '' ? { avatarUrl } : {}),
  };
}

/** The row by which a local user finds the room. A change of profile alone leaves it where it is in the log. */
function changeMembership(
  rooms: Rooms,
  tx: Tx,
  room: Room,
  user: UserId,
  member: Member,
  old: Member | undefined,
  options: AppendOptions,
): void {
  const row = tx.get(memberships, [user, room.num]);
  const { membership } = member;
  const position = tx.position();
  const stripped =
    membership === 'invite' || membership === 'knock'
      ? (options.stripped ?? strippedStateFor(rooms, tx, room, member.event))
      : undefined;
  const isProfileOnly = row?.membership === 'join' && membership === 'join';
  const previous = isProfileOnly ? row.previous : (row?.membership ?? old?.membership);
  setMembership(tx, user, room.num, {
    membership,
    position: isProfileOnly ? row.position : member.event === 0 ? position : member.event,
    event: member.event,
    ...(previous === undefined ? {} : { previous }),
    ...(stripped === undefined ? {} : { stripped }),
    // Only coming back makes a forgotten room known again, not being banned from it.
    ...(row?.forgotten && (membership === 'leave' || membership === 'ban') ? { forgotten: true } : {}),
  });
  tx.fact(position, { kind: 'membership', room: room.num, user });
  if (membership === 'join') addToRoster(tx, room.num, user);
  else if (row?.membership === 'join') removeFromRoster(tx, room.num, user);
}

/** A redacted member event that is the current one loses the profile that the members list shows. */
function redactAndCorrect(rooms: Rooms, tx: Tx, room: Room, redaction: StoredEvent): void {
  const target = applyRedaction(rooms, tx, room, redaction);
  if (target?.pdu.type !== 'm.room.member' || target.pdu.state_key === undefined) return;
  const member = tx.get(members, [room.num, target.pdu.state_key]);
  if (member?.event === target.num) {
    setMember(tx, room.num, target.pdu.state_key, { membership: member.membership, event: member.event });
  }
}
