import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalBytes, canonicalJson } from '#core/canonical-json.js';
import { MatrixError } from '#core/errors.js';
import { buildPdu, eventSignature, isToBeSigned, type Place } from '#core/event/build.js';
import { MAX_EVENT_BYTES, parsePdu } from '#core/event/format.js';
import type { Draft } from '#core/event/pdu.js';
import { redactPdu } from '#core/event/redact.js';
import { EventId, RoomId, ServerName, UserId } from '#core/ids.js';
import { parseJson } from '#core/json.js';
import { stringifyJson } from '#core/json-text.js';
import type { JsonObject } from '#core/json-value.js';
import { ROOM_VERSIONS, type RoomRules, roomRules } from '#core/room-versions.js';
import { signingKeyFromSeed, withSignature } from '#core/signing.js';

const HASH = 'A'.repeat(43);
const alice = UserId.parse('@alice:a.example')!;
const draft: Draft = { type: 'm.room.message', sender: alice, content: { msgtype: 'm.text', body: 'h"é' } };

function placeIn(rules: RoomRules, changes: Partial<Place> = {}): Place {
  const id = EventId.of(rules.eventIdFormat === 'server' ? '$p:a.example' : `$${HASH}`);
  return {
    rules,
    roomId: RoomId.parse(rules.roomIdIsHash ? `!${HASH}` : '!r:a.example'),
    prevEvents: [id],
    authEvents: [id],
    depth: 2,
    originServerTs: 1_700_000_000_000,
    serverName: ServerName.parse('a.example')!,
    key: signingKeyFromSeed(Buffer.alloc(32, 1), '1'),
    opaqueId: 'opaque',
    prevHashes: () => HASH,
    ...changes,
  };
}

const eachVersion = (act: (rules: RoomRules) => void): void => {
  for (const version of ROOM_VERSIONS) act(roomRules(version)!);
};

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof MatrixError, String(error));
    return error.errcode;
  }
  return 'built';
}

test('what we build is what another server reads: same event, same id', () => {
  eachVersion((rules) => {
    const drafts: Draft[] = [
      draft,
      { ...draft, state_key: '', unsigned: { age: 5 }, origin_server_ts: 5 },
      { ...draft, type: 'm.room.redaction', redacts: EventId.of(`$${HASH}`), content: { reason: 'x' } },
    ];
    for (const each of drafts) {
      const built = buildPdu(each, placeIn(rules));
      const parsed = parsePdu(parseJson(stringifyJson(built.json), { numbers: 'exact' }) as JsonObject, rules);
      assert.ok('pdu' in parsed, JSON.stringify(parsed));
      const { json: _, ...rest } = built;
      const { json: __, ...read } = parsed.pdu;
      assert.deepEqual(read, rest);
    }
  });
});

test('versions 1 and 2 have an event id and references with hashes on the wire; later ones neither', () => {
  eachVersion((rules) => {
    const { json, event_id } = buildPdu(draft, placeIn(rules));
    if (rules.eventIdFormat === 'server') {
      assert.equal(event_id, '$opaque:a.example');
      assert.equal(json['event_id'], event_id);
      assert.deepEqual(json['prev_events'], [['$p:a.example', { sha256: HASH }]]);
    } else {
      assert.ok(!('event_id' in json));
      assert.deepEqual(json['prev_events'], [`$${HASH}`]);
    }
  });
});

test('a create event of version 12 has no room id on the wire and gives the room its id (T114)', () => {
  const rules = roomRules('12')!;
  const place = placeIn(rules, { roomId: undefined, prevEvents: [], authEvents: [] });
  const pdu = buildPdu({ ...draft, type: 'm.room.create', state_key: '', content: { room_version: '12' } }, place);
  assert.ok(!('room_id' in pdu.json));
  assert.equal(pdu.room_id, `!${pdu.event_id.slice(1)}`);
});

test('a redaction names its event at the top level before version 11, and in its content since', () => {
  const redacts = EventId.of(`$${HASH}`);
  eachVersion((rules) => {
    const pdu = buildPdu({ ...draft, type: 'm.room.redaction', content: { reason: 'x' }, redacts }, placeIn(rules));
    assert.equal(pdu.redacts, redacts);
    assert.equal(pdu.json['redacts'], rules.redactsInContent ? undefined : redacts);
    assert.deepEqual(pdu.content, rules.redactsInContent ? { reason: 'x', redacts } : { reason: 'x' });
  });
});

