import { canonicalBytes } from '#core/canonical-json.js';
import type { ServerName } from '#core/ids.js';
import { JsonError, parseJson } from '#core/json.js';
import { isObject, type JsonObject, ownString } from '#core/json-value.js';
import type { SigningKey } from '#core/signing.js';
import { authorizeRequest } from '#core/x-matrix.js';
import type { Discovery } from '#remote/discovery.js';
import { type HttpClient, RemoteError, type RemoteResponse } from '#remote/http.js';

/** A request to another server, signed by this one unless `unsigned`. */
export interface ServerRequest {
  readonly destination: ServerName;
  readonly method: 'GET' | 'PUT' | 'POST';
  /** Path and query, percent-encoded: use `serverPath`. */
  readonly uri: string;
  readonly content?: JsonObject;
  /** From the first attempt to connect to the last byte of the body. */
  readonly timeoutMs: number;
  readonly maxBytes: number;
  readonly signal?: AbortSignal;
  /** Keys and the version are asked for without a signature. */
  readonly unsigned?: true;
}

/** Another server answered, but not with what was asked for. */
export class RemoteRefusal extends Error {
  override readonly name = 'RemoteRefusal';
  /** HTTP status; 200 where the body was of no use. */
  readonly status: number;
  /** `errcode` of its answer, if it gave one. */
  readonly errcode: string | undefined;
  constructor(status: number, errcode: string | undefined, message: string) {
    super(message);
    this.status = status;
    this.errcode = errcode;
  }
}

/** Asks other servers. Rejects with `RemoteError` where no answer came and `RemoteRefusal` where it is of no use. */
export interface ServerClient {
  request(request: ServerRequest): Promise<JsonObject>;
}

/** A path with its parts percent-encoded, so that no id can reach beyond its own part, and a query. */
export function serverPath(
  prefix: string,
  parts: readonly string[],
  query: readonly (readonly [name: string, value: string])[] = [],
): string {
  const path = [prefix, ...parts.map(encodeURIComponent)].join('/');
  const search = query.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join('&');
  return search === '' ? path : `${path}?${search}`;
}

export function openServerClient(parts: {
  readonly http: HttpClient;
  readonly discovery: Discovery;
  readonly serverName: ServerName;
  readonly key: SigningKey;
}): ServerClient {
  const { http, discovery, serverName, key } = parts;
  return {
    async request(request) {
      const { destination, method, uri, content, unsigned } = request;
      const { targets, host } = await discovery.find(destination);
      const headers: Record<string, string> = { host };
      if (content !== undefined) headers['content-type'] = 'application/json';
      if (!unsigned) {
        headers['authorization'] = authorizeRequest({ method, uri, origin: serverName, destination, content }, key);
      }
      const { timeoutMs, maxBytes, signal } = request;
      const common = { method, headers, timeoutMs, maxBytes, ...(signal && { signal }) };
      const body = content === undefined ? {} : { body: canonicalBytes(content) };
      let last: unknown;
      for (const target of targets) {
        const url = `https://${target}${uri}`;
        if (!URL.canParse(url)) throw new RemoteError('unreachable', 'the server name is no host');
        try {
          return usable(await http.request({ ...common, ...body, url }));
        } catch (error) {
          // Another target is tried only where this one can't have seen the request's end.
          if (!(error instanceof RemoteError) || error.kind !== 'unreachable') throw error;
          last = error;
        }
      }
      throw last;
    },
  };
}

function usable({ status, body }: RemoteResponse): JsonObject {
  let answer: unknown;
  try {
    answer = parseJson(body, { numbers: 'exact' });
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
  }
  if (status === 200 && isObject(answer)) return answer;
  const errcode = isObject(answer) ? ownString(answer, 'errcode') : undefined;
  throw new RemoteRefusal(status, errcode, status === 200 ? 'the answer is no JSON object' : `it answered ${status}`);
}
