import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { parseSyncFilter } from '#core/filter.js';
import { type EventId, type RoomId, UserId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { createRoom } from '#rooms/create.js';
import { changeMembership } from '#rooms/membership.js';
import { findRoom } from '#rooms/rooms.js';
import { sendEvent } from '#rooms/send.js';
import { openTestRooms, roomsOn, type TestRooms } from '#rooms/testing.js';
import { type OpenedSync, openSync } from '#sync/open.js';
import { markRead } from '#sync/read.js';
import { sync } from '#sync/sync.js';
import { setAccountData } from '#users/account-data.js';
import { DEFAULT_USERS_OPTIONS, openUsers, type Users } from '#users/users.js';
import { seededRandom } from '#util/random.js';

const alice = '@alice:test' as UserId;
const bob = '@bob:test' as UserId;

interface World extends AsyncDisposable {
  readonly t: TestRooms;
  readonly users: Users;
  readonly layer: OpenedSync;
}

async function world(): Promise<World> {
  const t = await openTestRooms();
  const { store, clock } = t;
  const users = openUsers({
    store,
    clock,
    random: seededRandom('users'),
    serverName: t.rooms.serverName,
    rooms: { leave: async () => {}, showProfile: async () => {} },
    options: DEFAULT_USERS_OPTIONS,
    onTaskError: (error) => assert.fail(String(error)),
  });
  const layer = openSync(t.rooms, users);
  return {
    t,
    users,
    layer,
    async [Symbol.asyncDispose]() {
      layer.close();
      await t[Symbol.asyncDispose]();
    },
  };
}

// biome-ignore lint/suspicious/noExplicitAny: answers are read by tests that state what they expect.
type Answer = any;

class Poller {
  since: number | undefined;
  readonly #layer: OpenedSync;
  readonly #user: UserId;
  constructor(layer: OpenedSync, user: UserId) {
    this.#layer = layer;
    this.#user = user;
  }
  async sync(
    options: { filter?: JsonObject; timeoutMs?: number; fullState?: boolean; stateAfter?: boolean } = {},
  ): Promise<Answer> {
    const answer: Answer = await sync(this.#layer, {
      viewer: { user: this.#user, device: 'D', pair: `${this.#user} D` },
      since: this.since,
      filter: parseSyncFilter(options.filter ?? {}),
      fullState: options.fullState ?? false,
      useStateAfter: options.stateAfter ?? false,
      timeoutMs: options.timeoutMs ?? 0,
      signal: new AbortController().signal,
    });
    const next = Number(answer.next_batch);
    assert.ok(this.since === undefined || next >= this.since, 'tokens never go back');
    this.since = next;
    return answer;
  }
}

const say = (w: World, roomId: RoomId, sender: UserId, body: string, extra: JsonObject = {}): Promise<EventId> =>
  sendEvent(w.t.rooms, { roomId, sender, type: 'm.room.message', content: { msgtype: 'm.text', body, ...extra } });
const publicRoom = (w: World, creator = alice): Promise<RoomId> =>
  createRoom(w.t.rooms, { creator, body: { preset: 'public_chat' } });
const join = (w: World, roomId: RoomId, user: UserId): Promise<EventId> =>
  changeMembership(w.t.rooms, { roomId, sender: user, target: user, action: 'join' });
const bodies = (answer: Answer, roomId: RoomId): string[] =>
  (answer.rooms?.join?.[roomId]?.timeline.events ?? []).flatMap((e: Answer) => e.content.body ?? []);

/** Counts the turns of the event loop until the test ends. */
function turnCounter(context: TestContext): () => number {
  let turn = 0;
  let isOver = false;
  const count = (): void => {
    turn++;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  context.after(() => {
    isOver = true;
  });
  return () => turn;
}

test('an initial sync holds the room whole, and the next one is empty', async () => {
  await using w = await world();
  const roomId = await publicRoom(w);
  await say(w, roomId, alice, 'hi');
  const poller = new Poller(w.layer, alice);
  const first = await poller.sync({ filter: { room: { timeline: { limit: 1 } } } });
  const room = first.rooms.join[roomId];
  assert.deepEqual(bodies(first, roomId), ['hi']);
  assert.equal(room.timeline.limited, true);
  assert.ok(room.state.events.some((e: Answer) => e.type === 'm.room.create'));
  assert.equal(room.summary['m.joined_member_count'], 1);
  assert.ok(first.account_data.events.some((e: Answer) => e.type === 'm.push_rules'));
  const second = await poller.sync();
  assert.equal(second.rooms, undefined);
});

test('an initial sync of many rooms lets others in between', async (context) => {
  await using w = await world();
  for (let i = 0; i < 160; i++) await publicRoom(w);
  const poller = new Poller(w.layer, alice);
  await poller.sync();
  const turn = turnCounter(context);
  poller.since = undefined;
  const answer = await poller.sync();
  assert.equal(Object.keys(answer.rooms.join).length, 160);
  assert.ok(turn() >= 3, `${turn()} turns`);
});

test('a gap is limited, and its state is told', async () => {
  await using w = await world();
  const roomId = await publicRoom(w);
  const poller = new Poller(w.layer, alice);
  await poller.sync();
  await sendEvent(w.t.rooms, { roomId, sender: alice, type: 'm.room.topic', stateKey: '', content: { topic: 'new' } });
  for (let i = 0; i < 5; i++) await say(w, roomId, alice, `m${i}`);
  const answer = await poller.sync({ filter: { room: { timeline: { limit: 2 } } } });
  const room = answer.rooms.join[roomId];
  assert.deepEqual(bodies(answer, roomId), ['m3', 'm4']);
  assert.equal(room.timeline.limited, true);
  assert.deepEqual(
    room.state.events.map((e: Answer) => [e.type, e.content.topic]),
    [['m.room.topic', 'new']],
  );
});

test('state_after holds what the timeline brought', async () => {
  await using w = await world();
  const roomId = await publicRoom(w);
  const poller = new Poller(w.layer, alice);
  await poller.sync({ stateAfter: true });
  await sendEvent(w.t.rooms, { roomId, sender: alice, type: 'm.room.topic', stateKey: '', content: { topic: 'new' } });
  const room = (await poller.sync({ stateAfter: true })).rooms.join[roomId];
  assert.equal(room.state, undefined);
  assert.deepEqual(
    room.state_after.events.map((e: Answer) => e.type),
    ['m.room.topic'],
  );
});

test('lazily, the heroes of a room come with their member events, in the order in which they came, and once', async () => {
  await using w = await world();
  const roomId = await publicRoom(w);
  const names = ['z', 'y', 'x', 'w', 'v', 'u'].map((name) => UserId.parse(`@${name}:${UserId.serverName(alice)}`)!);
  for (const name of names) await join(w, roomId, name);
  for (let i = 0; i < 3; i++) await say(w, roomId, alice, `m${i}`);
  const filter = { room: { timeline: { limit: 2 }, state: { lazy_load_members: true } } };
  const poller = new Poller(w.layer, alice);
  const told = (room: Answer): string[] =>
    room.state.events.filter((e: Answer) => e.type === 'm.room.member').map((e: Answer) => e.state_key);
  const first = (await poller.sync({ filter })).rooms.join[roomId];
  assert.deepEqual(first.summary['m.heroes'], names.slice(0, 5));
  assert.deepEqual(told(first).sort(), [alice, ...names.slice(0, 5)].sort());
  await changeMembership(w.t.rooms, { roomId, sender: names[0]!, target: names[0]!, action: 'leave' });
  const second = (await poller.sync({ filter })).rooms.join[roomId];
  assert.deepEqual(second.summary['m.heroes'], names.slice(1));
  assert.deepEqual(told(second), [names[5]], 'the one that is new among them');
});

test('a waiting sync is woken by a message, an invite, typing and a receipt', async () => {
  await using w = await world();
  const roomId = await publicRoom(w);
  const poller = new Poller(w.layer, bob);
  await poller.sync();
  const invited = poller.sync({ timeoutMs: 30_000 });
  await changeMembership(w.t.rooms, { roomId, sender: alice, target: bob, action: 'invite' });
  const invite = (await invited).rooms.invite[roomId].invite_state.events;
  assert.ok(invite.some((e: Answer) => e.type === 'm.room.member' && e.state_key === bob));

  const joined = poller.sync({ timeoutMs: 30_000 });
  await join(w, roomId, bob);
  const room = (await joined).rooms.join[roomId];
  assert.ok(
    room.timeline.events.some((e: Answer) => e.type === 'm.room.create'),
    'the whole short history is told',
  );
  assert.equal(room.summary['m.joined_member_count'], 2);

  const heard = poller.sync({ timeoutMs: 30_000 });
  const eventId = await say(w, roomId, alice, 'hello');
  assert.deepEqual(bodies(await heard, roomId), ['hello']);

  const typed = poller.sync({ timeoutMs: 30_000 });
  w.layer.typing.start(findRoom(w.t.store, roomId)!.num, alice);
  assert.deepEqual((await typed).rooms.join[roomId].ephemeral.events, [
    { type: 'm.typing', content: { user_ids: [alice] } },
  ]);
  const stopped = poller.sync({ timeoutMs: 30_000 });
  w.t.clock.advance(31_000);
  assert.deepEqual((await stopped).rooms.join[roomId].ephemeral.events[0].content.user_ids, []);

  const read = poller.sync({ timeoutMs: 30_000 });
  await markRead(w.t.rooms, w.layer.unread, { user: alice, roomId, eventId, type: 'm.read' });
  const receipt = (await read).rooms.join[roomId].ephemeral.events[0];
  assert.equal(receipt.content[eventId]['m.read'][alice].ts, w.t.clock.now());
});

test('whoever waits for a message has it when its sender is told that it is sent', async () => {
  await using w = await world();
  const roomId = await publicRoom(w);
  await join(w, roomId, bob);
  const poller = new Poller(w.layer, bob);
  await poller.sync();
  let answer: Answer;
  const waiting = poller.sync({ timeoutMs: 30_000 }).then((got) => {
    answer = got;
  });
  await say(w, roomId, alice, 'hello');
  assert.deepEqual(bodies(answer, roomId), ['hello']);
  await waiting;
});

test('a message that many wait for is told to a few of them in each turn of the event loop', async (context) => {
  await using w = await world();
  const roomId = await publicRoom(w);
  const users = Array.from({ length: 100 }, (_, i) => `@user${i}:test` as UserId);
  const pollers = users.map((user) => new Poller(w.layer, user));
  for (const user of users) await join(w, roomId, user);
  for (const poller of pollers) await poller.sync();
  const turn = turnCounter(context);
  const told = new Map<number, number>();
  const waiting = pollers.map(async (poller) => {
    const answer = await poller.sync({ timeoutMs: 30_000 });
    assert.deepEqual(bodies(answer, roomId), ['hello']);
    told.set(turn(), (told.get(turn()) ?? 0) + 1);
  });
  await say(w, roomId, alice, 'hello');
  await Promise.all(waiting);
  assert.ok(Math.max(...told.values()) <= 16, `${[...told.values()].join(', ')} answers in the turns`);
});

test('a wait ends with its time', async () => {
  await using w = await world();
  await publicRoom(w);
  const poller = new Poller(w.layer, alice);
  await poller.sync();
  const before = w.t.clock.pending;
  const waiting = poller.sync({ timeoutMs: 5_000 });
  while (w.t.clock.pending === before) await new Promise((next) => setImmediate(next));
  w.t.clock.advance(5_001);
  const answer = await waiting;
  assert.equal(answer.rooms, undefined);
});

test('a sync with nothing new reads as many keys with fifty rooms as with one', async () => {
  const reads = async (count: number): Promise<number> => {
    await using w = await world();
    for (let i = 0; i < count; i++) await publicRoom(w);
    let read = 0;
    const store = new Proxy(w.t.store, {
      get(target, name) {
        const value = Reflect.get(target, name) as unknown;
        if (typeof value !== 'function') return value;
        return (...given: unknown[]): unknown => {
          if (['get', 'has', 'range', 'list', 'log'].includes(String(name))) read++;
          return value.apply(target, given);
        };
      },
    });
    const layer = openSync(roomsOn({ store, clock: w.t.clock }), { ...w.users, store });
    try {
      const poller = new Poller(layer, alice);
      await poller.sync();
      const other = await publicRoom(w, bob);
      await say(w, other, bob, 'elsewhere');
      read = 0;
      const answer = await poller.sync();
      assert.equal(answer.rooms, undefined);
      return read;
    } finally {
      layer.close();
    }
  };
  const one = await reads(1);
  assert.ok(one > 0 && one < 20, `${one} reads`);
  assert.equal(await reads(50), one);
});

test('leaving, being kicked and forgetting (T278)', async () => {
  await using w = await world();
  const roomId = await publicRoom(w);
  await join(w, roomId, bob);
  const poller = new Poller(w.layer, bob);
  await poller.sync();
  await say(w, roomId, alice, 'before');
  await changeMembership(w.t.rooms, { roomId, sender: alice, target: bob, action: 'kick', reason: 'bye' });
  await say(w, roomId, alice, 'secret');
  const answer = await poller.sync();
  const left = answer.rooms.leave[roomId].timeline.events;
  assert.deepEqual(
    left.map((e: Answer) => e.content.body ?? e.content.membership),
    ['before', 'leave'],
  );
  assert.equal(answer.rooms.join, undefined);
  assert.deepEqual(answer.device_lists.left, [alice]);
  await say(w, roomId, alice, 'more');
  assert.equal((await poller.sync()).rooms, undefined);
});

test('a rejected invite is told as left, without any state', async () => {
  await using w = await world();
  const roomId = await createRoom(w.t.rooms, { creator: alice, body: { preset: 'private_chat', invite: [bob] } });
  const poller = new Poller(w.layer, bob);
  assert.ok((await poller.sync()).rooms.invite[roomId]);
  await changeMembership(w.t.rooms, { roomId, sender: bob, target: bob, action: 'leave' });
  const left = (await poller.sync()).rooms.leave[roomId];
  assert.deepEqual(left.state.events, []);
  assert.deepEqual(
    left.timeline.events.map((e: Answer) => e.content.membership),
    ['leave'],
  );
});

test('lazy loading sends senders once, and the own member always', async () => {
  await using w = await world();
  const roomId = await createRoom(w.t.rooms, { creator: alice, body: { preset: 'public_chat', name: 'Named' } });
  const carol = '@carol:test' as UserId;
  await join(w, roomId, bob);
  await join(w, roomId, carol);
  await say(w, roomId, bob, 'one');
  const lazily = { room: { state: { lazy_load_members: true }, timeline: { limit: 1 } } };
  const poller = new Poller(w.layer, alice);
  const memberKeys = (answer: Answer): string[] =>
    (answer.rooms.join[roomId].state.events as Answer[])
      .filter((e) => e.type === 'm.room.member')
      .map((e) => e.state_key)
      .sort();
  assert.deepEqual(memberKeys(await poller.sync({ filter: lazily })), [alice, bob]);
  await say(w, roomId, bob, 'two');
  assert.deepEqual(memberKeys(await poller.sync({ filter: lazily })), []);
  await say(w, roomId, carol, 'three');
  const repeat = poller.since;
  assert.deepEqual(memberKeys(await poller.sync({ filter: lazily })), [carol]);
  poller.since = repeat;
  assert.deepEqual(memberKeys(await poller.sync({ filter: lazily })), [carol], 'a lost answer is told again');
});

test('unread counts rise with messages, count threads apart, and return to zero', async () => {
  await using w = await world();
  const roomId = await publicRoom(w);
  await join(w, roomId, bob);
  const poller = new Poller(w.layer, bob);
  await poller.sync();
  const root = await say(w, roomId, alice, 'root');
  await say(w, roomId, alice, 'bob, look', { 'm.mentions': { user_ids: [bob] } });
  const inThread = await say(w, roomId, alice, 'threaded', {
    'm.relates_to': { rel_type: 'm.thread', event_id: root },
  });
  const apart = { room: { timeline: { unread_thread_notifications: true } } };
  const before = (await poller.sync({ filter: apart })).rooms.join[roomId];
  assert.deepEqual(before.unread_notifications, { notification_count: 2, highlight_count: 1 });
  assert.deepEqual(before.unread_thread_notifications[root], { notification_count: 1, highlight_count: 0 });
  await markRead(w.t.rooms, w.layer.unread, {
    user: bob,
    roomId,
    eventId: inThread,
    type: 'm.read.private',
    thread: root,
  });
  const threadRead = (await poller.sync({ filter: apart })).rooms.join[roomId];
  assert.deepEqual(threadRead.unread_notifications, { notification_count: 2, highlight_count: 1 });
  assert.equal(threadRead.unread_thread_notifications, undefined, 'left out where no thread is unread');
  await markRead(w.t.rooms, w.layer.unread, { user: bob, roomId, eventId: inThread, type: 'm.read' });
  const after = (await poller.sync()).rooms.join[roomId];
  assert.deepEqual(after.unread_notifications, { notification_count: 0, highlight_count: 0 });
});

test('account data and ignored users (T283)', async () => {
  await using w = await world();
  const roomId = await publicRoom(w);
  await join(w, roomId, bob);
  const poller = new Poller(w.layer, bob);
  await poller.sync();
  await setAccountData(w.users, bob, '', 'm.ignored_user_list', { ignored_users: { [alice]: {} } });
  await say(w, roomId, alice, 'unheard');
  const answer = await poller.sync();
  assert.deepEqual(answer.account_data.events, [
    { type: 'm.ignored_user_list', content: { ignored_users: { [alice]: {} } } },
  ]);
  assert.deepEqual(bodies(answer, roomId), []);
});

test('ten thousand writes of 25 writers: three pollers hear every event once, in order, in the turn of its commit', async (context) => {
  await using w = await world();
  const turn = turnCounter(context);
  const committedIn = new Map<number, number>();
  w.t.store.onCommitted((entries) => {
    for (const { position } of entries) committedIn.set(position, turn());
  });
  const random = seededRandom('fuzz');
  const pick = (n: number): number => random.bytes(4).readUInt32BE() % n;
  const rooms = await Promise.all([0, 1, 2, 3].map(() => publicRoom(w)));
  for (const roomId of rooms) await join(w, roomId, bob);
  const sent = new Set<EventId>();
  const filter = { room: { timeline: { limit: 1_000 } } };
  const pollers = [bob, alice, bob].map((user) => new Poller(w.layer, user));
  for (const poller of pollers) await poller.sync();
  const heardSoFar = pollers.map(() => 0);
  const listen = async (poller: Poller, index: number): Promise<Map<RoomId, EventId[]>> => {
    const heard = new Map<RoomId, EventId[]>(rooms.map((roomId) => [roomId, []]));
    let over = false;
    while (!over) {
      const answer = await poller.sync({ timeoutMs: 30_000, filter });
      for (const [roomId, room] of Object.entries(answer.rooms?.join ?? {})) {
        const { events, limited } = (room as Answer).timeline;
        assert.equal(limited, false, 'nobody fell behind by a whole page');
        heard.get(roomId as RoomId)!.push(...events.map((e: Answer) => e.event_id));
        for (const event of events) {
          const { order } = w.t.rooms.events.byId(w.t.store, event.event_id)!;
          assert.equal(
            turn(),
            committedIn.get(order),
            'the answer is there in the turn of the loop in which it was committed',
          );
        }
        heardSoFar[index]! += events.length;
        over ||= events.some((e: Answer) => e.content.body === 'last');
      }
    }
    return heard;
  };
  const listening = Promise.all(pollers.map(listen));
  let failed = false;
  listening.catch(() => {
    failed = true;
  });
  await Promise.all(
    Array.from({ length: 25 }, async (_, writer) => {
      for (let i = 0; i < 400; i++) {
        sent.add(await say(w, rooms[pick(rooms.length)]!, alice, `${writer}/${i}`));
        if (pick(3) === 0) await new Promise((next) => setImmediate(next));
        // Whoever is a page behind would be told so and page back: here every event shall come by sync.
        while (!failed && sent.size - Math.min(...heardSoFar) > 500) await new Promise((next) => setImmediate(next));
      }
    }),
  );
  sent.add(await say(w, rooms[0]!, alice, 'last'));
  for (const heard of await listening) {
    const all = [...heard.values()].flat();
    assert.deepEqual(new Set(all), sent, 'every event, and none besides');
    assert.equal(all.length, sent.size, 'no event twice');
    for (const ids of heard.values()) {
      const orders = ids.map((id) => w.t.rooms.events.byId(w.t.store, id)!.order);
      assert.ok(
        orders.every((order, at) => at === 0 || order > orders[at - 1]!),
        'events come in order',
      );
    }
  }
});
