import { MatrixError } from '#core/errors.js';
import type { UserId } from '#core/ids.js';
import { type JsonObject, own } from '#core/json-value.js';
import { checkAvailable, createAccount, generateUserId, userIdFor } from '#users/accounts.js';
import { normalPassword } from '#users/passwords.js';
import { completeUse } from '#users/registration-tokens.js';
import { type DeviceWish, type NewSession, openSession } from '#users/sessions.js';
import {
  authenticateInteractively,
  type Flow,
  finishUia,
  mayPassApart,
  passApart,
  type Stage,
  type UiaChallenge,
  type UiaRequest,
} from '#users/uia.js';
import type { Users } from '#users/users.js';

/** What a client asks for when registering. */
export interface Registration {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly inhibitLogin: boolean;
  readonly wish: DeviceWish;
}

/** The account made, with its session unless the client wanted none. */
export interface Registered {
  readonly complete: true;
  readonly user: UserId;
  readonly session?: NewSession;
}

/** The flows of `POST /register` and their parameters; none where registration is closed. */
export function registrationFlows(users: Users): { readonly flows: readonly Flow[]; readonly params: JsonObject } {
  const { registration, terms } = users.options;
  if (registration === 'closed') return { flows: [], params: {} };
  const agree: Stage[] = terms === undefined ? [] : ['m.login.terms'];
  const withToken: Flow = ['m.login.registration_token', ...agree];
  // Where anyone may register, a token is still worth something: the first one makes an administrator.
  const flows = registration === 'token' ? [withToken] : [agree.length > 0 ? agree : DUMMY, withToken];
  const policies = Object.fromEntries(
    Object.entries(terms ?? {}).map(([id, { version, languages }]) => [id, { ...languages, version }]),
  );
  return { flows, params: terms === undefined ? {} : { 'm.login.terms': { policies } } };
}

const DUMMY: Flow = ['m.login.dummy'];

function closed(): MatrixError {
  return new MatrixError('M_FORBIDDEN', 'Registration is closed on this server');
}

/**
 * Registers an account (client-server API, `POST /register`): the name is checked before the user is asked to
 * authenticate, and again in the transaction that makes the account, uses the token up and opens the session.
 */
export async function register(
  users: Users,
  wanted: Registration,
  request: UiaRequest,
): Promise<Registered | UiaChallenge> {
  const { flows, params } = registrationFlows(users);
  if (flows.length === 0) throw closed();
  const named = wanted.username === undefined ? undefined : userIdFor(users, wanted.username);
  if (named !== undefined) checkAvailable(users.store.latest, named);
  if (wanted.password !== undefined) normalPassword(wanted.password);
  const { username, password } = wanted;
  const isAttempt = own(request.body, 'auth') !== undefined;
  if (isAttempt && password === undefined) throw new MatrixError('M_MISSING_PARAM', "'password' is missing");
  const probe = !isAttempt && username === undefined && password === undefined;
  const done = await authenticateInteractively(users, { ...request, probe }, flows, params);
  if (!done.complete) return done;
  const passwordHash = await users.passwords.hash(password!);
  const user = named ?? generateUserId(users);
  const session = await users.store.commit((tx) => {
    finishUia(tx, done);
    const token = done.token === undefined ? undefined : completeUse(tx, done.token);
    createAccount(tx, users, { user, passwordHash, admin: token?.admin === true, terms: agreedTerms(users) });
    return wanted.inhibitLogin ? undefined : openSession(tx, users, user, wanted.wish);
  });
  return { complete: true, user, ...(session !== undefined && { session }) };
}

/** The terms that whoever completes a flow has agreed to, by id: every flow asks for all of them. */
function agreedTerms({ options }: Users): Readonly<Record<string, string>> | undefined {
  if (options.terms === undefined) return undefined;
  return Object.fromEntries(Object.entries(options.terms).map(([id, { version }]) => [id, version]));
}

/** Whether a registration under way could agree to the terms next, or has: asked for the page that shows them. */
export function mayAgreeToTerms(users: Users, session: string): boolean {
  return mayPassApart(users, session, 'm.login.terms', registrationFlows(users).flows);
}

/** Takes in that the terms were agreed to in a browser, apart from the client. False where there is no such registration. */
export function agreeToTerms(users: Users, session: string): Promise<boolean> {
  return passApart(users, session, 'm.login.terms', registrationFlows(users).flows);
}

/** Makes a guest account with a session; M_FORBIDDEN where the server takes no guests. */
export async function registerGuest(users: Users, displayName: string | undefined): Promise<NewSession> {
  if (!users.options.guests) throw new MatrixError('M_GUEST_ACCESS_FORBIDDEN', 'Guests are not allowed here');
  const user = generateUserId(users, true);
  return await users.store.commit((tx) => {
    createAccount(tx, users, { user, guest: true });
    return openSession(tx, users, user, { displayName, refresh: false });
  });
}

/** Whether a new account could have this name: M_INVALID_USERNAME or M_USER_IN_USE otherwise. */
export function checkUsername(users: Users, username: string): void {
  if (users.options.registration === 'closed') throw closed();
  checkAvailable(users.store.latest, userIdFor(users, username));
}
