import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MatrixError } from '#core/errors.js';
import type { EventId, RoomId, UserId } from '#core/ids.js';
import { stringifyJson } from '#core/json-text.js';
import type { JsonObject } from '#core/json-value.js';
import { createRoom } from '#rooms/create.js';
import { changeMembership, forgetRoom } from '#rooms/membership.js';
import { sendEvent } from '#rooms/send.js';
import { roomNums } from '#store/schema.js';
import { markRead } from '#sync/read.js';
import { Connections } from '#sync/sliding/connection.js';
import { parseRequest } from '#sync/sliding/request.js';
import { slidingSync } from '#sync/sliding/sliding.js';
import { type Answer, alice, ask, bob, join, publicRoom, say, type World, world } from '#sync/sliding/testing.js';
import { setAccountData, setTag } from '#users/account-data.js';
import { seededRandom } from '#util/random.js';

const carol = '@carol:test' as UserId;
const on = { enabled: true };
const EXTENSIONS = { to_device: on, e2ee: on, account_data: on, receipts: on, typing: on };
const window = (last: number, more: JsonObject = {}): JsonObject => ({
  lists: { all: { ranges: [[0, last]], timeline_limit: 1, required_state: [['m.room.name', '']], ...more } },
  extensions: EXTENSIONS,
});

/** How many rows are read one by one while `work` runs. */
async function readsDuring(w: World, work: () => Promise<unknown>): Promise<number> {
  const { store } = w.t.rooms;
  const { get } = store;
  let reads = 0;
  store.get = (keyspace, key) => {
    reads++;
    return get.call(store, keyspace, key) as never;
  };
  try {
    await work();
  } finally {
    store.get = get;
  }
  return reads;
}

test('a request with nothing new looks at no room, and one with news only at what changed', async () => {
  await using w = await world();
  const rooms: RoomId[] = [];
  for (let i = 0; i < 60; i++) rooms.push(await publicRoom(w, `room ${i}`));
  let { pos } = await ask(w, alice, window(99));
  await ask(w, alice, window(99), pos);
  const idle = (): Promise<Answer> => ask(w, alice, window(99), pos);
  assert.ok((await readsDuring(w, idle)) < 10, 'nothing happened');
  const other = await createRoom(w.t.rooms, { creator: bob, body: {} });
  await say(w, other, bob, 'elsewhere');
  assert.ok((await readsDuring(w, idle)) < 10, 'nothing happened that concerns the user');
  w.t.store.ephemeral({ kind: 'presence', user: bob });
  assert.ok((await readsDuring(w, idle)) < 10, 'nothing happened in a room');
  assert.equal((await idle()).lists.all.count, 60);
  await say(w, rooms[7]!, alice, 'news');
  const reads = await readsDuring(w, async () => {
    const answer = await idle();
    assert.deepEqual(Object.keys(answer.rooms), [rooms[7]]);
    pos = answer.pos;
  });
  // The head of each room, for their order, and what is told of one of them.
  assert.ok(reads < 150, `${reads} reads`);
});

test('a first answer with many rooms lets others in between', async (context) => {
  await using w = await world();
  for (let i = 0; i < 160; i++) await publicRoom(w, `room ${i}`);
  // What is in memory afterwards needs no other wait.
  const { lists } = window(199);
  await ask(w, alice, { lists: lists! });
  let reads = 0;
  let most = 0;
  let isOver = false;
  const count = (): void => {
    most = Math.max(most, reads);
    reads = 0;
    if (!isOver) setImmediate(count);
  };
  context.after(() => {
    isOver = true;
  });
  setImmediate(count);
  const { store } = w.t.rooms;
  const { get } = store;
  store.get = (keyspace, key) => {
    reads++;
    return get.call(store, keyspace, key) as never;
  };
  const answer = await ask(w, alice, { lists: lists! });
  store.get = get;
  assert.equal(Object.keys(answer.rooms).length, 160);
  assert.ok(most < 1_000, `${most} rows were read in one turn`);
});

test('a room that comes into sight again has counts that changed meanwhile', async () => {
  await using w = await world();
  const [low, high] = [await publicRoom(w, 'low'), await publicRoom(w, 'high')];
  for (const room of [low, high]) await join(w, room, bob);
  const eventId = await say(w, low, alice, 'unread');
  let { pos } = await ask(w, bob, window(1));
  const next = async (last: number): Promise<Answer> => {
    const answer = await ask(w, bob, window(last), pos);
    pos = answer.pos;
    return answer;
  };
  assert.deepEqual((await next(1)).rooms, {});
  await say(w, high, alice, 'on top');
  assert.deepEqual(Object.keys((await next(0)).rooms), [high]);
  await markRead(w.t.rooms, w.layer.unread, { user: bob, roomId: low, eventId, type: 'm.read' });
  await setAccountData(w.users, bob, '', 'org.example', { moves: 'the position' });
  assert.deepEqual((await next(0)).rooms, {});
  assert.equal((await next(1)).rooms[low]?.notification_count, 0);
});

