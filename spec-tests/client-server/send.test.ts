// Client-server API, Sending events to a room; Transaction identifiers; Size limits.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { C, type ClientEvent, inRoom, saying, texts } from '../support/client.js';
import { homeserver, startOwnServer } from '../support/homeserver.js';

const hs = await homeserver();
test.after(() => hs.stop());

test('a message arrives with its sender at the other side', async () => {
  const [alice, bob] = await hs.users('alice', 'bob');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await bob.sync();
  const eventId = await alice.say(room, 'good morning');
  const event = await bob.syncUntil(saying(room, 'good morning'));
  assert.equal(event.event_id, eventId);
  assert.equal(event.sender, alice.userId);
  assert.equal(typeof event['origin_server_ts'], 'number');
  assert.equal(event['room_id'], undefined, 'sync does not repeat the room id');
});

test('a transaction id sends once, however often and however parallel it is used (T266)', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  const ids = await Promise.all(
    Array.from({ length: 5 }, () => alice.send(room, 'm.room.message', { msgtype: 'm.text', body: 'once' }, 'txn-1')),
  );
  ids.push(await alice.send(room, 'm.room.message', { msgtype: 'm.text', body: 'changed' }, 'txn-1'));
  assert.equal(new Set(ids).size, 1);
  assert.deepEqual(texts((await alice.messages(room))['chunk']), ['once']);
});

test('a transaction id belongs to one device and one room (T266)', async () => {
  const phone = await hs.user('alice');
  const laptop = await phone.login();
  const [room, other] = [await phone.createRoom(), await phone.createRoom()];
  const content = { msgtype: 'm.text', body: 'hi' };
  const first = await phone.send(room, 'm.room.message', content, 'txn-1');
  assert.notEqual(await laptop.send(room, 'm.room.message', content, 'txn-1'), first);
  assert.notEqual(await phone.send(other, 'm.room.message', content, 'txn-1'), first);
  assert.equal(await phone.send(room, 'm.room.message', content, 'txn-1'), first);
});

test('a transaction id survives a new access token of the device (T266)', async () => {
  const alice = await hs.user('alice');
  const session = await hs.anonymous().ok('POST', `${C}/login`, {
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: alice.userId },
    password: alice.password,
    refresh_token: true,
  });
  const before = alice.with(session);
  const room = await before.createRoom();
  const content = { msgtype: 'm.text', body: 'hi' };
  const first = await before.send(room, 'm.room.message', content, 'txn-1');
  const next = await hs.anonymous().ok('POST', `${C}/refresh`, { refresh_token: session['refresh_token'] });
  const after = alice.with({ ...session, ...next });
  assert.equal(await after.send(room, 'm.room.message', content, 'txn-1'), first);
});

test('a device that was logged out takes its transaction ids with it', async () => {
  const alice = await hs.user('alice');
  const before = await alice.login();
  const room = await before.createRoom();
  const content = { msgtype: 'm.text', body: 'hi' };
  const first = await before.send(room, 'm.room.message', content, 'txn-1');
  await before.ok('POST', `${C}/logout`, {});
  const after = await alice.login({ device_id: before.deviceId });
  assert.equal(after.deviceId, before.deviceId);
  assert.notEqual(await after.send(room, 'm.room.message', content, 'txn-1'), first);
});

test('transaction ids hold across a kill -9 of the server (T266)', async (t) => {
  const ours = await startOwnServer();
  t.after(() => ours.stop());
  const alice = await ours.user('alice');
  const room = await alice.createRoom();
  const content = { msgtype: 'm.text', body: 'hi' };
  const first = await alice.send(room, 'm.room.message', content, 'txn-1');
  await ours.own!.end('SIGKILL');
  await ours.own!.start();
  assert.equal(await alice.send(room, 'm.room.message', content, 'txn-1'), first);
  assert.deepEqual(texts((await alice.messages(room))['chunk']), ['hi']);
});

