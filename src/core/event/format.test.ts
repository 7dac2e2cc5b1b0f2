import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalBytes } from '#core/canonical-json.js';
import { MAX_EVENT_BYTES, oversizedField, parsePdu } from '#core/event/format.js';
import type { Pdu } from '#core/event/pdu.js';
import { parseJson } from '#core/json.js';
import { stringifyJson } from '#core/json-text.js';
import type { JsonObject, JsonValue } from '#core/json-value.js';
import { ROOM_VERSIONS, type RoomRules, roomRules } from '#core/room-versions.js';

const HASH = 'A'.repeat(43);
const rulesOf = (version: string): RoomRules => roomRules(version)!;
const strict = ROOM_VERSIONS.filter((version) => rulesOf(version).strictCanonicalJson);
const lenient = ROOM_VERSIONS.filter((version) => !rulesOf(version).strictCanonicalJson);

function reference(version: string, letter = 'B'): JsonValue {
  return Number(version) <= 2 ? [`$${letter}:example.org`, { sha256: HASH }] : `$${letter.repeat(43)}`;
}

/** A message that is in form in this room version. */
function message(version: string, changes: Record<string, JsonValue | undefined> = {}): JsonObject {
  const event: Record<string, JsonValue | undefined> = {
    type: 'm.room.message',
    room_id: version === '12' ? `!${HASH}` : '!room:example.org',
    sender: '@alice:example.org',
    content: { body: 'hello', msgtype: 'm.text' },
    origin_server_ts: 1_700_000_000_000,
    depth: 7,
    prev_events: [reference(version)],
    auth_events: [reference(version), reference(version, 'C')],
    hashes: { sha256: HASH },
    signatures: { 'example.org': { 'ed25519:1': 'abc' } },
    ...(Number(version) <= 2 ? { event_id: '$mine:example.org' } : {}),
    ...changes,
  };
  return JSON.parse(JSON.stringify(event)) as JsonObject;
}

function accepted(raw: JsonObject, version: string): Pdu {
  const result = parsePdu(raw, rulesOf(version));
  assert.ok('pdu' in result, `version ${version}: ${'problem' in result ? result.problem : ''}`);
  return result.pdu;
}

function dropped(raw: JsonValue, version: string, about = ''): void {
  const result = parsePdu(raw as JsonObject, rulesOf(version));
  assert.ok('problem' in result, `version ${version} accepted ${about}`);
}

/** The message with `"name":<text>` written in literally and read with exact numbers. */
function withText(version: string, name: string, text: string): JsonObject {
  const event = stringifyJson(message(version, { [name]: undefined }));
  return parseJson(`${event.slice(0, -1)},"${name}":${text}}`, { numbers: 'exact' }) as JsonObject;
}

test('an event in form is accepted in every version, with ids only in its references', () => {
  for (const version of ROOM_VERSIONS) {
    const pdu = accepted(message(version), version);
    const old = Number(version) <= 2;
    assert.deepEqual(pdu.prev_events, [old ? '$B:example.org' : `$${'B'.repeat(43)}`]);
    assert.equal(pdu.auth_events.length, 2);
    assert.equal(pdu.event_id.length, old ? '$mine:example.org'.length : 44);
    assert.ok(!('state_key' in pdu));
    assert.ok(Object.isFrozen(pdu));
    assert.deepEqual(pdu.json, message(version));
  }
});

test('a required field that is missing or of the wrong type makes it no event', () => {
  const wrong: Record<string, JsonValue[]> = {
    type: [5, null, {}, []],
    room_id: [5, null, 'room:example.org', '', '!', `!${'x'.repeat(255)}`, '!a\0b:c'],
    sender: [5, null, 'alice', '@alice', 'alice:example.org', '@alice:', '@alice:bad server', `@${'a'.repeat(255)}:b`],
    content: [5, null, [], 'x'],
    origin_server_ts: ['5', null, 1.5, {}],
    depth: ['5', null, 1.5, -1, [], {}],
    prev_events: [null, {}, 'x', 5],
    auth_events: [null, {}, 'x', 5],
    hashes: [null, [], 'x', {}, { sha256: 5 }, { sha256: 'not base64!' }, { md5: HASH }],
    signatures: [null, [], 'x', 5, { 'example.org': null }, { 'example.org': 'x' }],
  };
  for (const version of ROOM_VERSIONS) {
    for (const [name, values] of Object.entries(wrong)) {
      dropped(message(version, { [name]: undefined }), version, `no ${name}`);
      for (const value of values)
        dropped(message(version, { [name]: value }), version, `${name} ${JSON.stringify(value)}`);
    }
    for (const value of [5, null, {}])
      dropped(message(version, { state_key: value as JsonValue }), version, 'state_key');
    for (const raw of [null, [], 'x', 5, true]) dropped(raw as JsonValue, version, String(raw));
  }
});