/** Things that happen to Alice and around her, one of them by chance. */
function life(w: World, rooms: RoomId[], pick: (n: number) => number): () => Promise<unknown> {
  const events = new Map<RoomId, EventId>();
  const room = (): RoomId => rooms[pick(rooms.length)]!;
  const send = async (roomId: RoomId, sender: UserId) => {
    events.set(roomId, await say(w, roomId, sender, `message ${pick(1e6)}`));
  };
  const state = (type: string, content: JsonObject) =>
    sendEvent(w.t.rooms, { roomId: room(), sender: bob, type, stateKey: '', content });
  const member = (action: 'invite' | 'kick' | 'ban' | 'unban') =>
    changeMembership(w.t.rooms, { roomId: room(), sender: bob, target: alice, action });
  const go = (who: UserId, action: 'join' | 'leave') =>
    changeMembership(w.t.rooms, { roomId: room(), sender: who, target: who, action });
  const read = async (user: UserId, type: 'm.read' | 'm.read.private') => {
    const [roomId, eventId] = [...events][pick(events.size)] ?? [];
    if (roomId && eventId) await markRead(w.t.rooms, w.layer.unread, { user, roomId, eventId, type });
  };
  const num = (): number => w.layer.rooms.store.get(roomNums, [room()])!;
  const things: (() => unknown)[] = [
    ...Array<() => unknown>(6).fill(() => send(room(), bob)),
    () => send(room(), alice),
    () => state('m.room.name', { name: `name ${pick(100)}` }),
    () => state('m.room.encryption', { algorithm: 'm.megolm.v1.aes-sha2' }),
    () => go(alice, 'leave'),
    () => go(alice, 'join'),
    () => go(alice, 'join'),
    () => member('invite'),
    () => member('kick'),
    () => member('ban'),
    () => member('unban'),
    () => forgetRoom(w.t.rooms, alice, room()),
    () => read(alice, 'm.read'),
    () => read(alice, 'm.read.private'),
    () => read(bob, 'm.read'),
    () => w.layer.typing.start(num(), bob),
    () => w.layer.typing.stop(num(), bob),
    () => w.t.store.ephemeral({ kind: 'presence', user: bob }),
    () => setTag(w.users, alice, room(), 'u.tag', {}),
    () => setAccountData(w.users, alice, '', 'm.direct', { [bob]: [room(), room()] }),
    () => setAccountData(w.users, alice, '', 'm.ignored_user_list', { ignored_users: pick(2) ? { [bob]: {} } : {} }),
    () => createRoom(w.t.rooms, { creator: carol, body: {} }),
  ];
  // What the rules forbid just now does not happen.
  return async () => {
    try {
      await things[pick(things.length)]!();
    } catch (error) {
      assert.ok(error instanceof MatrixError, String(error));
    }
  };
}

test('what is kept in memory of a connection changes no answer', async () => {
  await using w = await world();
  const random = seededRandom('life');
  const pick = (n: number): number => random.bytes(4).readUInt32BE() % n;
  const rooms: RoomId[] = [];
  for (let i = 0; i < 8; i++) {
    const preset = i % 4 === 3 ? 'private_chat' : 'public_chat';
    rooms.push(await createRoom(w.t.rooms, { creator: bob, body: { preset, name: `room ${i}` } }));
    if (i % 2 === 0) await join(w, rooms[i]!, alice);
  }
  const happen = life(w, rooms, pick);
  const askAs = async (device: string, body: JsonObject, pos: string | undefined): Promise<Answer> => {
    // One connection is held in memory, of the other nothing but its rows.
    const isHeld = device === 'HELD';
    const { store, clock } = w.t;
    const layer = isHeld ? w.layer : { ...w.layer, connections: new Connections(store, clock, seededRandom('cold')) };
    const request = { ...parseRequest(body, { pos, timeout: 0 }, 'unstable', alice), asText: isHeld };
    const viewer = { user: alice, device, pair: `${alice} ${device}` };
    const answer = await slidingSync(layer, viewer, request, 'unstable', new AbortController().signal);
    return JSON.parse(stringifyJson(answer));
  };
  const bodies = [
    window(3),
    window(5, { timeline_limit: 2 }),
    {
      lists: {
        direct: { ranges: [[0, 9]], timeline_limit: 1, required_state: [['*', '*']], filters: { is_dm: true } },
        tagged: { ranges: [[0, 1]], timeline_limit: 1, filters: { tags: ['u.tag'] } },
        top: { ranges: [[0, 2]], timeline_limit: 1, filters: { is_encrypted: false } },
      },
      room_subscriptions: { [rooms[5]!]: { timeline_limit: 3, required_state: [['m.room.member', '$LAZY']] } },
      extensions: { account_data: on, receipts: { enabled: true, lists: ['top'] } },
    },
  ];
  let body = bodies[0]!;
  let positions: [held: string | undefined, cold: string | undefined] = [undefined, undefined];
  let quiet = 0;
  for (let step = 0; step < 600; step++) {
    for (let things = pick(3); things > 0; things--) await happen();
    if (pick(12) === 0) body = bodies[pick(bodies.length)]!;
    const held = await askAs('HELD', body, positions[0]);
    const cold = await askAs('COLD', body, positions[1]);
    const [heldPos, coldPos] = [held.pos, cold.pos] as [string, string];
    assert.equal(heldPos === positions[0], coldPos === positions[1], `step ${step}`);
    if (heldPos === positions[0]) quiet++;
    assert.deepEqual({ ...held, pos: '' }, { ...cold, pos: '' }, `step ${step}`);
    // Now and then an answer is lost, and asked for again.
    if (positions[0] === undefined || pick(5) > 0) positions = [heldPos, coldPos];
  }
  assert.ok(quiet > 100 && quiet < 500, `${quiet} answers had no news`);
});
