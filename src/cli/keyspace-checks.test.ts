import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ENDPOINTS } from '#api/endpoints.js';
import { serveApi, type TestApi } from '#api/testing.js';
import { CHECKS } from '#cli/keyspace-checks.js';
import { pduFromTrusted } from '#core/event/format.js';
import type { DeviceId, UserId } from '#core/ids.js';
import { roomRules } from '#core/room-versions.js';
import type { StoredEvent } from '#store/events.js';
import type { KeyPart } from '#store/keyspace.js';
import type { AnyKeyspace } from '#store/kv.js';
import { type Aggregate, events, KEYSPACES } from '#store/schema.js';
import type { Fact, Store, Tx } from '#store/types.js';
import { rebuildDerived, verifyStore } from '#store/verify.js';
import { signedBy, testCrossSigning, testDevice } from '#users/keys/testing.js';
import { putDelivery } from '#users/push-queue.js';
import { listPushers } from '#users/pushers.js';
import { createRegistrationToken } from '#users/registration-tokens.js';
import { sendServerNotice } from '#users/server-notices.js';
import { createLoginToken } from '#users/sessions.js';

async function problemsOf(store: Store): Promise<string[]> {
  const found: string[] = [];
  for await (const { keyspace, key, problem } of verifyStore(store, CHECKS)) {
    found.push(`${keyspace} ${key.join(' ')}: ${problem}`);
  }
  return found;
}

type Account = Awaited<ReturnType<TestApi['register']>>;
const relation = (rel_type: string, event_id: string, more = {}) => ({
  'm.relates_to': { rel_type, event_id, ...more },
});

