import { chmodSync, existsSync, unlinkSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join, relative } from 'node:path';
import { MatrixError } from '#core/errors.js';
import { JsonError, parseJson } from '#core/json.js';
import type { JsonObject } from '#core/json-value.js';
import { check, type Infer, type Schema } from '#core/schema.js';
import type { Clock } from '#util/clock.js';
import type { Log } from '#util/log.js';

/**
 * A verb of the command line: what an operator asks of a server, running or not. The client of a running server sends
 * name and input through the socket; otherwise the command opens the data itself and runs the same function.
 */
export interface Verb<App> {
  readonly name: string;
  readonly input: Schema<unknown>;
  /** Where there is no database yet, it is begun: other verbs say that there is none. */
  readonly mayBegin?: true;
  /** Not while a server runs: it would write under the server's feet. */
  readonly alone?: true;
  readonly run: (app: App, input: never) => Promise<JsonObject>;
}

/** Declares a verb, its input typed by its schema. */
export function verb<App, S extends Schema<unknown>>(declaration: {
  name: string;
  input: S;
  mayBegin?: true;
  alone?: true;
  run: (app: App, input: Infer<S>) => Promise<JsonObject>;
}): Verb<App> {
  return declaration as unknown as Verb<App>;
}

/** Runs a verb on input from outside. Throws `MatrixError` where the verb or its input is wrong. */
export async function perform<App>(
  verbs: readonly Verb<App>[],
  app: App,
  name: string,
  input: unknown,
): Promise<JsonObject> {
  const found = verbs.find((v) => v.name === name);
  if (found === undefined) throw new MatrixError('M_UNRECOGNIZED', `There is no command '${name}' here`);
  const problem = check(found.input, input);
  if (problem !== undefined) throw new MatrixError('M_BAD_JSON', problem.message);
  return found.run(app, input as never);
}

/** How long the command that runs may go on when the server stops. */
const CLOSE_WITHIN_MS = 5_000;
const MAX_INPUT_BYTES = 64 * 1024;
/** Longest path of a Unix socket, in bytes, that both Linux (108) and macOS (104) take, the final NUL included. */
const MAX_SOCKET_PATH_BYTES = 103;

/**
 * Path of the control socket of a data directory, or undefined where the system could not address it. Relative where
 * that is shorter.
 */
export function controlSocketPath(data: string): string | undefined {
  const whole = join(data, 'control.sock');
  const paths = [whole, relative(process.cwd(), whole)].sort((a, b) => a.length - b.length);
  return paths.find((path) => Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES);
}

/** A listening control socket. */
export interface ControlSocket {
  close(): Promise<void>;
}

/**
 * Listens on the control socket: `POST /<verb>` with a JSON object answers `{"result": …}` or `{"errcode", "error"}`. Who
 * may open the socket (mode 0600, in a directory of its owner) may do everything. The caller holds the lock of the data
 * directory, so a socket that lies there is left over from a server that was killed.
 */
export async function openControlSocket<App>(
  verbs: readonly Verb<App>[],
  app: App,
  options: { readonly path: string; readonly log: Log; readonly clock: Clock },
): Promise<ControlSocket> {
  const { path, log, clock } = options;
  const server = createServer((request, response) => {
    answer(verbs, app, request)
      .then((result) => reply(response, 200, { result }))
      .catch((error: unknown) => {
        if (error instanceof MatrixError) {
          reply(response, error.status, { errcode: error.errcode, error: error.message });
        } else {
          log.error('a command failed', { error });
          reply(response, 500, { errcode: 'M_UNKNOWN', error: error instanceof Error ? error.message : String(error) });
        }
      });
  });
  server.requestTimeout = 0;
  if (existsSync(path)) unlinkSync(path);
  // Binding a Unix socket is synchronous, so the mask holds for this one file; chmod is for systems that ignore it.
  const mask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
      process.umask(mask);
    });
  } finally {
    process.umask(mask);
  }
  chmodSync(path, 0o600);
  return {
    close: () =>
      new Promise((resolve) => {
        const hurry = clock.after(CLOSE_WITHIN_MS, () => server.closeAllConnections());
        server.close(() => {
          hurry.cancel();
          resolve();
        });
        server.closeIdleConnections();
      }),
  };
}

async function answer<App>(verbs: readonly Verb<App>[], app: App, request: IncomingMessage): Promise<JsonObject> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_INPUT_BYTES) throw new MatrixError('M_TOO_LARGE', 'The input is too large.');
    chunks.push(chunk);
  }
  const name = decodeURIComponent((request.url ?? '/').slice(1));
  if (request.method !== 'POST') throw new MatrixError('M_UNRECOGNIZED', 'Only POST.', { status: 405 });
  if (verbs.some((v) => v.name === name && v.alone === true)) {
    throw new MatrixError('M_FORBIDDEN', 'A server runs on this data; stop it first');
  }
  return perform(verbs, app, name, readJson(Buffer.concat(chunks)));
}

function readJson(bytes: Buffer): unknown {
  try {
    return parseJson(bytes);
  } catch (error) {
    if (error instanceof JsonError) throw new MatrixError('M_NOT_JSON', 'The input is not JSON');
    throw error;
  }
}

function reply(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' }).end(JSON.stringify(body));
}
