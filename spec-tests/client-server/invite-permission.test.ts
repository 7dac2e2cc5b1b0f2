// Client-server API, Invite permission; MSC4155.
import { deepEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, type Client, inRoom, ofUser } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';

const hs = await homeserver();
test.after(() => hs.stop());

const set = (client: Client, type: string, content: Body): Promise<Body> =>
  client.ok('PUT', ofUser(client, 'account_data', type), content);
const invites = async (client: Client): Promise<string[]> => {
  client.since = undefined;
  return Object.keys((await client.sync())['rooms']?.invite ?? {});
};

test('who blocks invites gets none, by whichever way they are made', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  await set(bob, 'm.invite_permission_config', { default_action: 'block' });
  const room = await alice.createRoom();
  const invite = { user_id: bob.userId };
  await alice.fails(403, 'M_INVITE_BLOCKED', 'POST', inRoom(room, 'invite'), invite);
  const path = inRoom(room, 'state', 'm.room.member', bob.userId);
  await alice.fails(403, 'M_INVITE_BLOCKED', 'PUT', path, { membership: 'invite' });
  await alice.fails(403, 'M_INVITE_BLOCKED', 'POST', `${C}/createRoom`, { invite: [bob.userId] });
  deepEqual(await invites(bob), []);
  await set(bob, 'm.invite_permission_config', {});
  await alice.invite(room, bob.userId);
  deepEqual(await invites(bob), [room]);
});

test('ignored invites are made, and hidden until they are not ignored any more', async () => {
  const type = 'org.matrix.msc4155.invite_permission_config';
  const [alice, bob] = await hs.users('alice', 'bob');
  await set(bob, type, { ignored_users: [alice.userId] });
  const room = await alice.createRoom();
  await alice.invite(room, bob.userId);
  deepEqual(await alice.membership(room, bob.userId), 'invite');
  deepEqual(await invites(bob), []);
  await set(bob, type, { allowed_users: [alice.userId], blocked_servers: ['*'] });
  deepEqual(await invites(bob), [room]);
});
