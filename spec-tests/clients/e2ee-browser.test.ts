import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Page } from 'playwright-core';
import { bundle, launchChromium, servePages } from './browser.ts';
import type * as Conversation from './encrypted-conversation.ts';
import { restartOf, stage } from './encrypted-stage.ts';

const HTML =
  '<!doctype html><meta charset="utf-8"><title>encryption</title><script type="module" src="/page.js"></script>';
const WASM = 'pkg/matrix_sdk_crypto_wasm_bg.wasm';

type Globals = typeof Conversation & { restart(): Promise<void> };

/** A page in Chromium with the conversations in it, and what it had to complain about. */
async function openPage(t: TestContext): Promise<{ page: Page; complaints: string[] }> {
  const wasm = join(import.meta.dirname, 'node_modules/@matrix-org/matrix-sdk-crypto-wasm', WASM);
  const pages = { '/': HTML, '/page.js': await bundle('e2ee-page.ts'), [`/${WASM}`]: await readFile(wasm) };
  const web = await servePages(pages);
  t.after(() => web.close());
  const browser = await launchChromium();
  t.after(() => browser.close());
  const page = await (await browser.newContext()).newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(web.url);
  await page.waitForFunction('globalThis.converseInSecret !== undefined');
  return { page, complaints };
}

test('encrypted life of two people on matrix-js-sdk in Chromium', { timeout: 300_000 }, async (t) => {
  const { own, cast } = await stage(t);
  const { page, complaints } = await openPage(t);
  await page.evaluate(([url, cast]) => (globalThis as unknown as Globals).converseInSecret(url, cast), [
    own.url,
    cast,
  ] as const);
  assert.deepEqual(complaints, []);
});

test('twenty kills between a sync and the next request lose no key in Chromium', { timeout: 300_000 }, async (t) => {
  const { own, cast } = await stage(t);
  const { page, complaints } = await openPage(t);
  await page.exposeFunction('restart', restartOf(own));
  await page.evaluate(
    ([url, cast]) => {
      const { converseThroughKills, restart } = globalThis as unknown as Globals;
      return converseThroughKills(url, cast, restart, Math.random);
    },
    [own.url, cast] as const,
  );
  assert.deepEqual(complaints, []);
});
