import { type Verb, verb } from '#cli/control.js';
import { CHECKS } from '#cli/keyspace-checks.js';
import { MatrixError } from '#core/errors.js';
import type { UserId } from '#core/ids.js';
import { boolean, integer, object, optional, string } from '#core/schema.js';
import { type SigningKey, tweetnaclAgrees } from '#core/signing.js';
import type { Media } from '#media/media.js';
import { fileProblems } from '#media/verify.js';
import type { Layers } from '#server';
import type { StoreProblem } from '#store/checks.js';
import type { RegistrationToken, User } from '#store/schema.js';
import type { Store } from '#store/types.js';
import { rebuildDerived, verifyStore } from '#store/verify.js';
import { addUser, deactivate, findUser, listUsers, localUser, setPassword } from '#users/accounts.js';
import {
  createRegistrationToken,
  listRegistrationTokens,
  revokeRegistrationToken,
} from '#users/registration-tokens.js';

/** What the command line can ask of a server, by the names of the commands. */
export const VERBS: readonly Verb<Layers>[] = [
  verb({
    name: 'user create',
    input: object({ name: string(), password: string(), admin: optional(boolean), displayname: optional(string()) }),
    mayBegin: true,
    async run({ users }, { name, password, admin, displayname }) {
      const user = await addUser(users, {
        name,
        password,
        ...(admin !== undefined && { admin }),
        ...(displayname !== undefined && { displayname }),
      });
      return { user_id: user, admin: admin === true };
    },
  }),
  verb({
    name: 'user list',
    input: object({}),
    run: async ({ users }) => ({ users: (await listUsers(users)).map(userJson) }),
  }),
  verb({
    name: 'user password',
    input: object({ user: string(), password: string(), logout_devices: boolean }),
    async run(layers, { user, password, logout_devices }) {
      const named = userNamed(layers, user);
      await setPassword(layers.users, named, password, { logoutDevices: logout_devices });
      return { user_id: named };
    },
  }),
  verb({
    name: 'user deactivate',
    input: object({ user: string(), erase: boolean }),
    async run(layers, { user, erase }) {
      const named = userNamed(layers, user);
      await deactivate(layers.users, named, erase);
      return { user_id: named };
    },
  }),
  verb({
    name: 'token create',
    input: object({
      token: optional(string()),
      uses_allowed: optional(integer({ minimum: 0 })),
      /** Milliseconds from now. */
      expires_in_ms: optional(integer({ minimum: 1 })),
      admin: optional(boolean),
    }),
    mayBegin: true,
    async run({ users }, { token, uses_allowed, expires_in_ms, admin }) {
      const expiresTs = expires_in_ms === undefined ? undefined : users.clock.now() + expires_in_ms;
      const made = await createRegistrationToken(users, {
        ...(token !== undefined && { token }),
        ...(uses_allowed !== undefined && { usesAllowed: uses_allowed }),
        ...(expiresTs !== undefined && { expiresTs }),
        ...(admin && { admin: true as const }),
      });
      return { token: made, uses_allowed: uses_allowed ?? null, expiry_time: expiresTs ?? null, admin: admin === true };
    },
  }),
  verb({
    name: 'token list',
    input: object({}),
    run: async ({ users }) => ({ registration_tokens: (await listRegistrationTokens(users)).map(tokenJson) }),
  }),
  verb({
    name: 'token revoke',
    input: object({ token: string() }),
    async run({ users }, { token }) {
      if (await revokeRegistrationToken(users, token)) return { token };
      throw new MatrixError('M_NOT_FOUND', 'There is no such token');
    },
  }),
  verb({
    name: 'check',
    input: object({}),
    run: async (layers) => {
      const problems = await findProblems(layers);
      return { ok: problems.length === 0, problems: problems.map((p) => ({ ...p, key: [...p.key] })) };
    },
  }),
  verb({
    name: 'check --rebuild',
    input: object({}),
    alone: true,
    run: async ({ store }) => ({ rows_rebuilt: await rebuildDerived(store, CHECKS) }),
  }),
];

/** Whoever has this many restores a backup, and needs no longer list. */
const MOST_PROBLEMS = 1_000;
const MOST_WALKS = 4;

/**
 * Broken invariants of the store. A walk that writes overtake can see a row without the one it belongs to; so on a server
 * that runs, what counts is what is found again, until a walk saw no write or there were enough of them.
 */
async function findProblems({ store, media, rooms }: Layers): Promise<readonly StoreProblem[]> {
  let found: readonly StoreProblem[] | undefined;
  for (let walk = 0; walk < MOST_WALKS; walk++) {
    const { tip } = store;
    const now: StoreProblem[] = [];
    for await (const problem of allProblems(store, media, rooms.signingKey)) {
      if (now.push(problem) === MOST_PROBLEMS) break;
    }
    const before = found && new Set(found.map((problem) => JSON.stringify(problem)));
    found = before === undefined ? now : now.filter((problem) => before.has(JSON.stringify(problem)));
    if (found.length === 0 || store.tip === tip) break;
  }
  return found ?? [];
}

async function* allProblems(
  store: Store,
  { files, clock }: Media,
  signingKey: SigningKey,
): AsyncGenerator<StoreProblem, void, undefined> {
  if (!tweetnaclAgrees(signingKey)) {
    yield { keyspace: 'database', key: [signingKey.id], problem: 'tweetnacl derives another public key from the seed' };
  }
  yield* verifyStore(store, CHECKS);
  yield* fileProblems(store, files, clock.now());
}

function userNamed({ users }: Layers, name: string): UserId {
  const user = localUser(users, name);
  if (user !== undefined && findUser(users.store.latest, user) !== undefined) return user;
  throw new MatrixError('M_NOT_FOUND', `There is no account ${name} here`);
}

function userJson(row: User & { readonly user: string }) {
  return {
    user_id: row.user,
    created_ts: row.createdTs,
    admin: row.admin === true,
    guest: row.guest === true,
    deactivated: row.deactivated === true,
    locked: row.locked === true,
    suspended: row.suspended === true,
    ...(row.terms !== undefined && { terms: row.terms }),
  };
}

function tokenJson(row: RegistrationToken & { readonly token: string }) {
  return {
    token: row.token,
    uses_allowed: row.usesAllowed ?? null,
    pending: row.pending,
    completed: row.completed,
    expiry_time: row.expiresTs ?? null,
    admin: row.admin === true,
  };
}