test('the size limit counts every byte of the event as it travels', () => {
  eachVersion((rules) => {
    for (const unsigned of [undefined, { age: 5, x: 'é' }]) {
      const filled = (bytes: number): Draft => ({
        ...draft,
        content: { body: 'x'.repeat(bytes) },
        ...(unsigned === undefined ? {} : { unsigned }),
      });
      const spare = MAX_EVENT_BYTES - canonicalBytes(buildPdu(filled(0), placeIn(rules)).json).length;
      assert.equal(canonicalBytes(buildPdu(filled(spare), placeIn(rules)).json).length, MAX_EVENT_BYTES);
      for (const signsLater of [false, true]) {
        const build = (bytes: number): string => codeOf(() => buildPdu(filled(bytes), placeIn(rules, { signsLater })));
        assert.deepEqual([build(spare), build(spare + 1)], ['built', 'M_TOO_LARGE']);
      }
    }
  });
});

test('an event that is signed later has the same id, and in the end the same signature', () => {
  eachVersion((rules) => {
    const place = placeIn(rules);
    const { serverName, key } = place;
    const now = buildPdu(draft, place);
    const later = buildPdu(draft, { ...place, signsLater: true });
    assert.deepEqual([isToBeSigned(now), isToBeSigned(later)], [false, true]);
    assert.equal(later.event_id, now.event_id);
    assert.deepEqual(withSignature(later.json, serverName, key.id, eventSignature(later.json, rules, key)), now.json);
    const redacted = redactPdu(later.json, rules);
    assert.equal(eventSignature(redacted, rules, key), eventSignature(later.json, rules, key));
  });
});

test('state that nobody signed, such as a third-party invite from elsewhere, is not taken for ours to sign', () => {
  const content = { membership: 'invite', third_party_invite: { signed: {} } };
  const invite = { ...draft, type: 'm.room.member', state_key: '@x:b.example', content };
  eachVersion((rules) => {
    const { json, event_id } = buildPdu(invite, placeIn(rules));
    const parsed = parsePdu({ ...json, signatures: {} }, rules);
    assert.ok('pdu' in parsed);
    assert.equal(parsed.pdu.event_id, event_id);
    assert.equal(isToBeSigned(parsed.pdu), false);
  });
});

test('type and state key of what we make have at most 255 bytes in every version', () => {
  eachVersion((rules) => {
    const build = (changes: Partial<Draft>): string => codeOf(() => buildPdu({ ...draft, ...changes }, placeIn(rules)));
    assert.equal(build({ type: 'x'.repeat(255), state_key: 'x'.repeat(255) }), 'built');
    assert.equal(build({ type: 'x'.repeat(256) }), 'M_TOO_LARGE');
    assert.equal(build({ state_key: 'é'.repeat(128) }), 'M_TOO_LARGE');
  });
});

test('numbers that the room version does not have are bad JSON (T3, T4)', () => {
  eachVersion((rules) => {
    for (const number of ['9007199254740992', '1.5', '1.0', '-0']) {
      const content = parseJson(`{"x":[${number}]}`, { numbers: 'exact' }) as JsonObject;
      const code = codeOf(() => buildPdu({ ...draft, content }, placeIn(rules)));
      assert.equal(code, rules.strictCanonicalJson ? 'M_BAD_JSON' : 'built', `${rules.version} ${number}`);
    }
    const lone = codeOf(() => buildPdu({ ...draft, content: { x: '\ud800' } }, placeIn(rules)));
    assert.equal(lone, 'M_BAD_JSON');
  });
});

test('depth stops at the largest integer', () => {
  const pdu = buildPdu(draft, placeIn(roomRules('12')!, { depth: Number.MAX_SAFE_INTEGER + 1 }));
  assert.equal(pdu.depth, Number.MAX_SAFE_INTEGER);
  assert.match(canonicalJson(pdu.json), /"depth":9007199254740991,/);
});
