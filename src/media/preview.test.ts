import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import sharp from 'sharp';
import type { MatrixError } from '#core/errors.js';
import { mayFetch } from '#media/fetch-page.js';
import { findMedia } from '#media/find.js';
import { previewOf } from '#media/preview.js';
import { sweep } from '#media/retention.js';
import { openTestMedia } from '#media/testing.js';
import { type HttpClient, openHttpClient, type RemoteRequest } from '#remote/http.js';
import { publicAddresses } from '#remote/public-address.js';
import { SystemClock } from '#util/clock.js';

const here = new AbortController().signal;
const refused = (error: MatrixError) => error.errcode === 'M_UNKNOWN' && error.status === 502;

async function site(t: TestContext, listener: RequestListener, options: { deny?: string[]; allow?: string[] } = {}) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    listener(request, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const client = openHttpClient({
    clock: new SystemClock(),
    mayConnect: publicAddresses(options.allow ?? ['127.0.0.1']),
  });
  const sent: RemoteRequest[] = [];
  const http: HttpClient = {
    request(one) {
      sent.push(one);
      return client.request(one);
    },
    close: () => client.close(),
  };
  const previews = { http, deny: options.deny ?? [] };
  const { media, test } = await openTestMedia(t, { previews });
  return {
    asked,
    sent,
    media,
    test,
    port,
    preview: (url: string) => previewOf(media, previews, url.replace('PORT', `${port}`)),
  };
}

const image = () =>
  sharp({ create: { width: 40, height: 30, channels: 3, background: 'red' } })
    .png()
    .toBuffer();

test('a page yields its properties, with the image stored here', async (t) => {
  const png = await image();
  const { preview, media, asked } = await site(t, (request, response) => {
    if (request.url === '/dir/pic.png') return void response.end(png);
    if (request.url === '/start') return void response.writeHead(302, { location: '/dir/page' }).end();
    response.setHeader('content-type', 'text/html');
    response.end(
      '<title>T</title><meta property="og:image" content="pic.png"><meta property="og:image:width" content="9000">',
    );
  });
  const properties = await preview('http://127.0.0.1:PORT/start#part');
  const { 'og:image': uri, ...rest } = properties;
  assert.deepEqual(rest, {
    'og:title': 'T',
    'og:image:type': 'image/png',
    'og:image:width': 40,
    'og:image:height': 30,
    'matrix:image:size': png.length,
  });
  const id = /^mxc:\/\/test\/(.+)$/.exec(String(uri))?.[1] ?? '';
  const stored = await findMedia(media, { origin: 'test', id }, { signal: here });
  assert.equal(stored.content.size, png.length);
  assert.deepEqual(asked, ['/start', '/dir/page', '/dir/pic.png']);
});

test('what a page says by oEmbed comes before what it says otherwise', async (t) => {
  const png = await image();
  const { preview, asked } = await site(t, (request, response) => {
    if (request.url === '/photo.png') return void response.end(png);
    if (request.url === '/embed') {
      return void response.end(JSON.stringify({ type: 'photo', title: 'Photo', url: '/photo.png', width: 1 }));
    }
    response.setHeader('content-type', 'text/html');
    const link = (href: string) => `<link rel="alternate" type="application/json+oembed" href="${href}">`;
    response.end(
      `<title>Page</title><meta name="description" content="words">${link(request.url === '/bad' ? '/none' : '/embed')}`,
    );
  });
  const properties = await preview('http://127.0.0.1:PORT/page');
  assert.equal(properties['og:title'], 'Photo');
  assert.equal(properties['og:description'], 'words');
  assert.equal(properties['og:image:width'], 40);
  assert.deepEqual(asked.splice(0), ['/page', '/embed', '/photo.png']);
  assert.equal(
    (await preview('http://127.0.0.1:PORT/bad'))['og:title'],
    'Page',
    'an answer that is none is passed over',
  );
});

test('a picture is its own preview, and what is neither page nor picture has none to tell', async (t) => {
  const png = await image();
  const { preview } = await site(t, (request, response) => {
    response.setHeader('content-type', 'application/octet-stream');
    response.end(request.url === '/p' ? png : '<title>not HTML</title>');
  });
  assert.equal((await preview('http://127.0.0.1:PORT/p'))['og:image:height'], 30);
  assert.deepEqual(await preview('http://127.0.0.1:PORT/x'), {});
});

test('a page is asked once a day, one that failed after ten minutes, and many who ask at once share', async (t) => {
  const { preview, asked, test } = await site(t, (request, response) => {
    response.setHeader('content-type', 'text/html');
    response.writeHead(request.url === '/good' ? 200 : 500).end('<title>x</title>');
  });
  const good = 'http://127.0.0.1:PORT/good';
  const bad = 'http://127.0.0.1:PORT/bad';
  await Promise.all([preview(good), preview(good), preview(good)]);
  await assert.rejects(preview(bad), refused);
  await assert.rejects(preview(bad), refused);
  assert.deepEqual(asked.splice(0).sort(), ['/bad', '/good']);
  test.clock.advance(600_000);
  await preview(good);
  await assert.rejects(preview(bad), refused);
  assert.deepEqual(asked.splice(0), ['/bad']);
  test.clock.advance(86_400_000);
  await preview(good);
  assert.deepEqual(asked, ['/good']);
});

