import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeviceId, EventId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { toClientEvent } from '#rooms/client-form.js';
import { createRoom } from '#rooms/create.js';
import { listRelations } from '#rooms/relations.js';
import { sendEvent } from '#rooms/send.js';
import { codeOf, openTestRooms, say, type TestRooms, user } from '#rooms/testing.js';
import { eventByTimestamp, eventContext, pageTimeline, parseGap } from '#rooms/timeline.js';
import type { StoredEvent } from '#store/events.js';

const alice = user('alice');
const bob = user('bob');

async function talk(t: TestRooms, count: number) {
  const roomId = await createRoom(t.rooms, { creator: alice, body: {} });
  const said: EventId[] = [];
  for (let i = 0; i < count; i++) {
    said.push(await say(t.rooms, roomId, alice, String(i)));
    t.clock.advance(1_000);
  }
  return { roomId, said };
}

for (const dir of ['b', 'f'] as const) {
  test(`pages towards ${dir} join without a gap or a repeat, and end`, async () => {
    await using t = await openTestRooms();
    const { roomId } = await talk(t, 12);
    const all = (await pageTimeline(t.rooms, alice, roomId, { dir, limit: 1_000 })).events;
    assert.ok(all.length > 12);
    const paged = [];
    let from: number | undefined;
    for (let pages = 0; pages < 100; pages++) {
      const page = await pageTimeline(t.rooms, alice, roomId, {
        dir,
        limit: 5,
        ...(from === undefined ? {} : { from }),
      });
      paged.push(...page.events);
      if (page.end === undefined) break;
      from = page.end;
    }
    assert.deepEqual(paged, all);
  });
}

test('a sync token is a gap: forward from it is what came since, backward what was before', async () => {
  await using t = await openTestRooms();
  const { roomId, said } = await talk(t, 3);
  const token = t.store.tip;
  const later = await say(t.rooms, roomId, alice, 'later');
  const on = await pageTimeline(t.rooms, alice, roomId, { dir: 'f', from: token, limit: 10 });
  assert.deepEqual(
    on.events.map(({ pdu }) => pdu.event_id),
    [later],
  );
  const back = await pageTimeline(t.rooms, alice, roomId, { dir: 'b', from: token, limit: 2 });
  assert.deepEqual(
    back.events.map(({ pdu }) => pdu.event_id),
    [said[2], said[1]],
  );
  const bounded = await pageTimeline(t.rooms, alice, roomId, { dir: 'b', from: t.store.tip, to: token, limit: 10 });
  assert.deepEqual(
    bounded.events.map(({ pdu }) => pdu.event_id),
    [later],
  );
});

test('a page with a filter says where it ended, the empty one after it ends', async () => {
  await using t = await openTestRooms();
  const roomId = await createRoom(t.rooms, { creator: alice, body: {} });
  await say(t.rooms, roomId, alice, 'hi');
  const wanted = (event: StoredEvent): boolean => event.pdu.type === 'm.room.message';
  const page = await pageTimeline(t.rooms, alice, roomId, { dir: 'b', limit: 10, wanted });
  assert.equal(page.events.length, 1);
  const rest = await pageTimeline(t.rooms, alice, roomId, { dir: 'b', limit: 10, wanted, from: page.end! });
  assert.deepEqual([rest.events, rest.end], [[], undefined]);
});

test('a run of events that are passed over never ends the paging (T281)', async () => {
  await using t = await openTestRooms();
  const { roomId, said } = await talk(t, 60);
  const wanted = ({ pdu }: { pdu: { event_id: EventId } }): boolean => pdu.event_id === said[0];
  const page = await pageTimeline(t.rooms, alice, roomId, { dir: 'b', limit: 1, wanted });
  assert.deepEqual(
    page.events.map(({ pdu }) => pdu.event_id),
    [said[0]],
  );
});

