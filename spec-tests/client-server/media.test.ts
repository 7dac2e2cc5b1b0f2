// Client-server API, Content repository: uploads and downloads.
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';
import sharp from 'sharp';
import type { Client } from '../support/client.js';
import { homeserver, startOwnServer } from '../support/homeserver.js';
import { ourChoice, synapseDiffers } from '../support/known.js';
import { LEGACY, MEDIA, transfer, uploaded } from '../support/media.js';

const hs = await homeserver();
test.after(() => hs.stop());

const download = (client: Client, id: string, rest = '', headers: Record<string, string> = {}) =>
  transfer(client, 'GET', `${MEDIA}/download/${id}${rest}`, undefined, headers);

test('what is uploaded comes back for everyone with an account, and for no one else', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const body = Buffer.from(Array.from({ length: 100_000 }, (_, n) => n & 0xff));
  const id = await uploaded(alice, body, 'image/png', 'pixels.png');
  const answer = await download(bob, id);
  assert.equal(answer.status, 200);
  assert.ok(answer.bytes.equals(body));
  assert.equal(answer.headers.get('content-type'), 'image/png');
  assert.equal(answer.headers.get('content-disposition'), 'inline; filename=pixels.png');
  assert.match(answer.headers.get('content-security-policy') ?? '', /^sandbox; default-src 'none'/);
  assert.equal(answer.headers.get('cross-origin-resource-policy'), 'cross-origin');
  assert.deepEqual(
    [await download(hs.anonymous(), id)].map(({ status, errcode }) => [status, errcode]),
    [[401, 'M_MISSING_TOKEN']],
  );
});

test('an empty file and one without type or name', async () => {
  const alice = await hs.user('alice');
  const answer = await download(alice, await uploaded(alice, ''));
  assert.deepEqual([answer.status, answer.bytes.length], [200, 0]);
  const sent = await transfer(alice, 'POST', `${LEGACY}/upload`, new Uint8Array([1, 2, 3]));
  const id = (JSON.parse(sent.bytes.toString()) as { content_uri: string }).content_uri.slice('mxc://'.length);
  const bare = await download(alice, id);
  assert.equal(bare.headers.get('content-type'), 'application/octet-stream');
  assert.equal(bare.headers.get('content-disposition'), 'attachment');
});

test('file names: the upload’s, the path’s, and none that splits a header (T210)', async () => {
  const alice = await hs.user('alice');
  const name = (answer: { headers: Headers }) => answer.headers.get('content-disposition');
  const semicolons = await uploaded(alice, 'x', 'image/png', 'name;with;semicolons');
  assert.equal(name(await download(alice, semicolons)), "inline; filename*=utf-8''name%3Bwith%3Bsemicolons");
  assert.equal(name(await download(alice, semicolons, '/file.png')), 'inline; filename=file.png');
  assert.equal(name(await download(alice, semicolons, '/%F0%9F%90%94')), "inline; filename*=utf-8''%F0%9F%90%94");
  const hostile = await download(alice, semicolons, '/a%0D%0ASet-Cookie:x%00%22..%2F');
  assert.match(name(hostile) ?? '', /^inline; filename\*=utf-8''a(%0D%0A)?Set-Cookie%3Ax(%00)?%22\.\.(\/|%2F)$/);
  assert.equal(hostile.headers.get('set-cookie'), null);
});

test('names as long as a file can have come back whole (T210)', async () => {
  const alice = await hs.user('alice');
  for (const name of [`${'x'.repeat(996)}.png`, '語'.repeat(255), ' two  words ']) {
    const answer = await download(alice, await uploaded(alice, 'x', 'image/png', name));
    const found = /^inline; filename(?:\*=utf-8'')?=?"?([^"]*)"?$/.exec(
      answer.headers.get('content-disposition') ?? '',
    );
    assert.equal(decodeURIComponent(found?.[1] ?? ''), name);
  }
});

