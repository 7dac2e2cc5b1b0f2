// Client-server API, Server-side key backups.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Body, C, type Client, query, seg } from '../support/client.js';
import { homeserver } from '../support/homeserver.js';
import { synapseDiffers } from '../support/known.js';

const hs = await homeserver();
test.after(() => hs.stop());

const VERSION = `${C}/room_keys/version`;
const ALGORITHM = 'm.megolm_backup.v1.curve25519-aes-sha2';

async function newVersion(client: Client, note = 'x'): Promise<string> {
  return (await client.ok('POST', VERSION, { algorithm: ALGORITHM, auth_data: { note } }))['version'];
}

const place = (version: string, ...path: string[]): string =>
  `${C}/room_keys/keys${path.map((part) => `/${seg(part)}`).join('')}${query({ version })}`;

const session = (first_message_index = 0, forwarded_count = 0, is_verified = false, text = 'secret'): Body => ({
  first_message_index,
  forwarded_count,
  is_verified,
  session_data: { ciphertext: text },
});

test('a backup version is made, read, changed and deleted', async () => {
  const alice = await hs.user('alice');
  await alice.fails(404, 'M_NOT_FOUND', 'GET', VERSION);
  const first = await newVersion(alice, 'first');
  const expected = { algorithm: ALGORITHM, auth_data: { note: 'first' }, count: 0, version: first };
  for (const path of [VERSION, `${VERSION}/${first}`]) {
    const { etag, ...info } = await alice.ok('GET', path);
    assert.deepEqual(info, expected);
    assert.equal(typeof etag, 'string');
  }
  const second = await newVersion(alice, 'second');
  assert.notEqual(second, first);
  assert.equal((await alice.ok('GET', VERSION))['version'], second);
  assert.deepEqual((await alice.ok('GET', `${VERSION}/${first}`))['auth_data'], { note: 'first' });

  await alice.ok('PUT', `${VERSION}/${second}`, { algorithm: ALGORITHM, auth_data: { note: 'new' }, version: second });
  assert.deepEqual((await alice.ok('GET', VERSION))['auth_data'], { note: 'new' });
  for (const change of [{ algorithm: 'other' }, { version: first }]) {
    const body = { algorithm: ALGORITHM, auth_data: {}, version: second, ...change };
    await alice.fails(400, 'M_INVALID_PARAM', 'PUT', `${VERSION}/${second}`, body);
  }
  assert.deepEqual((await alice.ok('GET', VERSION))['auth_data'], { note: 'new' });

  await alice.ok('DELETE', `${VERSION}/${second}`);
  await alice.fails(404, 'M_NOT_FOUND', 'GET', `${VERSION}/${second}`);
  assert.equal((await alice.ok('GET', VERSION))['version'], first, 'the one before is the current one');
  assert.notEqual(await newVersion(alice), second, 'a version is never given out twice');
});

test('versions that are not there, or another user’s, are not found', async () => {
  const [alice, mallory] = await hs.users('alice', 'mallory');
  const version = await newVersion(alice);
  await alice.ok('PUT', place(version, '!r:x', 's'), session());
  for (const [client, name] of [
    [alice, '99'],
    [alice, 'none'],
    [alice, '-1'],
    [alice, '1e1'],
    [mallory, version],
  ] as const) {
    await client.fails(404, 'M_NOT_FOUND', 'GET', `${VERSION}/${name}`);
    await client.fails(404, 'M_NOT_FOUND', 'DELETE', `${VERSION}/${name}`);
    await client.fails(404, 'M_NOT_FOUND', 'PUT', `${VERSION}/${name}`, { algorithm: ALGORITHM, auth_data: {} });
    for (const path of [[], ['!r:x'], ['!r:x', 's']]) {
      await client.fails(404, 'M_NOT_FOUND', 'GET', place(name, ...path));
      await client.fails(404, 'M_NOT_FOUND', 'DELETE', place(name, ...path));
    }
    await client.fails(404, 'M_NOT_FOUND', 'PUT', place(name, '!r:x', 's'), session());
  }
  assert.deepEqual(await alice.ok('GET', place(version, '!r:x', 's')), session());
});

