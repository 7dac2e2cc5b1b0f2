import type { TestContext } from 'node:test';
import { type OwnServer, startOwnServer } from '../../build/spec-tests/support/homeserver.js';
import type { Cast } from './encrypted-conversation.ts';

/** A server of ours with the accounts of a conversation; it stops when the test ends. `env` adds to its options. */
export async function stage(
  t: TestContext,
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly own: OwnServer; readonly cast: Cast }> {
  const server = await startOwnServer(env);
  t.after(() => server.stop());
  const { own } = server;
  if (own === undefined) throw new Error('the server is ours');
  const [alice, bob, carol] = await server.users('alice', 'bob', 'carol');
  const person = ({ userId, password }: { userId: string; password: string }) => ({ userId, password });
  return { own, cast: { alice: person(alice), bob: person(bob), carol: person(carol) } };
}

/** A function that kills the server with SIGKILL and starts it again. */
export function restartOf(own: OwnServer): () => Promise<void> {
  return async () => {
    await own.end('SIGKILL');
    await own.start();
  };
}
