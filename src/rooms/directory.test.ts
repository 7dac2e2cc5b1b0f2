import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RoomAlias, type RoomId, type UserId } from '#core/ids.js';
import { type CreateRoomBody, createRoom } from '#rooms/create.js';
import {
  addAlias,
  addAliasIn,
  isPublished,
  listAliases,
  publishIn,
  readAliases,
  removeAlias,
  resolveAlias,
  setPublished,
} from '#rooms/directory.js';
import { changeMembership } from '#rooms/membership.js';
import { listPublicRooms } from '#rooms/public-rooms.js';
import { redactEvent } from '#rooms/redact.js';
import { findRoom, type RoomHooks, type Rooms, storedStateAt } from '#rooms/rooms.js';
import { sendEvent } from '#rooms/send.js';
import { codeOf, openTestRooms, user } from '#rooms/testing.js';

const alice = user('alice');
const bob = user('bob');
const carol = user('carol');
const hooks: Partial<RoomHooks> = {
  aliasPointsAt: (reader, alias, room) => RoomAlias.is(alias) && resolveAlias(reader, alias)?.roomId === room,
};

function alias(name: string): RoomAlias {
  return RoomAlias.parse(`#${name}:test`)!;
}

function create(rooms: Rooms, body: CreateRoomBody, creator: UserId = alice): Promise<RoomId> {
  return createRoom(rooms, {
    creator,
    body,
    reserveAlias: addAliasIn,
    publish: (tx, room) => publishIn(rooms, tx, room),
  });
}

function canonical(rooms: Rooms, room: RoomId): unknown {
  return storedStateAt(rooms, rooms.store, findRoom(rooms.store, room)!.head.state, 'm.room.canonical_alias', '')?.pdu
    .content;
}

test('aliases are made, found, listed and taken away by those who may (T256)', async () => {
  await using t = await openTestRooms(hooks);
  const room = await create(t.rooms, { preset: 'public_chat', room_alias_name: 'tea' });
  await changeMembership(t.rooms, { roomId: room, sender: bob, target: bob, action: 'join' });
  assert.equal(resolveAlias(t.store, alias('tea'))?.roomId, room);
  await addAlias(t.rooms, bob, alias('leaves'), room);
  assert.deepEqual(await listAliases(t.rooms, room), [alias('leaves'), alias('tea')]);
  assert.equal(await codeOf(addAlias(t.rooms, carol, alias('outside'), room)), 'M_FORBIDDEN');
  assert.equal(await codeOf(addAlias(t.rooms, bob, alias('with space'), room)), 'M_INVALID_PARAM');
  assert.equal(await codeOf(addAlias(t.rooms, bob, RoomAlias.parse('#a:elsewhere')!, room)), 'M_INVALID_PARAM');
  const other = await create(t.rooms, {}, bob);
  assert.equal(await codeOf(addAlias(t.rooms, bob, alias('tea'), other)), 'M_UNKNOWN', 'an alias is not taken over');
  assert.equal(resolveAlias(t.store, alias('tea'))?.roomId, room);
  assert.equal(await codeOf(removeAlias(t.rooms, bob, alias('tea'))), 'M_FORBIDDEN');
  assert.equal(await codeOf(removeAlias(t.rooms, alice, alias('nothing'))), 'M_NOT_FOUND');
  await removeAlias(t.rooms, bob, alias('leaves'));
  await removeAlias(t.rooms, carol, alias('tea'), { admin: true });
  assert.deepEqual(await listAliases(t.rooms, room), []);
});

test('a deleted alias leaves m.room.canonical_alias too, where its deleter may change that', async () => {
  await using t = await openTestRooms(hooks);
  const room = await create(t.rooms, { preset: 'public_chat', room_alias_name: 'tea' });
  await addAlias(t.rooms, alice, alias('leaves'), room);
  const content = { alias: alias('tea'), alt_aliases: [alias('leaves')] };
  await sendEvent(t.rooms, { roomId: room, sender: alice, type: 'm.room.canonical_alias', stateKey: '', content });
  await removeAlias(t.rooms, alice, alias('tea'));
  assert.deepEqual(canonical(t.rooms, room), { alt_aliases: [alias('leaves')] });
  await removeAlias(t.rooms, alice, alias('leaves'));
  assert.deepEqual(canonical(t.rooms, room), {});
});

test('aliases of a room are for its members, and for all where it is world readable', async () => {
  await using t = await openTestRooms(hooks);
  const room = await create(t.rooms, { preset: 'public_chat', room_alias_name: 'tea' });
  assert.deepEqual(await readAliases(t.rooms, alice, room), [alias('tea')]);
  assert.equal(await codeOf(readAliases(t.rooms, bob, room)), 'M_FORBIDDEN');
  const visibility = { history_visibility: 'world_readable' };
  await sendEvent(t.rooms, {
    roomId: room,
    sender: alice,
    type: 'm.room.history_visibility',
    stateKey: '',
    content: visibility,
  });
  assert.deepEqual(await readAliases(t.rooms, bob, room), [alias('tea')]);
});