test('neither URL, redirect nor image reaches an address that is not public (T222, T223)', async (t) => {
  const { preview, asked } = await site(t, (_, response) => void response.end('<title>secret</title>'), { allow: [] });
  const urls = ['http://127.0.0.1:PORT/', 'http://localhost:PORT/', 'http://2130706433:PORT/', 'http://0.0.0.0:PORT/'];
  for (const url of [...urls, 'http://[::ffff:127.0.0.1]:PORT/']) await assert.rejects(preview(url), refused, url);
  assert.deepEqual(asked, []);
});

test('redirects and images pass the same checks as the URL (T212, T222)', async (t) => {
  const { preview, asked } = await site(
    t,
    (request, response) => {
      if (request.url === '/redirect') return void response.writeHead(302, { location: 'http://[::1]:1234/' }).end();
      if (request.url === '/denied') {
        return void response.writeHead(302, { location: `http://localhost:${request.socket.localPort}/in` }).end();
      }
      if (request.url?.startsWith('/loop')) return void response.writeHead(301, { location: `${request.url}x` }).end();
      response.setHeader('content-type', 'text/html');
      const address = `http://localhost:${request.socket.localPort}/image`;
      const link = `<link type="application/json+oembed" href="http://localhost:${request.socket.localPort}/embed">`;
      response.end(`<title>T</title><meta property="og:image" content="${address}">${link}`);
    },
    { deny: ['localhost'] },
  );
  for (const path of ['redirect', 'denied', 'loop'])
    await assert.rejects(preview(`http://127.0.0.1:PORT/${path}`), refused);
  assert.equal(asked.filter((url) => url.startsWith('/loop')).length, 6);
  assert.deepEqual(await preview('http://127.0.0.1:PORT/page'), { 'og:title': 'T' });
  assert.equal(
    asked.some((url) => ['/image', '/in', '/embed'].includes(url)),
    false,
  );
});

test('whatever a page leads to passes every check of the first address (T212, T222)', async (t) => {
  const png = await image();
  const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('"', '&quot;');
  const { preview, asked, sent, port } = await site(
    t,
    (request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? '', 'http://site');
      const to = searchParams.get('to') ?? '';
      const onward = (path: string) => `${path}?to=${encodeURIComponent(to)}`;
      const page = (head: string) =>
        void response.setHeader('content-type', 'text/html').end(`<title>T</title>${head}`);
      const linked = (href: string) => page(`<link type="application/json+oembed" href="${escaped(href)}">`);
      switch (pathname) {
        case '/redirect':
          return void response.writeHead(302, { location: to }).end();
        case '/image':
          return page(`<meta property="og:image" content="${escaped(to)}">`);
        case '/image-redirect':
          return page(`<meta property="og:image" content="${escaped(onward('/redirect'))}">`);
        case '/oembed':
          return linked(to);
        case '/oembed-redirect':
          return linked(onward('/redirect'));
        case '/oembed-image':
          return linked(onward('/photo'));
        case '/photo':
          return void response.end(JSON.stringify({ type: 'photo', url: to }));
        case '/thumbnail':
          return void response.end(JSON.stringify({ type: 'rich', thumbnail_url: to }));
        case '/oembed-thumbnail':
          return linked(onward('/thumbnail'));
        default:
          response.end(searchParams.has('json') ? JSON.stringify({ type: 'photo', url: '/inner.png' }) : png);
      }
    },
    { deny: ['localhost'] },
  );
  const derived = ['image', 'image-redirect', 'oembed', 'oembed-redirect', 'oembed-image', 'oembed-thumbnail'];
  const reach = async (place: string, to: string) => {
    const answer = await preview(`http://127.0.0.1:PORT/${place}?to=${encodeURIComponent(to)}`);
    return 'og:image' in answer;
  };
  for (const place of derived) {
    const json = place === 'oembed' || place === 'oembed-redirect' ? '?json' : '';
    assert.equal(await reach(place, `http://127.0.0.1:${port}/good${json}`), true, `${place} is followed`);
  }
  assert.equal(await reach('redirect', `http://127.0.0.1:${port}/good`), true);
  asked.splice(0);
  sent.splice(0);
  const never = [
    'file:///inner',
    `ftp://127.0.0.1:${port}/inner`,
    `data:image/png;base64,${png.toString('base64')}#inner`,
    'http://127.0.0.1:22/inner',
    `http://localhost:${port}/inner`,
    `http://LOCALHOST.:${port}/inner`,
    `http://u:p@127.0.0.1:${port}/inner`,
  ];
  const refusedAtSocket = [`http://0.0.0.0:${port}/inner`, `http://[::ffff:127.0.0.2]:${port}/inner`];
  for (const to of [...never, ...refusedAtSocket]) {
    for (const place of derived) assert.equal(await reach(place, to), false, `${place} ${to}`);
    await assert.rejects(reach('redirect', to), refused);
  }
  assert.equal(
    asked.some((path) => path.startsWith('/inner')),
    false,
    'nothing came to the inner address',
  );
  const tried = new Set(sent.map(({ url }) => url).filter((url) => new URL(url).pathname === '/inner'));
  assert.deepEqual(
    [...tried],
    refusedAtSocket.map((url) => new URL(url).href),
    'the others are not even tried',
  );
});

