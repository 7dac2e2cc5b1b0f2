import type { Pdu } from '#core/event/pdu.js';
import type { EventId, UserId } from '#core/ids.js';
import type { JsonObject, JsonValue } from '#core/json-value.js';
import { chainsOf, repliesOf, walkChain } from '#rooms/bundles.js';
import { isErasedFor } from '#rooms/erasure.js';
import { ignoredBy } from '#rooms/ignored.js';
import { relatesTo } from '#rooms/relations.js';
import type { Rooms } from '#rooms/rooms.js';
import { visibilityFor } from '#rooms/visibility.js';
import type { StoredEvent } from '#store/events.js';
import { type Chain, redactions } from '#store/schema.js';
import type { Reader } from '#store/types.js';

/** Edits looked at to find the newest, references listed, and thread replies looked at one by one. */
const MAX_EDITS = 200;
const MAX_REFERENCES = 200;
const MAX_REPLIES = 100;

/** Writes a child in client format, with or without bundles of its own. */
type Write = (child: StoredEvent, withRelations: boolean) => JsonObject;

/**
 * What clients are told of the events that relate to `stored`, as far as `viewer` may see them (client-server API,
 * Aggregations of child events): the newest valid edit, references, and the thread. Events of ignored users are left
 * out. Undefined where there is nothing; an event without relations costs one point read, a state event none.
 */
export function bundledRelations(
  rooms: Rooms,
  reader: Reader,
  stored: StoredEvent,
  viewer: UserId | undefined,
  write: Write,
): JsonObject | undefined {
  const { pdu } = stored;
  if (pdu.state_key !== undefined) return undefined;
  const chains = chainsOf(reader, pdu.event_id, stored.room);
  if (chains === undefined) return undefined;
  const ignored = viewer === undefined ? new Set<string>() : ignoredBy(reader, viewer);
  const visibility = visibilityFor(rooms, reader, stored.room, viewer);
  const look: Look = {
    reader,
    parent: pdu,
    ignored,
    viewer,
    isEmpty: (child) => isErasedFor(rooms, reader, child, viewer),
    children: function* (relType, chain, from) {
      for (const num of walkChain(reader, pdu.event_id, relType, chain, from)) {
        const child = rooms.events.get(reader, num);
        const isShown = child !== undefined && !ignored.has(child.pdu.sender) && visibility.sees(child);
        yield isShown ? child : undefined;
      }
    },
  };
  const relations: Record<string, JsonValue | undefined> = {
    'm.replace': chains['m.replace'] && newestEdit(look, chains['m.replace'], write),
    'm.reference': chains['m.reference'] && references(look, chains['m.reference']),
    'm.thread': chains['m.thread'] && thread(look, chains['m.thread'], write),
  };
  const told = Object.entries(relations).filter(([, value]) => value !== undefined);
  return told.length === 0 ? undefined : (Object.fromEntries(told) as JsonObject);
}

interface Look {
  readonly reader: Reader;
  readonly parent: Pdu;
  readonly viewer: UserId | undefined;
  readonly ignored: ReadonlySet<string>;
  /** The viewer would be shown the child as if it were redacted. */
  isEmpty(child: StoredEvent): boolean;
  /** Children of a kind; undefined in place of each that the viewer is not to see. */
  children(
    relType: 'm.replace' | 'm.reference' | 'm.thread',
    chain: Chain,
    from: 'newest' | 'oldest',
  ): Iterable<StoredEvent | undefined>;
}

/** Whether an edit counts (client-server API, Validity of replacement events); what is encrypted hides its new content. */
export function isValidEdit(original: Pdu, edit: Pdu): boolean {
  return (
    original.state_key === undefined &&
    edit.state_key === undefined &&
    original.room_id === edit.room_id &&
    original.sender === edit.sender &&
    original.type === edit.type &&
    relatesTo(original)?.relType !== 'm.replace' &&
    (edit.type === 'm.room.encrypted' || Object.hasOwn(edit.content, 'm.new_content'))
  );
}

function newestEdit(look: Look, chain: Chain, write: Write): JsonObject | undefined {
  if (look.reader.has(redactions, [look.parent.event_id])) return undefined;
  let newest: StoredEvent | undefined;
  let looked = 0;
  for (const edit of look.children('m.replace', chain, 'newest')) {
    const counts = edit !== undefined && isValidEdit(look.parent, edit.pdu) && !look.isEmpty(edit);
    if (counts && (newest === undefined || isNewer(edit, newest))) newest = edit;
    if (++looked >= MAX_EDITS) break;
  }
  return newest && write(newest, false);
}

function isNewer({ pdu: a }: StoredEvent, { pdu: b }: StoredEvent): boolean {
  return a.origin_server_ts === b.origin_server_ts ? a.event_id > b.event_id : a.origin_server_ts > b.origin_server_ts;
}

function references(look: Look, chain: Chain): JsonObject | undefined {
  const chunk: { event_id: EventId }[] = [];
  let looked = 0;
  for (const child of look.children('m.reference', chain, 'oldest')) {
    if (child !== undefined) chunk.push({ event_id: child.pdu.event_id });
    if (++looked >= MAX_REFERENCES) break;
  }
  return chunk.length === 0 ? undefined : { chunk };
}

/** A long thread is not counted through: what ignored users said is then taken off the sum, hidden replies are not. */
function thread(look: Look, chain: Chain, write: Write): JsonObject | undefined {
  let latest: StoredEvent | undefined;
  let looked = 0;
  let count = 0;
  for (const reply of look.children('m.thread', chain, 'newest')) {
    if (reply !== undefined) {
      latest ??= reply;
      count++;
    }
    if (++looked >= MAX_REPLIES) break;
  }
  if (latest === undefined) return undefined;
  return {
    latest_event: write(latest, true),
    count: chain.count > MAX_REPLIES ? estimate(look, chain) : count,
    current_user_participated: look.viewer !== undefined && participates(look.reader, look.parent, look.viewer),
  };
}

function estimate({ reader, parent, ignored }: Look, chain: Chain): number {
  let count = chain.count;
  for (const user of ignored) count -= repliesOf(reader, parent.event_id, user);
  return Math.max(count, 1);
}

/** Whether a user began a thread or replied in it. */
export function participates(reader: Reader, root: Pdu, user: UserId): boolean {
  return root.sender === user || repliesOf(reader, root.event_id, user) > 0;
}
