import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { recordAnswer } from './record.js';
import { checkAnswer } from './schema.js';

// biome-ignore lint/suspicious/noExplicitAny: bodies of answers are read by tests that state what they expect.
export type Body = Record<string, any>;

/** An answer, whatever its status. */
export interface Answer {
  readonly status: number;
  readonly body: Body;
  readonly headers: Headers;
}

/** An event as clients see it. */
export interface ClientEvent extends Body {
  readonly event_id: string;
  readonly type: string;
  readonly sender: string;
  readonly content: Body;
  readonly state_key?: string;
}

const WAIT_MS = 10_000;

/** Escapes one path segment. */
export const seg = (text: string): string => encodeURIComponent(text);

/** Where most of the client-server API lies. */
export const C = '/_matrix/client/v3';

/** Path of a room's resource: `inRoom(room, 'state', 'm.room.name', '')`. */
export const inRoom = (room: string, ...rest: readonly string[]): string =>
  `${C}/rooms/${[room, ...rest].map(seg).join('/')}`;

/** Path of a user's resource: `ofUser(client, 'filter')`. */
export const ofUser = (client: Client, ...rest: readonly string[]): string =>
  `${C}/user/${[client.userId, ...rest].map(seg).join('/')}`;

/** A query string with its `?`. */
export const query = (parameters: Readonly<Record<string, string | number | boolean>>): string =>
  `?${new URLSearchParams(Object.entries(parameters).map(([name, value]): [string, string] => [name, String(value)]))}`;

/** A Matrix client of few words: requests, and a sync that remembers where it was. */
export class Client {
  readonly url: string;
  readonly userId: string;
  readonly deviceId: string;
  readonly password: string;
  accessToken: string | undefined;
  /** `next_batch` of the last sync. */
  since: string | undefined;

  constructor(
    url: string,
    session?: { userId: string; accessToken: string; deviceId: string; password?: string | undefined },
  ) {
    this.url = url;
    this.userId = session?.userId ?? '';
    this.deviceId = session?.deviceId ?? '';
    this.accessToken = session?.accessToken;
    this.password = session?.password ?? '';
  }

