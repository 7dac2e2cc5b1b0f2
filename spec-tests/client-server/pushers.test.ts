// Client-server API, Push notifications: pushers; push gateway API, POST notify.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { type Body, C, type Client, ofUser, seg } from '../support/client.js';
import { startOwnServer } from '../support/homeserver.js';

const SET = `${C}/pushers/set`;
const hs = await startOwnServer({ RUNNEL_PUSH_ALLOW: '127.0.0.1' });

/** Pushes by pushkey, in the order in which they came. */
const came = new Map<string, Body[]>();
let arrived: () => void = () => {};
/** Runs before a push is answered; gives the pushkeys that the gateway rejects. */
let answer: (notification: Body) => Promise<string[]> = async () => [];
const gateway: Server = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const { notification } = JSON.parse(Buffer.concat(chunks).toString()) as Body;
  const rejected = await answer(notification);
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ rejected }));
  const key = String(notification.devices[0].pushkey);
  came.set(key, [...(came.get(key) ?? []), notification]);
  arrived();
}).listen(0, '127.0.0.1');
await once(gateway, 'listening');
const url = `http://127.0.0.1:${(gateway.address() as AddressInfo).port}/_matrix/push/v1/notify`;
test.after(async () => {
  gateway.closeAllConnections();
  gateway.close();
  await hs.stop();
});

/** The next push for a pushkey. */
async function pushed(pushkey: string): Promise<Body> {
  for (;;) {
    const [first, ...rest] = came.get(pushkey) ?? [];
    if (first !== undefined) {
      came.set(pushkey, rest);
      return first;
    }
    await new Promise<void>((resolve) => {
      arrived = resolve;
    });
  }
}

const pusher = (pushkey: string, more: Body = {}): Body => ({
  kind: 'http',
  app_id: 'org.example.app',
  pushkey,
  app_display_name: 'An app',
  device_display_name: 'A phone',
  profile_tag: 'tag',
  lang: 'en',
  data: { url },
  ...more,
});
const keysOf = async (client: Client): Promise<string[]> =>
  ((await client.ok('GET', `${C}/pushers`))['pushers'] as Body[]).map((one) => String(one['pushkey'])).sort();

test('a pusher is listed as it was set, changed, and removed', async () => {
  const alice = await hs.user('alice');
  assert.deepEqual(await alice.ok('GET', `${C}/pushers`), { pushers: [] });
  await alice.ok('POST', SET, pusher('a'));
  await alice.ok('POST', SET, pusher('b', { app_id: 'org.example.other' }));
  await alice.ok('POST', SET, pusher('a', { lang: 'de', 'org.matrix.msc3881.enabled': false }));
  const { pushers } = await alice.ok('GET', `${C}/pushers`);
  const { append, ...expected } = pusher('a', { lang: 'de' });
  assert.equal(append, undefined);
  assert.deepEqual(
    pushers.find((one: Body) => one['pushkey'] === 'a'),
    { ...expected, 'org.matrix.msc3881.enabled': false, 'org.matrix.msc3881.device_id': alice.deviceId },
  );
  await alice.ok('POST', SET, { kind: null, app_id: 'org.example.app', pushkey: 'a' });
  await alice.ok('POST', SET, { kind: null, app_id: 'org.example.app', pushkey: 'never there' });
  assert.deepEqual(await keysOf(alice), ['b']);
});

test('what is missing or wrong is refused', async () => {
  const alice = await hs.user('alice');
  for (const name of ['kind', 'app_id', 'pushkey', 'lang', 'data', 'app_display_name', 'device_display_name']) {
    await alice.fails(400, 'M_MISSING_PARAM', 'POST', SET, pusher('k', { [name]: undefined }));
  }
  await alice.fails(400, 'M_MISSING_PARAM', 'POST', SET, pusher('k', { data: {} }));
  for (const more of [
    { kind: 'email' },
    { app_id: 'x'.repeat(65) },
    { pushkey: 'é'.repeat(257) },
    { data: { url: 'https://push.example.org/elsewhere' } },
    { data: { url: 'http://push.example.org.invalid/_matrix/push/v1/notify?x', more: 'x'.repeat(5_000) } },
    { data: { url: 'https://10.1.2.3/_matrix/push/v1/notify' } },
    { data: { url: 'http://93.184.216.34/_matrix/push/v1/notify' } },
  ]) {
    await alice.fails(400, 'M_INVALID_PARAM', 'POST', SET, pusher('k', more));
  }
  await alice.fails(400, 'M_BAD_JSON', 'POST', SET, pusher('k', { pushkey: 7 }));
  assert.deepEqual(await keysOf(alice), []);
  await hs.anonymous().fails(401, 'M_MISSING_TOKEN', 'GET', `${C}/pushers`);
  await hs.anonymous().fails(401, 'M_MISSING_TOKEN', 'POST', SET, pusher('k'));
});

test('a pushkey is one user’s, unless others append theirs', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  await alice.ok('POST', SET, pusher('shared'));
  await bob.ok('POST', SET, pusher('shared', { append: true }));
  assert.deepEqual([await keysOf(alice), await keysOf(bob)], [['shared'], ['shared']]);
  await bob.ok('POST', SET, pusher('shared'));
  assert.deepEqual([await keysOf(alice), await keysOf(bob)], [[], ['shared']]);
});