test('sessions are put, read and deleted one by one, by room and all at once', async () => {
  const alice = await hs.user('alice');
  const version = await newVersion(alice);
  const [r1, r2] = ['!one:localhost', '!two/with slash:localhost'];
  let last = (await alice.ok('GET', VERSION))['etag'];
  const changed = (answer: Body, count: number): void => {
    assert.equal(answer['count'], count);
    assert.notEqual(answer['etag'], last);
    last = answer['etag'];
  };
  changed(await alice.ok('PUT', place(version, r1, 'a/b'), session(1)), 1);
  changed(await alice.ok('PUT', place(version, r1), { sessions: { b: session(2), c: session(3) } }), 3);
  const rooms = { [r2]: { sessions: { d: session(4) } }, [r1]: { sessions: { e: session(5) } } };
  changed(await alice.ok('PUT', place(version), { rooms }), 5);
  assert.equal((await alice.ok('PUT', place(version), { rooms }))['etag'], last, 'the same again changes nothing');

  const one = { 'a/b': session(1), b: session(2), c: session(3), e: session(5) };
  assert.deepEqual(await alice.ok('GET', place(version, r1, 'a/b')), session(1));
  assert.deepEqual(await alice.ok('GET', place(version, r1)), { sessions: one });
  assert.deepEqual(await alice.ok('GET', place(version)), {
    rooms: { [r1]: { sessions: one }, [r2]: { sessions: { d: session(4) } } },
  });
  const { etag, count } = await alice.ok('GET', VERSION);
  assert.deepEqual([etag, count], [last, 5]);

  changed(await alice.ok('DELETE', place(version, r1, 'a/b')), 4);
  await alice.fails(404, 'M_NOT_FOUND', 'GET', place(version, r1, 'a/b'));
  changed(await alice.ok('DELETE', place(version, r1)), 1);
  assert.deepEqual(await alice.ok('GET', place(version, r1)), { sessions: {} });
  changed(await alice.ok('DELETE', place(version)), 0);
  assert.deepEqual(await alice.ok('GET', place(version)), { rooms: {} });
  assert.deepEqual(await alice.ok('GET', place(version, '!never:was')), { sessions: {} });
});

/** Puts sessions of which each is better than those before it, and after each of them the worse ones. */
async function betterStays(rising: readonly Body[]): Promise<void> {
  const alice = await hs.user('alice');
  const version = await newVersion(alice);
  const path = place(version, '!r:x', 's');
  let etag: unknown;
  for (const [i, better] of rising.entries()) {
    etag = (await alice.ok('PUT', path, better))['etag'];
    for (const worse of rising.slice(0, i)) {
      assert.equal((await alice.ok('PUT', path, worse))['etag'], etag);
      assert.deepEqual(await alice.ok('GET', path), better);
    }
    // Just as good is not better.
    await alice.ok('PUT', path, { ...better, session_data: { ciphertext: 'other' } });
    assert.deepEqual(await alice.ok('GET', path), better);
  }
  assert.equal((await alice.ok('GET', VERSION))['count'], 1);
}

test('the better session stays: verified before others', () => betterStays([session(9), session(9, 0, true)]));

test('the better session stays: verified, then lower index, then fewer forwards', synapseDiffers('by any'), () =>
  betterStays([
    session(10, 5),
    session(10, 4),
    session(9, 7),
    session(9, 7, true),
    session(9, 6, true),
    session(1, 9, true),
  ]),
);

test('the refusal names the current version', synapseDiffers('names the one that was asked for'), async () => {
  const alice = await hs.user('alice');
  const old = await newVersion(alice);
  const current = await newVersion(alice);
  const error = await alice.fails(403, 'M_WRONG_ROOM_KEYS_VERSION', 'PUT', place(old, '!r:x', 't'), session());
  assert.equal(error['current_version'], current);
});

