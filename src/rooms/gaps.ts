import type { Pdu, RawPdu } from '#core/event/pdu.js';
import { EventId, type ServerName } from '#core/ids.js';
import { isObject, type JsonObject, own } from '#core/json-value.js';
import { RemoteRefusal, type ServerRequest, serverPath } from '#remote/client.js';
import { RemoteError } from '#remote/http.js';
import { appendOutlier } from '#rooms/append.js';
import { judgeByAuthEvents } from '#rooms/authorize.js';
import { checkPdus } from '#rooms/check-pdus.js';
import type { Federation } from '#rooms/federation.js';
import type { Room } from '#rooms/rooms.js';
import { atOnce } from '#util/at-once.js';

/** Events asked for in one go to close a gap, and how far back. */
const MAX_MISSING = 20;
/** Events of a state that are asked for one by one; of more the whole state is. */
const MAX_SINGLE = 40;
/** Events of one state and its auth chain, at most. */
const MAX_STATE = 50_000;
const AT_ONCE = 4;
const TIMEOUT_MS = 20_000;
const MAX_EVENT_ANSWER = 256 * 1024;
const MAX_MISSING_ANSWER = 4 * 1024 * 1024;
const MAX_STATE_ANSWER = 64 * 1024 * 1024;
const PREFIX = '/_matrix/federation/v1';

/** What may be asked of other servers for the sake of one transaction. */
export interface Budget {
  requestsLeft: number;
  /** Aborts when the time for it is over. */
  readonly signal: AbortSignal;
}

/** What is needed to take an event in could not be had. */
export class GapError extends Error {
  override readonly name = 'GapError';
}

/** Whom to ask for what is missing of a room. */
export interface GapSource {
  readonly federation: Federation;
  readonly room: Room;
  readonly origin: ServerName;
  readonly budget: Budget;
}

/**
 * The events between what is held of a room and `pdu`, as far as the server gives them, oldest first: checked by
 * themselves, to be taken in like any others (server-server API, Retrieving missing events). Throws GapError.
 */
export async function missingEvents(source: GapSource, pdu: Pdu): Promise<readonly Pdu[]> {
  const { head } = source.room;
  const answer = await ask(source, {
    method: 'POST',
    uri: serverPath(`${PREFIX}/get_missing_events`, [head.id]),
    content: {
      earliest_events: head.extremities.slice(-MAX_MISSING),
      latest_events: [pdu.event_id],
      limit: MAX_MISSING,
      min_depth: 0,
    },
    maxBytes: MAX_MISSING_ANSWER,
  });
  const checked = await checkedEvents(source, pdusOf(answer, 'events').slice(0, MAX_MISSING));
  return checked.toSorted((a, b) => a.depth - b.depth);
}

/** Fetches and keeps those auth events of `pdu`, and theirs, that are not held. Throws GapError where some can't be had. */
export async function fetchAuthChain(source: GapSource, pdu: Pdu): Promise<void> {
  const answer = await ask(source, {
    method: 'GET',
    uri: serverPath(`${PREFIX}/event_auth`, [pdu.room_id, pdu.event_id]),
    maxBytes: MAX_STATE_ANSWER,
  });
  await keepOutliers(source, pdusOf(answer, 'auth_chain'));
}

/**
 * The room state after the event `prev`, which is not held: what the server says was the state before it, each event
 * checked, and the event itself. Keeps these events as outliers. Throws GapError where it makes no room state.
 */
export async function stateAfterMissing(source: GapSource, prev: EventId): Promise<readonly EventId[]> {
  const { room, federation } = source;
  const query = [['event_id', prev]] as const;
  const answer = await ask(source, {
    method: 'GET',
    uri: serverPath(`${PREFIX}/state_ids`, [room.head.id], query),
    maxBytes: MAX_STATE_ANSWER,
  });
  const state = idsOf(answer, 'pdu_ids');
  const wanted = new Set([...state, ...idsOf(answer, 'auth_chain_ids')]);
  const { rooms } = federation;
  const missing = [...wanted].filter((id) => rooms.events.numOf(rooms.store.latest, id) === undefined);
  const raws = missing.length > MAX_SINGLE ? await wholeState(source, prev) : await singleEvents(source, missing);
  await keepOutliers(source, raws, wanted);
  const before = new Map<string, EventId>();
  for (const id of state) putState(source, before, id);
  // A message changes no state, and may yet come by itself.
  const itself = (await singleEvents(source, [prev])).filter((raw) => Object.hasOwn(raw, 'state_key'));
  await keepOutliers(source, itself, new Set([prev]));
  putState(source, before, prev);
  if (!before.has('m.room.create\0')) throw new GapError('the state before it has no create event');
  return [...before.values()];
}

/** Puts an event that is held at its key of a state, if it may stand in one. */
function putState({ federation, room }: GapSource, state: Map<string, EventId>, id: EventId): void {
  const { rooms } = federation;
  const stored = rooms.events.byId(rooms.store.latest, id);
  if (stored === undefined || stored.room !== room.num || stored.outcome === 'rejected') return;
  if (stored.pdu.state_key !== undefined) state.set(`${stored.pdu.type}\0${stored.pdu.state_key}`, id);
}

