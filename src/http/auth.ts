import { MatrixError } from '#core/errors.js';
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
  return kind !== 'none';
}

/**
 * Decides whether `found` (the caller, what is wrong with the token, or undefined without a token) may call.
 * Returns the caller for the handler; throws the specification's error otherwise.
 */
export function admit(endpoint: Admission, found: Caller | MatrixError | undefined): Caller | undefined {
  const kind = endpoint.caller;
  if (kind === 'none') return undefined;
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
