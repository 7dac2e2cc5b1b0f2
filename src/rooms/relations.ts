import type { Pdu } from '#core/event/pdu.js';
import { EventId } from '#core/ids.js';
import { ownObject, ownString } from '#core/json-value.js';
import { addToBundle, type Child, isBundled, removeFromBundle } from '#rooms/bundles.js';
import type { Rooms } from '#rooms/rooms.js';
import type { StoredEvent } from '#store/events.js';
import { annotations, type Relation, relations } from '#store/schema.js';
import type { Order, Reader, Tx } from '#store/types.js';

/** What an event says in m.relates_to (client-server API, Forming relationships between events). */
export interface RelatesTo {
  readonly parent: EventId;
  readonly relType: string;
  /** Of annotations: what the reaction is. */
  readonly key?: string;
}

/** Longest key of an annotation, in UTF-16 units; longer ones are refused here and not counted from elsewhere. */
export const MAX_ANNOTATION_KEY = 500;

function isAnnotationKey(key: string | undefined): key is string {
  return key !== undefined && key.length <= MAX_ANNOTATION_KEY;
}

/** The key by which an annotation counts; undefined for another relation, and where the key is missing or too long. */
export function annotationKey(relation: RelatesTo | undefined): string | undefined {
  return relation?.relType === 'm.annotation' && isAnnotationKey(relation.key) ? relation.key : undefined;
}

/** The relation that `pdu` names, or undefined where it names none that is well-formed. Rich replies are no relation. */
export function relatesTo(pdu: { readonly content: Pdu['content'] }): RelatesTo | undefined {
  const block = ownObject(pdu.content, 'm.relates_to');
  if (block === undefined) return undefined;
  const parent = EventId.parse(ownString(block, 'event_id'));
  const relType = ownString(block, 'rel_type');
  if (parent === undefined || relType === undefined) return undefined;
  const key = ownString(block, 'key');
  return key === undefined ? { parent, relType } : { parent, relType, key };
}

/**
 * Writes the row of an event's relation. A relation to an event of another room is none; one to an event that is not
 * held here yet is kept, since the parent may still come.
 */
export function rememberRelation(rooms: Rooms, tx: Tx, stored: StoredEvent): void {
  const relation = relatesTo(stored.pdu);
  if (relation === undefined) return;
  const parent = rooms.events.byId(tx, relation.parent);
  if (parent !== undefined && parent.room !== stored.room) return;
  tx.put(relations, [relation.parent, stored.order], {
    event: stored.num,
    relType: relation.relType,
    type: stored.pdu.type,
    sender: stored.pdu.sender,
  });
  if (isBundled(relation.relType)) addToBundle(tx, relation.parent, relation.relType, childOf(stored));
  if (relation.relType === 'm.annotation' && isAnnotationKey(relation.key)) {
    tx.put(annotations, [relation.parent, stored.pdu.sender, stored.pdu.type, relation.key], stored.num);
  }
}

function childOf({ num, order, room, pdu }: StoredEvent): Child {
  return { event: num, order, room, sender: pdu.sender };
}

/** Takes the row out again: the event was redacted, and with its content the relation is gone. */
export function forgetRelation(tx: Tx, stored: StoredEvent): void {
  const relation = relatesTo(stored.pdu);
  if (relation === undefined) return;
  tx.delete(relations, [relation.parent, stored.order]);
  if (isBundled(relation.relType)) removeFromBundle(tx, relation.parent, relation.relType, childOf(stored));
  if (relation.relType !== 'm.annotation' || !isAnnotationKey(relation.key)) return;
  const key: [EventId, string, string, string] = [relation.parent, stored.pdu.sender, stored.pdu.type, relation.key];
  if (tx.get(annotations, key) === stored.num) tx.delete(annotations, key);
}

/** Whether `event` itself relates to another one: threads can not start from such. */
export function isRelated(pdu: Pdu): boolean {
  return relatesTo(pdu) !== undefined;
}

export interface RelationQuery {
  readonly relType?: string;
  readonly type?: string;
  /** Gap of the timeline to start from: see docs/STREAMS.md. The newest (or oldest) where absent. */
  readonly from?: Order;
  readonly to?: Order;
  readonly dir: 'b' | 'f';
  readonly limit: number;
}

/** Rows read to fill one page at most: relations of other types than asked for are passed over. */
const SCAN_LIMIT = 2_000;

/**
 * Events that relate to `parent`, by place in the timeline. `end` is the gap to go on from, absent at the end.
 * Visibility is the caller's to ask: the rows say only what there is.
 */
export async function listRelations(
  rooms: Rooms,
  parent: EventId,
  query: RelationQuery,
): Promise<{ rows: { order: Order; relation: Relation }[]; end?: Order }> {
  const backwards = query.dir === 'b';
  const bounds = backwards
    ? {
        ...(query.from === undefined ? {} : { lte: [query.from] }),
        ...(query.to === undefined ? {} : { gt: [query.to] }),
      }
    : {
        ...(query.from === undefined ? {} : { gt: [query.from] }),
        ...(query.to === undefined ? {} : { lte: [query.to] }),
      };
  const rows: { order: Order; relation: Relation }[] = [];
  let scanned = 0;
  for await (const [[, order], relation] of rooms.store.range(relations, {
    prefix: [parent],
    ...bounds,
    reverse: backwards,
    limit: SCAN_LIMIT + 1,
  })) {
    // The gap on the near side of the row at hand: a page that starts there begins with this row.
    const here = backwards ? order : order - 1;
    if (rows.length >= query.limit || scanned++ >= SCAN_LIMIT) return { rows, end: here };
    if (query.relType !== undefined && relation.relType !== query.relType) continue;
    if (query.type !== undefined && relation.type !== query.type) continue;
    rows.push({ order, relation });
  }
  return { rows };
}

/** Whether `sender` has already annotated `parent` with `key` by an event of type `type` that stands. */
export function hasAnnotation(reader: Reader, parent: EventId, type: string, key: string, sender: string): boolean {
  return reader.has(annotations, [parent, sender, type, key]);
}
