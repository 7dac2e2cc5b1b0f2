import { createHmac } from 'node:crypto';
import { parsed } from './connection.js';
import type { Json, User, World } from './world.js';

/** Makes an account with a password; throws where the server refuses. */
export type Register = (username: string, password: string) => Promise<User>;

/**
 * How accounts are made on a homeserver: by the registration with a shared secret that Synapse has, else by its open
 * registration. There the first account is one that nothing uses, since some servers make the first an administrator, who is told of
 * all that come later.
 */
export async function registration(world: World): Promise<Register> {
  const asked = await world.answer('GET', '/_synapse/admin/v1/register', undefined);
  if (asked.status === 200) return (username, password) => bySecret(world, username, password);
  await openly(world, `first-${world.unique()}`, 'password of the first account');
  return (username, password) => openly(world, username, password);
}

async function bySecret(world: World, username: string, password: string): Promise<User> {
  const { nonce } = await world.ok('GET', '/_synapse/admin/v1/register', undefined);
  const mac = createHmac('sha1', world.target.sharedSecret)
    .update([nonce, username, password, 'notadmin'].join('\0'))
    .digest('hex');
  const body = { nonce, username, password, admin: false, mac };
  return userOf(await world.ok('POST', '/_synapse/admin/v1/register', undefined, body));
}

async function openly(world: World, username: string, password: string): Promise<User> {
  const path = '/_matrix/client/v3/register';
  const { session } = parsed((await world.answer('POST', path, undefined, { username, password })).body) as Json;
  const auth = { type: 'm.login.dummy', session };
  return userOf(await world.ok('POST', path, undefined, { username, password, auth }));
}

function userOf(made: Json): User {
  return { id: made['user_id'] as string, token: made['access_token'] as string };
}
