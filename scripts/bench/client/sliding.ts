import { type Json, times, type User, type World } from '../workload/world.js';
import type { Report } from './report.js';

const PATH = '/_matrix/client/unstable/org.matrix.simplified_msc3575/sync';
const STATE = [
  ['m.room.name', ''],
  ['m.room.avatar', ''],
  ['m.room.encryption', ''],
  ['m.room.power_levels', ''],
  ['m.room.join_rules', ''],
  ['m.room.member', '$LAZY'],
  ['m.room.member', '$ME'],
];
const on = { enabled: true };
const EXTENSIONS = { to_device: on, e2ee: on, account_data: on, receipts: on, typing: on };
/** Rooms that a client shows first. */
const WINDOW = 20;

/** One connection (MSC4186), as of a client that has just started. */
class Connection {
  readonly #world: World;
  readonly #user: User;
  readonly #id: string;
  #pos: string | undefined;

  constructor(world: World, user: User) {
    this.#world = world;
    this.#user = user;
    this.#id = world.unique();
  }

  /** Asks for the newest `window` rooms; gives the ids of those that something is told of. */
  async sync(window: number): Promise<string[]> {
    const query = this.#pos === undefined ? '' : `&pos=${encodeURIComponent(this.#pos)}`;
    const list = { ranges: [[0, window - 1]], timeline_limit: 1, required_state: STATE };
    const body = { conn_id: this.#id, lists: { all: list }, extensions: EXTENSIONS };
    const answer = await this.#world.ok('POST', `${PATH}?timeout=0${query}`, this.#user, body);
    this.#pos = answer['pos'] as string;
    return Object.keys((answer['rooms'] ?? {}) as Json);
  }
}

function expect(what: boolean, failing: string): void {
  if (!what) throw new Error(failing);
}

/** First and later sliding syncs of an account with very many rooms. */
export async function measureSliding(
  world: World,
  report: Report,
  { user, rooms, count }: { user: User; rooms: number; count: number },
): Promise<void> {
  const of = `sliding sync, ${rooms.toLocaleString('en')} rooms`;
  const first = async (window: number): Promise<void> => {
    const told = await new Connection(world, user).sync(window);
    expect(told.length === Math.min(window, rooms), `a first sync told of ${told.length} rooms`);
  };
  await report.times(`${of}, first since the start, window of ${WINDOW}`, () => times(1, () => first(WINDOW)));
  await report.times(`${of}, first, window of ${WINDOW}`, () => times(count, () => first(WINDOW)));
  await report.times(`${of}, first, all rooms`, () => times(Math.ceil(count / 5), () => first(rooms)));

  const connection = new Connection(world, user);
  const [room] = await connection.sync(WINDOW);
  expect((await connection.sync(rooms)).length === rooms - WINDOW, 'the grown window did not tell of the other rooms');
  await connection.sync(rooms);
  await report.times(`${of}, nothing new`, () => times(count * 4, () => connection.sync(rooms)));
  await report.times(`${of}, one message`, async () => {
    const taken: number[] = [];
    for (let i = 0; i < count * 2; i++) {
      await world.send(user, room!);
      const fromMs = performance.now();
      const told = await connection.sync(rooms);
      taken.push(performance.now() - fromMs);
      expect(told.length === 1, `${told.length} rooms were told of after one message`);
    }
    return taken;
  });
}