test('depth: up to 2^53 - 1 from version 6 on, up to 2^63 - 1 before', () => {
  for (const version of ROOM_VERSIONS) {
    for (const text of ['0', '9007199254740991']) {
      assert.equal(accepted(withText(version, 'depth', text), version).depth, Number(text));
    }
    for (const text of ['-1', '1.5', '1.0', '"5"', 'null', '9223372036854775808', '1e400', '-9223372036854775808']) {
      dropped(withText(version, 'depth', text), version, `depth ${text}`);
    }
  }
  for (const text of ['9007199254740992', '9223372036854775807']) {
    for (const version of strict) dropped(withText(version, 'depth', text), version, `depth ${text}`);
    for (const version of lenient) {
      const pdu = accepted(withText(version, 'depth', text), version);
      assert.equal(pdu.depth, Number.MAX_SAFE_INTEGER, 'the nearest that can be counted with');
      assert.match(stringifyJson(pdu.json), new RegExp(`"depth":${text}`), 'served again as it came');
    }
  }
});

test('numbers that canonical JSON does not have: dropped from version 6 on, kept exactly before (T3, T4, T5)', () => {
  for (const number of ['9007199254740992', '-9007199254740992', '1152921504606846976', '1.5', '1.0']) {
    for (const version of strict) dropped(withText(version, 'content', `{"a":[${number}]}`), version, number);
    for (const version of lenient) {
      const pdu = accepted(withText(version, 'content', `{"a":[${number}]}`), version);
      assert.match(stringifyJson(pdu.json), new RegExp(`"a":\\[${number.replace('.', '\\.')}\\]`));
    }
  }
  for (const version of ROOM_VERSIONS) {
    dropped(withText(version, 'content', '{"a":1e400}'), version, '1e400');
    accepted(withText(version, 'content', '{"a":[9007199254740991,-9007199254740991]}'), version);
  }
});

test('unsigned can not make an event unacceptable, and nothing in it is believed (T6)', () => {
  const values = [
    `{"age":${'9'.repeat(400)}}`,
    '{"age":1e400}',
    '"x"',
    '[1]',
    'null',
    '{"redacted_because":{},"age":1.5}',
  ];
  for (const version of ROOM_VERSIONS) {
    for (const text of values)
      assert.equal(accepted(withText(version, 'unsigned', text), version).json['unsigned'], undefined);
    const invite = message(version, {
      type: 'm.room.member',
      state_key: '@bob:example.org',
      content: { membership: 'invite' },
      unsigned: { invite_room_state: [], prev_content: {}, age: 5 },
    });
    assert.deepEqual(accepted(invite, version).json['unsigned'], { invite_room_state: [] });
  }
});

test('the whole event has at most 65,536 bytes, signatures included', () => {
  for (const version of ROOM_VERSIONS) {
    const spare = MAX_EVENT_BYTES - canonicalBytes(message(version, { content: { body: '' } })).length;
    const filled = (bytes: number): JsonObject => message(version, { content: { body: `é${'x'.repeat(bytes - 2)}` } });
    assert.equal(canonicalBytes(filled(spare)).length, MAX_EVENT_BYTES);
    accepted(filled(spare), version);
    dropped(filled(spare + 1), version, 'an event that is too large');
  }
});

test('type and state key have at most 255 bytes from version 11 on, and 255 characters before', () => {
  for (const version of ROOM_VERSIONS) {
    for (const name of ['type', 'state_key']) {
      const withField = (text: string): JsonObject => message(version, { [name]: text });
      assert.equal(oversizedField(accepted(withField('x'.repeat(255)), version)), undefined);
      dropped(withField('x'.repeat(256)), version, `${name} of 256`);
      dropped(withField('é'.repeat(256)), version, `${name} of 512 bytes`);
      for (const text of ['é'.repeat(128), '\u{1f600}'.repeat(255)]) {
        if (rulesOf(version).byteLimits) dropped(withField(text), version, `${name} too large`);
        else assert.notEqual(oversizedField(accepted(withField(text), version)), undefined, 'kept as rejected');
      }
    }
  }
});

