import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { MatrixError } from '#core/errors.js';
import type { DeviceId, UserId } from '#core/ids.js';
import type { Caller, Endpoint } from '#http/endpoint.js';
import { createLimits } from '#http/limits.js';
import { createHttpServer, type HttpBackend, type HttpServer, type HttpServerOptions } from '#http/server.js';
import { SystemClock } from '#util/clock.js';
import { seededRandom } from '#util/random.js';

/** A caller for tests: `alice` with a full account unless told otherwise. */
export function callerOf(about: Partial<Caller> = {}): Caller {
  return {
    user: '@alice:hs.test' as UserId,
    device: 'DEVICE' as DeviceId,
    session: 'session',
    guest: false,
    admin: false,
    locked: false,
    suspended: false,
    ...about,
  };
}

/** A response read to its end. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
  readonly json: any;
}

interface Sent {
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
}

/** A running server under test. */
export interface Running {
  readonly server: HttpServer<object>;
  /** Gives the server what it answers from, where `isAttached` is false. */
  attach(): void;
  readonly port: number;
  /** What went to the log as errors. */
  readonly logged: object[];
  /** Sends a request with the target exactly as given. */
  call(method: string, target: string, sent?: Sent): Promise<Answer>;
  /** Opens a socket and writes `bytes`. */
  socket(bytes: string): Socket;
  /** Everything that comes over a socket until it closes, after writing `bytes`. */
  raw(bytes: string): Promise<string>;
}

/**
 * Serves `endpoints` on a free loopback port until the test ends. Tokens are names of `callers`; unknown ones are
 * unknown to the server too. Rate limits are off unless given.
 */
export async function serve(
  t: TestContext,
  endpoints: readonly Endpoint<object>[],
  options: Partial<HttpServerOptions<object> & HttpBackend<object>> & {
    readonly callers?: Readonly<Record<string, Caller>>;
    readonly isAttached?: boolean;
    /** Whether the start is over; true unless given. */
    readonly isPrepared?: boolean;
  } = {},
): Promise<Running> {
  const { callers = { alice: callerOf() }, isAttached = true, isPrepared = true, ...rest } = options;
  const clock = options.clock ?? new SystemClock();
  const logged: object[] = [];
  const server = createHttpServer<object>({
    endpoints,
    limits: createLimits({ clock, mode: 'off' }),
    clock,
    random: seededRandom('http'),
    log: { isLevelEnabled: () => false, debug: () => {}, error: (fields) => logged.push(fields) },
    ...rest,
  });
  const attach = (): void =>
    server.attach({
      app: {},
      authenticate: (token) => callers[token] ?? new MatrixError('M_UNKNOWN_TOKEN', 'Unrecognised access token'),
      ...rest,
    });
  if (isAttached) attach();
  const { port } = await server.listen('127.0.0.1', 0);
  if (isPrepared) await server.prepare();
  t.after(() => server.close(0));
  const open = (bytes: string): Socket => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(bytes, 'latin1');
    return socket;
  };
  return {
    server,
    attach,
    port,
    logged,
    call: (method, target, sent = {}) => call(port, method, target, sent),
    socket: open,
    raw: (bytes) => readAll(open(bytes)),
  };
}

async function call(port: number, method: string, target: string, sent: Sent): Promise<Answer> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, method, path: target, headers: sent.headers, agent: false });
    outgoing.on('response', resolve).on('error', reject);
    outgoing.end(sent.body);
  });
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  const isJson = response.headers['content-type'] === 'application/json' && text !== '';
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    text,
    json: isJson ? JSON.parse(text) : undefined,
  };
}

/** Everything a socket receives until it closes. */
export function readAll(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
  });
  return new Promise((resolve) => socket.on('close', () => resolve(text)));
}

/** A promise that a test opens itself: `Promise.withResolvers`, which Node 20 lacks. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}
