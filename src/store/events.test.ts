import assert from 'node:assert/strict';
import test from 'node:test';
import { pduFromTrusted } from '#core/event/format.js';
import type { Pdu } from '#core/event/pdu.js';
import { EventId, RoomId } from '#core/ids.js';
import { parseJson } from '#core/json.js';
import type { JsonObject } from '#core/json-value.js';
import { ROOM_VERSIONS, roomRules } from '#core/room-versions.js';
import { openStore } from '#store/db.js';
import { Events } from '#store/events.js';
import { rooms, timestamps } from '#store/schema.js';
import { openTestStore } from '#store/testing.js';
import type { Tx } from '#store/types.js';

const ROOM = 1;

function putRoom(tx: Tx, version: string): void {
  const id = RoomId.parse('!room:test')!;
  tx.put(rooms, [ROOM], {
    id,
    version,
    extremities: [],
    state: 0,
    depth: 0,
    tip: 0,
    joined: 0,
    invited: 0,
    oldest: 0,
  });
}

function pduOf(version: string, id: string, more = ''): Pdu {
  const references = ['1', '2'].includes(version) ? '[["$p:test",{"sha256":"x"}]]' : '["$p"]';
  const text = `{"auth_events":[],"content":{"body":"hi","__proto__":{"membership":"join"}${more}},"depth":7,"hashes":{"sha256":"x"},
    "origin_server_ts":1234,"prev_events":${references},"room_id":"!room:test","sender":"@a:test","signatures":{},"type":"m.room.message"}`;
  return pduFromTrusted(parseJson(text, { numbers: 'exact' }) as JsonObject, roomRules(version)!, EventId.of(id));
}

for (const version of ROOM_VERSIONS) {
  test(`an event of version ${version} reads back exactly, after a restart too`, async () => {
    await using opened = await openTestStore();
    const { store, directory, clock } = opened;
    const events = new Events();
    // Versions 1 to 5 allow any number; its text must come back as it was.
    const more = roomRules(version)!.strictCanonicalJson ? '' : ',"big":123456789012345678901,"float":1.50';
    const pdu = pduOf(version, '$event', more);
    const put = await store.commit((tx) => {
      putRoom(tx, version);
      const num = tx.position();
      return events.put(tx, {
        num,
        room: ROOM,
        order: -3,
        outcome: 'accepted',
        stateBefore: 5,
        stateAfter: 9,
        pdu,
      });
    });
    await store.close();
    const again = await openStore({ directory, clock, serverName: 'test' });
    const read = events.byId(again, EventId.of('$event'));
    assert.deepEqual(read, put);
    assert.equal(Object.hasOwn(read!.pdu.content, '__proto__'), true);
    assert.equal('membership' in read!.pdu.content && !Object.hasOwn(read!.pdu.content, '__proto__'), false);
    const rows: unknown[] = [];
    for await (const row of events.timeline(again, ROOM, {})) rows.push(row);
    assert.deepEqual(rows, [[-3, put.num]]);
    await again.close();
  });
}

test('an outlier has no place; taken in later it gets one and keeps its number', async () => {
  await using opened = await openTestStore();
  const { store } = opened;
  const events = new Events();
  const base = { room: ROOM, stateBefore: 0, stateAfter: 0, pdu: pduOf('11', '$one') };
  const num = await store.commit((tx) => {
    putRoom(tx, '11');
    const taken = tx.position();
    events.put(tx, { ...base, num: taken, order: taken, outcome: 'outlier' });
    return taken;
  });
  const rows = () => store.list(timestamps, { prefix: [ROOM], limit: 9 });
  assert.deepEqual(await rows(), []);
  await store.commit((tx) => events.put(tx, { ...base, num, order: 40, outcome: 'accepted' }));
  assert.deepEqual(await rows(), [[[ROOM, 1234, 40], num]]);
  await store.commit((tx) => events.put(tx, { ...base, num, order: 41, outcome: 'accepted' }));
  assert.deepEqual(await rows(), [[[ROOM, 1234, 41], num]]);
  await assert.rejects(
    store.commit((tx) => events.put(tx, { ...base, num: num + 1, order: 40, outcome: 'accepted' })),
    /second number/,
  );
});
