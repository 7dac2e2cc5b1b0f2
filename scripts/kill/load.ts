import { type Account, Client, inRoom, type Ledger, Refused, type RoomLedger, register } from './ledger.js';

const SENDERS_PER_ROOM = 3;

/** The state event that counts up. */
export const COUNTER = 'test.counter';
export const OBSERVER_FILTER = encodeURIComponent(JSON.stringify({ room: { timeline: { limit: 20_000 } } }));

/**
 * Writes as much as it can, of every kind, until the server is gone; resolves then. What was acknowledged, and what was on
 * its way, stands in the ledger. Rejects where the server refused anything.
 */
export async function load(url: string, ledger: Ledger, round: number): Promise<void> {
  const lanes: Promise<void>[] = [];
  const lane = (step: (client: Client, n: number) => Promise<void>): void => {
    lanes.push(untilGone(url, step));
  };
  for (const [index, room] of ledger.rooms.entries()) {
    for (let sender = 0; sender < SENDERS_PER_ROOM; sender++) {
      lane((client, n) => sendMessage(client, ledger, room, `${round}-${index}-${sender}-${n}`));
    }
    lane((client) => countUp(client, ledger, room));
    lane((client) => moveMarker(client, ledger, room));
  }
  lane((client, n) => registerAndJoin(client, ledger, `u${round}-${n}`));
  lane(async (client) => void (await observe(client, ledger, 30_000)));
  await Promise.all(lanes);
}

async function untilGone(url: string, step: (client: Client, n: number) => Promise<void>): Promise<void> {
  const client = new Client(url);
  try {
    for (let n = 0; ; n++) await step(client, n);
  } catch (error) {
    if (error instanceof Refused || !isCut(error)) throw error;
  } finally {
    client.close();
  }
}

/** Whether a connection ended under a request. */
function isCut(error: unknown): boolean {
  const { code, message } = error as { code?: string; message: string };
  return code === 'ECONNRESET' || code === 'ECONNREFUSED' || code === 'EPIPE' || message === 'the connection ended';
}

/** Sends a message whose text is also its transaction id, so that it can be sent again. */
export async function sendMessage(client: Client, ledger: Ledger, room: RoomLedger, text: string): Promise<void> {
  room.messages.set(text, undefined);
  const sent = await client.ok('PUT', inRoom(room.id, `send/m.room.message/${text}`), room.sender, {
    msgtype: 'm.text',
    body: text,
  });
  room.messages.set(text, sent['event_id'] as string);
  ledger.acknowledged++;
}

async function countUp(client: Client, ledger: Ledger, room: RoomLedger): Promise<void> {
  const n = room.counter.acked + 1;
  room.counter.pending = n;
  await client.ok('PUT', inRoom(room.id, `state/${COUNTER}/`), room.sender, { n });
  room.counter.acked = n;
  room.counter.pending = undefined;
  ledger.acknowledged++;
}

async function moveMarker(client: Client, ledger: Ledger, room: RoomLedger): Promise<void> {
  const newest = room.observed.at(-1);
  if (newest === undefined || newest === room.marker.acked) {
    await new Promise((later) => setTimeout(later, 1));
    // Asking keeps the lane's connection in use, so that it notices the end.
    await client.ok('GET', '/_matrix/client/versions');
    return;
  }
  room.marker.pending = newest;
  await client.ok('POST', inRoom(room.id, 'read_markers'), room.sender, {
    'm.fully_read': newest,
    'm.read': newest,
  });
  room.marker.acked = newest;
  room.marker.pending = undefined;
  ledger.acknowledged++;
}

async function registerAndJoin(client: Client, ledger: Ledger, name: string): Promise<void> {
  ledger.accounts.set(name, undefined);
  ledger.newNames.push(name);
  const account: Account = await register(client, name);
  ledger.accounts.set(name, account);
  ledger.acknowledged++;
  await client.ok('POST', inRoom(ledger.lobby, 'join'), account, {});
  ledger.joined.add(account.id);
  ledger.acknowledged++;
}

/** One sync of the observer; what it tells of is kept. Gives whether there was an event. Throws on a gap. */
export async function observe(client: Client, ledger: Ledger, timeoutMs: number): Promise<boolean> {
  const body = await client.ok(
    'GET',
    `/_matrix/client/v3/sync?timeout=${timeoutMs}&since=${ledger.since}&filter=${OBSERVER_FILTER}`,
    ledger.observer,
  );
  const token = body['next_batch'] as string;
  ledger.token(token);
  ledger.since = token;
  const { join = {} } = (body['rooms'] ?? {}) as {
    join?: Record<string, { timeline: { limited: boolean; events: { event_id: string }[] } }>;
  };
  let any = false;
  for (const room of ledger.rooms) {
    const timeline = join[room.id]?.timeline;
    if (timeline === undefined) continue;
    if (timeline.limited) throw new Error('the observer was told of a gap');
    for (const { event_id } of timeline.events) room.observed.push(event_id);
    any ||= timeline.events.length > 0;
  }
  return any;
}
