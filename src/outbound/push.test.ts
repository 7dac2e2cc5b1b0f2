import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeviceId, EventId, RoomId, UserId } from '#core/ids.js';
import { badgeOf } from '#outbound/notification.js';
import { alice, bob, Gateway, type Got, phone, queued, world } from '#outbound/testing.js';
import { createRoom } from '#rooms/create.js';
import { changeMembership } from '#rooms/membership.js';
import { sendEvent } from '#rooms/send.js';
import { attach, go, say, user } from '#rooms/testing.js';
import { listNotifications } from '#sync/notifications.js';
import { setAccountData } from '#users/account-data.js';
import { deleteDevices, ensureDevice } from '#users/devices.js';
import { listPushers, removePusher, setPusher } from '#users/pushers.js';
import { seededRandom } from '#util/random.js';

test('an event is pushed with all that the push gateway API names', async (t) => {
  const w = await world(t);
  await w.set({ data: { url: w.gateway.url, brand: 'x' } });
  const eventId = await say(w.rooms, w.roomId, alice, 'hello bob');
  const got: Got = await w.gateway.next();
  assert.deepEqual(got, {
    event_id: eventId,
    room_id: w.roomId,
    type: 'm.room.message',
    sender: alice,
    room_name: 'Kitchen',
    prio: 'high',
    content: { msgtype: 'm.text', body: 'hello bob' },
    counts: { unread: 1 },
    devices: [
      {
        app_id: 'app',
        pushkey: 'key',
        pushkey_ts: Math.floor(w.clock.now() / 1000),
        data: { brand: 'x' },
        tweaks: got.devices[0].tweaks,
      },
    ],
  });
  await w.quiet();
  assert.equal(await queued(w), 0);
  await say(w.rooms, w.roomId, bob, 'my own');
  await w.quiet();
  assert.equal(w.gateway.left, 0);
});

test('with event_id_only nothing of the event leaves but its id', async (t) => {
  const w = await world(t);
  await w.set({ data: { url: w.gateway.url, format: 'event_id_only', deep: { a: [1] } } });
  const eventId = await say(w.rooms, w.roomId, alice, 'secret');
  assert.deepEqual(await w.gateway.next(), {
    event_id: eventId,
    room_id: w.roomId,
    prio: 'high',
    counts: { unread: 1 },
    devices: [
      {
        app_id: 'app',
        pushkey: 'key',
        pushkey_ts: Math.floor(w.clock.now() / 1000),
        data: { format: 'event_id_only', deep: { a: [1] } },
      },
    ],
  });
});

test('an invite is pushed, unless it comes from someone whom the user ignores (T283)', async (t) => {
  const w = await world(t);
  await w.set();
  const invite = async (): Promise<EventId> => {
    const roomId = await createRoom(w.rooms, { creator: alice, body: {} });
    return changeMembership(w.rooms, { roomId, sender: alice, target: bob, action: 'invite' });
  };
  const eventId = await invite();
  const got = await w.gateway.next();
  assert.deepEqual([got.event_id, got.type, got.user_is_target], [eventId, 'm.room.member', true]);
  await setAccountData(w.users, bob, '', 'm.ignored_user_list', { ignored_users: { [alice]: {} } });
  await invite();
  await say(w.rooms, w.roomId, alice, 'unheard');
  await w.quiet();
  assert.equal(w.gateway.left, 0);
});

test('the badge is the sum of all rooms, and zero is told once all is read or left', async (t) => {
  const w = await world(t);
  const other = await createRoom(w.rooms, { creator: alice, body: { preset: 'public_chat' } });
  await go(w.rooms, other, bob, 'join');
  await w.set();
  const badge = async (): Promise<unknown> => (await w.gateway.next()).counts.unread;
  const first = await say(w.rooms, w.roomId, alice, 'one');
  assert.equal(await badge(), 1);
  await say(w.rooms, other, alice, 'two');
  assert.equal(await badge(), 2);
  await w.quiet();
  await w.read(first);
  const got = await w.gateway.next();
  assert.deepEqual([got.event_id, got.counts], [undefined, { unread: 1 }]);
  await w.quiet();
  await go(w.rooms, other, bob, 'leave');
  assert.equal(await badge(), 0);
  await w.quiet();
  assert.equal(w.gateway.left, 0);
});

