import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ErrorCode, MatrixError } from '#core/errors.js';
import {
  allowsEvent,
  allowsNothing,
  allowsRoom,
  allowsRoomEvent,
  allowsType,
  DEFAULT_TIMELINE_LIMIT,
  MAX_LIMIT,
  parseEventFilter,
  parseRoomEventFilter,
  parseSyncFilter,
  trimFields,
} from '#core/filter.js';
import type { JsonObject, JsonValue } from '#core/json-value.js';

const ROOM = '!r:x';
const message = (content: JsonObject = {}, sender = '@a:x') => ({ type: 'm.room.message', sender, content });
const allowed = (filter: JsonObject, event: { type: string; sender?: string; content?: JsonValue }): boolean =>
  allowsRoomEvent(parseRoomEventFilter(filter), { ...event, room_id: ROOM });

test('an empty filter lets everything through', () => {
  assert.ok(allowed({}, message()));
  const filter = parseSyncFilter({});
  assert.equal(filter.room.timeline.limit, DEFAULT_TIMELINE_LIMIT);
  assert.equal(filter.eventFormat, 'client');
  assert.equal(filter.room.includeLeave, false);
  assert.ok(!allowsNothing(filter.room.timeline));
});

test('types with wildcards; exclusion wins', () => {
  assert.ok(allowed({ types: ['m.room.*'] }, message()));
  assert.ok(allowed({ types: ['*message'] }, message()));
  assert.ok(allowed({ types: ['m.*.mess*e'] }, message()));
  assert.ok(!allowed({ types: ['M.ROOM.*'] }, message()), 'types have case');
  assert.ok(!allowed({ types: ['m.room.messag?'] }, message()), 'a question mark is no wildcard');
  assert.ok(!allowed({ types: [] }, message()));
  assert.ok(!allowed({ types: ['m.room.message'], not_types: ['m.*'] }, message()));
  assert.ok(allowsType(parseEventFilter({ not_types: ['m.room.member'] }), 'm.room.message'));
});

test('senders and rooms', () => {
  assert.ok(!allowed({ senders: ['@b:x'] }, message()));
  assert.ok(!allowed({ senders: ['@a:x'], not_senders: ['@a:x'] }, message()));
  assert.ok(!allowed({ rooms: ['!other:x'] }, message()));
  assert.ok(!allowed({ rooms: [ROOM], not_rooms: [ROOM] }, message()));
  assert.ok(allowed({ rooms: [ROOM] }, message()));
  assert.ok(allowsRoom(parseSyncFilter({ room: { not_rooms: ['!other:x'] } }).room, ROOM));
  const data = { type: 'm.tag', content: {} };
  assert.ok(allowsEvent(parseEventFilter({ not_senders: ['@a:x'] }), data));
  assert.ok(!allowsEvent(parseEventFilter({ senders: ['@a:x'] }), data), 'what has no sender is from none of them');
});

test('contains_url', () => {
  assert.ok(allowed({ contains_url: true }, message({ url: 'mxc://x/y' })));
  assert.ok(!allowed({ contains_url: true }, message()));
  assert.ok(!allowed({ contains_url: false }, message({ url: 'mxc://x/y' })));
  assert.ok(allowed({ contains_url: false }, { type: 'm.x', content: null }));
});

test('relation types', () => {
  const threaded = message({ 'm.relates_to': { rel_type: 'm.thread' } });
  for (const prefix of ['', 'org.matrix.msc3874.']) {
    assert.ok(allowed({ [`${prefix}rel_types`]: ['m.thread'] }, threaded));
    assert.ok(!allowed({ [`${prefix}rel_types`]: ['m.thread'] }, message()));
    assert.ok(!allowed({ [`${prefix}not_rel_types`]: ['m.thread'] }, threaded));
    assert.ok(allowed({ [`${prefix}not_rel_types`]: ['m.thread'] }, message()));
  }
  assert.ok(!allowed({ rel_types: ['m.thread'] }, message({ 'm.relates_to': 'm.thread' })));
});

