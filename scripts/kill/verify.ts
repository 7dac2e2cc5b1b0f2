import {
  type Account,
  Client,
  inRoom,
  type Ledger,
  Refused,
  type Register,
  type RoomLedger,
  register,
} from './ledger.js';
import { COUNTER, observe, sendMessage } from './load.js';

interface TimelineEvent {
  readonly event_id: string;
  readonly type: string;
  readonly content: { readonly body?: string };
}

/**
 * Asks the restarted server for everything that was written since the last time, and throws where something acknowledged is
 * missing, altered or there twice. What was on its way is sent once more: that must make it there exactly once.
 */
export async function verify(url: string, ledger: Ledger): Promise<void> {
  const client = new Client(url);
  try {
    for (const room of ledger.rooms) {
      const lost = [...room.messages].filter(([, id]) => id === undefined).map(([text]) => text);
      for (const text of lost) await sendMessage(client, ledger, room, text);
    }
    await accounts(client, ledger);
    while (await observe(client, ledger, 0));
    for (const room of ledger.rooms) {
      await timeline(client, room);
      await counter(client, room);
      await marker(client, room);
    }
    await tip(client, ledger);
  } finally {
    client.close();
  }
}

/** A sync without a token must be as far as anything told before. */
async function tip(client: Client, ledger: Ledger): Promise<void> {
  const filter = encodeURIComponent(JSON.stringify({ room: { rooms: [] } }));
  const body = await client.ok('GET', `/_matrix/client/v3/sync?timeout=0&filter=${filter}`, ledger.observer);
  ledger.token(body['next_batch'] as string);
}

/** Every account can still be used, every join still stands; names on their way are taken or free, and then taken. */
async function accounts(client: Client, ledger: Ledger): Promise<void> {
  for (const name of ledger.newNames) {
    const account = ledger.accounts.get(name) ?? (await again(client, name));
    ledger.accounts.set(name, account);
    const { user_id } = await client.ok('GET', '/_matrix/client/v3/account/whoami', account);
    if (user_id !== account.id) throw new Error(`the token of ${account.id} is now that of ${user_id}`);
  }
  ledger.newNames.length = 0;
  const { joined } = await client.ok('GET', inRoom(ledger.lobby, 'joined_members'), ledger.observer);
  for (const id of ledger.joined) {
    if (!Object.hasOwn(joined as object, id)) throw new Error(`the join of ${id} is lost`);
  }
}

/** Makes an account whose registration was not answered; where it was made all the same, its password must fit. */
async function again(client: Client, name: string): Promise<Account> {
  try {
    return await register(client, name);
  } catch (error) {
    if (!(error instanceof Refused) || (error.body as { errcode?: string }).errcode !== 'M_USER_IN_USE') throw error;
  }
  const made = await client.ok('POST', '/_matrix/client/v3/login', undefined, {
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: name },
    password: `password of ${name}`,
  });
  return { id: made['user_id'] as string, token: made['access_token'] as string };
}

/** The room's timeline since the last comparison has each message once, and is what the observer was told, in order. */
async function timeline(client: Client, room: RoomLedger): Promise<void> {
  const until = room.observed[room.compared - 1];
  const found: TimelineEvent[] = [];
  for (let from = '', reached = false; !reached; ) {
    const page = await client.ok('GET', inRoom(room.id, `messages?dir=b&limit=500${from}`), room.sender);
    for (const event of page['chunk'] as TimelineEvent[]) {
      reached = event.event_id === until;
      if (reached) break;
      found.push(event);
    }
    if (page['end'] === undefined) break;
    from = `&from=${encodeURIComponent(page['end'] as string)}`;
  }
  found.reverse();
  const told = room.observed.slice(room.compared);
  const ids = found.map((event) => event.event_id);
  if (ids.join() !== told.join()) {
    throw new Error(`the timeline of ${room.id} has ${ids.length} new events, the observer was told of ${told.length}`);
  }
  room.compared = room.observed.length;
  const byText = new Map<string, string>();
  for (const { event_id, type, content } of found) {
    if (type !== 'm.room.message') continue;
    const text = content.body ?? '';
    if (byText.has(text)) throw new Error(`message ${text} is there twice`);
    byText.set(text, event_id);
  }
  for (const [text, id] of room.messages) {
    if (byText.get(text) !== id)
      throw new Error(`message ${text} was acknowledged as ${id}, and is ${byText.get(text)}`);
    byText.delete(text);
  }
  if (byText.size > 0) throw new Error(`there are messages that nobody sent: ${[...byText.keys()].join(', ')}`);
  room.messages.clear();
}

async function counter(client: Client, room: RoomLedger): Promise<void> {
  if (room.counter.acked === 0 && room.counter.pending === undefined) return;
  const path = inRoom(room.id, `state/${COUNTER}/`);
  const n = await client.ok('GET', path, room.sender).then(
    (content) => content['n'] as number,
    (error: unknown) => (error instanceof Refused && error.status === 404 ? 0 : Promise.reject(error)),
  );
  settle(room.counter, n, `the counter of ${room.id}`);
}

async function marker(client: Client, room: RoomLedger): Promise<void> {
  if (room.marker.acked === '' && room.marker.pending === undefined) return;
  const user = encodeURIComponent(room.sender.id);
  const path = `/_matrix/client/v3/user/${user}/rooms/${encodeURIComponent(room.id)}/account_data/m.fully_read`;
  const id = await client.ok('GET', path, room.sender).then(
    (content) => content['event_id'] as string,
    (error: unknown) => (error instanceof Refused && error.status === 404 ? '' : Promise.reject(error)),
  );
  settle(room.marker, id, `the read marker in ${room.id}`);
}

/** The value now must be the one acknowledged, or the one on its way. */
function settle<T>(register: Register<T>, now: T, what: string): void {
  if (now !== register.acked && now !== register.pending) {
    throw new Error(`${what} is ${now}, acknowledged was ${register.acked}, on its way ${register.pending}`);
  }
  register.acked = now;
  register.pending = undefined;
}
