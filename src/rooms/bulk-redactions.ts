import { powerLevels } from '#core/auth/power-levels.js';
import { MatrixError } from '#core/errors.js';
import { membershipOf } from '#core/event/content.js';
import type { EventId } from '#core/ids.js';
import { own } from '#core/json-value.js';
import { markRedacted } from '#rooms/redactions.js';
import { relatesTo } from '#rooms/relations.js';
import { type AppendContext, type Rooms, storedStateAt } from '#rooms/rooms.js';
import { sendEventIn } from '#rooms/send.js';
import type { StoredEvent } from '#store/events.js';
import {
  type BulkRedaction,
  bulkRedactions,
  type RelatedRedaction,
  relatedRedactions,
  relations,
  timeline,
} from '#store/schema.js';
import type { Order, Position, Tx } from '#store/types.js';
import type { TaskContext, Tasks } from '#util/tasks.js';

/** The flag of kicks and bans that redacts what the user sent (MSC4293), by its stable and its unstable name. */
export const REDACT_EVENTS = ['redact_events', 'org.matrix.msc4293.redact_events'] as const;
/** Member events looked back at to find when a user came in. */
const MAX_STEPS = 200;
/** Rows handled in one transaction. */
const SLICE = 200;
const LONGEST_IDLE_MS = 60 * 60 * 1000;

/** In `tx`, has everything redacted that relates to an event, and what will (MSC3912); the task does the work. */
export function redactRelated(rooms: Rooms, tx: Tx, parent: EventId, how: RelatedRedaction): void {
  tx.put(relatedRedactions, [parent], how);
  note(rooms, tx, { kind: 'relations', parent });
}

function note(rooms: Rooms, tx: Tx, row: BulkRedaction): void {
  tx.put(bulkRedactions, [tx.position()], row);
  tx.afterCommit(() => {
    for (const listener of rooms.onBulkRedaction) listener();
  });
}

/**
 * Watches the rooms from now on: kicks and bans with the flag redact what the user sent since they came in (MSC4293),
 * and events that relate to one that was redacted with its relations are redacted too (MSC3912).
 */
export function followBans(rooms: Rooms): void {
  rooms.observers.push((tx, stored, context) => {
    if (!context.live || stored.outcome !== 'accepted') return;
    followBan(rooms, tx, stored, context);
    const relation = relatesTo(stored.pdu);
    if (relation === undefined) return;
    const how = tx.get(relatedRedactions, [relation.parent]);
    if (how === undefined || !isMeant(how, relation.relType)) return;
    note(rooms, tx, { kind: 'event', parent: relation.parent, event: stored.pdu.event_id });
  });
}

function followBan(rooms: Rooms, tx: Tx, stored: StoredEvent, { room }: AppendContext): void {
  const { pdu } = stored;
  const user = pdu.state_key;
  if (pdu.type !== 'm.room.member' || user === undefined || user === pdu.sender) return;
  if (!REDACT_EVENTS.some((flag) => own(pdu.content, flag) === true)) return;
  const membership = membershipOf(pdu);
  if (membership !== 'ban' && membership !== 'leave') return;
  const state = (type: string) => storedStateAt(rooms, tx, stored.stateBefore, type, '')?.pdu;
  const levels = powerLevels(room.rules, state('m.room.create'), state('m.room.power_levels'));
  const power = levels.user(pdu.sender);
  if (power < levels.redact || power < levels.event('m.room.redaction', false)) return;
  const after = cameInAt(rooms, tx, stored, user);
  if (after === undefined) return;
  note(rooms, tx, { kind: 'sender', room: stored.room, user, by: pdu.event_id, after, upTo: stored.order });
}

/** The place of the join by which a user came in, changes of profile passed over; undefined where they were not in. */
function cameInAt(rooms: Rooms, tx: Tx, ended: StoredEvent, user: string): Order | undefined {
  let order: Order | undefined;
  let root = ended.stateBefore;
  for (let i = 0; i < MAX_STEPS; i++) {
    const member = storedStateAt(rooms, tx, root, 'm.room.member', user);
    if (membershipOf(member?.pdu) !== 'join' || member === undefined) break;
    order = member.order;
    root = member.stateBefore;
  }
  return order;
}

