import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { bundle, launchChromium, servePages } from './browser.ts';
import { converse } from './conversation.ts';
import { startServer } from './server.ts';
import type { Session } from './session.ts';

const HTML =
  '<!doctype html><meta charset="utf-8"><title>matrix-js-sdk</title><script type="module" src="/page.js"></script>';

/** The session that lives in a page: each call goes there, and its outcome comes back, as JSON. */
function inPage(page: Page): Session {
  return new Proxy({} as Session, {
    get: (_target, method) => {
      // A proxy with a `then` would be taken for a promise.
      if (typeof method !== 'string' || method === 'then') return undefined;
      return (...args: unknown[]) =>
        page.evaluate(
          ([name, given]) => {
            const { session } = globalThis as unknown as {
              session: Record<string, (...args: unknown[]) => Promise<unknown>>;
            };
            return session[name]?.(...given);
          },
          [method, args] as const,
        );
    },
  });
}

test('two users of matrix-js-sdk in Chromium talk through a restart', { timeout: 300_000 }, async (t) => {
  const server = await startServer();
  t.after(() => server.stop());
  const web = await servePages({ '/': HTML, '/page.js': await bundle('page.ts') });
  t.after(() => web.close());
  const browser = await launchChromium();
  t.after(() => browser.close());
  assert.notEqual(new URL(web.url).origin, new URL(server.url).origin);

  const complaints: string[] = [];
  await converse(server, async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('console', (message) => {
      // The browser itself notes each answer that isn't 2xx, and each connection that broke or was refused while the server is away.
      const noted =
        /^Failed to load resource: (the server responded with a status of 4|net::ERR_(CONNECTION|SOCKET|EMPTY|INCOMPLETE))/;
      if (message.type() === 'error' && !noted.test(message.text())) complaints.push(message.text());
    });
    await page.goto(web.url);
    await page.waitForFunction('globalThis.session !== undefined');
    return inPage(page);
  });
  assert.deepEqual(complaints, [], 'the browser had nothing to complain about');
});
