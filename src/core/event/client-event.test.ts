import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientEvent, strippedState } from '#core/event/client-event.js';
import { pduFromTrusted } from '#core/event/format.js';
import type { Pdu } from '#core/event/pdu.js';
import { EventId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { ROOM_VERSIONS, roomRules } from '#core/room-versions.js';

function pdu(version: string, changes: JsonObject): Pdu {
  const json = {
    type: 'm.room.message',
    room_id: '!r:a.example',
    sender: '@alice:a.example',
    content: { body: 'x' },
    origin_server_ts: 5,
    depth: 1,
    prev_events: [],
    auth_events: [],
    hashes: { sha256: 'x' },
    signatures: {},
    unsigned: { age: 1 },
    extra: 'x',
    ...changes,
  };
  return pduFromTrusted(json, roomRules(version)!, EventId.of('$e'));
}

test('clients see the event without its graph, hashes and signatures', () => {
  assert.deepEqual(clientEvent(pdu('12', {})), {
    type: 'm.room.message',
    sender: '@alice:a.example',
    content: { body: 'x' },
    event_id: '$e',
    origin_server_ts: 5,
    room_id: '!r:a.example',
  });
  const state = clientEvent(pdu('12', { state_key: '' }), { withoutRoomId: true, unsigned: { age: 7 } });
  assert.deepEqual(state, {
    type: 'm.room.message',
    sender: '@alice:a.example',
    content: { body: 'x' },
    event_id: '$e',
    origin_server_ts: 5,
    state_key: '',
    unsigned: { age: 7 },
  });
});

test('a redaction names its event for old and new clients in every version', () => {
  for (const version of ROOM_VERSIONS) {
    const inContent = roomRules(version)!.redactsInContent;
    const redaction = pdu(version, {
      type: 'm.room.redaction',
      content: inContent ? { reason: 'r', redacts: '$x' } : { reason: 'r' },
      ...(inContent ? {} : { redacts: '$x' }),
    });
    const event = clientEvent(redaction);
    assert.equal(event['redacts'], '$x', version);
    assert.deepEqual(event['content'], { reason: 'r', redacts: '$x' }, version);
    assert.equal('redacts' in redaction.content, inContent, 'the event itself stays as it is');
  }
});

test('what emptied an event stands in its unsigned', () => {
  const because = { event_id: '$r' };
  const event = clientEvent(pdu('12', { content: {} }), { unsigned: { age: 7 }, redactedBecause: because });
  assert.deepEqual(event['unsigned'], { age: 7, redacted_because: because });
});

test('stripped state has four keys', () => {
  const state = pdu('12', { type: 'm.room.name', state_key: '', content: { name: 'n' } });
  assert.deepEqual(strippedState(state), {
    type: 'm.room.name',
    state_key: '',
    sender: '@alice:a.example',
    content: { name: 'n' },
  });
});
