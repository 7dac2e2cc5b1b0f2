import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MatrixError } from '#core/errors.js';
import type { UserId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { createRoom } from '#rooms/create.js';
import { changeMembership } from '#rooms/membership.js';
import { sendEvent } from '#rooms/send.js';
import { roomNums } from '#store/schema.js';
import { markRead } from '#sync/read.js';
import { parseRequest } from '#sync/sliding/request.js';
import { type Answer, alice, ask, bob, join, publicRoom, say, world } from '#sync/sliding/testing.js';
import { setAccountData } from '#users/account-data.js';

const bodies = (room: Answer): string[] => (room?.timeline ?? []).flatMap((e: Answer) => e.content.body ?? []);

const all = (limit: number, more: JsonObject = {}): JsonObject => ({
  lists: { all: { ranges: [[0, 9]], timeline_limit: limit, required_state: [['m.room.create', '']], ...more } },
});

test('a first answer holds the newest rooms of the window, a later one what is new', async () => {
  await using w = await world();
  const rooms = [await publicRoom(w, 'one'), await publicRoom(w, 'two'), await publicRoom(w, 'three')];
  await say(w, rooms[0]!, alice, 'newest');
  const window = { lists: { top: { ranges: [[0, 1]], timeline_limit: 1, required_state: [['m.room.create', '']] } } };
  const first = await ask(w, alice, window);
  assert.equal(first.lists.top.count, 3);
  assert.deepEqual(new Set(Object.keys(first.rooms)), new Set([rooms[0], rooms[2]]));
  const room = first.rooms[rooms[0]!];
  assert.equal(room.initial, true);
  assert.equal(room.name, 'one');
  assert.deepEqual(bodies(room), ['newest']);
  assert.equal(room.limited, true);
  assert.deepEqual(
    room.required_state.map((e: Answer) => e.type),
    ['m.room.create'],
  );

  const same = await ask(w, alice, window, first.pos);
  assert.equal(same.pos, first.pos, 'nothing new keeps the position');
  assert.deepEqual(same.rooms, {});

  await say(w, rooms[1]!, alice, 'bump');
  const second = await ask(w, alice, window, first.pos);
  assert.deepEqual(Object.keys(second.rooms), [rooms[1]], 'a room that comes into the window');
  assert.equal(second.rooms[rooms[1]!].initial, true);
  assert.equal(second.rooms[rooms[1]!].num_live, 1);
});

test('a lost answer is given again; older and foreign positions are unknown', async () => {
  await using w = await world();
  const roomId = await publicRoom(w, 'one');
  const first = await ask(w, alice, all(5));
  await say(w, roomId, alice, 'hi');
  const lost = await ask(w, alice, all(5), first.pos);
  assert.deepEqual(bodies(lost.rooms[roomId]), ['hi']);
  const again = await ask(w, alice, all(5), first.pos);
  assert.deepEqual(bodies(again.rooms[roomId]), ['hi'], 'asked again with the same position');
  w.restart();
  const restarted = await ask(w, alice, all(5), first.pos);
  assert.deepEqual(bodies(restarted.rooms[roomId]), ['hi'], 'after a restart as well');
  await say(w, roomId, alice, 'more');
  const next = await ask(w, alice, all(5), restarted.pos);
  assert.deepEqual(bodies(next.rooms[roomId]), ['more']);
  const unknown = (error: unknown): boolean => error instanceof MatrixError && error.errcode === 'M_UNKNOWN_POS';
  await assert.rejects(ask(w, alice, all(5), first.pos), unknown, 'two answers ago');
  await assert.rejects(ask(w, bob, all(5), next.pos), unknown, "someone else's");
  await assert.rejects(ask(w, alice, all(5), 'nonsense'), unknown);
});

test('a request that its client gave up for another does not make the position of that one unknown', async () => {
  await using w = await world();
  const roomId = await publicRoom(w, 'Room');
  const body = { lists: { all: { ranges: [[0, 9]], required_state: [], timeline_limit: 5 } } };

  // Both begin; the answer to the first is remembered after that to the second, or not at all.
  const [, second] = await Promise.all([ask(w, alice, body), ask(w, alice, body)]);
  await say(w, roomId, alice, 'one');
  const next = await ask(w, alice, body, second.pos);
  assert.equal(next.rooms[roomId].timeline.at(-1).content.body, 'one');

  const given = ask(w, alice, body, next.pos, 'unstable', 60_000);
  await new Promise((turn) => setImmediate(turn));
  const waiting = ask(w, alice, body, next.pos, 'unstable', 60_000);
  await new Promise((turn) => setImmediate(turn));
  await say(w, roomId, alice, 'two');
  const [old, answer] = await Promise.all([given, waiting]);
  assert.deepEqual([old.pos, old.rooms], [next.pos, {}], 'nobody hears it');
  assert.equal(answer.rooms[roomId].timeline.at(-1).content.body, 'two');
  await say(w, roomId, alice, 'three');
  assert.equal((await ask(w, alice, body, answer.pos)).rooms[roomId].timeline.at(-1).content.body, 'three');
});

test('a wait ends with a message, an invite and account data', async () => {
  await using w = await world();
  const roomId = await publicRoom(w, 'one');
  const extended = {
    ...all(5),
    extensions: { account_data: { enabled: true }, receipts: { enabled: true }, typing: { enabled: true } },
  };
  let { pos } = await ask(w, bob, extended);
  const invited = ask(w, bob, extended, pos, 'unstable', 30_000);
  await changeMembership(w.t.rooms, { roomId, sender: alice, target: bob, action: 'invite' });
  const invite = await invited;
  assert.ok(invite.rooms[roomId].invite_state.some((e: Answer) => e.state_key === bob));
  assert.equal(invite.rooms[roomId].timeline, undefined, 'an invited user sees nothing of the room itself');
  await join(w, roomId, bob);
  ({ pos } = await ask(w, bob, extended, invite.pos));
  const heard = ask(w, bob, extended, pos, 'unstable', 30_000);
  const eventId = await say(w, roomId, alice, 'hello');
  const message = await heard;
  assert.deepEqual(bodies(message.rooms[roomId]), ['hello']);
  assert.equal(message.rooms[roomId].notification_count, 1);
  const told = ask(w, bob, extended, message.pos, 'unstable', 30_000);
  await setAccountData(w.users, bob, '', 'org.example', { a: 1 });
  const data = await told;
  assert.deepEqual(data.extensions.account_data.global, [{ type: 'org.example', content: { a: 1 } }]);
  await markRead(w.t.rooms, w.layer.unread, { user: bob, roomId, eventId, type: 'm.read' });
  const read = await ask(w, bob, extended, data.pos);
  assert.ok(read.extensions.receipts.rooms[roomId].content[eventId]['m.read'][bob]);
  assert.equal(read.rooms[roomId].notification_count, 0);
});

test('typing, receipts and data of a room are told while they last, of the rooms that are asked for', async () => {
  await using w = await world();
  const [roomId, other] = [await publicRoom(w, 'one'), await publicRoom(w, 'two')];
  for (const room of [roomId, other]) await join(w, room, bob);
  const eventId = await say(w, roomId, alice, 'hello');
  const on = { enabled: true };
  const body = { ...all(1), extensions: { account_data: on, receipts: on, typing: on } };
  const { pos } = await ask(w, bob, body);
  assert.deepEqual((await ask(w, bob, body, pos)).extensions, {});
  const num = w.t.rooms.store.get(roomNums, [roomId])!;
  w.layer.typing.start(num, alice);
  const typing = await ask(w, bob, body, pos);
  assert.deepEqual(typing.extensions, {
    typing: { rooms: { [roomId]: { type: 'm.typing', content: { user_ids: [alice] } } } },
  });
  await setAccountData(w.users, bob, roomId, 'org.example', { a: 1 });
  const data = await ask(w, bob, body, typing.pos);
  assert.deepEqual(data.extensions, {
    account_data: { global: [], rooms: { [roomId]: [{ type: 'org.example', content: { a: 1 } }] } },
  });
  w.layer.typing.stop(num, alice);
  await markRead(w.t.rooms, w.layer.unread, { user: alice, roomId, eventId, type: 'm.read' });
  const both = await ask(w, bob, body, data.pos);
  assert.deepEqual(both.extensions.typing.rooms, { [roomId]: { type: 'm.typing', content: { user_ids: [] } } });
  assert.deepEqual(Object.keys(both.extensions.receipts.rooms), [roomId]);
  assert.deepEqual((await ask(w, bob, body, both.pos)).extensions, {});
});

test('a longer timeline is sent at once when it is asked for', async () => {
  await using w = await world();
  const roomId = await publicRoom(w, 'one');
  for (const text of ['a', 'b', 'c']) await say(w, roomId, alice, text);
  const first = await ask(w, alice, all(1));
  assert.deepEqual(bodies(first.rooms[roomId]), ['c']);
  const longer = await ask(
    w,
    alice,
    { room_subscriptions: { [roomId]: { timeline_limit: 3, required_state: [] } } },
    first.pos,
  );
  assert.deepEqual(bodies(longer.rooms[roomId]), ['a', 'b', 'c']);
  assert.equal(longer.rooms[roomId].unstable_expanded_timeline, true);
  assert.equal(longer.rooms[roomId].num_live, 0);
});

test('members load with who speaks; a kick is told, and nothing after it (T278)', async () => {
  await using w = await world();
  const roomId = await publicRoom(w, 'one');
  await join(w, roomId, bob);
  await say(w, roomId, alice, 'hi');
  const lazily = all(1, {
    required_state: [
      ['m.room.member', '$LAZY'],
      ['m.room.member', '$ME'],
    ],
  });
  const first = await ask(w, bob, lazily);
  const keys = (room: Answer): string[] => room.required_state.map((e: Answer) => e.state_key).sort();
  assert.deepEqual(keys(first.rooms[roomId]), [alice, bob]);
  await say(w, roomId, alice, 'again');
  const second = await ask(w, bob, lazily, first.pos);
  assert.equal(second.rooms[roomId].required_state, undefined);
  await changeMembership(w.t.rooms, { roomId, sender: alice, target: bob, action: 'kick' });
  await say(w, roomId, alice, 'secret');
  const third = await ask(w, bob, all(5), second.pos);
  assert.equal(third.rooms[roomId].membership, 'leave');
  assert.ok(!bodies(third.rooms[roomId]).includes('secret'));
  const fourth = await ask(w, bob, all(5), third.pos);
  assert.deepEqual(fourth.rooms, {});
});

test('whoever left is told how many and who were there then, not who is now (T278)', async () => {
  await using w = await world();
  const [carol, dave] = ['@carol:test' as UserId, '@dave:test' as UserId];
  const roomId = await createRoom(w.t.rooms, { creator: alice, body: { preset: 'public_chat' } });
  for (const user of [bob, carol]) await join(w, roomId, user);
  const first = await ask(w, bob, all(1));
  assert.deepEqual([first.rooms[roomId].joined_count, first.rooms[roomId].invited_count], [3, 0]);
  await changeMembership(w.t.rooms, { roomId, sender: alice, target: bob, action: 'kick' });
  await changeMembership(w.t.rooms, { roomId, sender: carol, target: carol, action: 'leave' });
  await join(w, roomId, dave);
  await changeMembership(w.t.rooms, { roomId, sender: alice, target: '@erin:test' as UserId, action: 'invite' });
  await changeMembership(w.t.rooms, { roomId, sender: alice, target: '@frank:test' as UserId, action: 'invite' });
  const next = await ask(w, bob, all(1), first.pos);
  w.restart();
  for (const { rooms } of [next, await ask(w, bob, all(1))]) {
    const room = rooms[roomId];
    assert.deepEqual([room.joined_count, room.invited_count], [2, 0]);
    assert.deepEqual(
      room.heroes.map((hero: Answer) => hero.user_id),
      [alice, carol],
    );
  }
});

test('whoever comes in is told of the room anew, whatever the connection had of it from outside', async () => {
  await using w = await world();
  const roomId = await createRoom(w.t.rooms, { creator: alice, body: { preset: 'private_chat', name: 'one' } });
  const invite = () => changeMembership(w.t.rooms, { roomId, sender: alice, target: bob, action: 'invite' });
  await invite();
  const stated = all(1, {
    required_state: [
      ['m.room.create', ''],
      ['m.room.topic', ''],
    ],
  });
  const types = (room: Answer): string[] => room.required_state.map((e: Answer) => e.type).sort();
  const outside = await ask(w, bob, stated);
  assert.ok(outside.rooms[roomId].invite_state.length > 0);
  await join(w, roomId, bob);
  const inside = await ask(w, bob, stated, outside.pos);
  assert.equal(inside.rooms[roomId].initial, true);
  assert.equal(inside.rooms[roomId].name, 'one');
  assert.deepEqual(types(inside.rooms[roomId]), ['m.room.create']);
  assert.equal(inside.rooms[roomId].timeline.length, 1);
  assert.equal(inside.rooms[roomId].limited, true);

  await changeMembership(w.t.rooms, { roomId, sender: alice, target: bob, action: 'kick' });
  const topic = { type: 'm.room.topic', content: { topic: 'news' }, stateKey: '' };
  await sendEvent(w.t.rooms, { roomId, sender: alice, ...topic });
  const out = await ask(w, bob, stated, inside.pos);
  assert.equal(out.rooms[roomId].membership, 'leave');
  await invite();
  await join(w, roomId, bob);
  const back = await ask(w, bob, stated, out.pos);
  assert.equal(back.rooms[roomId].initial, true);
  assert.deepEqual(types(back.rooms[roomId]), ['m.room.create', 'm.room.topic']);
  const quiet = await ask(w, bob, stated, back.pos);
  assert.deepEqual(quiet.rooms, {});
});

test('whoever left is not told by a filter what became of the room', async () => {
  await using w = await world();
  const roomId = await publicRoom(w, 'one');
  await join(w, roomId, bob);
  const plain = {
    lists: { plain: { timeline_limit: 1, filters: { is_encrypted: false } } },
    room_subscriptions: { [roomId]: { timeline_limit: 1 } },
  };
  const { pos } = await ask(w, bob, plain);
  await changeMembership(w.t.rooms, { roomId, sender: alice, target: bob, action: 'kick' });
  const out = await ask(w, bob, plain, pos);
  assert.deepEqual([out.lists.plain.count, out.rooms[roomId].membership], [1, 'leave']);
  const content = { algorithm: 'm.megolm.v1.aes-sha2' };
  await sendEvent(w.t.rooms, { roomId, sender: alice, type: 'm.room.encryption', stateKey: '', content });
  w.restart();
  assert.equal((await ask(w, bob, plain, out.pos)).lists.plain.count, 1);
  assert.equal((await ask(w, alice, plain)).lists.plain.count, 0);
});

test('the stable dialect and its filters', async () => {
  await using w = await world();
  const space = await createRoom(w.t.rooms, {
    creator: alice,
    body: { name: 's', creation_content: { type: 'm.space' } },
  });
  const child = await publicRoom(w, 'child');
  await publicRoom(w, 'other');
  await sendEvent(w.t.rooms, {
    roomId: space,
    sender: alice,
    type: 'm.space.child',
    stateKey: child,
    content: { via: ['test'] },
  });
  const body = (filters: JsonObject): JsonObject => ({
    lists: { l: { timeline_limit: 1, required_state: { include: [{}], lazy_members: true }, filters } },
  });
  const found = async (filters: JsonObject): Promise<string[]> =>
    Object.keys((await ask(w, alice, body(filters), undefined, 'stable')).rooms);
  assert.deepEqual(await found({ room_types: ['m.space'] }), [space]);
  assert.deepEqual(await found({ spaces: [space] }), [child]);
  assert.equal((await found({ not_room_types: ['m.space'] })).length, 2);
  await setAccountData(w.users, alice, '', 'm.direct', { [bob]: [child] });
  assert.deepEqual(await found({ is_dm: true }), [child]);
  const answer = await ask(w, alice, body({ spaces: [space] }), undefined, 'stable');
  assert.deepEqual(answer.rooms[child].lists, ['l']);
  assert.equal(answer.rooms[child].membership, 'join');
  assert.ok(answer.rooms[child].required_state.some((e: Answer) => e.type === 'm.room.power_levels'));
  const malformed = (error: unknown): boolean => error instanceof MatrixError && error.errcode === 'M_INVALID_PARAM';
  assert.throws(() => parseRequest({ lists: { l: { range: [3, 1] } } }, {}, 'stable', alice), malformed);
});
