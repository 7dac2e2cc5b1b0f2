import { type Answer, Connection, parsed } from './connection.js';
import { type Register, registration } from './registration.js';

/** The homeserver under load, by its client-server API; the secret is for the registration that Synapse has. */
export interface Target {
  readonly url: string;
  readonly sharedSecret: string;
}

export interface User {
  readonly id: string;
  readonly token: string;
}

export type Json = Record<string, unknown>;

/** What the load generator keeps between two steps: connections, accounts and rooms. */
export class World {
  readonly target: Target;
  readonly users = new Map<string, User>();
  readonly rooms = new Map<string, string[]>();
  readonly #idle: Connection[] = [];
  #register: Promise<Register> | undefined;
  #serial = 0;

  constructor(target: Target) {
    this.target = target;
  }

  /** Counts up from 1. */
  serial(): number {
    return ++this.#serial;
  }

  /** A name not given before, unlike those of earlier runs against the same server. */
  unique(): string {
    const start = `${process.pid.toString(36)}${Math.trunc(performance.timeOrigin).toString(36)}`;
    return start + this.serial().toString(36);
  }

  /** One request on a free connection; resolves with the parsed answer. Throws where that is not 200. */
  async ok(method: string, path: string, user: User | undefined, body?: unknown): Promise<Json> {
    return parsed(await this.bytes(method, path, user, body)) as Json;
  }

  /** As `ok`, for answers that need not be understood. */
  async bytes(method: string, path: string, user: User | undefined, body?: unknown): Promise<Buffer> {
    const answer = await this.answer(method, path, user, body);
    if (answer.status !== 200) {
      throw new Error(`${method} ${path.split('?')[0]} was answered ${answer.status}: ${answer.body.subarray(0, 500)}`);
    }
    return answer.body;
  }

  /** One request on a free connection, whatever its answer. */
  async answer(method: string, path: string, user: User | undefined, body?: unknown): Promise<Answer> {
    const connection = this.#idle.pop() ?? new Connection(this.target.url);
    const answer = await connection.request(method, path, { token: user?.token, body });
    this.#idle.push(connection);
    return answer;
  }

  /** The account called `name` here, made at its first use. */
  async user(name: string): Promise<User> {
    const known = this.users.get(name);
    if (known !== undefined) return known;
    this.#register ??= registration(this);
    const register = await this.#register;
    const username = `${name}-${this.unique()}`;
    const user = await register(username, `password of ${username}`);
    this.users.set(name, user);
    return user;
  }

  async createRoom(user: User, body: Json = {}): Promise<string> {
    return (await this.ok('POST', '/_matrix/client/v3/createRoom', user, body))['room_id'] as string;
  }

  /** Sends a text of some 40 characters; resolves with the event's id once the server has acknowledged it. */
  async send(user: User, room: string): Promise<string> {
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(room)}/send/m.room.message/${this.unique()}`;
    const body = { msgtype: 'm.text', body: 'The quick brown fox jumps over the dog.' };
    return (await this.ok('PUT', path, user, body))['event_id'] as string;
  }

  sync(user: User, query: string): Promise<Json> {
    return this.ok('GET', `/_matrix/client/v3/sync?${query}`, user);
  }
}

/** How much work was really done, and the seconds that it took. */
export interface Done {
  readonly count: number;
  readonly seconds: number;
}

/**
 * Runs `count` pieces of work, `atOnce` of them at a time, in order of their number. After `withinMs` none is begun any more;
 * those begun are waited for, and count.
 */
export async function drive(
  count: number,
  atOnce: number,
  work: (index: number) => Promise<unknown>,
  withinMs = Number.POSITIVE_INFINITY,
): Promise<Done> {
  const fromMs = performance.now();
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count && performance.now() - fromMs < withinMs) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, lane));
  return { count: next, seconds: (performance.now() - fromMs) / 1000 };
}

/** A second, of what was done. */
export function rate({ count, seconds }: Done): number {
  return count / seconds;
}

/** Milliseconds of `count` runs of `work`, one after the other; after `withinMs` none is begun any more but the first. */
export async function times(
  count: number,
  work: (index: number) => Promise<unknown>,
  withinMs = Number.POSITIVE_INFINITY,
): Promise<number[]> {
  const taken: number[] = [];
  const untilMs = performance.now() + withinMs;
  for (let i = 0; i < count && (i === 0 || performance.now() < untilMs); i++) {
    const from = performance.now();
    await work(i);
    taken.push(performance.now() - from);
  }
  return taken;
}
