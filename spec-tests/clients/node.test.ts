import { test } from 'node:test';
import { converse } from './conversation.ts';
import { SdkSession } from './sdk-session.ts';
import { startServer } from './server.ts';

test('two users of matrix-js-sdk in Node talk through a restart', { timeout: 300_000 }, async (t) => {
  const server = await startServer();
  t.after(() => server.stop());
  await converse(server, async () => new SdkSession());
});