test('context: the event in the middle, gaps that page on from both ends', async () => {
  await using t = await openTestRooms();
  const { roomId, said } = await talk(t, 9);
  const around = await eventContext(t.rooms, alice, roomId, said[4]!, { limit: 4 });
  assert.deepEqual(
    around.before.map(({ pdu }) => pdu.event_id),
    [said[3], said[2]],
  );
  assert.deepEqual(
    around.after.map(({ pdu }) => pdu.event_id),
    [said[5], said[6]],
  );
  const older = await pageTimeline(t.rooms, alice, roomId, { dir: 'b', from: around.start, limit: 1 });
  assert.equal(older.events[0]!.pdu.event_id, said[1]);
  const newer = await pageTimeline(t.rooms, alice, roomId, { dir: 'f', from: around.end, limit: 1 });
  assert.equal(newer.events[0]!.pdu.event_id, said[7]);
  const alone = await eventContext(t.rooms, alice, roomId, said[4]!, { limit: 0 });
  assert.deepEqual([alone.before.length, alone.after.length], [0, 0]);
});

test('the event nearest to a time', async () => {
  await using t = await openTestRooms();
  const { roomId, said } = await talk(t, 3);
  const ts = t.rooms.events.byId(t.store, said[1]!)!.pdu.origin_server_ts;
  const at = async (when: number, dir: 'b' | 'f') =>
    (await eventByTimestamp(t.rooms, alice, roomId, when, dir)).pdu.event_id;
  assert.equal(await at(ts, 'f'), said[1]);
  assert.equal(await at(ts, 'b'), said[1]);
  assert.equal(await at(ts + 1, 'f'), said[2]);
  assert.equal(await at(ts - 1, 'b'), said[0]);
  assert.equal(await codeOf(at(ts + 1_000_000, 'f')), 'M_NOT_FOUND');
});

test('only decimal digits are a gap', () => {
  assert.equal(parseGap('12'), 12);
  assert.equal(parseGap('-3'), -3);
  for (const token of ['', 's12', '1.5', '1e3', '99999999999999999999', ' 1', 't1-2_3']) {
    assert.throws(() => parseGap(token), { errcode: 'M_INVALID_PARAM' });
  }
});

test('only the device that sent an event is given its transaction id (T287)', async () => {
  await using t = await openTestRooms();
  const roomId = await createRoom(t.rooms, { creator: alice, body: { preset: 'public_chat' } });
  const device = 'PHONE' as DeviceId;
  const content = { msgtype: 'm.text', body: 'x' };
  const txn = { path: 'p', id: 'my-txn' };
  const id = await sendEvent(t.rooms, { roomId, sender: alice, device, type: 'm.room.message', content, txn });
  const stored = t.rooms.events.byId(t.store, id)!;
  const shown = (viewer: typeof alice, name: string): unknown =>
    (toClientEvent(t.rooms, stored, { viewer, device: name })['unsigned'] as JsonObject)['transaction_id'];
  assert.equal(shown(alice, 'PHONE'), 'my-txn');
  assert.equal(shown(alice, 'LAPTOP'), undefined);
  assert.equal(shown(bob, 'PHONE'), undefined);
});

test('relations by kind and in pages', async () => {
  await using t = await openTestRooms();
  const { roomId, said } = await talk(t, 1);
  const parent = said[0]!;
  const made: EventId[] = [];
  for (let i = 0; i < 5; i++) {
    const rel_type = i === 2 ? 'm.reference' : 'm.thread';
    const content = { msgtype: 'm.text', body: String(i), 'm.relates_to': { rel_type, event_id: parent } };
    made.push(await sendEvent(t.rooms, { roomId, sender: alice, type: 'm.room.message', content }));
  }
  const ids = (rows: readonly { relation: { event: number } }[]) =>
    rows.map(({ relation }) => t.rooms.events.get(t.store, relation.event)!.pdu.event_id);
  const first = await listRelations(t.rooms, parent, { dir: 'b', relType: 'm.thread', limit: 3 });
  assert.deepEqual(ids(first.rows), [made[4], made[3], made[1]]);
  const rest = await listRelations(t.rooms, parent, { dir: 'b', relType: 'm.thread', limit: 3, from: first.end! });
  assert.deepEqual(ids(rest.rows), [made[0]]);
  assert.equal(rest.end, undefined);
  const forward = await listRelations(t.rooms, parent, { dir: 'f', limit: 2 });
  assert.deepEqual(ids(forward.rows), [made[0], made[1]]);
  assert.equal((await listRelations(t.rooms, parent, { dir: 'f', limit: 9, from: forward.end! })).rows.length, 3);
});
