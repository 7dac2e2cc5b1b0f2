// Client-server API, Content repository: uploads and downloads.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
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

test('file names: the upload’s, the path’s, and none that splits a header', async () => {
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

test(
  'a name that is far too long is cut',
  ourChoice('the specification bounds no name; headers are bounded'),
  async () => {
    const alice = await hs.user('alice');
    const long = await download(alice, await uploaded(alice, 'x', 'image/png', 'x'.repeat(10_000)));
    assert.ok((long.headers.get('content-disposition') ?? '').length < 1000);
  },
);

test('a type that is none is bytes', ourChoice('the specification does not check types'), async () => {
  const alice = await hs.user('alice');
  const odd = await download(alice, await uploaded(alice, 'x', 'nonsense'));
  assert.equal(odd.headers.get('content-type'), 'application/octet-stream');
});

test('no browser guesses at types', ourChoice('the specification does not ask for this header'), async () => {
  const alice = await hs.user('alice');
  const answer = await download(alice, await uploaded(alice, '<script>', 'text/plain'));
  assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
});

test('what browsers could run is served as an attachment', async () => {
  const alice = await hs.user('alice');
  for (const type of ['text/html', 'image/svg+xml', 'application/xhtml+xml', 'application/pdf']) {
    const answer = await download(alice, await uploaded(alice, '<script>', type));
    assert.equal(answer.headers.get('content-disposition'), 'attachment', type);
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

test('no media has a strange id or server', synapseDiffers('answers 500 for some'), async () => {
  const alice = await hs.user('alice');
  const ids = ['..%2f..%2fetc%2fpasswd', '%2e%2e', '..%5c', 'a%00b', 'x'.repeat(300), 'a.b', '%C3%BC', 'absent'];
  const paths = ids.map((id) => `${hs.serverName}/${id}`);
  paths.push('..%2f..%2fetc/passwd', '%2e%2e/x', 'not%20a%20name/x', '%00/x', 'a%2f..%2fb/x');
  for (const path of paths) {
    for (const kind of ['download', 'thumbnail']) {
      const query = kind === 'thumbnail' ? '?width=32&height=32' : '';
      const answer = await transfer(alice, 'GET', `${MEDIA}/${kind}/${path}${query}`);
      assert.ok([400, 404].includes(answer.status), `${kind} ${path}: ${answer.status}`);
    }
  }
});

test('the limit of size is told, and kept while the body comes', async () => {
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
    assert.match(await chunkedUpload(small.url, bob.accessToken!, 200_000), /^HTTP\/1\.1 413 /);
    await uploaded(bob, new Uint8Array(102_400));
    const over = await transfer(bob, 'POST', `${LEGACY}/upload`, new Uint8Array(60_000));
    assert.deepEqual([over.status, over.errcode], [403, 'M_FORBIDDEN']);
    await uploaded(bob, new Uint8Array(40_000));
  } finally {
    await small.stop();
  }
});

/** Uploads without saying how much it will be; resolves with the beginning of the answer. */
async function chunkedUpload(url: string, token: string, size: number): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.on('error', () => {});
  socket.write(
    `POST ${LEGACY}/upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nTransfer-Encoding: chunked\r\n\r\n`,
  );
  socket.write(`${size.toString(16)}\r\n${'x'.repeat(size)}\r\n0\r\n\r\n`);
  for await (const chunk of socket) return String(chunk);
  return '';
}

test('asynchronous uploads', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const made = await alice.ok('POST', '/_matrix/media/v1/create', {});
  assert.ok(made['unused_expires_at'] > 1_600_000_000_000);
  const id = (made['content_uri'] as string).slice('mxc://'.length);
  const early = await download(bob, id, '?timeout_ms=1');
  assert.deepEqual([early.status, early.errcode], [504, 'M_NOT_YET_UPLOADED']);
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

test('the paths without authentication are frozen by default, and open where the operator says so', async () => {
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

test('administrators delete and withdraw media; others do not', async () => {
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
