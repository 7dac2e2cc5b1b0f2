import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bundle, launchChromium, servePages } from './browser.ts';
import { until } from './conversation.ts';
import { SdkSession } from './sdk-session.ts';
import { createToken, firstToken, startServer } from './server.ts';

const HTML = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Hydrogen</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">
<link rel="stylesheet" href="/assets/theme-element-light.css">
<body id="app" class="hydrogen"><script type="module" src="/page.js"></script></body></html>`;

const TALK = [
  ['bob', 'Good morning! Is the new server up?'],
  ['alice', 'It is. I made my account a minute ago.'],
  ['bob', 'How long did it take?'],
  ['alice', 'One command, and a token to sign up with.'],
  ['bob', 'And this is Hydrogen that you write with?'],
  ['alice', 'Yes, in the browser. You are on another client, and it just works.'],
] as const;

test('a user of Hydrogen in Chromium logs in and talks to a user of matrix-js-sdk', { timeout: 180_000 }, async (t) => {
  const server = await startServer();
  t.after(() => server.stop());
  const bob = new SdkSession();
  t.after(() => bob.stop());
  await bob.register(server.url, 'bob', 'pw of bob', await firstToken(server));
  const alice = new SdkSession();
  await alice.register(server.url, 'alice', 'pw of alice', await createToken(server));
  await alice.stop();
  const room = await bob.createRoom('Kitchen table', '@alice:localhost');

  const assets = dirname(fileURLToPath(import.meta.resolve('hydrogen-view-sdk/theme-element-light.css')));
  const worker = await readFile(fileURLToPath(new URL('sw.js', import.meta.resolve('hydrogen-view-sdk'))), 'utf8');
  // Olm's script asks for these where it runs in Node.
  const script = await bundle('hydrogen-page.ts', { external: ['fs', 'path', 'crypto'] });
  const web = await servePages({ '/': HTML, '/page.js': script, '/sw.js': worker }, assets);
  t.after(() => web.close());
  const browser = await launchChromium();
  t.after(() => browser.close());
  const page = await browser.newPage({ viewport: { width: 1100, height: 720 }, locale: 'en-GB' });
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  page.setDefaultTimeout(30_000);

  // Log in, accept the invitation, and talk.
  await page.goto(`${web.url}?homeserver=${encodeURIComponent(server.url)}`);
  await page.locator('#username').fill('alice');
  await page.locator('#password').fill('pw of alice');
  await page.getByRole('button', { name: 'Log In' }).click();
  await page.locator('.RoomList').getByText('Kitchen table').click();
  await page.getByRole('button', { name: 'Accept' }).click();
  const composer = page.getByPlaceholder('Send a message…');
  await composer.waitFor();
  for (const [who, text] of TALK) {
    if (who === 'bob') await bob.say(room, text);
    else {
      await composer.fill(text);
      await composer.press('Enter');
    }
    await page.locator('.Timeline').getByText(text).waitFor();
    await until(`bob sees '${text}'`, async () => (await bob.history(room)).some(({ body }) => body === text));
  }
  // Hydrogen marks as read what its user had before their eyes for a while.
  const last = (await bob.history(room)).at(-1);
  await page.locator('.RoomList .badge:not(.hidden)').waitFor({ state: 'detached' });
  await until('bob sees the receipt', async () => (await bob.standing(room)).readUpTo['@alice:localhost'] === last?.id);

  // What is on the screen is what bob has.
  const shown = await page.locator('.Timeline .Timeline_message .Timeline_messageBody').allInnerTexts();
  assert.deepEqual(
    (await bob.history(room)).map(({ sender, body }) => [sender.slice(1, -':localhost'.length), body]),
    TALK,
  );
  for (const [index, [, text]] of TALK.entries()) assert.ok(shown[index]?.includes(text), `${shown}`);
  assert.deepEqual(errors, []);

  const file = process.env['SCREENSHOT'];
  if (file !== undefined) {
    await mkdir(dirname(file), { recursive: true });
    await page.mouse.move(0, 0);
    await page.screenshot({ path: file });
  }
});