test('whatever happens, the badge is what is unread in the joined rooms, and returns to zero', async (t) => {
  const w = await world(t);
  await w.set();
  const random = seededRandom('badge');
  const pick = <T>(choices: readonly T[]): T => choices[random.bytes(1)[0]! % choices.length]!;
  const other = await createRoom(w.rooms, { creator: alice, body: { preset: 'public_chat' } });
  /** What Bob has not read of each room that he is in. */
  const unread = new Map<RoomId, EventId[]>([[w.roomId, []]]);
  for (let step = 0; step < 120; step++) {
    const roomId = pick([w.roomId, other]);
    const events = unread.get(roomId);
    const what = pick(['say', 'say', 'read', 'leave'] as const);
    if (events === undefined) {
      await go(w.rooms, roomId, bob, 'join');
      unread.set(roomId, []);
    } else if (what === 'leave') {
      await go(w.rooms, roomId, bob, 'leave');
      unread.delete(roomId);
    } else if (what === 'say') events.push(await say(w.rooms, roomId, alice, `${step}`));
    else if (events.length > 0) {
      const at = random.bytes(1)[0]! % events.length;
      await w.read(events[at]!, roomId);
      unread.set(roomId, events.slice(at + 1));
    }
    assert.equal(await badgeOf(w.rooms.store, bob), [...unread.values()].flat().length, `after step ${step}`);
  }
  for (const [roomId, events] of unread) if (events.length > 0) await w.read(events.at(-1)!, roomId);
  await w.quiet();
  let last: Got;
  for (let n = w.gateway.left; n > 0; n--) last = await w.gateway.next();
  // Usually a push without an event; one whose event was read just before it left says zero as well.
  assert.deepEqual(last.counts, { unread: 0 });
});

test('clients that count themselves are told no number', async (t) => {
  const w = await world(t);
  await w.set({ noBadge: true });
  const eventId = await say(w.rooms, w.roomId, alice, 'one');
  assert.equal((await w.gateway.next()).counts, undefined);
  await w.quiet();
  await w.read(eventId);
  await w.quiet();
  assert.equal(w.gateway.left, 0);
});

test('a pushkey that the gateway rejects loses its pusher; one that is another’s does not', async (t) => {
  const w = await world(t);
  await w.set();
  w.gateway.mood = { status: 200, rejected: ['another'] };
  await say(w.rooms, w.roomId, alice, 'one');
  await w.gateway.next();
  await w.quiet();
  assert.equal(listPushers(w.rooms.store, bob).length, 1);
  w.gateway.mood = { status: 200, rejected: ['key'] };
  await say(w.rooms, w.roomId, alice, 'two');
  await w.gateway.next();
  await w.quiet();
  assert.equal(listPushers(w.rooms.store, bob).length, 0);
  assert.equal(await queued(w), 0);
  await say(w.rooms, w.roomId, alice, 'three');
  await w.quiet();
  assert.equal(w.gateway.left, 0);
});

test('a gateway that fails is tried again with growing waits, also after a restart, and gets all in order', async (t) => {
  const w = await world(t);
  await w.set();
  w.gateway.mood = { status: 500 };
  const ids = [await say(w.rooms, w.roomId, alice, 'one')];
  assert.equal((await w.gateway.next()).event_id, ids[0]);
  await w.quiet();
  ids.push(await say(w.rooms, w.roomId, alice, 'two'));
  await w.quiet();
  assert.equal(w.gateway.left, 0, 'a new event makes no new try');
  for (let waitMs = 2_000; waitMs < 60 * 60_000; waitMs *= 2) {
    w.clock.advance(waitMs);
    assert.equal((await w.gateway.next()).event_id, ids[0]);
    await w.quiet();
  }
  await w.restart();
  await w.quiet();
  assert.equal(w.gateway.left, 0, 'the wait outlives the restart');
  w.gateway.mood = { status: 200 };
  w.clock.advance(60 * 60_000);
  assert.equal((await w.gateway.next()).event_id, ids[0]);
  assert.equal((await w.gateway.next()).event_id, ids[1]);
  await w.quiet();
  assert.equal(await queued(w), 0);
});

