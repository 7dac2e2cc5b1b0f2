import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ClientAddress } from '#http/address.js';
import { streamBody } from '#http/body.js';
import type { RequestInfo } from '#http/endpoint.js';
import type { Route } from '#http/routes.js';

/** What exchanges share with their server. */
export interface ExchangeContext {
  readonly addresses: ClientAddress;
  /** Controllers of the requests that asked for a signal, to be aborted when the server stops. */
  readonly waiting: Set<AbortController>;
  readonly stopping: () => boolean;
  readonly nextId: () => string;
  /** Largest raw body in bytes where the endpoint names none. */
  readonly uploadLimit: number;
}

/** One request and its response. What few handlers ask for is made only when asked. */
export class Exchange<App> implements RequestInfo {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly route: Route<App>;
  readonly params: Readonly<Record<string, string>>;
  /** Raw text after the `?`. */
  readonly rawQuery: string;
  readonly #context: ExchangeContext;
  #controller: AbortController | undefined;
  #id: string | undefined;

  constructor(
    context: ExchangeContext,
    request: IncomingMessage,
    response: ServerResponse,
    route: Route<App>,
    params: Readonly<Record<string, string>>,
    rawQuery: string,
  ) {
    this.#context = context;
    this.request = request;
    this.response = response;
    this.route = route;
    this.params = params;
    this.rawQuery = rawQuery;
  }
  get method(): string {
    return this.request.method ?? 'GET';
  }
  get target(): string {
    return this.request.url ?? '/';
  }
  get userAgent(): string | undefined {
    return this.request.headers['user-agent'];
  }
  get ip(): string {
    return this.#context.addresses.of(this.request.socket.remoteAddress, this.header('x-forwarded-for'));
  }
  get path(): string {
    return this.route.endpoint.path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(this.params[name] ?? ''));
  }
  get id(): string {
    this.#id ??= this.#context.nextId();
    return this.#id;
  }
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = new AbortController();
      this.#controller = controller;
      const { waiting } = this.#context;
      if (this.#context.stopping() || this.response.destroyed) controller.abort();
      else {
        waiting.add(controller);
        this.response.once('close', () => {
          waiting.delete(controller);
          if (!this.response.writableFinished) controller.abort();
        });
      }
    }
    return this.#controller.signal;
  }
  /** Whether the signal was asked for and has aborted. */
  get isAborted(): boolean {
    return this.#controller?.signal.aborted === true;
  }
  header(name: string): string | undefined {
    const value = this.request.headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  }
  upload(): AsyncIterable<Buffer> {
    const { bodyLimit = this.#context.uploadLimit } = this.route.endpoint;
    return streamBody(this.request, this.response, bodyLimit);
  }
}
