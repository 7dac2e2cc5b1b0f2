import { MatrixError } from '#core/errors.js';
import { RoomAlias, type RoomId, type UserId } from '#core/ids.js';
import { type JsonObject, type JsonValue, own } from '#core/json-value.js';
import { type RoomRules, roomRules } from '#core/room-versions.js';
import { appendDraft } from '#rooms/append-local.js';
import { createRoomIn } from '#rooms/create.js';
import { listAliases, moveAliasesIn, publishIn, resolveAlias, unpublishIn } from '#rooms/directory.js';
import { findRoom, joinedRoom, type Room, type Rooms, roomByNum } from '#rooms/rooms.js';
import {
  carriedByKey,
  closedLevels,
  contentOf,
  creationContent,
  type Found,
  findCarried,
  initialState,
  isLink,
  levelsFor,
  maySet,
  type StateDraft,
} from '#rooms/upgrade-state.js';
import type { StateRoot, Tx } from '#store/types.js';

/** Bans and links that the transaction of the upgrade itself carries over; what is more follows in slices as large. */
const SLICE = 500;
/** Rooms linked with the old one in which the links are renewed. */
const MAX_LINKED = 100;
/** Times that the walk over the old room is made anew because the room changed meanwhile. */
const MAX_WALKS = 3;

export interface UpgradeRequest {
  readonly roomId: RoomId;
  readonly user: UserId;
  readonly version: string;
  /** Further creators of the new room; without effect before version 12. */
  readonly additionalCreators?: readonly UserId[];
}

interface Walked {
  readonly found: Found;
  readonly aliases: readonly RoomAlias[];
  /** State of the old room that was walked over; undefined: whatever it is now. */
  readonly state: StateRoot | undefined;
}

/**
 * Replaces a room by a new one of another version (client-server API, Room upgrades) and gives the new room's id. All of
 * it is one transaction: others see either the old room as it was, or the new one complete and the old one closed. Only
 * where there are more than 500 bans and space links do the rest follow right after.
 *
 * Errors: M_UNSUPPORTED_ROOM_VERSION; M_FORBIDDEN outside the room and without the power for m.room.tombstone; what
 * `createRoom` throws. The old room is then as it was.
 */
export async function upgradeRoom(rooms: Rooms, request: UpgradeRequest): Promise<RoomId> {
  const rules = roomRules(request.version);
  if (rules === undefined) {
    throw new MatrixError('M_UNSUPPORTED_ROOM_VERSION', 'This server does not know this room version');
  }
  const { upgraded, left } = await inOneStep(rooms, request, rules);
  for (let start = 0; start < left.length; start += SLICE) {
    await rooms.store.commit((tx) => {
      for (const draft of left.slice(start, start + SLICE)) trySet(rooms, tx, upgraded, request.user, draft);
    });
  }
  return upgraded;
}

interface Upgraded {
  readonly upgraded: RoomId;
  readonly left: readonly StateDraft[];
}

async function inOneStep(rooms: Rooms, request: UpgradeRequest, rules: RoomRules): Promise<Upgraded> {
  for (let walk = 1; ; walk++) {
    const old = joinedRoom(rooms.store, request.roomId, request.user);
    checkPower(rooms, rooms.store, old, request.user);
    const found = await findCarried(rooms, old);
    const aliases = await listAliases(rooms, request.roomId);
    const state = walk < MAX_WALKS ? old.head.state : undefined;
    const done = await rooms.store.commit((tx) => upgradeIn(rooms, tx, request, rules, { found, aliases, state }));
    if (done !== undefined) return done;
  }
}

function checkPower(rooms: Rooms, reader: Tx | Rooms['store'], old: Room, user: UserId): void {
  if (maySet(rooms, reader, old, user, 'm.room.tombstone')) return;
  throw new MatrixError('M_FORBIDDEN', 'You have not the power to upgrade this room');
}