test('the transaction id is shown to the device that sent it, and to nobody else (T287)', async () => {
  const phone = await hs.user('alice');
  const laptop = await phone.login();
  const bob = await hs.user('bob');
  const room = await phone.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await Promise.all([phone.sync(), laptop.sync(), bob.sync()]);
  const eventId = await phone.send(room, 'm.room.message', { msgtype: 'm.text', body: 'mine' }, 'txn-mine');
  const [mine, elsewhere, other] = await Promise.all(
    [phone, laptop, bob].map((client) => client.syncUntil(saying(room, 'mine'))),
  );
  assert.equal(mine!['unsigned']?.transaction_id, 'txn-mine');
  assert.equal(elsewhere!['unsigned']?.transaction_id, undefined);
  assert.equal(other!['unsigned']?.transaction_id, undefined);
  assert.equal((await phone.event(room, eventId))['unsigned']?.transaction_id, 'txn-mine');
  assert.equal((await laptop.event(room, eventId))['unsigned']?.transaction_id, undefined);
});

test('the content comes back exactly as it was sent', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  const content = {
    body: 'ünïcödé \u2028 \u0000 🦊 "quotes" \\ /',
    nested: { list: [1, -1, 0, true, false, null, [], {}], big: 9007199254740991, small: -9007199254740991 },
    '': 'empty key',
    __proto__x: { constructor: 'data' },
  };
  const event = await alice.event(room, await alice.send(room, 'org.example.test', content));
  assert.deepEqual(event.content, content);
  assert.equal(event.type, 'org.example.test');
});

test('an event of more than 65536 bytes is too large, one a little smaller is not', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  await alice.fails(413, 'M_TOO_LARGE', 'PUT', inRoom(room, 'send', 'm.room.message', 'big'), {
    msgtype: 'm.text',
    body: 'x'.repeat(65_536),
  });
  await alice.say(room, 'x'.repeat(60_000));
});

test('sending to a room one is not in is forbidden', async () => {
  const [alice, mallory] = await hs.users('alice', 'mallory');
  const room = await alice.createRoom({ preset: 'public_chat' });
  const body = { msgtype: 'm.text', body: 'x' };
  await mallory.fails(403, 'M_FORBIDDEN', 'PUT', inRoom(room, 'send', 'm.room.message', '1'), body);
  const unknown = await mallory.request(
    'PUT',
    inRoom(`!nowhere:${hs.serverName}`, 'send', 'm.room.message', '1'),
    body,
  );
  assert.ok([403, 404].includes(unknown.status), String(unknown.status));
});

test('messages of several senders at once all arrive, once, in one order for everyone', async () => {
  const [alice, bob, carol] = await hs.users('alice', 'bob', 'carol');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await Promise.all([bob.join(room), carol.join(room)]);
  await Promise.all([alice.sync(), bob.sync()]);
  await Promise.all([alice, bob, carol].flatMap((client, i) => [0, 1, 2, 3].map((n) => client.say(room, `${i}-${n}`))));
  const filter = { filter: '{"room":{"timeline":{"limit":50}}}' };
  const seen = async (client: typeof alice): Promise<string[]> =>
    texts((await client.sync(filter))['rooms'].join[room].timeline.events as ClientEvent[]);
  const order = await seen(alice);
  assert.equal(new Set(order).size, 12);
  assert.deepEqual(await seen(bob), order);
});

test('the same reaction twice is a duplicate, another key is not (T267)', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  const target = await alice.say(room, 'react to me');
  const reaction = (key: string) => ({ 'm.relates_to': { rel_type: 'm.annotation', event_id: target, key } });
  await alice.send(room, 'm.reaction', reaction('👍'));
  await alice.fails(400, 'M_DUPLICATE_ANNOTATION', 'PUT', inRoom(room, 'send', 'm.reaction', 'again'), reaction('👍'));
  await alice.send(room, 'm.reaction', reaction('👎'));
});

test('a thread cannot start from an event that is itself in a thread (T267)', async () => {
  const alice = await hs.user('alice');
  const room = await alice.createRoom();
  const root = await alice.say(room, 'root');
  const inThread = (event_id: string) => ({
    msgtype: 'm.text',
    body: 'reply',
    'm.relates_to': { rel_type: 'm.thread', event_id },
  });
  const reply = await alice.send(room, 'm.room.message', inThread(root));
  await alice.fails(400, 'M_UNKNOWN', 'PUT', inRoom(room, 'send', 'm.room.message', 'deep'), inThread(reply));
});
