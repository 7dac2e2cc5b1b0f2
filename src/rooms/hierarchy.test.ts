import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RoomId, UserId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { createRoom } from '#rooms/create.js';
import { type HierarchyQuery, spaceHierarchy } from '#rooms/hierarchy.js';
import { changeMembership } from '#rooms/membership.js';
import { redactEvent } from '#rooms/redact.js';
import { findRoom, type Rooms } from '#rooms/rooms.js';
import { sendEvent } from '#rooms/send.js';
import { mayPreview, summaryOf } from '#rooms/summary.js';
import { codeOf, go, openTestRooms, user } from '#rooms/testing.js';

const alice = user('alice');
const bob = user('bob');

function space(rooms: Rooms, name: string, more: object = {}): Promise<RoomId> {
  const body = { preset: 'public_chat' as const, name, creation_content: { type: 'm.space' }, ...more };
  return createRoom(rooms, { creator: alice, body });
}

function room(rooms: Rooms, name: string, more: object = {}): Promise<RoomId> {
  return createRoom(rooms, { creator: alice, body: { preset: 'public_chat', name, ...more } });
}

function link(rooms: Rooms, roomId: RoomId, child: RoomId, more: JsonObject = { via: ['test'] }) {
  return sendEvent(rooms, { roomId, sender: alice, type: 'm.space.child', stateKey: child, content: more });
}

async function names(
  rooms: Rooms,
  viewer: UserId,
  root: RoomId,
  query: Partial<HierarchyQuery> = {},
): Promise<(string | undefined)[]> {
  const page = await spaceHierarchy(rooms, viewer, root, { suggestedOnly: false, limit: 50, ...query });
  return page.rooms.map(({ name }) => name);
}

function restrictedTo(id: RoomId, joinRule = 'restricted') {
  return [
    {
      type: 'm.room.join_rules',
      content: { join_rule: joinRule, allow: [{ type: 'm.room_membership', room_id: id }] },
    },
  ];
}

test('a tree is walked depth first, in order, in pages', async () => {
  await using t = await openTestRooms();
  const { rooms, clock } = t;
  const root = await space(rooms, 'root');
  const inner = await space(rooms, 'inner');
  const [a, b, c, d] = [await room(rooms, 'a'), await room(rooms, 'b'), await room(rooms, 'c'), await room(rooms, 'd')];
  await link(rooms, root, a);
  clock.advance(1);
  await link(rooms, root, inner, { via: ['test'], order: 'z' });
  clock.advance(1);
  await link(rooms, root, b, { via: ['test'], order: 'y', suggested: true });
  clock.advance(1);
  await link(rooms, root, c, { via: ['test'], order: 'not\nvalid' });
  await link(rooms, inner, d);
  assert.deepEqual(await names(rooms, alice, root), ['root', 'b', 'inner', 'd', 'a', 'c']);
  assert.deepEqual(await names(rooms, alice, root, { maxDepth: 1 }), ['root', 'b', 'inner', 'a', 'c']);
  assert.deepEqual(await names(rooms, alice, root, { maxDepth: 0 }), ['root']);
  assert.deepEqual(await names(rooms, alice, root, { suggestedOnly: true }), ['root', 'b']);
  const first = await spaceHierarchy(rooms, alice, root, { suggestedOnly: false, limit: 4 });
  assert.deepEqual(
    first.rooms[0]?.children_state.map(({ state_key }) => state_key),
    [b, inner, a, c],
  );
  assert.deepEqual(await names(rooms, alice, root, { from: first.next_batch }), ['a', 'c']);
  for (const wrong of [{ maxDepth: 3 }, { suggestedOnly: true }]) {
    const query = { suggestedOnly: false, limit: 4, from: first.next_batch, ...wrong };
    assert.equal(await codeOf(spaceHierarchy(rooms, alice, root, query)), 'M_INVALID_PARAM');
  }
  const odd = { suggestedOnly: false, limit: 4, from: 'x' };
  assert.equal(await codeOf(spaceHierarchy(rooms, alice, root, odd)), 'M_INVALID_PARAM');
});

test('a child that is taken out, redacted or without servers is none; links of a plain room mean nothing', async () => {
  await using t = await openTestRooms();
  const { rooms } = t;
  const root = await space(rooms, 'root');
  const [a, b, c, d] = [await room(rooms, 'a'), await room(rooms, 'b'), await room(rooms, 'c'), await room(rooms, 'd')];
  await link(rooms, root, a);
  await link(rooms, root, a, {});
  const linked = await link(rooms, root, b);
  await redactEvent(rooms, { roomId: root, sender: alice, eventId: linked });
  await link(rooms, root, c);
  await link(rooms, c, d);
  assert.deepEqual(await names(rooms, alice, root), ['root', 'c']);
});