  /**
   * Sends `body` as JSON (a string goes as it is) and reads the answer, whatever its status. Fails where the answer is not
   * what the specification's OpenAPI says.
   */
  async request(
    method: string,
    path: string,
    body?: Body | string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const answer = await fetch(this.url + path, {
      method,
      headers: {
        ...(this.accessToken === undefined ? {} : { authorization: `Bearer ${this.accessToken}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      signal: AbortSignal.timeout(60_000),
    });
    const text = await answer.text();
    let parsed: Body = {};
    try {
      parsed = text === '' ? {} : JSON.parse(text);
    } catch {
      parsed = { text };
    }
    recordAnswer(method, path, answer.status, parsed['errcode']);
    checkAnswer(method, path, answer.status, parsed);
    return { status: answer.status, body: parsed, headers: answer.headers };
  }

  /** As `request`, and the answer must be 200. */
  async ok(method: string, path: string, body?: Body | string): Promise<Body> {
    const answer = await this.request(method, path, body);
    assert.equal(answer.status, 200, `${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  /** As `request`, and the answer must be the error `errcode` (or one of several) with `status`. */
  async fails(
    status: number,
    errcode: string | readonly string[],
    method: string,
    path: string,
    body?: Body | string,
  ): Promise<Body> {
    const answer = await this.request(method, path, body);
    const is = (code: string): boolean => code === answer.body['errcode'];
    assert.deepEqual(
      { status: answer.status, errcode: answer.body['errcode'] },
      { status, errcode: typeof errcode === 'string' ? errcode : (errcode.find(is) ?? errcode) },
      `${method} ${path}: ${JSON.stringify(answer.body)}`,
    );
    assert.equal(typeof answer.body['error'], 'string', 'errors carry a message');
    return answer.body;
  }

  async createRoom(request: Body = {}): Promise<string> {
    return (await this.ok('POST', `${C}/createRoom`, request))['room_id'] as string;
  }
  async join(room: string): Promise<void> {
    await this.ok('POST', `${C}/join/${seg(room)}`, {});
  }
  async invite(room: string, userId: string): Promise<void> {
    await this.ok('POST', inRoom(room, 'invite'), { user_id: userId });
  }
  async leave(room: string): Promise<void> {
    await this.ok('POST', inRoom(room, 'leave'), {});
  }
  /** Sends an event and returns its id. */
  async send(room: string, type: string, content: Body, txn = randomBytes(8).toString('hex')): Promise<string> {
    return (await this.ok('PUT', inRoom(room, 'send', type, txn), content))['event_id'] as string;
  }
  /** Sends a text message and returns its event id. */
  async say(room: string, text: string): Promise<string> {
    return this.send(room, 'm.room.message', { msgtype: 'm.text', body: text });
  }
  async setState(room: string, type: string, stateKey: string, content: Body): Promise<string> {
    return (await this.ok('PUT', inRoom(room, 'state', type, stateKey), content))['event_id'] as string;
  }
  /** The content of a state event of the room. */
  async state(room: string, type: string, stateKey = ''): Promise<Body> {
    return this.ok('GET', inRoom(room, 'state', type, stateKey));
  }
  async event(room: string, eventId: string): Promise<ClientEvent> {
    return (await this.ok('GET', inRoom(room, 'event', eventId))) as ClientEvent;
  }
  async messages(room: string, parameters: Readonly<Record<string, string | number>> = {}): Promise<Body> {
    return this.ok('GET', inRoom(room, 'messages') + query({ dir: 'b', ...parameters }));
  }
  async redact(room: string, eventId: string, reason?: string): Promise<string> {
    const path = inRoom(room, 'redact', eventId, randomBytes(8).toString('hex'));
    return (await this.ok('PUT', path, reason === undefined ? {} : { reason }))['event_id'] as string;
  }
  async kick(room: string, userId: string): Promise<void> {
    await this.ok('POST', inRoom(room, 'kick'), { user_id: userId });
  }
  async ban(room: string, userId: string): Promise<void> {
    await this.ok('POST', inRoom(room, 'ban'), { user_id: userId });
  }
  async unban(room: string, userId: string): Promise<void> {
    await this.ok('POST', inRoom(room, 'unban'), { user_id: userId });
  }
  async knock(room: string): Promise<void> {
    await this.ok('POST', `${C}/knock/${seg(room)}`, {});
  }
  async setTyping(room: string, typing: boolean): Promise<void> {
    const body = typing ? { typing, timeout: 30_000 } : { typing };
    await this.ok('PUT', inRoom(room, 'typing', this.userId), body);
  }
  async receipt(room: string, type: string, eventId: string, body: Body = {}): Promise<void> {
    await this.ok('POST', inRoom(room, 'receipt', type, eventId), body);
  }
  /** The membership of `userId` in the room as this client sees it. */
  async membership(room: string, userId: string): Promise<string> {
    return (await this.state(room, 'm.room.member', userId))['membership'] as string;
  }

  /** Logs in again with the password: another device of the same user. */
  async login(request: Body = {}): Promise<Client> {
    const session = await new Client(this.url).ok('POST', `${C}/login`, {
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user: this.userId },
      password: this.password,
      ...request,
    });
    return this.with(session);
  }

  /** The client of a session, as login and registration answer it. */
  with(session: Body): Client {
    return new Client(this.url, {
      userId: session['user_id'],
      accessToken: session['access_token'],
      deviceId: session['device_id'],
      password: this.password,
    });
  }

  /** What an endpoint with user-interactive authentication wants where the account's password is enough. */
  passwordAuth(session: string, password = this.password): Body {
    return {
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user: this.userId },
      password,
      session,
    };
  }

  /** Makes a request that asks for the password first, and answers it. The whole must succeed. */
  async withPassword(method: string, path: string, body: Body = {}): Promise<Body> {
    const challenge = await this.request(method, path, body);
    assert.equal(challenge.status, 401, `${method} ${path} asks who is there: ${JSON.stringify(challenge.body)}`);
    return this.ok(method, path, { ...body, auth: this.passwordAuth(challenge.body['session']) });
  }

  /** One sync from where the last one ended; `query` overrides parameters. */
  async sync(query: Readonly<Record<string, string>> = {}): Promise<Body> {
    const parameters = new URLSearchParams({
      timeout: '0',
      ...(this.since === undefined ? {} : { since: this.since }),
      ...query,
    });
    const body = await this.ok('GET', `${C}/sync?${parameters}`);
    this.since = body['next_batch'] as string;
    return body;
  }

  /** Long-polls until `found` returns something, and returns that. Fails after ten seconds. */
  async syncUntil<T>(
    found: (body: Body) => T | undefined | false,
    query: Readonly<Record<string, string>> = {},
  ): Promise<T> {
    const deadline = performance.now() + WAIT_MS;
    for (;;) {
      const body = await this.sync({ timeout: this.since === undefined ? '0' : '1000', ...query });
      const result = found(body);
      if (result !== undefined && result !== false) return result;
      assert.ok(performance.now() < deadline, `nothing came by sync; the last answer was ${JSON.stringify(body)}`);
    }
  }
}

/** The timeline of a joined room in a sync answer; empty where the room is not in it. */
export function timeline(body: Body, room: string): ClientEvent[] {
  return body['rooms']?.join?.[room]?.timeline?.events ?? [];
}

/** The body of every text message in events, oldest first as they are given. */
export function texts(events: readonly ClientEvent[]): string[] {
  return events.filter((event) => event.type === 'm.room.message').map((event) => String(event.content['body']));
}

/** For `syncUntil`: the event in the room's timeline that `matches`. */
export function inTimeline(room: string, matches: (event: ClientEvent) => boolean) {
  return (body: Body): ClientEvent | undefined => timeline(body, room).find(matches);
}

/** For `syncUntil`: the text message `text` in the room's timeline. */
export function saying(room: string, text: string) {
  return inTimeline(room, (event) => event.type === 'm.room.message' && event.content['body'] === text);
}
