// Client-server API, GET /preview_url.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import sharp from 'sharp';
import { C, type Client } from '../support/client.js';
import { startOwnServer } from '../support/homeserver.js';
import { LEGACY, MEDIA, transfer } from '../support/media.js';

const png = await sharp({ create: { width: 279, height: 129, channels: 3, background: 'teal' } })
  .png()
  .toBuffer();
const asked: string[] = [];
const site: Server = createServer((request, response) => {
  asked.push(request.url ?? '');
  if (request.url === '/test.png') return void response.writeHead(200, { 'content-type': 'image/png' }).end(png);
  response.writeHead(200, { 'content-type': 'text/html' });
  response.end(`<html prefix="og: http://ogp.me/ns#"><head><title>fallback</title>
    <meta property="og:title" content="Of stones &amp; rivers"/><meta property="og:type" content="article"/>
    <meta property="og:url" content="http://example.org/stones"/><meta property="og:image" content="test.png"/></head>`);
}).listen(0, '127.0.0.1');
await once(site, 'listening');
const origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
test.after(() => {
  site.closeAllConnections();
  site.close();
});

/** Whether the capabilities offer previews (MSC4452). */
const isOffered = async (client: Client): Promise<boolean> => {
  const { capabilities } = await client.ok('GET', `${C}/capabilities`);
  return capabilities['io.element.msc4452.preview_url'].enabled;
};
const path = (url: string, base = MEDIA): string => `${base}/preview_url?url=${encodeURIComponent(url)}`;

test('a page’s Open Graph, its image as local media; not for guests and strangers (T221)', async (t) => {
  const hs = await startOwnServer({
    RUNNEL_URL_PREVIEWS: 'on',
    RUNNEL_URL_PREVIEW_ALLOW: '127.0.0.1',
    RUNNEL_GUESTS: 'on',
  });
  t.after(() => hs.stop());
  const alice: Client = await hs.user('alice');
  assert.equal(await isOffered(alice), true);
  const { 'og:image': image, ...rest } = await alice.ok('GET', path(`${origin}/page`));
  assert.deepEqual(rest, {
    'og:title': 'Of stones & rivers',
    'og:type': 'article',
    'og:url': 'http://example.org/stones',
    'og:image:type': 'image/png',
    'og:image:width': 279,
    'og:image:height': 129,
    'matrix:image:size': png.length,
  });
  assert.match(String(image), /^mxc:\/\//);
  const stored = await transfer(alice, 'GET', `${MEDIA}/download/${String(image).slice('mxc://'.length)}`);
  assert.ok(stored.bytes.equals(png));
  const before = asked.length;
  assert.deepEqual(await alice.ok('GET', path(`${origin}/page`, LEGACY)), { 'og:image': image, ...rest });
  assert.equal(asked.length, before, 'the second answer came from the cache');

  await hs.anonymous().fails(401, 'M_MISSING_TOKEN', 'GET', path(origin));
  const session = await hs.anonymous().ok('POST', '/_matrix/client/v3/register?kind=guest', {});
  const guest = hs.anonymous();
  guest.accessToken = session['access_token'] as string;
  await guest.fails(403, 'M_GUEST_ACCESS_FORBIDDEN', 'GET', path(origin));
  await alice.fails(400, 'M_MISSING_PARAM', 'GET', `${MEDIA}/preview_url`);
  await alice.fails(400, 'M_INVALID_PARAM', 'GET', path('no url'));
});

test('addresses that are not public are refused, and all failures look alike (T223)', async (t) => {
  const hs = await startOwnServer({ RUNNEL_URL_PREVIEWS: 'on' });
  t.after(() => hs.stop());
  const alice = await hs.user('alice');
  const { port } = new URL(origin);
  const before = asked.length;
  const answers = new Set<string>();
  for (const url of [
    origin,
    `http://localhost.:${port}/`,
    `http://[::ffff:127.0.0.1]:${port}/`,
    `http://2130706433:${port}/`,
    `http://127\u30020\u30020\u30021:${port}/`,
    `http://[::]:${port}/`,
    `http://0.0.0.0:${port}/`,
    'http://127.0.0.1:1/',
    'http://169.254.169.254/latest/meta-data/',
    'file:///etc/passwd',
    'data:text/html,<title>x</title>',
    'gopher://127.0.0.1/',
    `http://user:secret@127.0.0.1:${port}/`,
  ]) {
    answers.add(JSON.stringify(await alice.fails(502, 'M_UNKNOWN', 'GET', path(url))));
  }
  assert.equal(answers.size, 1);
  assert.equal(asked.length, before);
});

test('previews are off unless the operator wants them (T221)', async (t) => {
  const hs = await startOwnServer({ RUNNEL_URL_PREVIEW_ALLOW: '127.0.0.1' });
  t.after(() => hs.stop());
  const before = asked.length;
  await hs.anonymous().fails(401, 'M_MISSING_TOKEN', 'GET', path(origin));
  const alice = await hs.user('alice');
  for (const base of [MEDIA, LEGACY]) await alice.fails(403, 'M_FORBIDDEN', 'GET', path(origin, base));
  assert.equal(await isOffered(alice), false);
  assert.equal(asked.length, before);
});
