import { MatrixError } from '#core/errors.js';
import type { JsonObject } from '#core/json-value.js';
import { type SlidingConnection, type SlidingSent, slidingConnections, slidingRooms } from '#store/schema.js';
import type { Position, RoomNum, Store, Tx } from '#store/types.js';
import type { Clock } from '#util/clock.js';
import { Lru } from '#util/lru.js';
import type { Random } from '#util/random.js';

/** Rows that a connection's rooms are spread over, so that an answer about one room rewrites little. */
export const BUCKETS = 32;
/** Connections of one device; the least recently used goes when there are more. */
export const MOST_CONNECTIONS = 8;
/** Connections of which it is known which request is the newest. */
const MOST_TURNS = 10_000;
/** Connections held in memory. */
const HELD = 500;

const POS = /^(\d{1,16})_([A-Za-z0-9_-]{8})_(\d{1,9})$/;

/** What was sent of a room, as far as the client has surely received it. */
export type Sent = Omit<SlidingSent, 'before'>;

/** One sliding sync connection at the answer that the client holds. */
export interface Connection {
  readonly user: string;
  readonly device: string;
  readonly name: string;
  readonly generation: string;
  /** Number of the answer that the client holds; 0 before the first. */
  readonly counter: number;
  /** Where that answer reached; undefined before the first. */
  readonly since: Position | undefined;
  readonly sent: ReadonlyMap<RoomNum, SlidingSent>;
  /** Names the request that found it. */
  readonly turn: object;
}

interface Held {
  readonly generation: string;
  readonly rooms: Map<RoomNum, SlidingSent>;
  /** How far each room was last looked at, its counts included, and had nothing new. */
  readonly looked: Map<RoomNum, Position>;
  settled?: Settled;
}

/** A request that had nothing new of rooms: until something concerns the user, it has nothing new again. */
export interface Settled {
  /** Names what was asked for (`askedName`). */
  readonly asked: string;
  /** Number of the answer that the client held. */
  readonly counter: number;
  /** So far nothing was new. */
  readonly upTo: Position;
  /** `lists` of the answer. */
  readonly lists: JsonObject;
}

function unknownPos(): MatrixError {
  return new MatrixError('M_UNKNOWN_POS', 'This position is unknown here: begin again without one');
}

/**
 * Sliding sync connections (MSC4186), which survive restarts. Two answers are remembered of each: the newest, and the one
 * before it, because until the client comes back with the newest position it may not have received it.
 */
export class Connections {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #held = new Lru<string, Held>(HELD);
  /** The newest request of each connection. */
  readonly #newest = new Lru<string, object>(MOST_TURNS);

