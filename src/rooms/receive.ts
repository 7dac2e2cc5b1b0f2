import type { Pdu } from '#core/event/pdu.js';
import type { EventId } from '#core/ids.js';
import { appendEvent } from '#rooms/append.js';
import { judgeEvent } from '#rooms/authorize.js';
import type { CheckedPdu } from '#rooms/check-pdus.js';
import { fetchAuthChain, GapError, type GapSource, missingEvents, stateAfterMissing } from '#rooms/gaps.js';
import { roomByNum } from '#rooms/rooms.js';
import { isHosted } from '#rooms/roster.js';
import { hasState, resolveRoots } from '#rooms/state-at.js';
import type { Reader, StateRoot, Tx } from '#store/types.js';

/** Missing parents of one event whose states are asked for. */
const MAX_STATES = 5;

/**
 * Takes an event of another server, checked by itself, into its room: with what is missing before it fetched from that
 * server, judged, and kept whatever the judgement (server-server API, Checks performed on receipt of a PDU, 4 to 6).
 * Resolves once that is durable, with why it was not taken, or undefined where it was, or had been before.
 * To be called on the room's lane.
 */
export async function receiveEvent(source: GapSource, checked: CheckedPdu): Promise<string | undefined> {
  if (!('pdu' in checked)) return checked.problem;
  const { pdu, rejected } = checked;
  const { rooms } = source.federation;
  if (rooms.events.numOf(rooms.store.latest, pdu.event_id) !== undefined) return undefined;
  try {
    if (missingParents(source, rooms.store.latest, pdu).length > 0) await fillGap(source, pdu);
    return await attach(source, pdu, rejected);
  } catch (error) {
    if (error instanceof GapError) return error.message;
    throw error;
  }
}

/** Parents of an event that are not in the room's graph here. What has no state is no parent to build on. */
function missingParents({ federation, room }: GapSource, reader: Reader, pdu: Pdu): readonly EventId[] {
  const { events } = federation.rooms;
  return pdu.prev_events.filter((id) => {
    const prev = events.byId(reader, id);
    return prev === undefined || !hasState(prev) || prev.room !== room.num;
  });
}

/** Takes in the events between what is held and `pdu`. One round: what is still missing then has its state fetched. */
async function fillGap(source: GapSource, pdu: Pdu): Promise<void> {
  const between = await missingEvents(source, pdu);
  for (const event of between) {
    try {
      await attach(source, event, undefined);
    } catch (error) {
      // Those after it may hang on something else.
      if (!(error instanceof GapError)) throw error;
    }
  }
}

/** Attaches an event to the room's graph, with the state after parents that stay missing fetched. */
async function attach(source: GapSource, pdu: Pdu, rejected: string | undefined): Promise<string | undefined> {
  const { federation, room } = source;
  const { rooms } = federation;
  const { latest } = rooms.store;
  if (pdu.prev_events.length === 0) throw new GapError('it has no previous events');
  const missing = missingParents(source, latest, pdu);
  if (missing.length > MAX_STATES) throw new GapError('too much is missing before it');
  const states: (readonly EventId[])[] = [];
  for (const id of missing) states.push(await stateAfterMissing(source, id));
  if (pdu.auth_events.some((id) => rooms.events.numOf(latest, id) === undefined)) await fetchAuthChain(source, pdu);
  return rooms.store.commit((tx) => {
    if (rooms.events.numOf(tx, pdu.event_id) !== undefined) return undefined;
    const now = roomByNum(tx, room.num);
    if (!isHosted(tx, now)) return 'no user of this server is in the room';
    if (pdu.auth_events.some((id) => rooms.events.numOf(tx, id) === undefined)) {
      return 'an event by which it is authorised is not known';
    }
    const roots = [...states.map((state) => rootOf(source, tx, state)), ...parentRoots(source, tx, pdu, missing)];
    const stateBefore = resolveRoots(rooms, tx, now, [...new Set(roots)]);
    const judged = judgeEvent(rooms, tx, now, pdu, stateBefore);
    const outcome = rejected === undefined ? judged.outcome : 'rejected';
    appendEvent(rooms, tx, now, pdu, { stateBefore, outcome });
    return outcome === 'rejected' ? (rejected ?? judged.reason ?? 'it is not allowed') : undefined;
  });
}

/** A snapshot of the events, which are held. */
function rootOf({ federation }: GapSource, tx: Tx, state: readonly EventId[]): StateRoot {
  const { rooms } = federation;
  return rooms.trees.apply(
    tx,
    0,
    state.flatMap((id) => {
      const stored = rooms.events.byId(tx, id);
      const key = stored?.pdu.state_key;
      return stored === undefined || key === undefined ? [] : [[stored.pdu.type, key, stored.num] as const];
    }),
  );
}

function parentRoots({ federation }: GapSource, tx: Tx, pdu: Pdu, missing: readonly EventId[]): readonly StateRoot[] {
  return pdu.prev_events.flatMap((id) =>
    missing.includes(id) ? [] : (federation.rooms.events.byId(tx, id)?.stateAfter ?? []),
  );
}
