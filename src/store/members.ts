import { UserId } from '#core/ids.js';
import { ownString } from '#core/json-value.js';
import {
  events,
  type Member,
  type Membership,
  members,
  memberships,
  meta,
  redactions,
  roomServers,
  rooms,
} from '#store/schema.js';
import type { StateTrees } from '#store/state.js';
import type { EventNum, Reader, RoomNum, Store, Tx } from '#store/types.js';

/** By how much a change of membership moves the counts of a room's head. */
export interface MemberCounts {
  readonly joined: -1 | 0 | 1;
  readonly invited: -1 | 0 | 1;
}

/**
 * Writes what `user` is in `room` now; undefined where the room's state holds no member event for them (any more).
 * Returns by how much the room's counts change.
 */
export function setMember(tx: Tx, room: RoomNum, user: string, member: Member | undefined): MemberCounts {
  const old = tx.get(members, [room, user]);
  if (member === undefined) {
    if (old !== undefined) tx.delete(members, [room, user]);
  } else {
    tx.put(members, [room, user], member);
  }
  const joined = step(old, member, 'join');
  if (joined !== 0) countServer(tx, room, user, joined);
  return { joined, invited: step(old, member, 'invite') };
}

/** Counts the joined users of other servers by server. */
function countServer(tx: Tx, room: RoomNum, user: string, by: number): void {
  if (!UserId.is(user)) return;
  const server = UserId.serverName(user);
  if (server === tx.get(meta, ['server_name'])) return;
  const count = (tx.get(roomServers, [room, server]) ?? 0) + by;
  if (count > 0) tx.put(roomServers, [room, server], count);
  else tx.delete(roomServers, [room, server]);
}

/** Whether another server has a joined user in a room. */
export function isServerIn(reader: Reader, room: RoomNum, server: string): boolean {
  return reader.has(roomServers, [room, server]);
}

/** Other servers with joined users in a room, at most `limit`, in order of their names. */
export async function serversIn(store: Store, room: RoomNum, limit: number): Promise<string[]> {
  const rows = await store.list(roomServers, { prefix: [room], limit });
  return rows.map(([[, server]]) => server);
}

function step(old: Member | undefined, now: Member | undefined, kind: Member['membership']): -1 | 0 | 1 {
  const difference = Number(now?.membership === kind) - Number(old?.membership === kind);
  return difference as -1 | 0 | 1;
}

/** Writes the row by which a local user finds the room; undefined removes it. */
export function setMembership(tx: Tx, user: string, room: RoomNum, membership: Membership | undefined): void {
  if (membership === undefined) tx.delete(memberships, [user, room]);
  else tx.put(memberships, [user, room], membership);
}

/** Members of a room with any membership, in order of their user ids. */
export async function* membersOf(store: Store, room: RoomNum): AsyncGenerator<[user: string, member: Member]> {
  for await (const [[, user], member] of store.range(members, { prefix: [room] })) yield [user, member];
}

/** Rooms that a local user has any membership in, forgotten ones included. */
export async function* roomsOf(store: Store, user: string): AsyncGenerator<[room: RoomNum, membership: Membership]> {
  for await (const [[, room], membership] of store.range(memberships, { prefix: [user] })) yield [room, membership];
}

/**
 * Makes the members of all rooms anew from their current states, and the rows of local users where they are missing or
 * say otherwise. What only such a row knows (stripped state, a forgotten room) is kept where it is there.
 * Returns how many rooms had something to mend.
 */
export async function rebuildMembers(store: Store, trees: StateTrees): Promise<number> {
  const serverName = store.get(meta, ['server_name']);
  let mended = 0;
  for await (const [[room], head] of store.range(rooms)) {
    const inState = new Map<string, EventNum>();
    for (const [type, user, event] of trees.entries(store, head.state)) {
      if (type === 'm.room.member') inState.set(user, event);
    }
    const surplus: string[] = [];
    for await (const [user] of membersOf(store, room)) if (!inState.has(user)) surplus.push(user);
    const wrong: [string, Member][] = [];
    for (const [user, event] of inState) {
      const member = memberFrom(store, event);
      if (member === undefined) continue;
      const isLocal = UserId.is(user) && UserId.serverName(user) === serverName;
      const held = store.get(members, [room, user]);
      const own = isLocal ? store.get(memberships, [user, room]) : undefined;
      const isRight = held?.event === event && held.membership === member.membership;
      const isOwnRight = !isLocal || own?.membership === member.membership || own?.stripped !== undefined;
      if (!isRight || !isOwnRight) wrong.push([user, member]);
    }
    if (surplus.length + wrong.length === 0) continue;
    mended++;
    await store.commit((tx) => {
      for (const user of surplus) setMember(tx, room, user, undefined);
      for (const [user, member] of wrong) {
        setMember(tx, room, user, member);
        if (!UserId.is(user) || UserId.serverName(user) !== serverName) continue;
        const own = tx.get(memberships, [user, room]);
        if (own?.membership === member.membership || own?.stripped !== undefined) continue;
        setMembership(tx, user, room, { membership: member.membership, position: member.event, event: member.event });
      }
    });
  }
  return mended;
}

const MEMBERSHIPS: readonly string[] = ['join', 'invite', 'knock', 'leave', 'ban'] satisfies Member['membership'][];

/** The member row that an event makes; a redacted event shows no profile. */
function memberFrom(store: Store, num: EventNum): Member | undefined {
  const pdu = store.get(events, [num])?.pdu;
  const membership = pdu === undefined ? undefined : ownString(pdu.content, 'membership');
  if (pdu === undefined || membership === undefined || !MEMBERSHIPS.includes(membership)) return undefined;
  const displayname = ownString(pdu.content, 'displayname');
  const avatarUrl = ownString(pdu.content, 'avatar_url');
  const isRedacted = store.has(redactions, [pdu.event_id]);
  return {
    membership: membership as Member['membership'],
    event: num,
    ...(displayname && !isRedacted ? { displayname } : {}),
    ...(avatarUrl && !isRedacted ? { avatarUrl } : {}),
  };
}