/** Undefined where the old room is not the one any more that was walked over. */
function upgradeIn(
  rooms: Rooms,
  tx: Tx,
  request: UpgradeRequest,
  rules: RoomRules,
  walked: Walked,
): Upgraded | undefined {
  const { user, additionalCreators = [] } = request;
  const old = joinedRoom(tx, request.roomId, user);
  checkPower(rooms, tx, old, user);
  if (walked.state !== undefined && walked.state !== old.head.state) return undefined;
  const levels = levelsFor(rooms, tx, old, rules, user, additionalCreators);
  const lastly = levels?.last;
  const drafts = carriedByKey(rooms, tx, old, walked.found);
  const closing: StateDraft[] =
    lastly === undefined ? [] : [{ type: 'm.room.power_levels', state_key: '', content: lastly }];
  const now = drafts.slice(0, SLICE);
  const later = drafts.slice(SLICE);
  const upgraded = createRoomIn(rooms, tx, {
    creator: user,
    body: {
      room_version: rules.version,
      preset: 'private_chat',
      creation_content: creationContent(rooms, tx, old, rules, additionalCreators),
      initial_state: initialState(rooms, tx, old, rules, levels),
    },
    complete(_, room) {
      const to = room.head.id;
      for (const draft of now) trySet(rooms, tx, to, user, draft);
      moveAliases(rooms, tx, old, to, user, walked.aliases);
      if (unpublishIn(tx, request.roomId)) publishIn(rooms, tx, to);
      for (const draft of later.length === 0 ? closing : []) trySet(rooms, tx, to, user, draft);
    },
  });
  relink(rooms, tx, request, upgraded, walked.found);
  closeOld(rooms, tx, request, upgraded);
  return { upgraded, left: later.length === 0 ? [] : [...later, ...closing] };
}

/** Sets a piece of state if the room lets the user: what it does not is left as it is. Nothing is written by a refusal. */
function trySet(rooms: Rooms, tx: Tx, roomId: RoomId, sender: UserId, draft: StateDraft): void {
  const room = findRoom(tx, roomId);
  if (room === undefined) return;
  try {
    appendDraft(rooms, tx, room, { ...draft, sender });
  } catch (error) {
    if (!(error instanceof MatrixError)) throw error;
  }
}

function moveAliases(rooms: Rooms, tx: Tx, old: Room, to: RoomId, user: UserId, aliases: readonly RoomAlias[]): void {
  moveAliasesIn(tx, aliases, old.head.id, to);
  const canonical = contentOf(rooms, tx, old, 'm.room.canonical_alias');
  if (canonical === undefined) return;
  const moved = (alias: JsonValue | undefined): boolean =>
    RoomAlias.is(alias) && resolveAlias(tx, alias)?.roomId === to;
  const there = canonicalWith(canonical, moved);
  if (Object.keys(there).length === 0) return;
  trySet(rooms, tx, to, user, { type: 'm.room.canonical_alias', state_key: '', content: there });
  const content = canonicalWith(canonical, (alias) => !moved(alias));
  trySet(rooms, tx, old.head.id, user, { type: 'm.room.canonical_alias', state_key: '', content });
}

/** Content of m.room.canonical_alias with those aliases only that `keep` names. */
function canonicalWith(content: JsonObject, keep: (alias: JsonValue | undefined) => boolean): JsonObject {
  const alias = own(content, 'alias');
  const others = own(content, 'alt_aliases');
  const kept = Array.isArray(others) ? others.filter(keep) : [];
  return {
    ...(typeof alias === 'string' && keep(alias) ? { alias } : {}),
    ...(kept.length === 0 ? {} : { alt_aliases: kept }),
  };
}

/** In spaces and rooms linked with the old room, where the user may: the link leads to the new one (MSC4168). */
function relink(rooms: Rooms, tx: Tx, request: UpgradeRequest, to: RoomId, found: Found): void {
  const links = [
    ...found.parents.map((id) => [id, 'm.space.child'] as const),
    ...found.children.map((id) => [id, 'm.space.parent'] as const),
  ].slice(0, MAX_LINKED);
  for (const [id, type] of links) {
    const room = findRoom(tx, id);
    if (room === undefined || id === request.roomId || !maySet(rooms, tx, room, request.user, type)) continue;
    const content = contentOf(rooms, tx, room, type, request.roomId);
    if (content === undefined || !isLink(content)) continue;
    trySet(rooms, tx, id, request.user, { type, state_key: to, content });
    trySet(rooms, tx, id, request.user, { type, state_key: request.roomId, content: {} });
  }
}

/** The tombstone, without which there is no upgrade; then, if the user may, no more talk and invites in the old room. */
function closeOld(rooms: Rooms, tx: Tx, { roomId, user }: UpgradeRequest, to: RoomId): void {
  const old = findRoom(tx, roomId);
  if (old === undefined) return;
  const content = { body: 'This room has been replaced', replacement_room: to };
  const { room } = appendDraft(rooms, tx, old, { type: 'm.room.tombstone', state_key: '', sender: user, content });
  const levels = closedLevels(rooms, tx, roomByNum(tx, room.num));
  if (levels !== undefined) {
    trySet(rooms, tx, roomId, user, { type: 'm.room.power_levels', state_key: '', content: levels });
  }
}