/** Everyday use that leaves rows in nearly every keyspace. */
async function use(t: TestContext): Promise<TestApi> {
  const api = await serveApi(t, ENDPOINTS);
  const [alice, bob] = [await api.register('alice'), await api.register('bob')];
  const room = await api.room(alice.user_id, bob.user_id);
  const ok = async (method: string, path: string, by: Account, body?: unknown) => {
    const answer = await api.call(method, path, { token: by.access_token, ...(body === undefined ? {} : { body }) });
    assert.equal(answer.status, 200, `${method} ${path}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  await pushAndSubscribe(api, ok, bob);
  await talk(ok, room, alice, bob);
  await encrypt(api, ok, alice, bob);
  await keepThings(ok, room, alice);
  await comeAndGo(api, ok, alice);
  const notice = { user: bob.user_id as UserId, type: 'm.room.message', content: { msgtype: 'm.text', body: 'hello' } };
  await sendServerNotice(api.rooms, api.users, notice);
  await api.test.store.settle();
  return api;
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
type Ok = (method: string, path: string, by: Account, body?: unknown) => Promise<any>;

async function talk(ok: Ok, room: string, alice: Account, bob: Account): Promise<void> {
  let txn = 0;
  const send = async (by: Account, content: object, type = 'm.room.message'): Promise<string> =>
    (await ok('PUT', `rooms/${room}/send/${type}/${txn++}`, by, content)).event_id;
  const say = (by: Account, body: string, more = {}) => send(by, { msgtype: 'm.text', body, ...more });
  const root = await say(alice, 'shall we meet');
  await say(bob, 'yes', relation('m.thread', root));
  const last = await say(alice, 'at noon', relation('m.thread', root));
  await say(alice, '* shall we meet now', { ...relation('m.replace', root), 'm.new_content': { body: 'now' } });
  await send(bob, relation('m.annotation', root, { key: '👍' }), 'm.reaction');
  await say(bob, 'see above', relation('m.reference', root));
  await ok('PUT', `rooms/${room}/redact/${await say(alice, 'oops', relation('m.thread', root))}/${txn++}`, alice, {});
  const subscription = `/_matrix/client/unstable/io.element.msc4306/rooms/${room}/thread/${root}/subscription`;
  await ok('PUT', subscription, bob, {});
  let newest = last;
  for (let i = 0; i < 40; i++) newest = await say(alice, `bob, this is number ${i}`);
  await ok('POST', `rooms/${room}/receipt/m.read/${newest}`, bob, {});
  await ok('POST', `rooms/${room}/read_markers`, bob, { 'm.fully_read': newest });
  await say(alice, 'unread, bob');
  await ok('PUT', `rooms/${room}/state/m.room.topic`, alice, { topic: 'meeting' });
  await ok('PUT', `rooms/${room}/send/m.room.message/later?org.matrix.msc4140.delay=50000`, alice, { body: 'later' });
  await ok('POST', '/_matrix/client/unstable/org.matrix.simplified_msc3575/sync?timeout=0', alice, {
    conn_id: 'main',
    lists: { all: { ranges: [[0, 9]], timeline_limit: 1, required_state: [] } },
  });
  await ok('POST', `rooms/${room}/report/${root}`, bob, { reason: 'why not' });
}

async function pushAndSubscribe(api: TestApi, ok: Ok, bob: Account): Promise<void> {
  await ok('POST', 'pushers/set', bob, {
    kind: 'http',
    app_id: 'org.example',
    pushkey: 'key',
    app_display_name: 'App',
    device_display_name: 'Phone',
    lang: 'en',
    data: { url: 'https://push.example.org/_matrix/push/v1/notify' },
  });
  const user = bob.user_id as UserId;
  const [pusher] = listPushers(api.test.store, user);
  await api.test.store.commit((tx) => putDelivery(tx, user, pusher!.id, { badge: 1 }));
}

async function encrypt(api: TestApi, ok: Ok, alice: Account, bob: Account): Promise<void> {
  const crossSigning = new Map([alice, bob].map(({ user_id }) => [user_id, testCrossSigning(user_id as UserId)]));
  for (const account of [alice, bob]) {
    const device = testDevice(account.user_id as UserId, account.device_id as DeviceId);
    const one_time_keys = {
      'signed_curve25519:A': device.sign({ key: 'a' }),
      'signed_curve25519:B': device.sign({ key: 'b' }),
    };
    await ok('POST', 'keys/upload', account, { device_keys: device.identity, one_time_keys });
    await ok('POST', 'keys/device_signing/upload', account, crossSigning.get(account.user_id)!.upload);
  }
  const ofBob = { [bob.user_id]: { [bob.device_id]: 'signed_curve25519' } };
  await ok('POST', 'keys/claim', alice, { one_time_keys: ofBob });
  const { master, upload } = crossSigning.get(bob.user_id)!;
  const signed = signedBy(crossSigning.get(alice.user_id)!.userSigning, alice.user_id, upload.master_key);
  await ok('POST', 'keys/signatures/upload', alice, { [bob.user_id]: { [master.publicKey]: signed } });
  const messages = { [bob.user_id]: { [bob.device_id]: { a: 1 }, '*': { b: 2 } } };
  await ok('PUT', 'sendToDevice/org.example/1', alice, { messages });
  const backup = await ok('POST', 'room_keys/version', alice, { algorithm: 'm.example', auth_data: {} });
  const session = { first_message_index: 0, forwarded_count: 0, is_verified: false, session_data: {} };
  await ok('PUT', `room_keys/keys/!r/s?version=${backup.version}`, alice, session);
  await ok('PUT', '/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device', bob, {
    device_id: 'DRY',
    device_data: { algorithm: 'x' },
    device_keys: testDevice(bob.user_id as UserId, 'DRY' as DeviceId).identity,
  });
  const { refresh_token } = (await api.login('alice', { refresh_token: true })).body;
  await api.call('POST', 'refresh', { body: { refresh_token } });
  await createLoginToken(api.users, bob.user_id as UserId);
  await ok('POST', `user/${bob.user_id}/openid/request_token`, bob, {});
  await createRegistrationToken(api.users, { token: 'welcome', usesAllowed: 3 });
  await api.call('POST', 'register', { body: { username: 'dave', password: 'long enough' } });
}

async function keepThings(ok: Ok, room: string, alice: Account): Promise<void> {
  await ok('PUT', `user/${alice.user_id}/account_data/org.example`, alice, { a: 1 });
  await ok('PUT', `user/${alice.user_id}/rooms/${room}/tags/m.favourite`, alice, { order: 0.5 });
  await ok('POST', `user/${alice.user_id}/filter`, alice, { room: { timeline: { limit: 3 } } });
  await ok('PUT', `presence/${alice.user_id}/status`, alice, { presence: 'online', status_msg: 'here' });
  await ok('PUT', `profile/${alice.user_id}/displayname`, alice, { displayname: 'Alice' });
  await ok('PUT', `directory/room/${encodeURIComponent('#meet:test')}`, alice, { room_id: room });
  await ok('PUT', `directory/list/room/${room}`, alice, { visibility: 'public' });
  await ok('POST', '/_matrix/media/v3/upload?filename=a.txt', alice, { any: 'bytes' });
  await ok('POST', '/_matrix/media/v3/upload?filename=b.txt', alice, { any: 'bytes' });
  await ok('POST', '/_matrix/media/v1/create', alice, {});
}

async function comeAndGo(api: TestApi, ok: Ok, alice: Account): Promise<void> {
  const [carol, erin] = [await api.register('carol'), await api.register('erin')];
  const space = await ok('POST', 'createRoom', alice, {
    preset: 'public_chat',
    creation_content: { type: 'm.space' },
    invite: [erin.user_id],
  });
  const { room_id: child } = await ok('POST', 'createRoom', alice, { preset: 'public_chat', name: 'Child' });
  await ok('PUT', `rooms/${space.room_id}/state/m.space.child/${child}`, alice, { via: ['test'] });
  await ok('POST', `rooms/${child}/join`, carol, {});
  await ok('PUT', `rooms/${child}/send/m.room.message/1`, carol, { msgtype: 'm.text', body: 'spam' });
  await ok('POST', `rooms/${child}/ban`, alice, { user_id: carol.user_id, 'org.matrix.msc4293.redact_events': true });
  await ok('POST', `rooms/${child}/join`, erin, {});
  await ok('POST', `rooms/${child}/leave`, erin, {});
  await ok('POST', 'logout', carol, {});
}

/** A row of the keyspace; of the log, one that tells of an event. */
async function rowOf(store: Store, keyspace: AnyKeyspace): Promise<readonly [readonly KeyPart[], unknown] | undefined> {
  const rows = await store.list(keyspace, { limit: 500 });
  return keyspace.name === 'log' ? rows.find(([, fact]) => (fact as Fact).kind === 'event') : rows[0];
}

/** Whether a check finds a problem, of a row of `keyspace` where one is given. */
async function isFound(store: Store, keyspace?: AnyKeyspace): Promise<boolean> {
  for await (const problem of verifyStore(store, CHECKS)) {
    if (keyspace === undefined || problem.keyspace === keyspace.name) return true;
  }
  return false;
}

test('every keyspace has a check', () => {
  const covered = new Set(CHECKS.flatMap(({ covers }) => covers.map(({ id }) => id)));
  assert.deepEqual(
    KEYSPACES.filter(({ id }) => !covered.has(id)).map(({ name }) => name),
    [],
  );
});

/** Rows that everyday use leaves for a moment only, or not at all; each contradicts what is there. */
const MADE_UP: Readonly<Record<string, readonly [key: readonly KeyPart[], value: unknown]>> = {
  awaitedRedactions: [['$nothing'], ['$unknown']],
  bulkRedactions: [[1], { kind: 'relations', parent: '$nothing' }],
  relatedRedactions: [['$nothing'], { room: '!r', sender: '@a:test', relTypes: ['*'] }],
  userTasks: [['@nobody:test', 'profile'], { id: 'x', sinceTs: 1 }],
  urlPreviews: [['hash'], { url: 'https://example.org/', fetchedTs: 1 }],
  delayedEvents: [['id'], { user: '@nobody:test', content: '{}', delayMs: 1, scheduledTs: 1 }],
  meta: [['format'], 'one'],
  journal: [[0], { check: -1, bytes: 0, content: 0 }],
  loginTokens: [['hash'], { user: '@nobody:test', expiresTs: 1 }],
  openIdTokens: [['hash'], { user: '@nobody:test', expiresTs: 1 }],
  uiaSessions: [['id'], { createdTs: 1, user: '@nobody:test', method: 'GET', path: '/', bodyHash: '', completed: [] }],
  registrationTokens: [['t'], { pending: 1, completed: 0, createdTs: 1 }],
  media: [['test', 'unknown'], { createdTs: 1, accessedTs: 1, contentType: '' }],
  mediaUsage: [['@alice:test'], { bytes: 1, files: 1, pending: [] }],
  firstTokens: [[], { token: 'unknown' }],
  readNoticeHeads: [['@alice:test'], 3],
  serverKeys: [['no server'], {}],
  receivedTransactions: [['no server'], []],
  roomServers: [[1_000_000_000, 'elsewhere.example'], 1],
  outboundCursor: [['federation'], 1_000_000_000],
  destinations: [['elsewhere.example'], { after: 1_000_000_000 }],
};

/** The first row of a keyspace under a key that nothing speaks of. */
function strayCopy(row: readonly [readonly KeyPart[], unknown]): readonly [readonly KeyPart[], unknown] {
  const [[first, ...rest], value] = row;
  return [[typeof first === 'number' ? first + 1_000_000_000 : `${first}x`, ...rest], value];
}

/** Keyspaces of which no row is missed, since nothing else tells what was there. */
const MISSED_BY_NOTHING: readonly string[] = [
  ...['meta', 'journal', 'published', 'echoes', 'reports', 'filters', 'presences', 'profiles'],
  ...[
    'loginTokens',
    'openIdTokens',
    'registrationTokens',
    'firstTokens',
    'uiaSessions',
    'serverNoticeRooms',
    'dehydratedDevices',
  ],
  ...['toDeviceTxns', 'keySignatures', 'pushes', 'pushBadges', 'pushDeliveries', 'readNotices', 'slidingRooms'],
];

test('everyday use leaves a sound store, of which nothing needs to be made anew', { timeout: 60_000 }, async (t) => {
  const { store } = (await use(t)).test;
  assert.deepEqual(await problemsOf(store), []);
  assert.equal(await rebuildDerived(store, CHECKS), 0);
});

test('a stray row is noticed in every keyspace', { timeout: 120_000 }, async (t) => {
  const { store } = (await use(t)).test;
  const unnoticed: string[] = [];
  for (const keyspace of KEYSPACES) {
    const row = await rowOf(store, keyspace);
    const stray = MADE_UP[keyspace.name] ?? (row && strayCopy(row));
    assert.ok(stray !== undefined, `there is no row of ${keyspace.name} to copy`);
    const [key, value] = stray;
    const before = store.get(keyspace, key);
    await store.commit((tx) => tx.put(keyspace, key, value));
    if (!(await isFound(store, keyspace))) unnoticed.push(`${keyspace.name} ${key.join(' ')}`);
    await store.commit((tx) => (before === undefined ? tx.delete(keyspace, key) : tx.put(keyspace, key, before)));
  }
  assert.deepEqual(unnoticed, []);
});

test('a row that is gone is noticed, whatever it was', { timeout: 120_000 }, async (t) => {
  const { store } = (await use(t)).test;
  const unnoticed: string[] = [];
  for (const keyspace of KEYSPACES) {
    const row = await rowOf(store, keyspace);
    if (row === undefined || MISSED_BY_NOTHING.includes(keyspace.name)) continue;
    await store.commit((tx) => tx.delete(keyspace, row[0]));
    if (!(await isFound(store))) unnoticed.push(`${keyspace.name} ${row[0].join(' ')}`);
    await store.commit((tx) => tx.put(keyspace, row[0], row[1]));
  }
  assert.deepEqual(unnoticed, []);
});

/** Keyspaces that a rebuild makes whole again, whatever is missing in them. */
const REMADE: readonly string[] = [
  ...['eventNums', 'timeline', 'timestamps', 'stateKeys', 'members', 'relations', 'annotations', 'rosters'],
  ...['aggregates', 'bundled', 'threadSenders', 'threadOrders', 'spaceChildren', 'postings', 'roomAliases'],
  ...['inboxCounts', 'threadSubscriptionLog', 'threadSubscribers', 'delayedDue', 'delayedOf', 'delayedTxns'],
  ...['delayedCounts', 'unread', 'readNoticeHeads', 'mediaUsage'],
];

/** A stray of these may be all that is left of something: a rebuild keeps it, and the check tells of it. */
const WITHOUT_STRAYS: readonly string[] = ['unread', 'mediaUsage', 'members', 'stateKeys'];

test('derived rows that are gone or stray are made anew as they were', { timeout: 120_000 }, async (t) => {
  const { store } = (await use(t)).test;
  const all = async (keyspace: AnyKeyspace) => store.list(keyspace, { limit: 100_000 });
  const derived = KEYSPACES.filter(({ name }) => REMADE.includes(name));
  const before = new Map<AnyKeyspace, Awaited<ReturnType<typeof all>>>();
  for (const keyspace of derived) before.set(keyspace, await all(keyspace));
  await store.commit((tx: Tx) => {
    for (const [keyspace, rows] of before) {
      const [key, value] = strayCopy(rows[0]!);
      for (const row of rows) tx.delete(keyspace, row[0]);
      if (!WITHOUT_STRAYS.includes(keyspace.name)) tx.put(keyspace, key, value);
    }
  });
  assert.notDeepEqual(await problemsOf(store), []);
  assert.ok((await rebuildDerived(store, CHECKS)) > 0);
  assert.deepEqual(await problemsOf(store), []);
  for (const [keyspace, rows] of before) {
    // Where the counts began and which uploads are open is nowhere else.
    if (!['unread', 'mediaUsage'].includes(keyspace.name)) assert.deepEqual(await all(keyspace), rows, keyspace.name);
  }
  assert.equal(await rebuildDerived(store, CHECKS), 0);
});

/** Rows that say something else than they must, by keyspace: what changes of the first row. */
const ALTERED: Readonly<Record<string, (value: never) => unknown>> = {
  rooms: (head: object) => ({ ...head, joined: 9 }),
  log: (fact: object) => ({ ...fact, room: 1 }),
  members: (row: object) => ({ ...row, displayname: 'Mallory' }),
  redactions: () => '$other',
  relations: (row: object) => ({ ...row, sender: '@mallory:test' }),
  receipts: (row: object) => ({ ...row, order: 1 }),
  aggregates: (row: Aggregate) => ({ ...row, chains: { ...row.chains, 'm.thread': { count: 9, first: 1, last: 2 } } }),
  bundled: (row: object) => ({ ...row, after: 1 }),
  threadSenders: () => 9,
  authChains: (row: { length: number }) => ({ ...row, length: row.length + 1 }),
  authNodes: (row: object) => ({ ...row, citations: 99 }),
  rosters: (users: string[]) => users.slice(1),
  accessTokens: (row: object) => ({ ...row, device: 'OTHER' }),
  refreshTokens: (row: object) => ({ ...row, access: 'other' }),
  deviceTokens: (row: { access: string[] }) => ({ ...row, access: [...row.access, 'other'] }),
  registrationTokens: (row: object) => ({ ...row, pending: 1 }),
  accountData: (row: object) => ({ ...row, position: 1 }),
  filters: () => ({ changed: true }),
  inboxCounts: () => 9,
  threadSubscribers: () => 9,
  delayedCounts: () => 9,
  crossSigningKeys: (key: object) => ({ ...key, user_id: '@mallory:test' }),
  backupVersions: (row: object) => ({ ...row, count: 9 }),
  unread: (row: object) => ({ ...row, threads: { main: { notify: 9, highlight: 0 } } }),
  notices: (row: object) => ({ ...row, thread: '$other' }),
  mediaContents: (row: object) => ({ ...row, references: 9 }),
  mediaUsage: (row: object) => ({ ...row, bytes: 9 }),
  pusherUsers: () => ['@mallory:test'],
  slidingConnections: (all: object) => ({ ...all, more: { positions: [0, 1e12] } }),
};

/** Those of them that follow from others: a rebuild gives them back as they were. */
const SUMS: readonly string[] = [
  ...['rooms', 'relations', 'aggregates', 'bundled', 'threadSenders', 'rosters', 'inboxCounts', 'threadSubscribers'],
  ...['delayedCounts', 'unread', 'mediaContents', 'mediaUsage'],
];

test('a row that says something else is noticed, and mended where it is a sum', { timeout: 120_000 }, async (t) => {
  const { store } = (await use(t)).test;
  const unnoticed: string[] = [];
  for (const [name, alter] of Object.entries(ALTERED)) {
    const keyspace = KEYSPACES.find((one) => one.name === name)!;
    const [key, value] = (await rowOf(store, keyspace))!;
    await store.commit((tx) => tx.put(keyspace, key, alter(value as never)));
    if (!(await isFound(store, keyspace))) unnoticed.push(name);
    if (SUMS.includes(name)) {
      await rebuildDerived(store, CHECKS);
      assert.deepEqual(store.get(keyspace, key), value, name);
    } else {
      await store.commit((tx) => tx.put(keyspace, key, value));
    }
  }
  assert.deepEqual(unnoticed, []);
  assert.deepEqual(await problemsOf(store), []);
});

test('a message that nobody signed is only sound where it is of this server', async (t) => {
  const { store } = (await use(t)).test;
  let event: StoredEvent | undefined;
  for await (const [, row] of store.range(events)) if (row.pdu.type === 'm.room.message') event ??= row;
  assert.ok(event);
  assert.deepEqual(event.pdu.json['signatures'], {});
  const foreign = pduFromTrusted(
    { ...event.pdu.json, sender: '@x:elsewhere.example' },
    roomRules(event.version)!,
    event.pdu.event_id,
  );
  await store.commit((tx) => tx.put(events, [event.num], { ...event, pdu: foreign }));
  assert.ok(
    (await problemsOf(store)).includes(`events ${event.num}: is a message of another server, and nobody signed it`),
  );
});