async function wholeState(source: GapSource, prev: EventId): Promise<readonly RawPdu[]> {
  const answer = await ask(source, {
    method: 'GET',
    uri: serverPath(`${PREFIX}/state`, [source.room.head.id], [['event_id', prev]]),
    maxBytes: MAX_STATE_ANSWER,
  });
  return [...pdusOf(answer, 'auth_chain'), ...pdusOf(answer, 'pdus')];
}

async function singleEvents(source: GapSource, ids: readonly EventId[]): Promise<readonly RawPdu[]> {
  const { rooms } = source.federation;
  const missing = ids.filter((id) => rooms.events.numOf(rooms.store.latest, id) === undefined);
  const answers = await atOnce(missing, AT_ONCE, (id) =>
    ask(source, { method: 'GET', uri: serverPath(`${PREFIX}/event`, [id]), maxBytes: MAX_EVENT_ANSWER }),
  );
  return answers.flatMap((answer) => pdusOf(answer, 'pdus').slice(0, 1));
}

/**
 * Keeps events that are not in the room's graph here: those that are `wanted`, of this room and rightly signed, as
 * rejected where their own auth events refuse them. One whose auth events are not held can't be judged and is left out.
 */
async function keepOutliers(source: GapSource, raws: readonly RawPdu[], wanted?: ReadonlySet<EventId>): Promise<void> {
  const { federation, room } = source;
  const { rooms } = federation;
  const checked = (await checkedEvents(source, raws)).filter((pdu) => wanted?.has(pdu.event_id) ?? true);
  await rooms.store.commit((tx) => {
    for (const pdu of inAuthOrder(checked)) {
      if (rooms.events.numOf(tx, pdu.event_id) !== undefined) continue;
      // A create event has no auth events to vouch for it: only the one that the room was made with is one.
      if (pdu.type === 'm.room.create') continue;
      if (pdu.auth_events.some((id) => rooms.events.numOf(tx, id) === undefined)) continue;
      const { allow } = judgeByAuthEvents(rooms, tx, room, pdu);
      appendOutlier(rooms, tx, room, pdu, allow ? 'outlier' : 'rejected');
    }
  });
}

async function checkedEvents(source: GapSource, raws: readonly RawPdu[]): Promise<readonly Pdu[]> {
  const { federation, room } = source;
  const { rooms } = federation;
  const checked = await checkPdus(federation.keyring, room.rules, raws);
  const fresh = new Map<EventId, Pdu>();
  for (const one of checked) {
    if (!('pdu' in one) || one.rejected !== undefined || one.pdu.room_id !== room.head.id) continue;
    if (rooms.events.numOf(rooms.store.latest, one.pdu.event_id) === undefined) fresh.set(one.pdu.event_id, one.pdu);
  }
  return [...fresh.values()];
}

/** Each event after those of its auth events that are among them. */
function inAuthOrder(pdus: readonly Pdu[]): readonly Pdu[] {
  const byId = new Map(pdus.map((pdu) => [pdu.event_id, pdu]));
  const seen = new Set<EventId>();
  const ordered: Pdu[] = [];
  for (const root of pdus) {
    // Without recursion: a chain can be as long as a hostile server likes.
    const stack: { readonly pdu: Pdu; next: number }[] = [{ pdu: root, next: 0 }];
    while (stack.length > 0) {
      const top = stack.at(-1)!;
      if (top.next === 0) {
        if (seen.has(top.pdu.event_id)) {
          stack.pop();
          continue;
        }
        seen.add(top.pdu.event_id);
      }
      const id = top.pdu.auth_events[top.next++];
      if (id === undefined) {
        ordered.push(top.pdu);
        stack.pop();
        continue;
      }
      const auth = byId.get(id);
      if (auth !== undefined && !seen.has(id)) stack.push({ pdu: auth, next: 0 });
    }
  }
  return ordered;
}

type Question = Pick<ServerRequest, 'method' | 'uri' | 'content' | 'maxBytes'>;

async function ask({ federation, origin, budget }: GapSource, question: Question): Promise<JsonObject> {
  if (budget.requestsLeft-- <= 0) throw new GapError('too much is missing before it');
  if (!federation.health.mayAsk(origin)) throw new GapError('what is missing before it can not be asked for now');
  try {
    const answer = await federation.client.request({
      ...question,
      destination: origin,
      timeoutMs: TIMEOUT_MS,
      signal: budget.signal,
    });
    federation.health.answered(origin);
    return answer;
  } catch (error) {
    if (error instanceof RemoteRefusal) throw new GapError(`what is missing before it was refused: ${error.message}`);
    if (!(error instanceof RemoteError)) throw error;
    if (error.kind !== 'aborted') federation.health.failed(origin);
    throw new GapError(`what is missing before it could not be fetched: ${error.message}`);
  }
}

function listOf(answer: JsonObject, key: string): readonly unknown[] {
  const list = own(answer, key);
  if (!Array.isArray(list)) throw new GapError(`the answer has no list '${key}'`);
  if (list.length > MAX_STATE) throw new GapError(`'${key}' is too long`);
  return list;
}

function pdusOf(answer: JsonObject, key: string): readonly RawPdu[] {
  return listOf(answer, key).filter(isObject);
}

function idsOf(answer: JsonObject, key: string): readonly EventId[] {
  return listOf(answer, key).filter(EventId.is);
}
