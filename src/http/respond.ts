import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { MatrixError } from '#core/errors.js';
import { jsonParts, stringifyJson } from '#core/json-text.js';
import type { JsonObject } from '#core/json-value.js';
import { announcesBody } from '#http/body.js';
import type { Reply } from '#http/endpoint.js';
import type { Clock } from '#util/clock.js';
import { httpDate } from '#util/date.js';

/** On every response, errors included (client-server API, Web Browser Clients). */
const CORS = [
  'Access-Control-Allow-Origin',
  '*',
  'Access-Control-Allow-Methods',
  'GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS',
  'Access-Control-Allow-Headers',
  'X-Requested-With, Content-Type, Authorization, Date',
  'Access-Control-Expose-Headers',
  'Retry-After, ETag, Location',
] as const;

/** Answers differ by who asks, so nothing on the way may keep them unless an endpoint says so. */
const UNCACHED = ['Cache-Control', 'no-store'] as const;
const PREFLIGHT = [...CORS, 'Access-Control-Max-Age', '86400', ...UNCACHED];
const DEFAULTS = [...CORS, ...UNCACHED];

/** Of a body that no one wants, this much is swallowed so that the client gets to read the answer. */
const SWALLOWED_BYTES = 4 * 1024 * 1024;
const SWALLOWED_MS = 5_000;

/** A response whose head is written, and what follows it. */
interface Ready {
  readonly response: ServerResponse;
  readonly body: readonly (string | Buffer)[];
}

/**
 * Answers requests. What can go out whole is handed to the system once all requests that came in together were handled, at the end of
 * this turn of the event loop: to wake a client that waits costs more than to write to one that is awake already, and
 * code that runs several times in a row has its instructions still at hand (docs/decisions/0017-answers-together.md).
 */
export class Responder {
  readonly #clock: Clock;
  readonly #giveUp: (response: ServerResponse, error: unknown) => void;
  #ready: Ready[] = [];

  /** `giveUp` is to end a response that can't be written. */
  constructor(clock: Clock, giveUp: (response: ServerResponse, error: unknown) => void) {
    this.#clock = clock;
    this.#giveUp = giveUp;
  }

  /** Answers `OPTIONS`, on any path, without side effects. */
  preflight(response: ServerResponse): void {
    this.#begin(response, 204, [...PREFLIGHT]);
    this.#endSoon(response, []);
  }

  /** Sends `value` as JSON. */
  json(
    request: IncomingMessage,
    response: ServerResponse,
    status: number,
    value: object,
    more: readonly string[] = [],
  ): void {
    const parts = jsonParts(value as JsonObject);
    const length = String(parts.reduce((sum, part) => sum + Buffer.byteLength(part), 0));
    const headers = ['Content-Type', 'application/json', 'Content-Length', length, ...DEFAULTS, ...more];
    this.#finish(request, response, status, headers, parts);
  }

  /** Sends an error in the standard form, with `Retry-After` where `retry_after_ms` is given. */
  error(request: IncomingMessage, response: ServerResponse, error: MatrixError): void {
    const { retry_after_ms: retryAfterMs } = error.extra;
    const more = typeof retryAfterMs === 'number' ? ['Retry-After', String(Math.ceil(retryAfterMs / 1000))] : [];
    const body = { ...error.extra, errcode: error.errcode, error: error.message };
    this.json(request, response, error.status, body, more);
  }

  /** Sends what a handler returned in full; resolves once a stream has gone out, and rejects when it fails. */
  async reply(request: IncomingMessage, response: ServerResponse, reply: Reply): Promise<void> {
    const given = new Set(Object.keys(reply.headers).map((name) => name.toLowerCase()));
    const headers = Object.entries(reply.headers).flat();
    for (let at = 0; at < DEFAULTS.length; at += 2) {
      const name = DEFAULTS[at] ?? '';
      if (!given.has(name.toLowerCase())) headers.push(name, DEFAULTS[at + 1] ?? '');
    }
    const { body } = reply;
    if (body instanceof Readable) {
      try {
        this.#begin(response, reply.status, headers);
        if (request.method === 'HEAD') response.end();
        else await pipeline(body, response);
      } finally {
        body.destroy();
      }
      return;
    }
    const raw = typeof body === 'string' || Buffer.isBuffer(body);
    const bytes = raw ? body : stringifyJson(body as JsonObject);
    const bodiless = reply.status === 204 || reply.status === 304;
    if (!bodiless) {
      if (!given.has('content-type')) headers.push('Content-Type', defaultType(body));
      if (!given.has('content-length')) headers.push('Content-Length', String(Buffer.byteLength(bytes)));
    }
    this.#finish(request, response, reply.status, headers, bodiless ? [] : [bytes]);
  }

  /** Makes the head of a response, to whose `headers` it adds the date. */
  #begin(response: ServerResponse, status: number, headers: string[]): void {
    response.sendDate = false;
    headers.push('Date', httpDate(this.#clock.now()));
    response.writeHead(status, headers);
  }

  #finish(
    request: IncomingMessage,
    response: ServerResponse,
    status: number,
    headers: string[],
    body: readonly (string | Buffer)[],
  ): void {
    if (request.complete || !announcesBody(request)) {
      this.#begin(response, status, headers);
      this.#endSoon(response, body);
      return;
    }
    // The answer comes before the end of the request. Closing at once would reset the connection, and the client might
    // never read why; so the rest is swallowed within bounds first.
    this.#begin(response, status, [...headers, 'Connection', 'close']);
    for (const part of body) response.write(part);
    let swallowed = 0;
    const done = (): void => {
      timer.cancel();
      request.off('data', onData).off('end', done).off('close', done);
      response.end();
    };
    const onData = (chunk: Buffer): void => {
      swallowed += chunk.length;
      if (swallowed > SWALLOWED_BYTES) done();
    };
    const timer = this.#clock.after(SWALLOWED_MS, done);
    request
      .on('data', onData)
      .on('end', done)
      .on('close', done)
      .on('error', () => {});
    request.resume();
  }

  #endSoon(response: ServerResponse, body: readonly (string | Buffer)[]): void {
    if (this.#ready.push({ response, body }) === 1) setImmediate(() => this.#endAll());
  }

  #endAll(): void {
    const ready = this.#ready;
    this.#ready = [];
    for (const { response, body } of ready) {
      try {
        end(response, body);
      } catch (error) {
        this.#giveUp(response, error);
      }
    }
  }
}

function defaultType(body: object | string): string {
  if (typeof body === 'string') return 'text/plain; charset=utf-8';
  return Buffer.isBuffer(body) ? 'application/octet-stream' : 'application/json';
}

function end(response: ServerResponse, body: readonly (string | Buffer)[]): void {
  const last = body.at(-1) ?? '';
  if (body.length === 1 && last.length > 0) {
    // Written before the end, which Node would otherwise send along as a second, empty piece, in a more costly system call.
    response.write(last);
    response.socket?.uncork();
    response.end();
    return;
  }
  response.cork();
  for (let at = 0; at < body.length - 1; at++) response.write(body[at]);
  response.end(last);
}
