import { readFileSync } from 'node:fs';
import { loadConfig } from '#config';
import { type RoomId, UserId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { createRoomIn } from '#rooms/create.js';
import { changeMembershipIn } from '#rooms/membership.js';
import type { Rooms } from '#rooms/rooms.js';
import { sendEventIn } from '#rooms/send.js';
import { openLayers } from '#server';
import { SystemClock } from '#util/clock.js';
import { silentLog } from '#util/log.js';
import { systemRandom } from '#util/random.js';
import { Language, numbers, Zipf } from './language.js';

/** How much the database holds. */
export interface Sizes {
  readonly messages: number;
  /** Rooms over which the messages are spread, by Zipf's law. */
  readonly messageRooms: number;
  /** Rooms below one space, spaces below it among them. */
  readonly spaceRooms: number;
  /** Rooms of the account that syncs. */
  readonly syncedRooms: number;
}

/** Accounts for which the database is filled. */
export interface Accounts {
  readonly searcher: string;
  readonly syncer: string;
}

/** Where in the database things are. */
export interface Filled {
  /** Room with the most messages. */
  readonly largestRoom: string;
  readonly space: string;
  readonly perSecond: number;
}

/** Who else speaks in each room of the messages. */
const SPEAKERS = 2;
/** Events written by one transaction. */
const BATCH = 200;
const ROOMS_A_BATCH = 20;
/** Spaces below the space. */
const SUBSPACES = 20;

/**
 * Fills the database of a server that does not run, by the same verbs that its endpoints call, many in one transaction: every
 * event is built, signed, authorised, appended and indexed as one that a client sends.
 */
export async function fill(env: Readonly<Record<string, string>>, accounts: Accounts, sizes: Sizes): Promise<Filled> {
  const { config } = loadConfig({ flags: {}, env, readFile: (path) => readFileSync(path, 'utf8') });
  const surroundings = { clock: new SystemClock(), random: systemRandom, log: silentLog };
  const { layers, close } = await openLayers(config, surroundings);
  try {
    const { rooms } = layers;
    await fillSynced(rooms, userId(accounts.syncer), sizes.syncedRooms);
    const space = await fillSpace(rooms, sizes.spaceRooms);
    const { largestRoom, perSecond } = await fillMessages(rooms, userId(accounts.searcher), sizes);
    return { largestRoom, space, perSecond };
  } finally {
    await close();
  }
}

function userId(text: string): UserId {
  const id = UserId.parse(text);
  if (id === undefined) throw new Error(`'${text}' is no user id`);
  return id;
}

const local = (rooms: Rooms, name: string): UserId => userId(`@${name}:${rooms.serverName}`);

/** Does `count` pieces of work, `batch` in a transaction, one transaction being built while the one before is written. */
async function inBatches<T>(rooms: Rooms, count: number, batch: number, work: (tx: Tx, i: number) => T): Promise<T[]> {
  const done: T[] = [];
  let writing: Promise<unknown> = Promise.resolve();
  for (let from = 0; from < count; from += batch) {
    const to = Math.min(count, from + batch);
    const written = rooms.store.commit((tx) => {
      for (let i = from; i < to; i++) done.push(work(tx, i));
    });
    await writing;
    writing = written;
  }
  await writing;
  return done;
}
type Tx = Parameters<Parameters<Rooms['store']['commit']>[0]>[0];

async function fillMessages(
  rooms: Rooms,
  searcher: UserId,
  { messages, messageRooms }: Sizes,
): Promise<Pick<Filled, 'largestRoom' | 'perSecond'>> {
  const speakers = [searcher, ...Array.from({ length: SPEAKERS }, (_, i) => local(rooms, `speaker${i}`))];
  const ids = await inBatches(rooms, messageRooms, 1, (tx, i) => {
    const body = { preset: 'public_chat', name: `Room ${i}` } as const;
    const roomId = createRoomIn(rooms, tx, { creator: searcher, body });
    for (const speaker of speakers.slice(1)) {
      changeMembershipIn(rooms, tx, { roomId, sender: speaker, target: speaker, action: 'join', content: {} });
    }
    return roomId;
  });
  const language = new Language(1);
  const spread = new Zipf(messageRooms);
  const next = numbers(2);
  const fromMs = performance.now();
  await inBatches(rooms, messages, BATCH, (tx) => {
    const roomId = ids[spread.rank(next())]!;
    const sender = speakers[Math.floor(next() * speakers.length)]!;
    say(rooms, tx, roomId, sender, language.message());
  });
  return { largestRoom: ids[0]!, perSecond: messages / ((performance.now() - fromMs) / 1000) };
}

function say(rooms: Rooms, tx: Tx, roomId: RoomId, sender: UserId, body: string): void {
  sendEventIn(rooms, tx, { roomId, sender, type: 'm.room.message', content: { msgtype: 'm.text', body } });
}

/** A public space of public rooms, most of them in spaces below it; its id. */
async function fillSpace(rooms: Rooms, count: number): Promise<string> {
  const creator = local(rooms, 'gardener');
  const subspaces = Math.min(SUBSPACES, Math.ceil(count / 10));
  const made = await inBatches(rooms, count + 1, ROOMS_A_BATCH, (tx, i) => {
    const content: { creation_content?: JsonObject } = i <= subspaces ? { creation_content: { type: 'm.space' } } : {};
    const body = { preset: 'public_chat', name: `Place ${i}`, topic: 'What grows here', ...content } as const;
    return createRoomIn(rooms, tx, { creator, body });
  });
  const [space, ...below] = made;
  await inBatches(rooms, below.length, ROOMS_A_BATCH, (tx, i) => {
    const parent = i < subspaces ? space! : below[i % subspaces]!;
    const content = { via: [rooms.serverName] };
    sendEventIn(rooms, tx, { roomId: parent, sender: creator, type: 'm.space.child', stateKey: below[i]!, content });
  });
  return space!;
}

/** Rooms with a name and a few messages for the account that syncs. */
async function fillSynced(rooms: Rooms, syncer: UserId, count: number): Promise<void> {
  const language = new Language(3);
  const made = await inBatches(rooms, count, ROOMS_A_BATCH, (tx, i) =>
    createRoomIn(rooms, tx, { creator: syncer, body: { preset: 'private_chat', name: `Chat ${i}` } }),
  );
  await inBatches(rooms, count * 3, BATCH, (tx, i) => {
    say(rooms, tx, made[i % count]!, syncer, language.message());
  });
}