test(
  'a name that is far too long is cut, and keeps its extension (T210)',
  ourChoice('the specification bounds no name; headers are bounded'),
  async () => {
    const alice = await hs.user('alice');
    for (const letter of ['x', ' ', '語']) {
      const name = `${letter.repeat(letter === '語' ? 1500 : 4000)}.jpeg`;
      const long = await download(alice, await uploaded(alice, 'x', 'image/png', name));
      assert.match(long.headers.get('content-disposition') ?? '', /\.jpeg$/);
      const all = [...long.headers].map(([key, value]) => `${key}: ${value}\r\n`).join('');
      assert.ok(all.length < 4000, `${all.length}`);
    }
  },
);

test('a type comes back with its parameters', async () => {
  const alice = await hs.user('alice');
  const answer = await download(alice, await uploaded(alice, 'x', 'image/png; charset=utf-8'));
  assert.equal(answer.headers.get('content-type'), 'image/png; charset=utf-8');
});

test('a type that is none is bytes (T209)', ourChoice('the specification does not check types'), async () => {
  const alice = await hs.user('alice');
  for (const type of ['nonsense', '', `text/${'x'.repeat(10_000)}`, 'text/html, image/png']) {
    const odd = await download(alice, await uploaded(alice, 'x', type));
    assert.equal(odd.headers.get('content-type'), 'application/octet-stream', type.slice(0, 40));
    assert.equal(odd.headers.get('content-disposition'), 'attachment');
  }
});

test('no browser guesses at types (T208)', ourChoice('the specification does not ask for this header'), async () => {
  const alice = await hs.user('alice');
  const answer = await download(alice, await uploaded(alice, '<script>', 'text/plain'));
  assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
});

test('what browsers could run is served as an attachment, in a sandbox (T208)', async () => {
  const alice = await hs.user('alice');
  for (const type of ['text/html', 'image/svg+xml', 'application/xhtml+xml', 'application/pdf']) {
    const answer = await download(alice, await uploaded(alice, '<script>', type));
    assert.equal(answer.headers.get('content-disposition'), 'attachment', type);
    assert.match(
      answer.headers.get('content-security-policy') ?? '',
      /^sandbox; default-src 'none'; script-src 'none'/,
    );
  }
});

test('ranges', ourChoice('HTTP leaves them open, and the specification does not speak of them'), async () => {
  const alice = await hs.user('alice');
  const id = await uploaded(alice, '0123456789', 'text/plain');
  const range = async (value: string, more: Record<string, string> = {}) => {
    const { status, bytes, headers } = await download(alice, id, '', { range: value, ...more });
    return [status, bytes.toString(), headers.get('content-range')];
  };
  assert.deepEqual(await range('bytes=2-4'), [206, '234', 'bytes 2-4/10']);
  assert.deepEqual(await range('bytes=7-'), [206, '789', 'bytes 7-9/10']);
  assert.deepEqual(await range('bytes=-3'), [206, '789', 'bytes 7-9/10']);
  assert.deepEqual(await range('bytes=8-99'), [206, '89', 'bytes 8-9/10']);
  for (const whole of ['bytes=0-1,3-4', 'bytes=4-2', 'lines=1-2', 'bytes=-']) {
    assert.deepEqual((await range(whole)).slice(0, 2), [200, '0123456789'], whole);
  }
  assert.deepEqual((await range('bytes=2-4', { 'if-range': '"other"' })).slice(0, 2), [200, '0123456789']);
  const outside = await range('bytes=10-');
  assert.deepEqual([outside[0], outside[2]], [416, 'bytes */10']);
});

test('who has it already is told so', ourChoice('the specification does not speak of entity tags'), async () => {
  const alice = await hs.user('alice');
  const id = await uploaded(alice, 'text', 'text/plain');
  const etag = (await download(alice, id)).headers.get('etag') ?? '';
  assert.match(etag, /^"[^"]+"$/);
  const again = await download(alice, id, '', { 'if-none-match': `"x", W/${etag}` });
  assert.deepEqual([again.status, again.bytes.length, again.headers.get('etag')], [304, 0, etag]);
  assert.equal((await download(hs.anonymous(), id, '', { 'if-none-match': etag })).status, 401);
  assert.equal((await download(alice, id, '', { 'if-none-match': '"x"' })).status, 200);
});