test('a day later a push still comes, and what was read meanwhile does not', async (t) => {
  const w = await world(t);
  await w.set();
  w.gateway.mood = { status: 503 };
  const first = await say(w.rooms, w.roomId, alice, 'one');
  await w.gateway.next();
  await w.quiet();
  const second = await say(w.rooms, w.roomId, alice, 'two');
  await w.read(first);
  w.gateway.mood = { status: 200 };
  w.clock.advance(25 * 60 * 60_000);
  const got = await w.gateway.next();
  assert.deepEqual([got.event_id, got.counts.unread], [second, 1]);
  await w.quiet();
  assert.equal(w.gateway.left, 0);
});

test('a gateway that says nothing is given up after a while and delays no other', async (t) => {
  const w = await world(t);
  const good = await new Gateway().open(t);
  await w.set();
  await w.set({ appId: 'other', data: { url: good.url } });
  w.gateway.mood = 'silent';
  const eventId = await say(w.rooms, w.roomId, alice, 'one');
  assert.equal((await good.next()).event_id, eventId);
  await w.gateway.next();
  w.gateway.mood = { status: 200 };
  w.clock.advance(30_000);
  await w.quiet();
  w.clock.advance(2_000);
  assert.equal((await w.gateway.next()).event_id, eventId);
});

test('only the newest thousand wait for a gateway that is down', async (t) => {
  const w = await world(t);
  await w.set();
  w.gateway.mood = { status: 500 };
  await say(w.rooms, w.roomId, alice, 'the oldest');
  await w.gateway.next();
  await w.quiet();
  await Promise.all(Array.from({ length: 1_005 }, (_, n) => say(w.rooms, w.roomId, alice, `${n}`)));
  w.clock.advance(2_000);
  await w.gateway.next();
  await w.quiet();
  assert.equal(await queued(w), 1_000);
});

test('a redacted event is not pushed (T255)', async (t) => {
  const w = await world(t);
  await w.set();
  w.gateway.mood = { status: 500 };
  const eventId = await say(w.rooms, w.roomId, alice, 'oops');
  await w.gateway.next();
  await w.quiet();
  const { roomId } = w;
  const content = { redacts: eventId };
  await sendEvent(w.rooms, { roomId, sender: alice, type: 'm.room.redaction', redacts: eventId, content });
  w.gateway.mood = { status: 200 };
  w.clock.advance(2_000);
  await w.quiet();
  for (let n = w.gateway.left; n > 0; n--) assert.notEqual((await w.gateway.next()).event_id, eventId);
  assert.equal(await queued(w), 0);
});

test('an event that is rejected or soft-failed is neither pushed nor counted (T289)', async (t) => {
  const w = await world(t);
  const { rooms, roomId } = w;
  await w.set();
  const carol = user('carol');
  const joined = await go(rooms, roomId, carol, 'join');
  await changeMembership(rooms, { roomId, sender: alice, target: carol, action: 'ban' });
  const from = (sender: UserId, prev: EventId) =>
    attach(rooms, roomId, { type: 'm.room.message', sender, content: { msgtype: 'm.text', body: 'bob, look' } }, [
      prev,
    ]);
  const [late, foreign] = [await from(carol, joined), await from(user('stranger'), joined)];
  assert.deepEqual([late.outcome, foreign.outcome], ['softFailed', 'rejected']);
  await w.quiet();
  assert.equal(w.gateway.left, 0);
  assert.equal(await queued(w), 0);
  assert.equal(await badgeOf(rooms.store, bob), 0);
  const page = await listNotifications(rooms, bob, { limit: 10, onlyHighlights: false });
  assert.deepEqual(page.notifications, []);
  const good = await from(alice, joined);
  const got = await w.gateway.next();
  assert.deepEqual([got.event_id, got.counts], [good.pdu.event_id, { unread: 1 }]);
});

