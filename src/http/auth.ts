import { MatrixError } from '#core/errors.js';
import type { ServerName } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { parseXMatrix, type SignedRequest, type XMatrix } from '#core/x-matrix.js';
import type { Caller, CallerKind, Endpoint } from '#http/endpoint.js';
import { queryPairs } from '#http/query.js';

/**
 * The access token of a request (client-server API, Using access tokens): from the `Authorization` header or, where
 * there is no such header at all, from the deprecated query parameter. Undefined where none is given.
 */
export function accessToken(authorization: string | undefined, rawQuery: string): string | undefined {
  if (authorization !== undefined) {
    const space = authorization.indexOf(' ');
    if (space < 0 || authorization.slice(0, space).toLowerCase() !== 'bearer') return undefined;
    const token = authorization.slice(space + 1).trim();
    return token === '' || token.includes(' ') ? undefined : token;
  }
  // The name may itself be percent-encoded, so only an absent `token` spares the decoding.
  if (!rawQuery.includes('token')) return undefined;
  for (const [name, value] of queryPairs(rawQuery)) {
    if (name === 'access_token') return value === '' ? undefined : value;
  }
  return undefined;
}

/** What an endpoint says about who may call it. */
export type Admission = Pick<Endpoint<unknown>, 'caller' | 'whileLocked' | 'whileSuspended'>;

/** Whether a request to such an endpoint has its token looked at. */
export function wantsToken(kind: CallerKind): boolean {
  return kind !== 'none' && kind !== 'server';
}

/** How requests of other servers are told to be theirs. */
export interface ServerAuthentication {
  readonly serverName: ServerName;
  /** Whether the signature in the header is that of the request by a key that its origin has now. */
  verify(header: XMatrix, request: SignedRequest): Promise<boolean>;
}

/**
 * Reads the `Authorization` header of another server's request (server-server API, Request Authentication), before
 * anything else of the request is. Throws M_UNAUTHORIZED where it can not be that of a request to this server.
 */
export function serverHeader(servers: ServerAuthentication, authorization: string | undefined): XMatrix {
  const header = authorization === undefined ? undefined : parseXMatrix(authorization);
  if (header === undefined) throw unauthorized('The request is not signed, or its signature is malformed');
  if (header.destination !== undefined && header.destination !== servers.serverName) {
    throw unauthorized('The request is signed for another server');
  }
  if (header.origin === servers.serverName) throw unauthorized('The request claims to come from this server itself');
  return header;
}

/** Checks the signature of a request; throws M_UNAUTHORIZED. `content` is undefined where the request has no body. */
export async function admitServer(
  servers: ServerAuthentication,
  header: XMatrix,
  request: { readonly method: string; readonly uri: string; readonly content: JsonObject | undefined },
): Promise<ServerName> {
  const signed = { ...request, origin: header.origin, destination: servers.serverName };
  if (await servers.verify(header, signed)) return header.origin;
  throw unauthorized('The signature of the request is not valid');
}

function unauthorized(message: string): MatrixError {
  return new MatrixError('M_UNAUTHORIZED', message);
}

/**
 * Decides whether `found` (the caller, what is wrong with the token, or undefined without a token) may call.
 * Returns the caller for the handler; throws the specification's error otherwise.
 */
export function admit(endpoint: Admission, found: Caller | MatrixError | undefined): Caller | undefined {
  const kind = endpoint.caller;
  if (!wantsToken(kind)) return undefined;
  if (found === undefined || found instanceof MatrixError) {
    // A public endpoint works for anyone: a stale token must not lock its holder out of it.
    if (kind === 'user?') return undefined;
    throw found ?? new MatrixError('M_MISSING_TOKEN', 'Missing access token');
  }
  if (found.locked && endpoint.whileLocked !== true) {
    throw new MatrixError('M_USER_LOCKED', 'This account is locked', { extra: { soft_logout: true } });
  }
  if (found.suspended && !endpoint.whileSuspended) {
    throw new MatrixError('M_USER_SUSPENDED', 'This account is suspended and may only read and leave rooms');
  }
  if (found.guest && kind !== 'guest' && kind !== 'user?') {
    throw new MatrixError('M_GUEST_ACCESS_FORBIDDEN', 'Guests may not do this');
  }
  if (kind === 'admin' && !found.admin) throw new MatrixError('M_FORBIDDEN', 'Only administrators may do this');
  return found;
}
