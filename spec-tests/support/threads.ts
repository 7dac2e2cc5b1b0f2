import { C, type Client, seg } from './client.js';

const RULE = '.io.element.msc4306.rule.unsubscribed_thread';

/**
 * Makes a thread notify `client`, as every thread does by the specification: where the server follows MSC4306, whose
 * push rule keeps threads quiet that one is not subscribed to, the client subscribes.
 */
export async function follow(client: Client, room: string, root: string): Promise<void> {
  if (!JSON.stringify(await client.ok('GET', `${C}/pushrules/`)).includes(RULE)) return;
  const path = `rooms/${seg(room)}/thread/${seg(root)}/subscription`;
  await client.ok('PUT', `/_matrix/client/unstable/io.element.msc4306/${path}`, {});
}