test('a room whose alias is taken is not made at all', async () => {
  await using t = await openTestRooms(hooks);
  await create(t.rooms, { room_alias_name: 'tea' });
  assert.equal(await codeOf(create(t.rooms, { room_alias_name: 'tea', visibility: 'public' }, bob)), 'M_ROOM_IN_USE');
  assert.deepEqual((await listPublicRooms(t.rooms, {})).chunk, []);
});

test('only those who may set the canonical alias, and administrators, list a room (T257)', async () => {
  await using t = await openTestRooms(hooks);
  const room = await create(t.rooms, { preset: 'public_chat' });
  await changeMembership(t.rooms, { roomId: room, sender: bob, target: bob, action: 'join' });
  assert.equal(isPublished(t.rooms, room), false);
  assert.equal(await codeOf(setPublished(t.rooms, bob, room, true)), 'M_FORBIDDEN');
  await setPublished(t.rooms, alice, room, true);
  assert.equal(isPublished(t.rooms, room), true);
  await setPublished(t.rooms, carol, room, false, { admin: true });
  assert.equal(isPublished(t.rooms, room), false);
});

test('the public directory tells of rooms, largest first, and follows what happens in them', async () => {
  await using t = await openTestRooms(hooks);
  const body = { preset: 'public_chat', visibility: 'public' } as const;
  const small = await create(t.rooms, { ...body, name: 'Small', topic: 'Green TEA', room_alias_name: 'small' });
  const large = await create(t.rooms, { ...body, name: 'Large', creation_content: { type: 'm.space' } });
  const closed = await create(t.rooms, { visibility: 'public', preset: 'private_chat' });
  await changeMembership(t.rooms, { roomId: large, sender: bob, target: bob, action: 'join' });
  const all = await listPublicRooms(t.rooms, {});
  assert.deepEqual(
    all.chunk.map(({ room_id }) => room_id),
    [large, small],
  );
  assert.ok(!all.chunk.some(({ room_id }) => room_id === closed), 'nobody could join or read it');
  assert.deepEqual(all.chunk[1], {
    room_id: small,
    name: 'Small',
    topic: 'Green TEA',
    canonical_alias: '#small:test',
    join_rule: 'public',
    num_joined_members: 1,
    world_readable: false,
    guest_can_join: false,
  });
  assert.equal(all.chunk[0]?.room_type, 'm.space');
  const ids = async (query: Parameters<typeof listPublicRooms>[1]) =>
    (await listPublicRooms(t.rooms, query)).chunk.map(({ room_id }) => room_id);
  assert.deepEqual(await ids({ search: 'green tea' }), [small]);
  assert.deepEqual(await ids({ search: '#SMALL' }), [small]);
  assert.deepEqual(await ids({ search: 'coffee' }), []);
  assert.deepEqual(await ids({ types: [null] }), [small]);
  assert.deepEqual(await ids({ types: ['m.space'] }), [large]);
  assert.deepEqual(await ids({ types: [] }), []);
  const name = storedStateAt(t.rooms, t.store, findRoom(t.store, small)!.head.state, 'm.room.name', '')!;
  await redactEvent(t.rooms, { roomId: small, eventId: name.pdu.event_id, sender: alice });
  assert.equal((await listPublicRooms(t.rooms, {})).chunk[1]?.name, undefined, 'redacted');
  await changeMembership(t.rooms, { roomId: small, sender: alice, target: alice, action: 'leave' });
  assert.deepEqual(await ids({}), [large], 'nobody is in it any more');
});

test('the public directory is paged both ways without gaps or repeats', async () => {
  await using t = await openTestRooms(hooks);
  const rooms = new Set<RoomId>();
  for (let n = 0; n < 7; n++) {
    rooms.add(await create(t.rooms, { preset: 'public_chat', visibility: 'public', name: `Room ${n}` }));
  }
  const forward: RoomId[] = [];
  let page = await listPublicRooms(t.rooms, { limit: 3 });
  assert.equal(page.prev_batch, undefined);
  const pages = [page];
  while (page.next_batch !== undefined) {
    page = await listPublicRooms(t.rooms, { limit: 3, since: page.next_batch });
    pages.push(page);
  }
  for (const { chunk } of pages) forward.push(...chunk.map(({ room_id }) => room_id));
  assert.equal(pages.length, 3);
  assert.deepEqual(new Set(forward), rooms);
  assert.equal(forward.length, 7);
  const back = await listPublicRooms(t.rooms, { limit: 3, since: page.prev_batch });
  assert.deepEqual(back.chunk, pages[1]?.chunk);
  assert.equal(page.total_room_count_estimate, 7);
  assert.equal(await codeOf(listPublicRooms(t.rooms, { since: 'nonsense' })), 'M_INVALID_PARAM');
});
