import type { Readable } from 'node:stream';
import type { DeviceId, ServerName, UserId } from '#core/ids.js';
import type { Infer, Schema } from '#core/schema.js';

/** Who is calling, once the access token was checked. */
export interface Caller {
  readonly user: UserId;
  readonly device: DeviceId;
  /** Hash of the access token: names the session. */
  readonly session: string;
  readonly guest: boolean;
  readonly admin: boolean;
  readonly locked: boolean;
  readonly suspended: boolean;
}

/**
 * Who may call: `user` a full account · `guest` a full account or a guest · `user?` anyone, known where a valid token is
 * given · `admin` an administrator · `server` another server, by the signature of its request · `none` anyone, a token is
 * not even looked at.
 */
export type CallerKind = 'user' | 'guest' | 'user?' | 'admin' | 'server' | 'none';

/** Rate-limit class; its figures are in `http/limits.ts`. `free` is not limited. */
export type LimitClass =
  | 'free'
  | 'read'
  | 'send'
  | 'join'
  | 'create'
  | 'login'
  | 'register'
  | 'account'
  | 'media'
  | 'search'
  | 'federation';

/** What the client gave besides path, query and body. */
export interface RequestInfo {
  /** Address of the client: the socket's, or what a trusted proxy says. */
  readonly ip: string;
  readonly userAgent: string | undefined;
  readonly method: string;
  /** Path as matched, `/_matrix/client/v3/…`, with the canonical version even when called under an alias. */
  readonly path: string;
  /** Aborts when the client goes away or the server stops. */
  readonly signal: AbortSignal;
  /** Short id that the log carries. */
  readonly id: string;
  /** Request target exactly as it came, query included: what signatures of federation requests cover. */
  readonly target: string;
  /** The value of a header, its name in lower case. */
  header(name: string): string | undefined;
  /**
   * The body as it arrives, for endpoints with `rawBody`; elsewhere it is empty. Throws `M_TOO_LARGE` past the limit.
   * May be read once.
   */
  upload(): AsyncIterable<Buffer>;
}

type CallerOf<K extends CallerKind> = K extends 'none'
  ? undefined
  : K extends 'server'
    ? ServerName
    : K extends 'user?'
      ? Caller | undefined
      : Caller;
type Of<S> = S extends Schema<unknown> ? Infer<S> : Record<string, never>;

/** Input of a handler: everything checked and typed. */
export interface Input<K extends CallerKind, P, Q, B> {
  readonly caller: CallerOf<K>;
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  readonly request: RequestInfo;
}

/** A response that is not `200` with a JSON object. A plain object returned by a handler is sent as such. */
export class Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** An object is sent as JSON; a string, Buffer or stream as it is (with the content type among `headers`). */
  readonly body: object | string | Buffer | Readable;
  constructor(
    status: number,
    body: object | string | Buffer | Readable,
    headers: Readonly<Record<string, string>> = {},
  ) {
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}

/** One operation of the API. `App` is the record of opened layers that handlers get. */
export interface Endpoint<App> {
  /** Operation id of the specification's OpenAPI (`data/api`), or our own name for what is outside it. */
  readonly id: string;
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE' | 'PATCH';
  /** With `{name}` parameters, in the canonical version. */
  readonly path: string;
  /** Further paths of the same operation: `/r0`, `/v1`, unstable names. */
  readonly aliases: readonly string[];
  readonly caller: CallerKind;
  readonly limit: LimitClass;
  /** Schemas are made with the endpoint's first request: there are hundreds, and most servers need a few dozen. */
  readonly params?: () => Schema<unknown>;
  /** Query values arrive as strings; `integer` and `boolean` schemas of the query are converted strictly before the check. */
  readonly query?: () => Schema<unknown>;
  readonly body?: () => Schema<unknown>;
  /** Largest body in bytes; 64 KiB above the usual event where absent. */
  readonly bodyLimit?: number;
  /** Body is read with exact numbers (`core/json.ts`), for endpoints whose body becomes part of an event. */
  readonly exactNumbers?: true;
  /** Body is not JSON and not read ahead: the handler takes it from `request.upload()`. For media. */
  readonly rawBody?: true;
  /** May be called with a locked account (logout only), and with a suspended one (reads and leaving). */
  readonly whileLocked?: true;
  readonly whileSuspended: boolean;
  readonly handle: (app: App, input: Input<CallerKind, unknown, unknown, unknown>) => Promise<object>;
}

/**
 * Declares an endpoint with the types of its input inferred from its schemas. `/_matrix/client/v3/…` paths get their
 * `/r0` alias by themselves; GET endpoints are open to suspended accounts unless they say otherwise.
 */
export function endpoint<
  App,
  const K extends CallerKind,
  P extends Schema<unknown> | undefined = undefined,
  Q extends Schema<unknown> | undefined = undefined,
  B extends Schema<unknown> | undefined = undefined,
>(declaration: {
  id: string;
  method: Endpoint<App>['method'];
  path: string;
  aliases?: readonly string[];
  caller: K;
  limit: LimitClass;
  params?: () => P;
  query?: () => Q;
  body?: () => B;
  bodyLimit?: number;
  exactNumbers?: true;
  rawBody?: true;
  whileLocked?: true;
  whileSuspended?: boolean;
  handle: (app: App, input: Input<K, Of<P>, Of<Q>, Of<B>>) => Promise<object>;
}): Endpoint<App> {
  const v3 = '/_matrix/client/v3/';
  const legacy = declaration.path.startsWith(v3) ? [`/_matrix/client/r0/${declaration.path.slice(v3.length)}`] : [];
  return {
    whileSuspended: declaration.method === 'GET',
    ...declaration,
    aliases: [...legacy, ...(declaration.aliases ?? [])],
  } as unknown as Endpoint<App>;
}
