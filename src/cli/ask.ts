import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError, type Context, type Invocation } from '#cli/command.js';
import { controlSocketPath, perform } from '#cli/control.js';
import { VERBS } from '#cli/verbs.js';
import { type ErrorCode, MatrixError } from '#core/errors.js';
import { parseJson } from '#core/json.js';
import { isObject, type JsonObject, ownObject, ownString } from '#core/json-value.js';
import { openLog } from '#log';
import { openHttpClient, RemoteError } from '#remote/http.js';
import { openLayers } from '#server';
import { databasePath } from '#store/directory.js';

/** Checking a large store takes a while. */
const TIMEOUT_MS = 60 * 60_000;
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/**
 * Has a verb done: by the server that runs on the data directory, through its socket, or, where none runs, by opening the
 * data here. Throws what the verb throws; `StoreError` where the data can not be opened.
 */
export async function ask(
  context: Context,
  { config }: Invocation,
  name: string,
  input: JsonObject,
): Promise<JsonObject> {
  const socketPath = controlSocketPath(config.data);
  const answer = socketPath === undefined ? undefined : await askRunning(context, socketPath, name, input);
  if (answer !== undefined) return answer;
  const mayBegin = VERBS.some((verb) => verb.name === name && verb.mayBegin === true);
  if (!mayBegin && !existsSync(join(databasePath(config.data), 'CURRENT'))) {
    throw new CommandError(`there is no database in ${config.data}; name its directory by --data`);
  }
  const { clock, random, err } = context;
  const log = openLog({ level: 'warn', format: 'text', clock, write: (line) => err(line.trimEnd()) });
  const opened = await openLayers(config, { clock, random, log });
  try {
    return await perform(VERBS, opened.layers, name, input);
  } finally {
    await opened.close();
  }
}

/** Asks the running server; undefined where nobody listens. */
async function askRunning(
  { clock }: Context,
  socketPath: string,
  name: string,
  input: JsonObject,
): Promise<JsonObject | undefined> {
  if (!existsSync(socketPath)) return undefined;
  const http = openHttpClient({ clock, socketPath });
  try {
    const response = await http.request({
      method: 'POST',
      url: `http://localhost/${encodeURIComponent(name)}`,
      body: JSON.stringify(input),
      timeoutMs: TIMEOUT_MS,
      maxBytes: MAX_ANSWER_BYTES,
    });
    const body = parseJson(response.body);
    if (!isObject(body)) throw new CommandError('the running server gave no readable answer');
    if (response.status === 200) return ownObject(body, 'result') ?? {};
    throw new MatrixError(
      (ownString(body, 'errcode') ?? 'M_UNKNOWN') as ErrorCode,
      ownString(body, 'error') ?? 'the running server gave no reason',
    );
  } catch (error) {
    if (error instanceof RemoteError && nobodyListens(error)) return undefined;
    throw error;
  } finally {
    await http.close();
  }
}

/** A socket left behind by a server that was killed. A connection that broke off later is something else. */
function nobodyListens(error: RemoteError): boolean {
  const code = error.cause instanceof Error && 'code' in error.cause ? error.cause.code : undefined;
  return code === 'ECONNREFUSED' || code === 'ENOENT';
}