test('a pusher goes with its device, with its owner’s wish, and with another user of the same pushkey', async (t) => {
  const w = await world(t);
  await w.set();
  await w.set({}, alice);
  assert.equal(listPushers(w.rooms.store, bob).length, 0);
  assert.equal(listPushers(w.rooms.store, alice).length, 1);
  await w.set({ append: true });
  assert.equal(listPushers(w.rooms.store, alice).length, 1);
  await removePusher(w.users, alice, 'app', 'key');
  assert.equal(listPushers(w.rooms.store, alice).length, 0);
  w.gateway.mood = { status: 500 };
  await say(w.rooms, w.roomId, alice, 'one');
  await w.gateway.next();
  await w.quiet();
  await deleteDevices(w.users, bob, [phone]);
  assert.equal(listPushers(w.rooms.store, bob).length, 0);
  await w.quiet();
  assert.equal(await queued(w), 0);
});

test('a pusher that is switched off is silent, and stays its device’s when another switches it', async (t) => {
  const w = await world(t);
  await w.set();
  const laptop = 'LAPTOP' as DeviceId;
  await w.rooms.store.commit((tx) => ensureDevice(tx, bob, laptop, { nowMs: w.clock.now() }));
  const [pusher = assert.fail()] = listPushers(w.rooms.store, bob);
  await setPusher(w.users, bob, laptop, { ...pusher, enabled: false, noBadge: false, append: false });
  await say(w.rooms, w.roomId, alice, 'one');
  await w.quiet();
  assert.equal(w.gateway.left, 0);
  assert.deepEqual(
    listPushers(w.rooms.store, bob).map(({ device, enabled }) => [device, enabled]),
    [[phone, false]],
  );
  await w.set();
  const eventId = await say(w.rooms, w.roomId, alice, 'two');
  assert.equal((await w.gateway.next()).event_id, eventId);
});

test('one user can have thirty pushers', async (t) => {
  const w = await world(t);
  for (let n = 0; n < 30; n++) await w.set({ pushkey: `key ${n}` });
  await assert.rejects(w.set({ pushkey: 'one too many' }), { errcode: 'M_LIMIT_EXCEEDED' });
  await w.set({ pushkey: 'key 0', lang: 'de' });
});

test('T203: gateways at addresses that are not public are refused when the pusher is set', async (t) => {
  const w = await world(t, []);
  const set = (url: string) => w.set({ data: { url } });
  const path = '/_matrix/push/v1/notify';
  for (const url of [
    `https://127.0.0.1${path}`,
    `https://localhost${path}`,
    `https://localhost.${path}`,
    `https://[::1]${path}`,
    `https://[::ffff:127.0.0.1]${path}`,
    `https://2130706433${path}`,
    `https://10.0.0.1${path}`,
    `https://169.254.169.254${path}`,
    `https://0.0.0.0${path}`,
    `http://push.example.org${path}`,
    `https://user:secret@push.example.org${path}`,
    `https://push.example.org/elsewhere`,
    `https://push.example.org${path}/more`,
    'file:///_matrix/push/v1/notify',
    'nonsense',
  ]) {
    await assert.rejects(set(url), { errcode: 'M_INVALID_PARAM' }, url);
  }
  await set(`https://push.example.org${path}`);
});

test('T203: the address is asked about again when it is connected to', async (t) => {
  const w = await world(t);
  await w.set();
  await w.restart([]);
  await say(w.rooms, w.roomId, alice, 'one');
  await w.quiet();
  assert.equal(w.gateway.left, 0);
  assert.equal(await queued(w), 1);
});