test('cycles, deep chains and doubled links end (T154)', async () => {
  await using t = await openTestRooms();
  const { rooms } = t;
  const root = await space(rooms, 'root');
  const inner = await space(rooms, 'inner');
  const leaf = await room(rooms, 'leaf');
  await link(rooms, root, inner);
  await link(rooms, root, root);
  await link(rooms, inner, root);
  await link(rooms, inner, leaf);
  await link(rooms, root, leaf);
  assert.deepEqual((await names(rooms, alice, root)).sort(), ['inner', 'leaf', 'root']);
});

test('what one may not preview is hidden, and all below it', async () => {
  await using t = await openTestRooms();
  const { rooms } = t;
  const root = await space(rooms, 'root');
  const secret = await space(rooms, 'secret', { preset: 'private_chat' });
  const below = await room(rooms, 'below');
  const invited = await room(rooms, 'invited', { preset: 'private_chat' });
  const restricted = await room(rooms, 'restricted', { initial_state: restrictedTo(root) });
  for (const child of [secret, invited, restricted]) await link(rooms, root, child);
  await link(rooms, secret, below);
  assert.deepEqual((await names(rooms, bob, root)).sort(), ['root']);
  await changeMembership(rooms, { roomId: invited, sender: alice, target: bob, action: 'invite' });
  await go(rooms, root, bob, 'join');
  assert.deepEqual((await names(rooms, bob, root)).sort(), ['invited', 'restricted', 'root']);
  await changeMembership(rooms, { roomId: secret, sender: alice, target: bob, action: 'invite' });
  assert.deepEqual((await names(rooms, bob, root)).sort(), ['below', 'invited', 'restricted', 'root', 'secret']);
});

test('a space that one may not preview is answered like one that is not there (T277)', async () => {
  await using t = await openTestRooms();
  const { rooms } = t;
  const secret = await space(rooms, 'secret', { preset: 'private_chat' });
  for (const id of [secret, '!none:test' as RoomId]) {
    assert.equal(await codeOf(spaceHierarchy(rooms, bob, id, { suggestedOnly: false, limit: 1 })), 'M_FORBIDDEN');
  }
});

test('a summary tells what the room is, and follows it', async () => {
  await using t = await openTestRooms();
  const { rooms } = t;
  const allowed = await space(rooms, 'space');
  const id = await room(rooms, 'x', {
    topic: 'of this and that',
    initial_state: [
      ...restrictedTo(allowed),
      { type: 'm.room.encryption', content: { algorithm: 'm.megolm.v1.aes-sha2' } },
    ],
  });
  const summary = () => summaryOf(rooms, findRoom(rooms.store, id)!);
  assert.deepEqual(summary(), {
    room_id: id,
    name: 'x',
    topic: 'of this and that',
    join_rule: 'restricted',
    encryption: 'm.megolm.v1.aes-sha2',
    allowed_room_ids: [allowed],
    num_joined_members: 1,
    world_readable: false,
    guest_can_join: summary().guest_can_join,
    room_version: '12',
  });
  const content = {
    topic: 'old',
    'm.topic': { 'm.text': [{ mimetype: 'text/html', body: '<b>a</b>' }, { body: 'plain' }] },
  };
  const topic = await sendEvent(rooms, { roomId: id, sender: alice, type: 'm.room.topic', stateKey: '', content });
  assert.equal(summary().topic, 'plain');
  await redactEvent(rooms, { roomId: id, sender: alice, eventId: topic });
  assert.equal(summary().topic, undefined);
});

test('who may preview a room by its join rule', async () => {
  await using t = await openTestRooms();
  const { rooms } = t;
  const allowed = await space(rooms, 'space');
  const preview = async (joinRule: string, viewer: UserId | undefined, more: object = {}) => {
    const id = await room(rooms, joinRule, { initial_state: restrictedTo(allowed, joinRule), ...more });
    return mayPreview(rooms, findRoom(rooms.store, id)!, viewer);
  };
  assert.equal(await preview('public', undefined), true);
  assert.equal(await preview('knock', undefined), true);
  assert.equal(await preview('knock_restricted', undefined), true);
  assert.equal(await preview('restricted', undefined), false);
  assert.equal(await preview('restricted', bob), false);
  assert.equal(await preview('invite', bob), false);
  await go(rooms, allowed, bob, 'join');
  assert.equal(await preview('restricted', bob), true);
  assert.equal(await preview('restricted', bob, { room_version: '7' }), false, 'version 7 knows no such rule');
});
