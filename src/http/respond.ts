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

/** Answers `OPTIONS`, on any path, without side effects. */
export function sendPreflight(response: ServerResponse, clock: Clock): void {
  begin(response, clock, 204, [...PREFLIGHT]);
  response.end();
}

/** Sends `value` as JSON. */
export function sendJson(
  request: IncomingMessage,
  response: ServerResponse,
  clock: Clock,
  status: number,
  value: object,
  more: readonly string[] = [],
): void {
  const parts = jsonParts(value as JsonObject);
  const length = String(parts.reduce((sum, part) => sum + Buffer.byteLength(part), 0));
  const headers = ['Content-Type', 'application/json', 'Content-Length', length, ...DEFAULTS, ...more];
  finish(request, response, clock, status, headers, parts);
}

/** Sends an error in the standard form, with `Retry-After` where `retry_after_ms` is given. */
export function sendError(request: IncomingMessage, response: ServerResponse, clock: Clock, error: MatrixError): void {
  const { retry_after_ms: retryAfterMs } = error.extra;
  const more = typeof retryAfterMs === 'number' ? ['Retry-After', String(Math.ceil(retryAfterMs / 1000))] : [];
  const body = { ...error.extra, errcode: error.errcode, error: error.message };
  sendJson(request, response, clock, error.status, body, more);
}

/** Sends what a handler returned in full; resolves once a stream has gone out, and rejects when it fails. */
export async function sendReply(
  request: IncomingMessage,
  response: ServerResponse,
  clock: Clock,
  reply: Reply,
): Promise<void> {
  const given = new Set(Object.keys(reply.headers).map((name) => name.toLowerCase()));
  const headers = Object.entries(reply.headers).flat();
  for (let at = 0; at < DEFAULTS.length; at += 2) {
    const name = DEFAULTS[at] ?? '';
    if (!given.has(name.toLowerCase())) headers.push(name, DEFAULTS[at + 1] ?? '');
  }
  const { body } = reply;
  if (body instanceof Readable) {
    try {
      begin(response, clock, reply.status, headers);
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
  finish(request, response, clock, reply.status, headers, [bodiless ? '' : bytes]);
}

function defaultType(body: object | string): string {
  if (typeof body === 'string') return 'text/plain; charset=utf-8';
  return Buffer.isBuffer(body) ? 'application/octet-stream' : 'application/json';
}

/** Writes the head of a response, to whose `headers` it adds the date. */
function begin(response: ServerResponse, clock: Clock, status: number, headers: string[]): void {
  response.sendDate = false;
  headers.push('Date', httpDate(clock.now()));
  response.writeHead(status, headers);
}

function finish(
  request: IncomingMessage,
  response: ServerResponse,
  clock: Clock,
  status: number,
  headers: string[],
  body: readonly (string | Buffer)[],
): void {
  const last = body.at(-1) ?? '';
  if (request.complete || !announcesBody(request)) {
    begin(response, clock, status, headers);
    if (body.length > 1) {
      response.cork();
      for (let at = 0; at < body.length - 1; at++) response.write(body[at]);
    } else if (last.length > 0) {
      // Written before the end, which Node would otherwise send along as a second, empty piece, in a more costly system call.
      response.write(last);
      response.socket?.uncork();
      response.end();
      return;
    }
    response.end(last);
    return;
  }
  // The answer comes before the end of the request. Closing at once would reset the connection, and the client might
  // never read why; so the rest is swallowed within bounds first.
  begin(response, clock, status, [...headers, 'Connection', 'close']);
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
  const timer = clock.after(SWALLOWED_MS, done);
  request
    .on('data', onData)
    .on('end', done)
    .on('close', done)
    .on('error', () => {});
  request.resume();
}