test('references: at most 20 and 10, of the form of the version, none twice, not to itself', () => {
  const letters = [...'BCDEFGHIJKLMNOPQRSTUVWXYZ'];
  for (const version of ROOM_VERSIONS) {
    const many = (count: number): JsonValue => letters.slice(0, count).map((letter) => reference(version, letter));
    accepted(message(version, { prev_events: many(20), auth_events: many(10) }), version);
    accepted(message(version, { prev_events: [], auth_events: [] }), version);
    dropped(message(version, { prev_events: many(21) }), version, '21 prev_events');
    dropped(message(version, { auth_events: many(11) }), version, '11 auth_events');
    const wrongForm =
      Number(version) <= 2
        ? [`$${'B'.repeat(43)}`, ['$B:example.org'], ['$B:example.org', 'x'], [5, {}], ['$B', {}], ['$B:x', {}, {}]]
        : [
            ['$B:example.org', { sha256: HASH }],
            '$B:example.org',
            `$${'B'.repeat(42)}`,
            `$${'B'.repeat(44)}`,
            `$${'B'.repeat(10_000)}`,
          ];
    const foreignAlphabet = version === '3' ? `$${'-'.repeat(43)}` : Number(version) > 3 ? `$${'+'.repeat(43)}` : '$';
    for (const bad of [...wrongForm, foreignAlphabet, 5, null, {}, []] as JsonValue[]) {
      for (const name of ['prev_events', 'auth_events']) {
        dropped(message(version, { [name]: [bad] }), version, `${name} ${JSON.stringify(bad).slice(0, 60)}`);
        dropped(message(version, { [name]: [reference(version), reference(version)] }), version, 'the same twice');
      }
    }
  }
  for (const version of ['1', '2']) {
    const itself = [['$mine:example.org', { sha256: HASH }]];
    dropped(message(version, { prev_events: itself }), version, 'itself');
    dropped(message(version, { auth_events: itself }), version, 'itself');
  }
});

test('event_id is part of the event in versions 1 and 2 only', () => {
  for (const version of ['1', '2']) {
    for (const id of [undefined, 5, '', '$', '$noserver', 'x:example.org', `$${'x'.repeat(255)}:example.org`]) {
      dropped(message(version, { event_id: id as JsonValue }), version, `event_id ${id}`);
    }
  }
  const pdu = accepted(message('10', { event_id: '$lie:example.org' }), '10');
  assert.match(pdu.event_id, /^\$[A-Za-z0-9_-]{43}$/);
});

test('version 12: the room id is the hash of the create event, which has none itself (T114, T125)', () => {
  const create = message('12', {
    type: 'm.room.create',
    state_key: '',
    room_id: undefined,
    prev_events: [],
    auth_events: [],
  });
  const pdu = accepted(create, '12');
  assert.equal(pdu.room_id, `!${pdu.event_id.slice(1)}`);
  for (const version of ROOM_VERSIONS.slice(0, -1)) {
    dropped(
      message(version, { type: 'm.room.create', state_key: '', room_id: undefined }),
      version,
      'create without room',
    );
  }
  dropped(message('12', { room_id: undefined }), '12', 'no room id');
  dropped(message('12', { room_id: '!room:example.org' }), '12', 'a room id with a server');
  dropped(message('12', { room_id: `!${'+'.repeat(43)}` }), '12', 'a room id in the wrong alphabet');
  dropped(message('12', { type: 'm.room.create', state_key: 'x', room_id: undefined }), '12', 'no state of the room');
});

test('redacts is read where the version keeps it, and only if it is an event id', () => {
  for (const version of ROOM_VERSIONS) {
    const at = (top: JsonValue | undefined, inside: JsonValue | undefined): Pdu =>
      accepted(
        message(version, { type: 'm.room.redaction', redacts: top, content: { redacts: inside } as JsonObject }),
        version,
      );
    const inContent = rulesOf(version).redactsInContent;
    assert.equal(at('$top', '$inside').redacts, inContent ? '$inside' : '$top');
    assert.ok(!('redacts' in at(inContent ? '$top' : 5, inContent ? 5 : '$inside')));
    const other = accepted(message(version, { redacts: '$top', content: { redacts: '$inside' } }), version);
    assert.ok(!('redacts' in other), 'only on redactions');
  }
});

test('whoever authorised a restricted join has to be a user (T99)', () => {
  for (const version of ROOM_VERSIONS) {
    const join = (authoriser: JsonValue): JsonObject =>
      message(version, {
        type: 'm.room.member',
        state_key: '@alice:example.org',
        content: { membership: 'join', join_authorised_via_users_server: authoriser },
      });
    accepted(join('@bob:example.org'), version);
    for (const bad of [5, '', 'bob', null]) {
      if (rulesOf(version).restrictedJoin) dropped(join(bad), version, `authoriser ${bad}`);
      else accepted(join(bad), version);
    }
  }
});

test('names that mean something to JavaScript are plain types, state keys, servers and keys (T12, T15)', () => {
  for (const name of ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf']) {
    for (const version of ROOM_VERSIONS) {
      const pdu = accepted(withText(version, 'signatures', `{"${name}":{"${name}":"x"}}`) as JsonObject, version);
      assert.ok(stringifyJson(pdu.json).includes(`{"${name}":{"${name}":"x"}}`));
      assert.equal(accepted(message(version, { type: name, state_key: name }), version).state_key, name);
      dropped(parseJson(`{"__proto__":${stringifyJson(message(version))}}`), version, 'an event by inheritance');
    }
  }
});