test('HEAD tells about it without sending it', async () => {
  const alice = await hs.user('alice');
  const id = await uploaded(alice, 'text', 'text/plain');
  const answer = await transfer(alice, 'HEAD', `${MEDIA}/download/${id}`);
  assert.deepEqual([answer.status, answer.headers.get('content-length'), answer.bytes.length], [200, '4', 0]);
});

test('no media has a strange id or server (T206)', synapseDiffers('answers 500 for some'), async () => {
  const alice = await hs.user('alice');
  const ids = [
    '..%2f..%2fetc%2fpasswd',
    '%2e%2e',
    '%2E',
    '..',
    '.',
    '\\',
    '..%5c',
    '..\\..\\x',
    'a%00b',
    'x'.repeat(300),
  ];
  const paths = [...ids, 'a.b', 'a~b', '%C3%BC', 'absent'].map((id) => `${hs.serverName}/${id}`);
  paths.push('..%2f..%2fetc/passwd', '../../etc/passwd', '%2e%2e/x', '../x', './x', '%2e/x', 'a/../b/x');
  paths.push('not%20a%20name/x', '%00/x', 'a%2f..%2fb/x', '%2fetc/passwd', '/etc/passwd');
  for (const path of paths) {
    for (const [method, target] of [
      ['GET', `${MEDIA}/download/${path}`],
      ['GET', `${MEDIA}/download/${path}/name`],
      ['GET', `${MEDIA}/thumbnail/${path}?width=32&height=32`],
      ['PUT', `${LEGACY}/upload/${path}`],
    ] as const) {
      const status = await literally(alice, method, target);
      assert.ok([400, 404].includes(status), `${method} ${target}: ${status}`);
    }
  }
});