test('a page, its redirects and its image have one deadline together (T224)', async (t) => {
  let slow = (): void => {};
  const { preview, asked, sent, test } = await site(t, (request, response) => {
    slow();
    if (request.url?.startsWith('/page')) return void response.writeHead(302, { location: '/next' }).end();
    response.setHeader('content-type', 'text/html').end('<title>T</title><meta property="og:image" content="/image">');
  });
  slow = () => test.clock.advance(7_000);
  assert.deepEqual(await preview('http://127.0.0.1:PORT/page'), { 'og:title': 'T' });
  assert.deepEqual(
    sent.map(({ timeoutMs }) => timeoutMs),
    [20_000, 13_000, 6_000],
  );
  slow = () => test.clock.advance(20_000);
  await assert.rejects(preview('http://127.0.0.1:PORT/page?slower'), refused);
  assert.deepEqual(asked, ['/page', '/next', '/image', '/page?slower']);
});

test('ten megabytes of tags cost bounded time, in another process (T225)', async (t) => {
  const { preview, media } = await site(t, (_, response) => {
    response.setHeader('content-type', 'text/html');
    response.end(`<title>many</title>${'<meta property="og:a" content="b">'.repeat(320_000)}`);
  });
  assert.deepEqual(await preview('http://127.0.0.1:PORT/'), { 'og:title': 'many', 'og:a': 'b' });
  assert.ok(media.worker.pid !== undefined && media.worker.pid !== process.pid);
});

test('only web addresses that nobody denied are asked (T222, T223)', () => {
  const allowed = ['http://a.example/', 'https://a.example:8443/x', 'http://a.example:80/'];
  for (const url of allowed) assert.equal(mayFetch(new URL(url), ['b.example', '*.c.example']), true, url);
  const denied = [
    'file:///etc/passwd',
    'data:text/html,x',
    'gopher://a.example/',
    'ftp://a.example/',
    'http://u@a.example/',
  ];
  denied.push(
    'http://:p@a.example/',
    'http://a.example:22/',
    'http://B.example/',
    'http://b.example./',
    'http://x.c.example/',
  );
  denied.push(`http://a.example/${'x'.repeat(3000)}`);
  for (const url of denied) assert.equal(mayFetch(new URL(url), ['b.example', '*.c.example']), false, url);
});

test('what is no URL is said to be none', async (t) => {
  const { preview } = await site(t, (_, response) => void response.end());
  for (const url of ['', 'example', '//example.org', `http://x/${'a'.repeat(5000)}`]) {
    await assert.rejects(preview(url), (error: MatrixError) => error.errcode === 'M_INVALID_PARAM');
  }
});

test('compressed and endless pages are not unpacked and not waited for (T224)', async (t) => {
  const { preview } = await site(t, (request, response) => {
    response.setHeader('content-type', 'text/html');
    if (request.url === '/zip') return void response.writeHead(200, { 'content-encoding': 'gzip' }).end('x');
    response.write('<title>endless</title>');
    const more = (): void => {
      while (!response.destroyed && response.write(' '.repeat(65_536)));
      response.once('drain', more);
    };
    more();
  });
  await assert.rejects(preview('http://127.0.0.1:PORT/zip'), refused);
  assert.deepEqual(await preview('http://127.0.0.1:PORT/endless'), { 'og:title': 'endless' });
});

test('old previews and their images go', async (t) => {
  const png = await image();
  const { preview, media, test } = await site(t, (_, response) => void response.end(png));
  const uri = String((await preview('http://127.0.0.1:PORT/'))['og:image']);
  const at = { origin: 'test', id: uri.slice('mxc://test/'.length) };
  test.clock.advance(47 * 3_600_000);
  await sweep(media, here);
  await findMedia(media, at, { signal: here });
  test.clock.advance(2 * 3_600_000);
  await sweep(media, here);
  await assert.rejects(findMedia(media, at, { signal: here }), (error: MatrixError) => error.errcode === 'M_NOT_FOUND');
});