  constructor(store: Store, clock: Clock, random: Random) {
    this.#store = store;
    this.#clock = clock;
    this.#random = random;
    store.onReset(() => this.#held.clear());
  }

  /**
   * The connection as the client that presents `pos` knows it, or a new one. Throws M_UNKNOWN_POS. A client that asks has given up
   * what it asked before, which can't be saved any more from here on.
   */
  async find(user: string, device: string, name: string, pos: string | undefined): Promise<Connection> {
    const turn = {};
    if (pos === undefined) {
      this.#newest.set(`${user} ${device} ${name}`, turn);
      const generation = this.#random.token(6);
      return { user, device, name, generation, counter: 0, since: undefined, sent: new Map(), turn };
    }
    const parts = POS.exec(pos);
    const row = this.#rowOf(user, device, name);
    if (parts === null || row === undefined || row.generation !== parts[2]) throw unknownPos();
    const counter = Number(parts[3]);
    const since = row.positions[counter === row.counter ? 1 : 0];
    if (counter !== row.counter && counter !== row.counter - 1) throw unknownPos();
    if (since !== Number(parts[1]) || counter === 0) throw unknownPos();
    this.#newest.set(`${user} ${device} ${name}`, turn);
    const sent = await this.#roomsOf(user, device, name, row.generation);
    return { user, device, name, generation: row.generation, counter, since, sent, turn };
  }

  /** What the client has of a room; undefined where it was never sent, or the answer that sent it may be lost. */
  sent(connection: Connection, room: RoomNum): Sent | undefined {
    const row = connection.sent.get(room);
    if (row === undefined || row.at <= connection.counter) return row;
    return row.before;
  }

  /**
   * Remembers an answer that reaches to `upTo`, durably, and gives the position for it; undefined where the client has asked
   * again meanwhile. An old answer must not take the place of the one that the client gets: its position would be unknown then.
   */
  async save(
    connection: Connection,
    upTo: Position,
    rooms: ReadonlyMap<RoomNum, Omit<SlidingSent, 'at' | 'before'>>,
  ): Promise<string | undefined> {
    const { user, device, name, generation } = connection;
    const newest = this.#newest.get(`${user} ${device} ${name}`);
    if (newest !== undefined && newest !== connection.turn) return undefined;
    const counter = connection.counter + 1;
    const next = new Map<RoomNum, SlidingSent>();
    const dirty = new Set<number>();
    for (const [room, row] of connection.sent) {
      const kept = this.sent(connection, room);
      // An answer that the client asked again for was lost: what it said was sent was not.
      if (row.at > connection.counter) dirty.add(room % BUCKETS);
      if (kept !== undefined) next.set(room, kept);
    }
    for (const [room, row] of rooms) {
      const before = this.sent(connection, room);
      next.set(room, { ...row, at: counter, ...(before === undefined ? {} : { before: bare(before) }) });
      dirty.add(room % BUCKETS);
    }
    if (connection.counter === 0) for (let bucket = 0; bucket < BUCKETS; bucket++) dirty.add(bucket);
    const byBucket = new Map<number, [string, SlidingSent][]>([...dirty].map((bucket) => [bucket, []]));
    for (const [room, row] of next) byBucket.get(room % BUCKETS)?.push([String(room), row]);
    await this.#store.commit((tx) => {
      const all = { ...(tx.get(slidingConnections, [user, device]) ?? {}) };
      all[name] = { generation, counter, positions: [connection.since ?? 0, upTo], usedTs: this.#clock.now() };
      tx.put(slidingConnections, [user, device], this.#bounded(tx, user, device, all));
      for (const [bucket, held] of byBucket) {
        if (held.length === 0) tx.delete(slidingRooms, [user, device, name, bucket]);
        else tx.put(slidingRooms, [user, device, name, bucket], { generation, rooms: Object.fromEntries(held) });
      }
    });
    const looked = this.#heldOf(connection)?.looked ?? new Map<RoomNum, Position>();
    this.#held.set(`${user} ${device} ${name}`, { generation, rooms: next, looked });
    return `${upTo}_${generation}_${counter}`;
  }

  /** What is known of the same request at the same answer, where it had nothing new of rooms. */
  settled(connection: Connection, asked: string): Settled | undefined {
    const known = this.#heldOf(connection)?.settled;
    return known?.asked === asked && known.counter === connection.counter ? known : undefined;
  }

  /** How far each room is known to have nothing new to the connection, its counts included; who looks keeps it up to date. */
  looked(connection: Connection): Map<RoomNum, Position> {
    return this.#heldOf(connection)?.looked ?? new Map();
  }

  /** Keeps in memory that a request had nothing new of rooms. */
  settle(connection: Connection, settled: Settled): void {
    const held = this.#heldOf(connection);
    if (held !== undefined) held.settled = settled;
  }

  #heldOf({ user, device, name, generation }: Connection): Held | undefined {
    const held = this.#held.get(`${user} ${device} ${name}`);
    return held?.generation === generation ? held : undefined;
  }

  /** The position that the client holds already, for an answer in which nothing is new. */
  same(connection: Connection): string {
    return `${connection.since ?? 0}_${connection.generation}_${connection.counter}`;
  }

  /** Forgets a deleted device's connections. */
  forget(tx: Tx, user: string, device: string): void {
    const all = tx.get(slidingConnections, [user, device]);
    if (all === undefined) return;
    tx.delete(slidingConnections, [user, device]);
    for (const name of Object.keys(all)) this.#drop(tx, user, device, name);
  }

  #drop(tx: Tx, user: string, device: string, name: string): void {
    for (let bucket = 0; bucket < BUCKETS; bucket++) tx.delete(slidingRooms, [user, device, name, bucket]);
    this.#held.delete(`${user} ${device} ${name}`);
  }

  #bounded(
    tx: Tx,
    user: string,
    device: string,
    all: Record<string, SlidingConnection>,
  ): Record<string, SlidingConnection> {
    const byUse = Object.entries(all).sort(([, a], [, b]) => b.usedTs - a.usedTs);
    for (const [name] of byUse.slice(MOST_CONNECTIONS)) this.#drop(tx, user, device, name);
    return Object.fromEntries(byUse.slice(0, MOST_CONNECTIONS));
  }

  #rowOf(user: string, device: string, name: string): SlidingConnection | undefined {
    const all = this.#store.get(slidingConnections, [user, device]);
    return all !== undefined && Object.hasOwn(all, name) ? all[name] : undefined;
  }

  async #roomsOf(user: string, device: string, name: string, generation: string): Promise<Map<RoomNum, SlidingSent>> {
    const key = `${user} ${device} ${name}`;
    const held = this.#held.get(key);
    if (held?.generation === generation) return held.rooms;
    const rooms = new Map<RoomNum, SlidingSent>();
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const row = this.#store.get(slidingRooms, [user, device, name, bucket]);
      if (row?.generation !== generation) continue;
      for (const [room, sent] of Object.entries(row.rooms)) rooms.set(Number(room), sent);
    }
    this.#held.set(key, { generation, rooms, looked: new Map() });
    return rooms;
  }
}

function bare({ at, upTo, timelineLimit, state }: SlidingSent): Sent {
  return { at, upTo, timelineLimit, state };
}