/** Does what is noted, and goes on with what was under way when the server stopped. */
export function runBulkRedactions(rooms: Rooms, tasks: Tasks): void {
  const task = tasks.start('bulk redactions', (context) => run(rooms, context));
  rooms.onBulkRedaction.push(() => task.wake());
}

async function run(rooms: Rooms, { signal, idle, busy }: TaskContext): Promise<void> {
  while (!signal.aborted) {
    const [first] = await rooms.store.list(bulkRedactions, { limit: 1 });
    if (first === undefined) {
      await idle(LONGEST_IDLE_MS);
      continue;
    }
    const done = busy();
    try {
      await step(rooms, first[0][0], first[1]);
    } finally {
      done();
    }
  }
}

/** Handles one slice of the work at `position`, and notes how far it got. */
async function step(rooms: Rooms, position: Position, row: BulkRedaction): Promise<void> {
  let next: BulkRedaction | undefined;
  switch (row.kind) {
    case 'sender':
      next = await redactSender(rooms, row);
      break;
    case 'relations':
      next = await redactRelations(rooms, row);
      break;
    case 'event':
      await redactChild(rooms, row.parent, row.event);
  }
  await rooms.store.commit((tx) => {
    if (next === undefined) tx.delete(bulkRedactions, [position]);
    else tx.put(bulkRedactions, [position], next);
  });
}

async function redactSender(
  rooms: Rooms,
  row: BulkRedaction & { readonly kind: 'sender' },
): Promise<BulkRedaction | undefined> {
  const { room, after, upTo, user, by } = row;
  const found = await rooms.store.list(timeline, { prefix: [room], gt: [after], lte: [upTo], limit: SLICE });
  await rooms.store.commit((tx) => {
    for (const [, num] of found) {
      const stored = rooms.events.get(tx, num);
      const { sender, type } = stored?.pdu ?? {};
      if (stored === undefined || sender !== user || type === 'm.room.create' || type === 'm.room.redaction') continue;
      markRedacted(tx, stored, by);
    }
  });
  const last = found.at(-1)?.[0][1];
  return found.length < SLICE || last === undefined ? undefined : { ...row, after: last };
}

async function redactRelations(
  rooms: Rooms,
  row: BulkRedaction & { readonly kind: 'relations' },
): Promise<BulkRedaction | undefined> {
  const how = rooms.store.get(relatedRedactions, [row.parent]);
  const found = await rooms.store.list(relations, {
    prefix: [row.parent],
    ...(row.after !== undefined && { gt: [row.after] }),
    limit: SLICE,
  });
  for (const [, relation] of found) {
    const child = rooms.events.get(rooms.store, relation.event)?.pdu.event_id;
    if (child !== undefined && how !== undefined && isMeant(how, relation.relType)) {
      await redactChild(rooms, row.parent, child);
    }
  }
  const last = found.at(-1)?.[0][1];
  return found.length < SLICE || last === undefined ? undefined : { ...row, after: last };
}

function isMeant(how: RelatedRedaction, relType: string): boolean {
  return how.relTypes.includes(relType) || how.relTypes.includes('*');
}

/** Redacts one related event in the name of who redacted its parent; what that user may not redact stays. */
async function redactChild(rooms: Rooms, parent: EventId, child: EventId): Promise<void> {
  const how = rooms.store.get(relatedRedactions, [parent]);
  const root = rooms.events.byId(rooms.store, parent)?.pdu;
  const pdu = rooms.events.byId(rooms.store, child)?.pdu;
  if (how === undefined || root === undefined || pdu === undefined) return;
  // An edit by someone else, or of another type, is none (client-server API, Validity of replacement events).
  const isEdit = relatesTo(pdu)?.relType === 'm.replace';
  if (isEdit && (pdu.sender !== root.sender || pdu.type !== root.type)) return;
  try {
    await rooms.store.commit((tx) =>
      sendEventIn(rooms, tx, {
        roomId: how.room,
        sender: how.sender,
        type: 'm.room.redaction',
        content: how.reason === undefined ? {} : { reason: how.reason },
        redacts: child,
      }),
    );
  } catch (error) {
    if (!(error instanceof MatrixError)) throw error;
  }
}
