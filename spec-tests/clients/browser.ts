import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { extname, join } from 'node:path';
import { type BuildOptions, build } from 'esbuild';
import { type Browser, chromium } from 'playwright-core';

/** Debian's Chromium, with a fresh profile of its own. */
export async function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/** Bundles a module and everything that it imports for a page. */
export async function bundle(entry: string, options: BuildOptions = {}): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, entry)],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2023',
    define: { global: 'globalThis' },
    logLevel: 'error',
    ...options,
  });
  const text = outputFiles?.[0]?.text;
  assert.ok(text);
  return text;
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
  '.woff': 'font/woff',
  '.woff2': 'font/woff2',
};

/** A web server on loopback with pages by path, and under `/assets/` the files of a directory. Its origin isn't the homeserver's. */
export async function servePages(
  pages: Readonly<Record<string, string | Buffer>>,
  assets?: string,
): Promise<{ url: string; close(): void }> {
  const find = async (path: string): Promise<string | Buffer | undefined> => {
    if (Object.hasOwn(pages, path)) return pages[path];
    const name = /^\/assets\/([\w.-]+)$/.exec(path)?.[1];
    if (name === undefined || assets === undefined) return undefined;
    return readFile(join(assets, name)).catch(() => undefined);
  };
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname;
    const body = await find(path);
    const type = TYPES[path === '/' ? '.html' : extname(path)] ?? 'text/plain';
    response.writeHead(body === undefined ? 404 : 200, { 'content-type': type }).end(body);
  };
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return {
    url: `http://127.0.0.1:${address.port}/`,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
