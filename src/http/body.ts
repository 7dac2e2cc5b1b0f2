import type { IncomingMessage, ServerResponse } from 'node:http';
import { MatrixError } from '#core/errors.js';
import { JsonError, parseJson } from '#core/json.js';
import { isObject, type JsonObject, type JsonValue } from '#core/json-value.js';
import type { Clock } from '#util/clock.js';

/** The client went away before its request was complete: there is no one left to answer. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';
}

const EMPTY = Buffer.alloc(0);
const MULTIPART = /^\s*multipart\/form-data\b/i;

/** Whether a body follows the headers (RFC 9112, section 6.3). */
export function announcesBody(request: IncomingMessage): boolean {
  const { 'content-length': length, 'transfer-encoding': coding } = request.headers;
  return coding !== undefined || (length !== undefined && length !== '0');
}

/** Throws what a JSON endpoint answers to a body that it won't even read: multipart, or larger than `limit` bytes. */
export function refuseBody(request: IncomingMessage, limit: number): void {
  if (MULTIPART.test(request.headers['content-type'] ?? '')) {
    throw new MatrixError('M_UNKNOWN', 'multipart/form-data is not supported here', { status: 415 });
  }
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge(limit);
}

function tooLarge(limit: number): MatrixError {
  return new MatrixError('M_TOO_LARGE', `The body is larger than ${limit} bytes`);
}

/** A client that waits for leave before it sends the body (`Expect: 100-continue`) gets it. */
function allowSending(request: IncomingMessage, response: ServerResponse): void {
  if (request.headers.expect !== undefined) response.writeContinue();
}

/**
 * Reads the whole body, at most `limit` bytes, within `withinMs`.
 * Rejects with `M_TOO_LARGE`, `M_UNKNOWN` 408 when it comes too slowly, or `ClientGone`.
 */
export function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  bounds: { readonly limit: number; readonly withinMs: number; readonly clock: Clock },
): Promise<Buffer> {
  if (!announcesBody(request)) return Promise.resolve(EMPTY);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const settle = (error: Error | undefined): void => {
      timer.cancel();
      request.off('data', onData).off('end', onEnd).off('error', onGone).off('close', onGone);
      // From here on errors of the socket concern no one, but unheard they would end the process.
      request.on('error', () => {});
      if (error === undefined) resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size));
      else {
        request.pause();
        reject(error);
      }
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size > bounds.limit) settle(tooLarge(bounds.limit));
      else chunks.push(chunk);
    };
    const onEnd = (): void => settle(undefined);
    const onGone = (): void => settle(new ClientGone('the connection closed within the body'));
    const timer = bounds.clock.after(bounds.withinMs, () =>
      settle(new MatrixError('M_UNKNOWN', 'The body did not arrive in time', { status: 408 })),
    );
    request.on('data', onData).on('end', onEnd).on('error', onGone).on('close', onGone);
    allowSending(request, response);
  });
}

/** The body piece by piece, for endpoints that take it raw. Throws `M_TOO_LARGE` past `limit` bytes, or `ClientGone`. */
export async function* streamBody(
  request: IncomingMessage,
  response: ServerResponse,
  limit: number,
): AsyncGenerator<Buffer, void, undefined> {
  if (!announcesBody(request)) return;
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge(limit);
  allowSending(request, response);
  let size = 0;
  try {
    // Leaving early must not destroy the socket: the refusal is still to be sent over it.
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      size += (chunk as Buffer).length;
      if (size > limit) throw tooLarge(limit);
      yield chunk as Buffer;
    }
  } catch (error) {
    throw error instanceof MatrixError || !request.destroyed ? error : new ClientGone('the connection closed');
  }
}

/**
 * The JSON object of a body; no body at all is the empty object. With `exact`, numbers keep their form (`core/json.ts`).
 * Throws `M_NOT_JSON` for what is not JSON, `M_BAD_JSON` for JSON that is no object or nothing a server may pass on.
 */
export function parseBody(bytes: Buffer, exact: boolean): JsonObject {
  if (bytes.length === 0) return {};
  let value: JsonValue;
  try {
    value = parseJson(bytes, { numbers: exact ? 'exact' : 'plain', finite: true });
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    if (error.kind === 'notJson') throw new MatrixError('M_NOT_JSON', 'The body is not valid JSON');
    throw new MatrixError('M_BAD_JSON', `The body is not acceptable JSON: ${error.message}`);
  }
  if (!isObject(value)) throw new MatrixError('M_BAD_JSON', 'The body must be a JSON object');
  return value;
}
