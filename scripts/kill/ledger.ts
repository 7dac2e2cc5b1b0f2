import { Connection, parsed } from '../bench/workload/connection.js';

export interface Account {
  readonly id: string;
  readonly token: string;
}

/** A write that is compared as a whole: the value last acknowledged, and one that was on its way when the server died. */
export interface Register<T> {
  acked: T;
  pending: T | undefined;
}

/** What was written to one room, and how much of its timeline has been compared so far. */
export interface RoomLedger {
  readonly id: string;
  readonly sender: Account;
  /** Messages by their text, which is unique: the event id once acknowledged, undefined while on the way. */
  readonly messages: Map<string, string | undefined>;
  readonly counter: Register<number>;
  readonly marker: Register<string>;
  /** Event ids of the timeline as the observer was told of them, oldest first, and which of them were compared. */
  readonly observed: string[];
  compared: number;
}

/** Everything that the server has acknowledged, and what it may or may not have taken in. */
export class Ledger {
  readonly rooms: RoomLedger[] = [];
  /** Accounts by name; undefined while the registration is on the way. */
  readonly accounts = new Map<string, Account | undefined>();
  /** Names of those not yet asked about since the last kill. */
  readonly newNames: string[] = [];
  /** User ids whose join of the lobby was acknowledged. */
  readonly joined = new Set<string>();
  lobby = '';
  /** The observer, with the token of its last sync and the largest token that anyone was given. */
  observer: Account | undefined;
  since = '';
  largest = 0;
  acknowledged = 0;

  /** Records a token: no later one may be smaller. */
  token(token: string): void {
    const position = Number(token);
    if (!Number.isSafeInteger(position)) throw new Error(`a sync token is no integer: ${token}`);
    if (position < this.largest) throw new Error(`a sync token went back from ${this.largest} to ${position}`);
    this.largest = position;
  }
}

/** One client: requests over one connection, whose answers must be 200. */
export class Client {
  readonly #connection: Connection;

  constructor(url: string) {
    this.#connection = new Connection(url);
  }

  async ok(method: string, path: string, account?: Account, body?: unknown): Promise<Record<string, unknown>> {
    const answer = await this.#connection.request(method, path, { token: account?.token, body });
    const said = parsed(answer.body);
    if (answer.status !== 200) throw new Refused(`${method} ${path}`, answer.status, said);
    return said as Record<string, unknown>;
  }

  close(): void {
    this.#connection.close();
  }
}

/** The server answered, and not with 200: unlike a cut connection that is never what a kill explains. */
export class Refused extends Error {
  readonly status: number;
  readonly body: unknown;
  constructor(what: string, status: number, body: unknown) {
    super(`${what} was answered ${status}: ${JSON.stringify(body)}`);
    this.status = status;
    this.body = body;
  }
}

/** Path of a room's endpoint. */
export function inRoom(room: string, rest: string): string {
  return `/_matrix/client/v3/rooms/${encodeURIComponent(room)}/${rest}`;
}

/** Makes an account by open registration. */
export async function register(client: Client, name: string): Promise<Account> {
  const made = await client.ok('POST', '/_matrix/client/v3/register', undefined, {
    username: name,
    password: `password of ${name}`,
    auth: { type: 'm.login.dummy' },
  });
  return { id: made['user_id'] as string, token: made['access_token'] as string };
}
