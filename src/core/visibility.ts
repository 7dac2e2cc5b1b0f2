import type { HistoryVisibility } from '#core/event/content.js';
import type { StateKey } from '#core/event/pdu.js';
import type { UserId } from '#core/ids.js';

/**
 * Who may see an event (client-server API, Room History Visibility). Everything here rests on the state *at* the event:
 * callers look up `m.room.history_visibility` and memberships in the state before and after it, and ask for many events
 * in a row. For an event that changes neither, before and after are the same and may be the same object.
 */

/** What counts at one side of an event for one user. */
export interface ViewerState {
  /** As `historyVisibilityOf` gives it: `shared` where nothing or nothing known is set. */
  readonly visibility: HistoryVisibility;
  /** The user's membership; undefined where there is no member event. */
  readonly membership: string | undefined;
}

export interface UserView {
  readonly event: { readonly type: string } & Partial<StateKey>;
  readonly user: UserId;
  readonly before: ViewerState;
  readonly after: ViewerState;
  /** Whether the user is joined now, or was at any time after the event. */
  readonly joinedSince: boolean;
}

/** Rules 1 to 5 of the specification, for one side of an event. */
function allows(state: ViewerState, joinedSince: boolean): boolean {
  const { visibility, membership } = state;
  return (
    visibility === 'world_readable' ||
    membership === 'join' ||
    (visibility === 'shared' && joinedSince) ||
    (visibility === 'invited' && membership === 'invite')
  );
}

/** The user's own way out of an invite, a knock or the room: without it the room would never go from the user's list. */
function isOwnLeave(view: UserView): boolean {
  const { event, before, after, user } = view;
  return (
    event.type === 'm.room.member' &&
    event.state_key === user &&
    after.membership === 'leave' &&
    (before.membership === 'invite' || before.membership === 'join' || before.membership === 'knock')
  );
}

/**
 * Whether a user may see an event. An event of m.room.history_visibility, or the user's own member event, is visible
 * where the state before or after it allows that; any other event where the state at it does, which is the same on both
 * sides. Ignored senders, soft-failed events and outliers are the caller's: they have no state here.
 */
export function eventVisibleToUser(view: UserView): boolean {
  return allows(view.before, view.joinedSince) || allows(view.after, view.joinedSince) || isOwnLeave(view);
}

/** Whether the visibility alone lets a user see an event, so that no membership needs to be looked up. */
export function visibleToAll(visibility: HistoryVisibility, joinedSince: boolean): boolean {
  return visibility === 'world_readable' || (visibility === 'shared' && joinedSince);
}

export interface ServerView {
  /** Before and after the event; they differ for m.room.history_visibility only. */
  readonly visibilityBefore: HistoryVisibility;
  readonly visibilityAfter: HistoryVisibility;
  /**
   * The memberships of the server's users in the state at the event; for a member event of one of them, that user's
   * membership before and after. Only looked at where the visibility is `invited` or `joined`.
   */
  readonly memberships: Iterable<string>;
  /** Whether a user of the server is joined now. */
  readonly inRoom: boolean;
}

/** `full`: the whole event. `redacted`: its redacted form only, to fill the graph. `none`: nothing at all. */
export type ServerVisibility = 'full' | 'redacted' | 'none';

/**
 * What a server may see of an event (server-server API, backfill and retrieving events): what any of its users may, and
 * the redacted form of the rest while it is in the room. Endpoints that may not send redacted forms treat `redacted` as
 * `none`.
 */
export function eventVisibleToServer(view: ServerView): ServerVisibility {
  const sides = [view.visibilityBefore, view.visibilityAfter];
  if (sides.some((visibility) => visibleToAll(visibility, view.inRoom))) return 'full';
  const toInvited = sides.includes('invited');
  for (const membership of view.memberships) {
    if (membership === 'join' || (toInvited && membership === 'invite')) return 'full';
  }
  return view.inRoom ? 'redacted' : 'none';
}
