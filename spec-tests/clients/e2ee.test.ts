import { test } from 'node:test';
import { converseInSecret, converseThroughKills, gatherWhileAway } from './encrypted-conversation.ts';
import { restartOf, stage } from './encrypted-stage.ts';

test('encrypted life of two people on matrix-js-sdk in Node', { timeout: 300_000 }, async (t) => {
  const { own, cast } = await stage(t);
  await converseInSecret(own.url, cast);
});

test('a dehydrated device gathers keys while its owner has no other', { timeout: 120_000 }, async (t) => {
  const { own, cast } = await stage(t);
  await gatherWhileAway(own.url, cast);
});

test('twenty kills between a sync and the next request lose no key', { timeout: 300_000 }, async (t) => {
  const { own, cast } = await stage(t);
  await converseThroughKills(own.url, cast, restartOf(own), Math.random);
});