/** Status of a request whose target goes out as it is written: `fetch` resolves dots before it sends. */
async function literally(client: Client, method: string, path: string): Promise<number> {
  const { hostname, port } = new URL(client.url);
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${client.accessToken}`, 'content-type': 'text/plain' };
    request({ host: hostname, port, method, path, headers, agent: false }, (answer) => {
      answer.resume().once('end', () => resolve(answer.statusCode ?? 0));
    })
      .once('error', reject)
      .end(method === 'PUT' ? 'planted' : undefined);
  });
}

test('nothing is had, made or planted without a token (T207, T216)', async () => {
  const id = await uploaded(await hs.user('alice'), 'content', 'text/plain');
  for (const [method, path] of [
    ['GET', `${MEDIA}/download/${id}`],
    ['GET', `${MEDIA}/download/${id}/name`],
    ['GET', `${MEDIA}/download/elsewhere.example/abc`],
    ['GET', `${MEDIA}/thumbnail/${id}?width=32&height=32`],
    ['GET', `${MEDIA}/thumbnail/elsewhere.example/abc?width=32&height=32`],
    ['GET', `${MEDIA}/config`],
    ['GET', `${MEDIA}/preview_url?url=https%3A%2F%2Fexample.org`],
    ['POST', `${LEGACY}/upload`],
    ['POST', '/_matrix/media/v1/create'],
    ['PUT', `${LEGACY}/upload/${hs.serverName}/abc`],
  ] as const) {
    const answer = await transfer(hs.anonymous(), method, path, method === 'GET' ? undefined : '{}');
    assert.deepEqual([answer.status, answer.errcode], [401, 'M_MISSING_TOKEN'], path);
  }
});

test('the limit of size is told, and kept while the body comes (T211, T212, T216)', async () => {
  const alice = await hs.user('alice');
  const config = await alice.ok('GET', `${MEDIA}/config`);
  const limit = config['m.upload.size'] as number;
  assert.ok(Number.isSafeInteger(limit));
  assert.deepEqual(await alice.ok('GET', `${LEGACY}/config`), config);
  await hs.anonymous().fails(401, 'M_MISSING_TOKEN', 'GET', `${MEDIA}/config`);

  const small = await startOwnServer({ RUNNEL_MAX_UPLOAD_SIZE: '100K', RUNNEL_MEDIA_QUOTA: '150K' });
  try {
    const bob = await small.user('bob');
    const announced = await transfer(bob, 'POST', `${LEGACY}/upload`, new Uint8Array(102_401));
    assert.deepEqual([announced.status, announced.errcode], [413, 'M_TOO_LARGE']);
    const reserved = (await bob.ok('POST', '/_matrix/media/v1/create', {}))['content_uri'] as string;
    const target = `${LEGACY}/upload/${reserved.slice('mxc://'.length)}`;
    for (const [method, path] of [
      ['POST', `${LEGACY}/upload`],
      ['PUT', target],
    ] as const) {
      const answer = await chunkedUpload(small.url, bob.accessToken!, `${method} ${path}`, 200_000);
      assert.match(answer, /^HTTP\/1\.1 413 [\s\S]*M_TOO_LARGE/, path);
    }
    const late = await transfer(bob, 'PUT', target, new Uint8Array(102_401));
    assert.deepEqual([late.status, late.errcode], [413, 'M_TOO_LARGE']);
    await uploaded(bob, new Uint8Array(102_400));
    const over = await transfer(bob, 'POST', `${LEGACY}/upload`, new Uint8Array(60_000));
    assert.deepEqual([over.status, over.errcode], [403, 'M_FORBIDDEN']);
    await uploaded(bob, new Uint8Array(40_000));
  } finally {
    await small.stop();
  }
});

/** Uploads without saying how much it will be; resolves with the answer, as far as its error code. */
async function chunkedUpload(url: string, token: string, target: string, size: number): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.on('error', () => {});
  socket.write(`${target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nTransfer-Encoding: chunked\r\n\r\n`);
  socket.write(`${size.toString(16)}\r\n${'x'.repeat(size)}\r\n0\r\n\r\n`);
  let answer = '';
  for await (const chunk of socket) {
    answer += String(chunk);
    if (answer.includes('"errcode"')) break;
  }
  return answer;
}

test('asynchronous uploads (T217)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const made = await alice.ok('POST', '/_matrix/media/v1/create', {});
  assert.ok(made['unused_expires_at'] > 1_600_000_000_000);
  const id = (made['content_uri'] as string).slice('mxc://'.length);
  for (const path of [`download/${id}?timeout_ms=1`, `thumbnail/${id}?width=32&height=32&timeout_ms=1`]) {
    const early = await transfer(bob, 'GET', `${MEDIA}/${path}`);
    assert.deepEqual([early.status, early.errcode], [504, 'M_NOT_YET_UPLOADED'], path);
  }
  const put = (client: Client, at = id) =>
    transfer(client, 'PUT', `${LEGACY}/upload/${at}?filename=late.txt`, 'late', { 'content-type': 'text/plain' });
  assert.deepEqual([(await put(bob)).status, (await put(bob)).errcode], [403, 'M_FORBIDDEN']);
  assert.equal((await put(hs.anonymous())).status, 401);
  const waiting = download(bob, id);
  assert.equal((await put(alice)).status, 200);
  const answer = await waiting;
  assert.deepEqual([answer.status, answer.bytes.toString()], [200, 'late']);
  assert.equal(answer.headers.get('content-disposition'), 'inline; filename=late.txt');
  const twice = await put(alice);
  assert.deepEqual([twice.status, twice.errcode], [409, 'M_CANNOT_OVERWRITE_MEDIA']);
  assert.equal((await put(alice, `${hs.serverName}/unknown`)).status, 404);
  const whole = await uploaded(alice, 'x');
  assert.equal((await put(alice, whole)).status, 409);
});

test('the paths without authentication are frozen by default, and open where the operator says so (T207, T216)', async () => {
  const frozen = await startOwnServer();
  try {
    const alice = await frozen.user('alice');
    const id = await uploaded(alice, 'new', 'text/plain');
    for (const path of [`download/${id}`, `download/${id}/name`, `thumbnail/${id}?width=32&height=32`]) {
      for (const version of ['v3', 'r0', 'v1']) {
        await alice.fails(404, 'M_NOT_FOUND', 'GET', `/_matrix/media/${version}/${path}`);
      }
    }
    assert.equal((await download(alice, id)).bytes.toString(), 'new');
  } finally {
    await frozen.stop();
  }
  const open = await startOwnServer({ RUNNEL_LEGACY_MEDIA: 'on' });
  try {
    const alice = await open.user('alice');
    const id = await uploaded(alice, 'open', 'text/plain');
    const answer = await transfer(open.anonymous(), 'GET', `${LEGACY}/download/${id}`);
    assert.deepEqual([answer.status, answer.bytes.toString()], [200, 'open']);
    const reserved = (await alice.ok('POST', '/_matrix/media/v1/create', {}))['content_uri'] as string;
    const path = `${LEGACY}/download/${reserved.slice('mxc://'.length)}?timeout_ms=0`;
    assert.equal((await transfer(open.anonymous(), 'GET', path)).errcode, 'M_NOT_YET_UPLOADED');
  } finally {
    await open.stop();
  }
});

test('administrators delete and withdraw media; others do not (T218)', async () => {
  const [alice, admin] = await Promise.all([hs.user('alice'), hs.user('admin', { admin: true })]);
  const body = `content of ${alice.userId}`;
  const [first, second] = [await uploaded(alice, body), await uploaded(alice, body)];
  await alice.fails(403, 'M_FORBIDDEN', 'DELETE', `/_synapse/admin/v1/media/${first}`);
  await admin.ok('DELETE', `/_synapse/admin/v1/media/${first}`);
  assert.equal((await download(alice, first)).status, 404);
  assert.equal((await download(alice, second)).bytes.toString(), body);
  await alice.fails(403, 'M_FORBIDDEN', 'POST', `/_synapse/admin/v1/media/quarantine/${second}`, {});
  await admin.ok('POST', `/_synapse/admin/v1/media/quarantine/${second}`, {});
  for (const client of [alice, admin]) assert.equal((await download(client, second)).status, 404);
});

test('withdrawn media has no thumbnail either, for nobody, in no size and under no URI (T218)', async () => {
  const [alice, admin] = await Promise.all([hs.user('alice'), hs.user('admin', { admin: true })]);
  const picture = await sharp({ create: { width: 300, height: 200, channels: 3, background: '#a47' } })
    .withExif({ IFD0: { ImageDescription: alice.userId } })
    .jpeg()
    .toBuffer();
  const id = await uploaded(alice, picture, 'image/jpeg');
  const small = (at: string, side: number) => `${MEDIA}/thumbnail/${at}?width=${side}&height=${side}&method=crop`;
  assert.equal((await transfer(alice, 'GET', small(id, 32))).status, 200);
  await admin.ok('POST', `/_synapse/admin/v1/media/quarantine/${id}`, {});
  const again = await uploaded(alice, picture, 'image/jpeg');
  for (const client of [alice, admin]) {
    for (const path of [small(id, 32), small(id, 64), small(again, 32), `${MEDIA}/download/${again}`]) {
      const answer = await transfer(client, 'GET', path);
      assert.deepEqual([answer.status, answer.errcode], [404, 'M_NOT_FOUND'], path);
    }
  }
});

test('media outlives a kill right after the answer', async () => {
  const own = await startOwnServer();
  try {
    const alice = await own.user('alice');
    const id = await uploaded(alice, 'durable', 'text/plain');
    await own.own!.end('SIGKILL');
    await own.own!.start();
    assert.equal((await download(alice, id)).bytes.toString(), 'durable');
  } finally {
    await own.stop();
  }
});