test('only the current version takes sessions', async () => {
  const alice = await hs.user('alice');
  const old = await newVersion(alice);
  await alice.ok('PUT', place(old, '!r:x', 's'), session());
  const current = await newVersion(alice);
  await alice.fails(403, 'M_WRONG_ROOM_KEYS_VERSION', 'PUT', place(old, '!r:x', 't'), session());
  assert.deepEqual(await alice.ok('GET', place(old)), { rooms: { '!r:x': { sessions: { s: session() } } } });
  assert.deepEqual(await alice.ok('GET', place(current)), { rooms: {} }, 'each version has its own');
});

test(
  'sessions of another shape are refused, and none of the upload is kept',
  synapseDiffers('takes them'),
  async () => {
    const alice = await hs.user('alice');
    const version = await newVersion(alice);
    const bad = [
      null,
      [],
      'x',
      {},
      { ...session(), first_message_index: '1' },
      { ...session(), first_message_index: -1 },
      { ...session(), forwarded_count: 0.5 },
      { ...session(), is_verified: 'yes' },
      { ...session(), session_data: 'x' },
      { ...session(), session_data: null },
      { ...session(), session_data: { ciphertext: 'x'.repeat(70_000) } },
    ];
    for (const one of bad) {
      const room = { sessions: { good: session(), bad: one as Body } };
      for (const [path, body] of [
        [place(version, '!r:x'), room],
        [place(version), { rooms: { '!r:x': room } }],
      ] as const) {
        await alice.fails(400, ['M_BAD_JSON', 'M_INVALID_PARAM', 'M_TOO_LARGE'], 'PUT', path, body);
      }
    }
    for (const [path, body] of [
      [place(version), {}],
      [place(version), { rooms: [] }],
      [place(version), { rooms: { '!r:x': {} } }],
      [place(version, '!r:x'), { sessions: 'x' }],
    ] as const) {
      await alice.fails(400, ['M_BAD_JSON', 'M_MISSING_PARAM', 'M_INVALID_PARAM'], 'PUT', path, body);
    }
    assert.deepEqual(await alice.ok('GET', place(version)), { rooms: {} });
    for (const body of [{}, { algorithm: ALGORITHM }, { auth_data: {} }, { algorithm: 1, auth_data: {} }]) {
      await alice.fails(400, ['M_BAD_JSON', 'M_MISSING_PARAM', 'M_INVALID_PARAM'], 'POST', VERSION, body);
    }
    await alice.fails(400, ['M_MISSING_PARAM', 'M_INVALID_PARAM'], 'GET', `${C}/room_keys/keys`);
  },
);

test('fractions within session data come back as they are', async () => {
  const alice = await hs.user('alice');
  const version = await newVersion(alice);
  const data = { ...session(), session_data: { ratio: 0.5, big: 1e20 } };
  await alice.ok('PUT', place(version, '!r:x', 's'), data);
  await alice.ok('PUT', place(version, '!r:x', 's'), data);
  assert.deepEqual(await alice.ok('GET', place(version, '!r:x', 's')), data);
});

test('names that JavaScript objects have are names like others', async () => {
  const alice = await hs.user('alice');
  const version = await newVersion(alice);
  const one = JSON.stringify(session());
  await alice.ok('PUT', place(version), `{"rooms":{"__proto__":{"sessions":{"__proto__":${one}}}}}`);
  assert.deepEqual(await alice.ok('GET', place(version, '__proto__', '__proto__')), session());
  assert.equal((await alice.ok('GET', VERSION))['count'], 1);
});

test('uploads at the same time are all counted', async () => {
  const alice = await hs.user('alice');
  const version = await newVersion(alice);
  await Promise.all(Array.from({ length: 40 }, (_, n) => alice.ok('PUT', place(version, '!r:x', `s${n}`), session(n))));
  assert.equal((await alice.ok('GET', VERSION))['count'], 40);
});
