import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, isIP } from 'node:net';
import { MatrixError } from '#core/errors.js';
import type { ServerName } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { clientAddress } from '#http/address.js';
import { accessToken, admit, admitServer, type ServerAuthentication, serverHeader, wantsToken } from '#http/auth.js';
import { ClientGone, parseBody, readBody, refuseBody } from '#http/body.js';
import { closeWithSocket, connectionBound, refuseConnection } from '#http/connections.js';
import { type Caller, type Endpoint, Reply, type RequestInfo } from '#http/endpoint.js';
import { Exchange, type ExchangeContext } from '#http/exchange.js';
import { type Framework, METHODS, makeFramework } from '#http/framework.js';
import { InputChecks } from '#http/input.js';
import type { Limits } from '#http/limits.js';
import { Responder } from '#http/respond.js';
import { Routes } from '#http/routes.js';
import type { Clock } from '#util/clock.js';
import type { Random } from '#util/random.js';

/** Where the server writes what an operator needs to see; a pino logger fits. */
export interface HttpLog {
  isLevelEnabled(level: string): boolean;
  debug(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Bounds on what clients may take of the server. */
export interface HttpBounds {
  /** Body of an endpoint that names no limit, in bytes: an event of 64 KiB and as much again for its escapes. */
  readonly bodyBytes: number;
  /** Raw body (media) of an endpoint that names no limit, in bytes. */
  readonly uploadBytes: number;
  /** All headers together, in bytes; more gets 431. */
  readonly headerBytes: number;
  readonly headersWithinMs: number;
  /** A JSON body must be complete after this time. */
  readonly bodyWithinMs: number;
  /** A raw body must be complete after this time. */
  readonly uploadWithinMs: number;
  /** A connection on which nothing moves is closed. Longer than any long poll. */
  readonly silentMs: number;
  /** Longer than the usual 60 s of reverse proxies, so that they are the ones that close idle connections. */
  readonly keepAliveMs: number;
  /** How often the bounds on time are looked at. */
  readonly checkEveryMs: number;
  readonly connections: number;
  /** Connections from one address that is not a trusted proxy. */
  readonly connectionsPerAddress: number;
}

export const HTTP_BOUNDS: HttpBounds = {
  bodyBytes: 128 * 1024,
  uploadBytes: 50 * 1024 * 1024,
  headerBytes: 16 * 1024,
  headersWithinMs: 20_000,
  bodyWithinMs: 30_000,
  uploadWithinMs: 15 * 60_000,
  silentMs: 10 * 60_000,
  keepAliveMs: 75_000,
  checkEveryMs: 15_000,
  connections: 10_000,
  connectionsPerAddress: 500,
};

/** Headers beyond these are dropped unread by Node 20; later ones refuse the request (431). */
const MOST_HEADERS = 200;

/** What a stream into a response ends with when the client closes the connection. */
const GONE = 'ERR_STREAM_PREMATURE_CLOSE';

function stoppingError(): MatrixError {
  return new MatrixError('M_UNKNOWN', 'The server is stopping', { status: 503 });
}

export interface HttpServerOptions<App> {
  readonly endpoints: readonly Endpoint<App>[];
  readonly limits: Limits;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: HttpLog;
  /** Turns an error of a lower layer into one for the caller: a full disk, say. Undefined for what is a bug. */
  readonly toMatrixError?: (error: unknown) => MatrixError | undefined;
  /** Addresses and networks whose `X-Forwarded-For` counts; default loopback. */
  readonly trustedProxies?: readonly string[] | undefined;
  readonly bounds?: Partial<HttpBounds>;
  /** Told of each request that comes in. */
  readonly onRequest?: () => void;
}

/** The layers below, as requests need them. */
export interface HttpBackend<App> {
  /** Handed to every handler. */
  readonly app: App;
  /** Finds the caller of an access token, or says what is wrong with it (`M_UNKNOWN_TOKEN`, with `soft_logout`). */
  readonly authenticate: (token: string, request: RequestInfo) => Caller | MatrixError;
  /** Needed where an endpoint is for other servers. */
  readonly servers?: ServerAuthentication;
}

/** What a TLS listener shows of itself, both in PEM. */
export interface TlsIdentity {
  readonly certificate: string;
  readonly key: string;
}

export interface HttpServer<App> {
  /** Says what requests are answered from. Those that came before wait for it, and for no more than `close`. */
  attach(backend: HttpBackend<App>): void;
  /**
   * Listens on one more address, by TLS where a certificate is given; port 0 takes a free one. Rejects with the system's
   * error, such as `EADDRINUSE`.
   */
  listen(host: string, port: number, tls?: TlsIdentity): Promise<{ readonly host: string; readonly port: number }>;
  /** Puts fastify in front, once. A start can do without: until then requests go where fastify would lead them. */
  prepare(): Promise<void>;
  /**
   * Stops accepting, aborts the signal of waiting requests, lets running ones end, and after `withinMs`
   * (default 10,000) closes what is left. Idempotent.
   */
  close(withinMs?: number): Promise<void>;
}

/**
 * Builds the HTTP server for a table of endpoints: routes, CORS, limits, strict bodies and queries, callers, errors. It needs
 * nothing of the layers below until it answers, so that it is built, and listens, while the database opens.
 */
export function createHttpServer<App>(options: HttpServerOptions<App>): HttpServer<App> {
  const { limits, clock, log, onRequest } = options;
  let backend: HttpBackend<App> | undefined;
  let attach: (given: HttpBackend<App>) => void = () => {};
  let neverAttach: () => void = () => {};
  const attached = new Promise<HttpBackend<App>>((done, fail) => {
    attach = done;
    neverAttach = () => fail(stoppingError());
  });
  // Most often nobody waits for it.
  attached.catch(() => {});
  const bounds: HttpBounds = { ...HTTP_BOUNDS, ...options.bounds };
  const addresses = clientAddress(options.trustedProxies);
  const routes = new Routes(options.endpoints);
  const checks = new Map<Endpoint<App>, InputChecks>();
  const verbose = log.isLevelEnabled('debug');
  let boot: string | undefined;
  let counter = 0;
  let stopping = false;
  let running = 0;
  let onIdle: () => void = () => {};
  const servers = new Set<Server>();
  const admitConnection = connectionBound(addresses, bounds.connectionsPerAddress);
  const context: ExchangeContext = {
    addresses,
    waiting: new Set(),
    stopping: () => stopping,
    nextId() {
      boot ??= options.random.token(4);
      return `${boot}-${(counter++).toString(36)}`;
    },
    uploadLimit: bounds.uploadBytes,
  };

  /** For what went wrong while an error was being answered: no request may end the process. */
  const giveUp = (response: ServerResponse, error: unknown): void => {
    log.error({ err: error }, 'answering failed');
    response.destroy();
  };
  const respond = new Responder(clock, giveUp);

  const ended = (): void => {
    running -= 1;
    if (running === 0) onIdle();
  };

  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    running += 1;
    onRequest?.();
    response.once('close', ended);
    if (response.socket === null) closeWithSocket(request.socket, response);
    if (stopping) response.shouldKeepAlive = false;
    const { method = 'GET', url = '/' } = request;
    try {
      // A proxy's form of the target would let the path that is signed differ from the one that is served.
      if (url[0] !== '/' && !(url === '*' && method === 'OPTIONS')) {
        throw new MatrixError('M_UNRECOGNIZED', 'The request target must be a path', { status: 400 });
      }
      if (method === 'OPTIONS') {
        respond.preflight(response);
        return;
      }
      const mark = url.indexOf('?');
      const match = routes.match(method, mark < 0 ? url : url.slice(0, mark));
      if (match.kind === 'unknown') throw new MatrixError('M_UNRECOGNIZED', 'Unrecognized request');
      if (match.kind === 'wrongMethod') {
        throw new MatrixError('M_UNRECOGNIZED', 'The method is not allowed here', { status: 405 });
      }
      const rawQuery = mark < 0 ? '' : url.slice(mark + 1);
      const exchange = new Exchange(context, request, response, match.route, match.params, rawQuery);
      run(exchange).catch((error) => giveUp(response, error));
    } catch (error) {
      if (error instanceof MatrixError) respond.error(request, response, error);
      else giveUp(response, error);
    }
  };

  /** Carries one request through to its answer. */
  const run = async (exchange: Exchange<App>): Promise<void> => {
    const { request, response } = exchange;
    const { endpoint } = exchange.route;
    const startedMs = verbose ? clock.monotonicMs() : 0;
    try {
      const from = backend ?? (await attached);
      const user = findCaller(from, exchange);
      if (endpoint.limit !== 'free') limits.spend(endpoint.limit, user?.user ?? exchange.ip);
      // A server's signature covers its body, so that nothing but the form of the header is looked at before.
      const server = endpoint.caller === 'server' ? await findServer(from, exchange) : undefined;
      const input = checksOf(endpoint);
      input.checkParams(exchange.params);
      const query = input.readQuery(exchange.rawQuery);
      const content = server === undefined && hasBody(endpoint) ? await takeBody(exchange) : server?.content;
      const body = input.checkBody(content);
      const given = { caller: server?.name ?? user, params: exchange.params, query, body, request: exchange };
      const result = await endpoint.handle(from.app, given);
      if (stopping) response.shouldKeepAlive = false;
      if (result instanceof Reply) await respond.reply(request, response, result);
      else respond.json(request, response, 200, result);
    } catch (error) {
      fail(exchange, error);
    }
    if (verbose) {
      const ms = Math.round(clock.monotonicMs() - startedMs);
      const { id, method, path } = exchange;
      log.debug({ request: id, endpoint: endpoint.id, method, path, status: response.statusCode, ms }, 'request');
    }
  };

  const findCaller = ({ authenticate }: HttpBackend<App>, exchange: Exchange<App>): Caller | undefined => {
    const { endpoint } = exchange.route;
    if (!wantsToken(endpoint.caller)) return undefined;
    const token = accessToken(exchange.request.headers.authorization, exchange.rawQuery);
    return admit(endpoint, token === undefined ? undefined : authenticate(token, exchange));
  };

  const checksOf = (endpoint: Endpoint<App>): InputChecks => {
    let made = checks.get(endpoint);
    if (made === undefined) {
      made = new InputChecks(endpoint);
      checks.set(endpoint, made);
    }
    return made;
  };

  const findServer = async (
    { servers }: HttpBackend<App>,
    exchange: Exchange<App>,
  ): Promise<{ readonly name: ServerName; readonly content: JsonObject | undefined }> => {
    if (servers === undefined) throw new MatrixError('M_UNAUTHORIZED', 'This server does not federate');
    const { method, target: uri, request } = exchange;
    const header = serverHeader(servers, request.headers.authorization);
    const content = hasBody(exchange.route.endpoint) ? await takeBody(exchange) : undefined;
    return { name: await admitServer(servers, header, { method, uri, content }), content };
  };

  /** Whether the endpoint's requests have a body that is read before the handler runs. */
  const hasBody = ({ method, rawBody }: Endpoint<App>): boolean => method !== 'GET' && rawBody !== true;

  /** The body of a request; undefined where it has none. */
  const takeBody = async (exchange: Exchange<App>): Promise<JsonObject | undefined> => {
    const { request, response } = exchange;
    const { endpoint } = exchange.route;
    const limit = endpoint.bodyLimit ?? bounds.bodyBytes;
    refuseBody(request, limit);
    const bytes = await readBody(request, response, { limit, withinMs: bounds.bodyWithinMs, clock });
    return bytes.length === 0 ? undefined : parseBody(bytes, endpoint.exactNumbers === true);
  };

  const fail = (exchange: Exchange<App>, error: unknown): void => {
    const { request, response } = exchange;
    let known = error instanceof MatrixError ? error : options.toMatrixError?.(error);
    if (known === undefined && exchange.isAborted && (error as Error | undefined)?.name === 'AbortError') {
      known = stoppingError();
    }
    const clientGone = error instanceof ClientGone || (error as { code?: unknown } | undefined)?.code === GONE;
    if (known === undefined && !clientGone) {
      const { id, method } = exchange;
      log.error({ err: error, request: id, endpoint: exchange.route.endpoint.id, method }, 'request failed');
      known = new MatrixError('M_UNKNOWN', 'Internal server error');
    }
    // With half a response out, cutting the connection is the only way left to say that it is not whole.
    if (known === undefined || response.headersSent) response.destroy();
    else if (!response.destroyed) {
      if (stopping) response.shouldKeepAlive = false;
      respond.error(request, response, known);
    }
  };

  let framework: Framework | undefined;
  /** What is no path, or has a method that nothing here has, leads nowhere in our own table too. */
  const route = (request: IncomingMessage, response: ServerResponse): void => {
    if (framework === undefined || request.url?.[0] !== '/' || !METHODS.includes(request.method ?? '')) {
      serve(request, response);
    } else {
      framework.routing(request, response);
    }
  };
  let preparing: Promise<void> | undefined;
  const prepare = async (): Promise<void> => {
    if (!stopping) framework = await makeFramework(serve, bounds.headerBytes);
  };

  const open = (tls: TlsIdentity | undefined): Server => {
    const settings = {
      maxHeaderSize: bounds.headerBytes,
      headersTimeout: bounds.headersWithinMs,
      requestTimeout: bounds.uploadWithinMs,
      keepAliveTimeout: bounds.keepAliveMs,
      connectionsCheckingInterval: bounds.checkEveryMs,
    };
    const server: Server =
      tls === undefined
        ? createServer(settings, route)
        : createTlsServer({ ...settings, cert: tls.certificate, key: tls.key }, route);
    server.timeout = bounds.silentMs;
    server.maxConnections = bounds.connections;
    server.maxHeadersCount = MOST_HEADERS;
    server.on('connection', admitConnection);
    server.on('checkContinue', route);
    server.on('clientError', refuseConnection);
    return server;
  };

  const drain = async (withinMs: number): Promise<void> => {
    const closed = [...servers].map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    neverAttach();
    for (const controller of context.waiting) controller.abort();
    await new Promise<void>((resolve) => {
      onIdle = resolve;
      if (running === 0) resolve();
      else clock.after(withinMs, resolve);
    });
    for (const server of servers) server.closeAllConnections();
    await Promise.all(closed);
    await preparing?.catch(() => {});
    await framework?.close();
  };

  let closing: Promise<void> | undefined;
  return {
    attach(given) {
      backend = given;
      attach(given);
    },
    async listen(host, port, tls) {
      const server = open(tls);
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen({ host, port }, () => {
          server.off('error', reject);
          resolve();
        });
      });
      // Accepting can fail later on (EMFILE, say); the next attempt may succeed, so that must not end the process.
      server.on('error', (err) => log.error({ err }, 'accepting connections failed'));
      servers.add(server);
      const { address, port: taken } = server.address() as AddressInfo;
      return { host: isIP(host) === 0 ? address : host, port: taken };
    },
    prepare() {
      preparing ??= prepare();
      return preparing;
    },
    close(withinMs = 10_000) {
      stopping = true;
      closing ??= drain(withinMs);
      return closing;
    },
  };
}