test('a message is pushed once it can be read, and reading it takes the badge back to zero', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await bob.sync();
  await bob.ok('POST', SET, pusher(bob.userId, { data: { url, format: 'event_id_only' } }));
  let body: unknown;
  let synced: Body = {};
  answer = async (notification) => {
    if (notification.event_id === undefined) return [];
    body = (await bob.event(room, notification.event_id as string)).content['body'];
    synced = await bob.sync();
    return [];
  };
  const eventId = await alice.say(room, 'hello');
  const { devices, ...rest } = await pushed(bob.userId);
  assert.deepEqual(rest, { event_id: eventId, room_id: room, prio: 'high', counts: { unread: 1 } });
  assert.deepEqual(devices[0].data, { format: 'event_id_only' });
  assert.equal(body, 'hello');
  assert.equal(synced['rooms'].join[room].unread_notifications.notification_count, 1);
  answer = async () => [];
  await bob.receipt(room, 'm.read', eventId);
  assert.deepEqual((await pushed(bob.userId)).counts, { unread: 0 });
});

test('what push rules mute is not pushed (T283)', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const rooms = [await alice.createRoom({ preset: 'public_chat' }), await alice.createRoom({ preset: 'public_chat' })];
  for (const room of rooms) await bob.join(room);
  await bob.ok('POST', SET, pusher(bob.userId));
  await bob.ok('PUT', `${C}/pushrules/global/room/${seg(rooms[0]!)}`, { actions: [] });
  await alice.say(rooms[0]!, 'muted');
  await bob.ok('PUT', ofUser(bob, 'account_data', 'm.ignored_user_list'), { ignored_users: { [alice.userId]: {} } });
  await alice.say(rooms[1]!, 'ignored');
  await bob.ok('PUT', ofUser(bob, 'account_data', 'm.ignored_user_list'), { ignored_users: {} });
  const eventId = await alice.say(rooms[1]!, 'heard');
  const got = await pushed(bob.userId);
  assert.deepEqual([got['event_id'], got['content'].body, got['counts']], [eventId, 'heard', { unread: 1 }]);
});

test('a rejected pushkey loses its pusher', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await bob.ok('POST', SET, pusher(bob.userId));
  answer = async (notification) => [notification.devices[0].pushkey];
  await alice.say(room, 'hello');
  await pushed(bob.userId);
  answer = async () => [];
  // The server has its answer before it goes: what is asked for until then shows the pusher still.
  const deadline = performance.now() + 10_000;
  while ((await keysOf(bob)).length > 0) assert.ok(performance.now() < deadline, 'the pusher is removed');
});

test('pushers go with their session, at logout and at a change of password', async () => {
  const alice = await hs.user('alice');
  const other = await alice.login();
  await other.ok('POST', SET, pusher('other'));
  await alice.ok('POST', SET, pusher('own'));
  assert.deepEqual(await keysOf(alice), ['other', 'own']);
  await alice.withPassword('POST', `${C}/account/password`, { new_password: 'another long password' });
  assert.deepEqual(await keysOf(alice), ['own']);
  const third = await alice.login({ password: 'another long password' });
  await third.ok('POST', SET, pusher('third'));
  await third.ok('POST', `${C}/logout`, {});
  assert.deepEqual(await keysOf(alice), ['own']);
});

test('another device switches a pusher off, and it stays its own', async () => {
  const phone = await hs.user('alice');
  const bob = await hs.user('bob');
  const laptop = await phone.login();
  const room = await bob.createRoom({ preset: 'public_chat' });
  await phone.join(room);
  await phone.ok('POST', SET, pusher(phone.userId));
  await laptop.ok('POST', SET, pusher(phone.userId, { 'org.matrix.msc3881.enabled': false }));
  const unseen = await bob.say(room, 'while it is off');
  await laptop.receipt(room, 'm.read', unseen);
  await laptop.ok('POST', `${C}/logout`, {});
  assert.deepEqual(await keysOf(phone), [phone.userId]);
  await phone.ok('POST', SET, pusher(phone.userId));
  const eventId = await bob.say(room, 'on again');
  assert.equal((await pushed(phone.userId))['event_id'], eventId);
  const features = (await phone.ok('GET', '/_matrix/client/versions'))['unstable_features'];
  assert.equal(features['org.matrix.msc3881'], true);
});

test('what was not delivered is delivered after a crash', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await bob.ok('POST', SET, pusher(bob.userId));
  let crash: () => void = () => {};
  const asked = new Promise<void>((resolve) => {
    crash = resolve;
  });
  let killed: () => void = () => {};
  const gone = new Promise<void>((resolve) => {
    killed = resolve;
  });
  answer = async () => {
    crash();
    await gone;
    return [];
  };
  const eventId = await alice.say(room, 'hello');
  await asked;
  await hs.own!.end('SIGKILL');
  killed();
  assert.equal((await pushed(bob.userId))['event_id'], eventId);
  answer = async () => [];
  await hs.own!.start();
  assert.equal((await pushed(bob.userId))['event_id'], eventId);
});
