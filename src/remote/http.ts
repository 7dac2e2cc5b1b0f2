import { type LookupAddress, type LookupOptions, lookup } from 'node:dns';
import { isIP } from 'node:net';
import { rootCertificates } from 'node:tls';
import type { buildConnector, Dispatcher } from 'undici';
import type { Clock } from '#util/clock.js';

/** Why a request got no usable answer. */
export class RemoteError extends Error {
  override readonly name = 'RemoteError';
  readonly kind: 'unreachable' | 'timeout' | 'tooLarge' | 'aborted';
  constructor(kind: RemoteError['kind'], message: string, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
  }
}

/** Whether a connection to this IP address may be made. */
export type MayConnect = (address: string) => boolean;

/**
 * One request. Every bound is required: nothing outside decides how long we wait or how much we hold. With a `host` header
 * the certificate must be for the host named there, whatever host the URL has: that one is only where to connect.
 */
export interface RemoteRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** From the first attempt to connect to the last byte of the body. */
  readonly timeoutMs: number;
  /** Largest response body, as it travels. */
  readonly maxBytes: number;
  /** A longer answer is cut off at `maxBytes`, not refused. */
  readonly cutOff?: true;
  readonly signal?: AbortSignal;
}

/** What came back, whatever the status. Redirects are not followed: they arrive here as they are. */
export interface RemoteResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  /** The body went on: see `cutOff`. */
  readonly isCut?: true;
}

export interface HttpClient {
  /** Sends a request and reads the whole answer. Rejects with `RemoteError` only. */
  request(request: RemoteRequest): Promise<RemoteResponse>;
  /** Ends kept connections. */
  close(): Promise<void>;
}

export interface HttpClientOptions {
  readonly clock: Clock;
  /** Connect to this Unix socket, whatever host the URL names. */
  readonly socketPath?: string;
  /** Which addresses may be connected to; all where absent. Asked of the very address that the socket goes to. */
  readonly mayConnect?: MayConnect;
  /** Certificates of further authorities that are believed, in PEM, beside those that Node.js comes with. */
  readonly authorities?: string;
  /** Replaces the network in tests and simulations. */
  readonly dispatcher?: Dispatcher;
}

const MAX_HEADER_BYTES = 16 * 1024;

/** The only way out to other machines: bounded in time and size, without redirects, cookies or decompression. */
export function openHttpClient(options: HttpClientOptions): HttpClient {
  let opened: Promise<{ dispatcher: Dispatcher; send: typeof import('undici').request }> | undefined;
  const open = async () => {
    // Loaded on first use: a server that never asks another one is some 20 MB lighter without it.
    // A CommonJS package that the bundle loads late has nothing but its default export.
    const { Agent, buildConnector: build, request: send } = (await import('undici')).default;
    const { socketPath, mayConnect, authorities } = options;
    const trust = authorities === undefined ? {} : { ca: [...rootCertificates, authorities] };
    const connect =
      mayConnect === undefined ? { ...trust, ...(socketPath !== undefined && { socketPath }) } : undefined;
    const agent = () =>
      new Agent({
        maxHeaderSize: MAX_HEADER_BYTES,
        connect: connect ?? guardedConnector(build, mayConnect ?? (() => false), trust),
      });
    return { dispatcher: options.dispatcher ?? agent(), send };
  };
  return {
    async request(request) {
      const abort = new AbortController();
      let why: RemoteError | undefined;
      const stop = (error: RemoteError): void => {
        why ??= error;
        abort.abort();
      };
      const onAbort = (): void => stop(new RemoteError('aborted', 'the request was given up'));
      const timer = options.clock.after(request.timeoutMs, () =>
        stop(new RemoteError('timeout', `no whole answer within ${request.timeoutMs} ms`)),
      );
      request.signal?.addEventListener('abort', onAbort, { once: true });
      if (request.signal?.aborted) onAbort();
      try {
        opened ??= open();
        const { dispatcher, send } = await opened;
        const response = await send(request.url, {
          dispatcher,
          method: request.method,
          headers: request.headers ?? {},
          body: request.body ?? null,
          signal: abort.signal,
          // One bound on the whole replaces undici's own on the parts.
          headersTimeout: 0,
          bodyTimeout: 0,
        });
        const chunks: Buffer[] = [];
        let size = 0;
        let isCut = false;
        for await (const chunk of response.body as AsyncIterable<Buffer>) {
          size += chunk.length;
          chunks.push(chunk);
          if (size <= request.maxBytes) continue;
          if (request.cutOff) isCut = true;
          else why = new RemoteError('tooLarge', `the answer is longer than ${request.maxBytes} bytes`);
          break;
        }
        if (why !== undefined) throw why;
        const body = Buffer.concat(chunks).subarray(0, request.maxBytes);
        return { status: response.statusCode, headers: response.headers, body, ...(isCut && { isCut }) };
      } catch (error) {
        throw why ?? new RemoteError('unreachable', error instanceof Error ? error.message : String(error), error);
      } finally {
        timer.cancel();
        request.signal?.removeEventListener('abort', onAbort);
      }
    },
    async close() {
      await (await opened)?.dispatcher.destroy();
    },
  };
}

type OnLookup = (error: NodeJS.ErrnoException | null, address?: string | LookupAddress[], family?: number) => void;

const refused = (): NodeJS.ErrnoException => new Error('the address may not be connected to');

/**
 * A connector that asks `mayConnect` about the address that the socket is going to, after names were resolved: what a name
 * resolved to before, or resolves to later, plays no part. Of several addresses only those allowed are tried.
 */
function guardedConnector(
  build: typeof buildConnector,
  mayConnect: MayConnect,
  trust: { readonly ca?: string[] },
): buildConnector.connector {
  const guardedLookup = (hostname: string, options: LookupOptions, done: OnLookup): void => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return done(error);
      const allowed = addresses.filter(({ address }) => mayConnect(address));
      const [first] = allowed;
      if (first === undefined) done(refused());
      else if (options.all === true) done(null, allowed);
      else done(null, first.address, first.family);
    });
  };
  const connect = build({ ...trust, lookup: guardedLookup } as buildConnector.BuildOptions);
  return (options, done) => {
    // No lookup is made for an address that stands in the URL itself.
    const host = options.hostname.replace(/^\[|\]$/g, '');
    if (isIP(host) !== 0 && !mayConnect(host)) done(refused(), null);
    else connect(options, done);
  };
}