test('filters that let nothing through are known beforehand', () => {
  for (const filter of [
    { types: [] },
    { not_types: ['*'] },
    { not_types: ['m.x', '**'] },
    { senders: [] },
    { rooms: [] },
  ]) {
    assert.ok(allowsNothing(parseRoomEventFilter(filter)), JSON.stringify(filter));
  }
  assert.ok(!allowsNothing(parseRoomEventFilter({ not_types: ['m.*', 'm.x'], types: ['*'] })));
});

test('limits are clamped', () => {
  for (const [asked, given] of [
    [5, 5],
    [0, 0],
    [1_000_000, MAX_LIMIT],
  ] as const) {
    assert.equal(parseEventFilter({ limit: asked }).limit, given);
  }
});

function refused(code: ErrorCode, filter: JsonValue): void {
  const isRight = (error: unknown): boolean =>
    error instanceof MatrixError && error.errcode === code && error.status === 400;
  assert.throws(() => parseSyncFilter(filter), isRight, JSON.stringify(filter)?.slice(0, 80));
}

test('filters with wrong types are bad JSON', () => {
  for (const filter of [
    null,
    [],
    'x',
    { presence: 'not_an_object' },
    { room: [] },
    { room: { timeline: 1 } },
    { room: { state: { types: 'm.x' } } },
    { room: { state: { types: [1] } } },
    { room: { include_leave: 'yes' } },
    { room: { timeline: { limit: 1.5 } } },
    { room: { timeline: { limit: '10' } } },
    { room: { timeline: { lazy_load_members: 1 } } },
    { event_format: 'other' },
    { event_fields: 'content' },
    { event_fields: [null] },
  ]) {
    refused('M_BAD_JSON', filter);
  }
});

test('wrong ids and sizes are invalid', () => {
  refused('M_INVALID_PARAM', { presence: { senders: ['not_a_user'] } });
  refused('M_INVALID_PARAM', { room: { rooms: ['#alias:x'] } });
  refused('M_INVALID_PARAM', { room: { timeline: { limit: -1 } } });
  refused('M_INVALID_PARAM', { room: { timeline: { types: Array(10_000).fill('m.x') } } });
  refused('M_INVALID_PARAM', { room: { timeline: { types: Array.from({ length: 300 }, (_, i) => `m.${i}*`) } } });
  refused('M_INVALID_PARAM', { event_fields: ['a'.repeat(1000)] });
});

test('event_fields keep what they name, with escapes, and nothing else', () => {
  const trim = (event: JsonObject, ...paths: string[]): JsonObject =>
    trimFields(event, parseSyncFilter({ event_fields: paths }).eventFields);
  const event = { type: 'm.x', sender: '@a:x', content: { body: 'hi', 'm.x': { y: 1, z: 2 }, deep: { a: { b: 1 } } } };
  assert.deepEqual(trim(event, 'content.body'), { content: { body: 'hi' } });
  assert.deepEqual(trim(event, 'type', 'content.m\\.x.y'), { type: 'm.x', content: { 'm.x': { y: 1 } } });
  assert.deepEqual(trim(event, 'content.deep.a.b', 'content'), { content: event.content });
  assert.deepEqual(trim(event, 'content', 'content.body'), { content: event.content });
  assert.deepEqual(trim(event, 'type.x', 'absent', 'toString'), {});
  assert.equal(trim(event), event, 'an empty list is no list');
});

test('event_fields called __proto__ are data', () => {
  const event = JSON.parse('{"content":{"__proto__":{"a":1}}}') as JsonObject;
  const fields = parseSyncFilter({ event_fields: ['content.__proto__.a', '__proto__.b'] }).eventFields;
  assert.equal(JSON.stringify(trimFields(event, fields)), '{"content":{"__proto__":{"a":1}}}');
});
